import KubeAPI

/// A container's variables. Upstream: core/validation.ValidateEnv, ValidateEnvFrom.
struct ContainerEnvironment {
    let path: String

    func validate(_ container: JSONView, _ errors: inout FieldErrors) {
        for (index, variable) in container["env"].elements.enumerated() {
            let place = "\(path).env[\(index)]"
            if let name = errors.requireText("\(place).name", variable["name"]) { errors.invalid("\(place).name", name, Self.problems(name)) }
            if let source = variable["valueFrom"].present {
                valueFrom(source, hasValue: !variable["value"].text.isEmpty, "\(place).valueFrom", &errors)
            }
        }
        for (index, source) in container["envFrom"].elements.enumerated() {
            let place = "\(path).envFrom[\(index)]"
            let prefix = source["prefix"].text
            if !prefix.isEmpty { errors.invalid("\(place).prefix", prefix, Self.problems(prefix)) }
            var count = 0
            for kind in ["configMapRef", "secretRef"] {
                guard let reference = source[kind].present else { continue }
                count += 1
                errors.requiredName("\(place).\(kind).name", reference["name"], .dnsSubdomain)
            }
            // The path of these two is that of the list, as upstream has it.
            if count == 0 { errors.invalid("\(path).envFrom", text: "", "must specify one of: `configMapRef` or `secretRef`") }
            if count > 1 { errors.invalid("\(path).envFrom", text: "", "may not have more than one field specified at a time") }
        }
    }

    private func valueFrom(_ source: JSONView, hasValue: Bool, _ place: String, _ errors: inout FieldErrors) {
        var count = 0
        for kind in ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"] {
            guard let part = source[kind].present else { continue }
            count += 1
            switch kind {
            case "fieldRef": DownwardFields.object(part, "\(place).\(kind)", DownwardFields.ofVariables, &errors)
            case "resourceFieldRef": DownwardFields.resource(part, "\(place).\(kind)", ofVolume: false, &errors)
            case "fileKeyRef":
                errors.requiredName("\(place).\(kind).volumeName", part["volumeName"], .dnsLabel)
                if let target = errors.requireText("\(place).\(kind).path", part["path"]) {
                    PathRule.localNonReserved(target, "\(place).\(kind).path", &errors)
                }
                if let key = errors.requireText("\(place).\(kind).key", part["key"]) {
                    errors.invalid("\(place).\(kind).key", key, Self.problems(key))
                }
            default:
                errors.name("\(place).\(kind).name", part["name"].text, .dnsSubdomain)
                if let key = errors.requireText("\(place).\(kind).key", part["key"]) {
                    errors.invalid("\(place).\(kind).key", key, ConfigurationData.keyProblems(key))
                }
            }
        }
        if count == 0 {
            errors.invalid(
                place, text: "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`")
        } else if hasValue {
            errors.invalid(place, text: "", "may not be specified when `value` is not empty")
        } else if count > 1 {
            errors.invalid(place, text: "", "may not have more than one field specified at a time")
        }
    }

    /// Upstream: validation.IsRelaxedEnvVarName.
    private static func problems(_ name: String) -> [String] {
        if name.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "=") }) { return [] }
        return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
    }
}

/// Where a container has its volumes. Upstream: core/validation.ValidateVolumeMounts, ValidateVolumeDevices.
struct ContainerMounts {
    let path: String
    let volumes: PodVolumeValidation.Known

    func validate(_ container: JSONView, _ errors: inout FieldErrors) {
        let mounts = container["volumeMounts"].elements
        let devices = container["volumeDevices"].elements
        if mounts.isEmpty, devices.isEmpty { return }
        self.mounts(mounts, devices, container, &errors)
        self.devices(devices, mounts, &errors)
    }

