import KubeAPI

/// What a pod of one operating system may not say. Upstream: core/validation.validateOS, validateLinux, validateWindows,
/// validateWindowsHostProcessPod.
struct PodPlatformValidation {
    let path: String

    private static let lists = ["initContainers", "containers", "ephemeralContainers"]

    private func containers(_ spec: JSONView) -> [(path: String, context: JSONView?)] {
        Self.lists.flatMap { list in
            spec[list].elements.enumerated().map { ("\(path).\(list)[\($0.offset)].securityContext", $0.element["securityContext"].present) }
        }
    }

    func os(_ spec: JSONView, _ errors: inout FieldErrors) {
        guard let os = spec["os"].present else { return }
        switch os["name"].text {
        case "": errors.required("\(path).os.name", "cannot be empty")
        case "linux": linux(spec, &errors)
        case "windows": windows(spec, &errors)
        case let other: errors.notSupported("\(path).os", other, ["linux", "windows"])
        }
    }

    private func linux(_ spec: JSONView, _ errors: inout FieldErrors) {
        let own = [("\(path).securityContext", spec["securityContext"].present)]
        for (place, context) in own + containers(spec) where context["windowsOptions"].present != nil {
            errors.forbidden("\(place).windowsOptions", "windows options cannot be set for a linux pod")
        }
    }

    /// In upstream's order: those of the context, and those that stand in the spec.
    private static let podFields: [(String, inContext: Bool)] = [
        ("appArmorProfile", true), ("seLinuxOptions", true), ("hostUsers", false), ("hostPID", false), ("hostIPC", false), ("seccompProfile", true),
        ("fsGroup", true), ("fsGroupChangePolicy", true), ("sysctls", true), ("shareProcessNamespace", false), ("runAsUser", true),
        ("runAsGroup", true), ("supplementalGroups", true), ("supplementalGroupsPolicy", true), ("seLinuxChangePolicy", true),
    ]
    private static let containerFields = [
        "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged", "allowPrivilegeEscalation",
        "procMount", "runAsUser", "runAsGroup",
    ]

    private func windows(_ spec: JSONView, _ errors: inout FieldErrors) {
        let text = "cannot be set for a windows pod"
        for (field, inContext) in Self.podFields {
            let view = inContext ? spec["securityContext"][field].present : spec[field].present
            guard let view, !(["hostPID", "hostIPC"].contains(field) && view.bool == false) else { continue }
            errors.forbidden(inContext ? "\(path).securityContext.\(field)" : "\(path).\(field)", text)
        }
        for (place, context) in containers(spec) {
            for field in Self.containerFields where context[field].present != nil { errors.forbidden("\(place).\(field)", text) }
        }
    }

    /// Processes on a Windows host: all containers or none, and on the host's network.
    func hostProcesses(_ spec: JSONView, _ errors: inout FieldErrors) {
        let ofPod = spec["securityContext"]["windowsOptions"]["hostProcess"].bool
        let all = Self.lists.flatMap { list in
            spec[list].elements.enumerated().map { (list, $0.offset, $0.element["securityContext"]["windowsOptions"]["hostProcess"].bool) }
        }
        if ofPod == nil, all.allSatisfy({ $0.2 == nil }) { return }
        var count = 0
        for (list, index, own) in all {
            if let ofPod, let own, ofPod != own {
                errors.invalid(
                    "\(path).\(list)[\(index)].securityContext.windowsOptions.hostProcess", .bool(own),
                    "pod hostProcess value must be identical if both are specified, was \(ofPod)")
            }
            if own ?? ofPod ?? false { count += 1 }
        }
        guard count > 0 else { return }
        if count != all.count {
            errors.invalid(path, text: "", "If pod contains any hostProcess containers then all containers must be HostProcess containers")
        }
        if spec["hostNetwork"].bool != true {
            errors.invalid("\(path).hostNetwork", false, "hostNetwork must be true if pod contains any hostProcess containers")
        }
    }
}
