import KubeAPI

/// Annotations of pods that mean something. Upstream: core/validation.ValidatePodSpecificAnnotations and its like.
enum PodAnnotationValidation {
    static let deletionCost = "controller.kubernetes.io/pod-deletion-cost"
    static let seccompPod = "seccomp.security.alpha.kubernetes.io/pod"
    static let seccompContainer = "container.seccomp.security.alpha.kubernetes.io/"
    static let appArmor = "container.apparmor.security.beta.kubernetes.io/"

    /// `path`: that of the annotations.
    static func validate(_ annotations: JSONView?, _ spec: JSONView?, _ path: @autoclosure () -> String, _ errors: inout FieldErrors) {
        guard let annotations = annotations.present else { return }
        for (key, view) in annotations.members {
            let value = view.text
            switch key {
            case MirrorPod.annotation:
                if spec["nodeName"].text.isEmpty {
                    errors.invalid("\(path())[\(key)]", text: value, "must set spec.nodeName if mirror pod annotation is set")
                }
            case deletionCost: if !isDeletionCost(value) { errors.invalid("\(path())[\(key)]", text: value, "must be a 32bit integer") }
            case seccompPod: seccomp(value, "\(path()).\(key)", &errors)
            case _ where key.hasPrefix(seccompContainer): seccomp(value, "\(path()).\(key)", &errors)
            case _ where key.hasPrefix(appArmor): profile(value, of: String(key.dropFirst(appArmor.count)), spec, "\(path())[\(key)]", &errors)
            default: break
            }
        }
    }

    /// A number without a sign of plus or zeros in front. Upstream: helper.GetDeletionCostFromPodAnnotations.
    private static func isDeletionCost(_ text: String) -> Bool {
        guard Int32(text) != nil, !text.hasPrefix("+") else { return false }
        return text == "0" || !text.hasPrefix("0")
    }

    private static func seccomp(_ profile: String, _ field: String, _ errors: inout FieldErrors) {
        if ["runtime/default", "docker/default", "unconfined"].contains(profile) { return }
        guard profile.hasPrefix("localhost/") else { return errors.invalid(field, text: profile, "must be a valid seccomp profile") }
        PathRule.localDescending(String(profile.dropFirst("localhost/".count)), field, &errors)
    }

    private static func profile(_ profile: String, of name: String, _ spec: JSONView?, _ field: String, _ errors: inout FieldErrors) {
        let exists = ["initContainers", "containers", "ephemeralContainers"].contains { list in
            spec[list].elements.contains { $0["name"].text == name }
        }
        if !exists { errors.invalid(field, text: name, "container not found") }
        if profile.isEmpty || profile == "runtime/default" || profile == "unconfined" || profile.hasPrefix("localhost/") { return }
        errors.invalid(field, text: profile, "invalid AppArmor profile name: \(profile.goQuoted)")
    }

    /// Annotations that stay as they are. Upstream: core/validation.ValidatePodSpecificAnnotationUpdates.
    static func validateUpdate(_ new: Object, old: Object, _ errors: inout FieldErrors) {
        let now = new["metadata"]["annotations"]
        let before = old["metadata"]["annotations"]
        guard FieldErrors.differ(now, before) else { return }
        let after = now.stringMap
        let earlier = before.stringMap
        for (key, value) in earlier.sorted(by: { $0.key < $1.key }) where after[key] != value {
            if key.hasPrefix(appArmor) { errors.forbidden("metadata.annotations[\(key)]", "may not remove or update AppArmor annotations") }
            if key == MirrorPod.annotation {
                errors.forbidden("metadata.annotations[\(key)]", "may not remove or update mirror pod annotation")
            }
        }
        for key in after.keys.sorted() where earlier[key] == nil {
            if key.hasPrefix(appArmor) { errors.forbidden("metadata.annotations[\(key)]", "may not add AppArmor annotations") }
            if key == MirrorPod.annotation { errors.forbidden("metadata.annotations[\(key)]", "may not add mirror pod annotation") }
        }
        validate(now, new["spec"], "metadata.annotations", &errors)
    }

    /// Profiles of annotation and field say the same. Upstream: core/validation.validateSeccompAnnotationsAndFields,
    /// validateAppArmorAnnotationsAndFieldsMatchOnCreate.
    static func profilesMatch(_ annotations: JSONView?, _ spec: JSONView?, _ path: String, _ errors: inout FieldErrors) {
        guard let annotations = annotations.present,
            annotations.members.contains(where: { $0.key == seccompPod || $0.key.hasPrefix(seccompContainer) || $0.key.hasPrefix(appArmor) })
        else { return }
        if let value = annotations[seccompPod].string, let profile = spec["securityContext"]["seccompProfile"].present {
            match(value, profile, "\(path).securityContext.seccompProfile", "seccomp", &errors)
        }
        let ofPod = spec["securityContext"]["appArmorProfile"].present
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            for (index, container) in spec[list].elements.enumerated() {
                let place = "\(path).\(list)[\(index)].securityContext"
                let name = container["name"].text
                if let value = annotations[seccompContainer + name].string,
                    let profile = container["securityContext"]["seccompProfile"].present
                {
                    match(value, profile, "\(place).seccompProfile", "seccomp", &errors)
                }
                if let value = annotations[appArmor + name].string, spec["os"]["name"].string != "windows",
                    let profile = container["securityContext"]["appArmorProfile"].present ?? ofPod
                {
                    match(value, profile, "\(place).appArmorProfile", "apparmor", &errors)
                }
            }
        }
    }

    private static func match(_ value: String, _ profile: JSONView, _ field: String, _ kind: String, _ errors: inout FieldErrors) {
        let agrees: Bool
        switch profile["type"].text {
        case "Unconfined": agrees = value == "unconfined"
        case "RuntimeDefault": agrees = value == "runtime/default" || (kind == "seccomp" && value == "docker/default")
        case "Localhost":
            agrees = value.hasPrefix("localhost/")
            if agrees, value != "localhost/\(profile["localhostProfile"].text)" {
                errors.forbidden("\(field).localhostProfile", "\(kind) profile in annotation and field must match")
            }
        default: agrees = true
        }
        if !agrees { errors.forbidden("\(field).type", "\(kind) type in annotation and field must match") }
    }
}