    private func mounts(_ mounts: [JSONView], _ devices: [JSONView], _ container: JSONView, _ errors: inout FieldErrors) {
        var paths: Set<String> = []
        let list = "\(path).volumeMounts"
        for (index, mount) in mounts.enumerated() {
            let place = "\(list)[\(index)]"
            let name = mount["name"].text
            let target = mount["mountPath"].text
            if name.isEmpty { errors.required("\(place).name") }
            if !volumes.all.contains(name) { errors.notFound("\(place).name", name) }
            if target.isEmpty { errors.required("\(place).mountPath") }
            if !paths.insert(target).inserted { errors.invalid("\(place).mountPath", text: target, "must be unique") }
            if devices.contains(where: { $0["name"].text == name }) {
                errors.invalid("\(place).name", text: name, "must not already exist in volumeDevices")
            }
            if devices.contains(where: { $0["devicePath"].text == target }) {
                errors.invalid("\(place).mountPath", text: target, "must not already exist as a path in volumeDevices")
            }
            subPaths(mount, place, list, &errors)
            propagation(mount, container, list, &errors)
        }
    }

    /// What of the volume is mounted. Some paths lack the mount's number, as upstream's do.
    private func subPaths(_ mount: JSONView, _ place: String, _ list: String, _ errors: inout FieldErrors) {
        let sub = mount["subPath"].text
        let expression = mount["subPathExpr"].text
        if !sub.isEmpty { PathRule.localDescending(sub, "\(list).subPath", &errors) }
        if !expression.isEmpty {
            if !sub.isEmpty { errors.invalid("\(place).subPathExpr", text: expression, "subPathExpr and subPath are mutually exclusive") }
            PathRule.localDescending(expression, "\(list).subPathExpr", &errors)
        }
    }

    private func propagation(_ mount: JSONView, _ container: JSONView, _ list: String, _ errors: inout FieldErrors) {
        let propagation = mount["mountPropagation"].string
        if let propagation {
            let supported = ["Bidirectional", "HostToContainer", "None"]
            if !supported.contains(propagation) { errors.notSupported("\(list).mountPropagation", propagation, supported) }
            if propagation == "Bidirectional", container["securityContext"]["privileged"].bool != true {
                errors.forbidden("\(list).mountPropagation", "Bidirectional mount propagation is available only to privileged containers")
            }
        }
        switch mount["recursiveReadOnly"].string {
        case nil, "Disabled": break
        case "Enabled", "IfPossible":
            if mount["readOnly"].bool != true { errors.forbidden("\(list).recursiveReadOnly", "may only be specified when readOnly is true") }
            if let propagation, propagation != "None" {
                errors.forbidden("\(list).recursiveReadOnly", "may only be specified when mountPropagation is None or not specified")
            }
        case let other?: errors.notSupported("\(list).recursiveReadOnly", other, ["Disabled", "Enabled", "IfPossible"])
        }
    }

    private func devices(_ devices: [JSONView], _ mounts: [JSONView], _ errors: inout FieldErrors) {
        var names: Set<String> = []
        var paths: Set<String> = []
        for (index, device) in devices.enumerated() {
            let place = "\(path).volumeDevices[\(index)]"
            let name = device["name"].text
            let target = device["devicePath"].text
            if name.isEmpty { errors.required("\(place).name") }
            if names.contains(name) { errors.invalid("\(place).name", text: name, "must be unique") }
            if volumes.all.contains(name), !volumes.claims.contains(name) {
                errors.invalid(
                    "\(place).name", text: name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode")
            }
            if !volumes.all.contains(name) { errors.notFound("\(place).name", name) }
            if target.isEmpty { errors.required("\(place).devicePath") }
            if paths.contains(target) { errors.invalid("\(place).devicePath", text: target, "must be unique") }
            if PathRule.hasBacksteps(target) {
                errors.invalid("\(place).devicePath", text: target, "can not contain backsteps ('..')")
            } else {
                paths.insert(target)
            }
            if mounts.contains(where: { $0["name"].text == name }) {
                errors.invalid("\(place).name", text: name, "must not already exist in volumeMounts")
            }
            if mounts.contains(where: { $0["mountPath"].text == target }) {
                errors.invalid("\(place).devicePath", text: target, "must not already exist as a path in volumeMounts")
            }
            if !name.isEmpty { names.insert(name) }
        }
    }
}
