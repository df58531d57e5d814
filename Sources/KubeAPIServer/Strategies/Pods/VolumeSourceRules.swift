import KubeAPI

/// The rules of each kind of volume, of pods and of persistent volumes. Upstream: the validate…VolumeSource functions of core/validation.
enum VolumeSourceRules {
    /// In the order in which upstream looks for them: it decides which of two is one too many.
    static let podKinds = [
        "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi", "glusterfs", "flocker",
        "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc", "flexVolume", "configMap", "azureFile", "vsphereVolume",
        "photonPersistentDisk", "azureDisk", "portworxVolume", "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
    ]
    static let persistentKinds = [
        "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte", "cephfs", "iscsi", "cinder", "fc",
        "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi",
    ]
    static let longPortal =
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."

    /// Texts that a source cannot be without.
    private static let required: [String: [String]] = [
        "gitRepo": ["repository"], "gcePersistentDisk": ["pdName"], "awsElasticBlockStore": ["volumeID"], "secret": ["secretName"],
        "configMap": ["name"], "persistentVolumeClaim": ["claimName"], "nfs": ["server", "path"], "glusterfs": ["endpoints", "path"],
        "cinder": ["volumeID"], "azureFile": ["secretName", "shareName"], "azureDisk": ["diskName", "diskURI"], "vsphereVolume": ["volumePath"],
        "photonPersistentDisk": ["pdID"], "portworxVolume": ["volumeID"], "scaleIO": ["gateway", "system", "volumeName"], "flexVolume": ["driver"],
    ]

    static func validate(_ kind: String, _ source: JSONView, _ path: String, isPersistent: Bool, _ errors: inout FieldErrors) {
        for field in required[kind] ?? [] { errors.requireText("\(path).\(field)", source[field]) }
        switch kind {
        case "emptyDir":
            if let limit = source["sizeLimit"].quantity, limit.sign < 0 {
                errors.forbidden("\(path).sizeLimit", "SizeLimit field must be a valid resource quantity")
            }
        case "hostPath", "local":
            guard let directory = errors.requireText("\(path).path", source["path"]) else { return }
            PathRule.noBacksteps(directory, "\(path).path", &errors)
            if kind == "hostPath", let type = source["type"].string, !hostPathTypes.contains(type) {
                errors.notSupported("\(path).type", type, hostPathTypes)
            }
        case "gitRepo": PathRule.localDescending(source["directory"].text, "\(path).directory", &errors)
        case "gcePersistentDisk", "awsElasticBlockStore":
            if let partition = source["partition"].int, partition < 0 || partition > 255 {
                errors.invalid("\(path).partition", .int(partition), "must be between 1 and 255, inclusive")
            }
        case "secret", "configMap":
            mode(source["defaultMode"], "\(path).defaultMode", &errors)
            for (index, item) in source["items"].elements.enumerated() { keyToPath(item, "\(path).items[\(index)]", &errors) }
        case "nfs":
            if !source["path"].text.hasPrefix("/") { errors.invalid("\(path).path", text: source["path"].text, "must be an absolute path") }
        case "iscsi": iscsi(source, path, isPersistent: isPersistent, &errors)
        case "glusterfs":
            if let namespace = source["endpointsNamespace"].string {
                if namespace.isEmpty {
                    errors.invalid(
                        "\(path).endpointsNamespace", text: "", "if the endpointnamespace is set, it must be a valid namespace name")
                } else {
                    errors.name("\(path).endpointsNamespace", namespace, .dnsLabel)
                }
            }
        case "flocker": flocker(source, path, &errors)
        case "rbd":
            if source["monitors"].elements.isEmpty { errors.required("\(path).monitors") }
            errors.requireText("\(path).image", source["image"])
        case "cephfs": if source["monitors"].elements.isEmpty { errors.required("\(path).monitors") }
        case "cinder": secretReference(source, path, isPersistent: isPersistent, &errors)
        case "quobyte": quobyte(source, path, &errors)
        case "fc": fibreChannel(source, path, &errors)
        case "flexVolume":
            for (key, _) in source["options"]?.members.map({ $0 }) ?? [] {
                let domain = "." + (key.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).first ?? "").lowercased()
                if domain.hasSuffix(".kubernetes.io") || domain.hasSuffix(".k8s.io") {
                    errors.invalid("\(path).options[\(key)]", text: key, "kubernetes.io and k8s.io namespaces are reserved")
                }
            }
        case "azureFile":
            if source["secretNamespace"].string == "" { errors.required("\(path).secretNamespace") }
        case "azureDisk": azureDisk(source, path, &errors)
        case "storageos":
            errors.requiredName("\(path).volumeName", source["volumeName"], .dnsLabel)
            errors.optionalName("\(path).volumeNamespace", source["volumeNamespace"], .dnsLabel)
            secretReference(source, path, isPersistent: isPersistent, &errors)
        case "csi": csi(source, path, isPersistent: isPersistent, &errors)
        default: break
        }
    }

    /// sets.List of upstream's supportedHostPathTypes: sorted, the empty one first.
    private static let hostPathTypes = [
        "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
    ]

    private static func secretReference(_ source: JSONView, _ path: String, isPersistent: Bool, _ errors: inout FieldErrors) {
        guard let reference = source["secretRef"].present else { return }
        errors.requireText("\(path).secretRef.name", reference["name"])
        if isPersistent { errors.requireText("\(path).secretRef.namespace", reference["namespace"]) }
    }

    private static func iscsi(_ source: JSONView, _ path: String, isPersistent: Bool, _ errors: inout FieldErrors) {
        errors.requireText("\(path).targetPortal", source["targetPortal"])
        if let name = errors.requireText("\(path).iqn", source["iqn"]) {
            initiator(name, "\(path).iqn", isPersistent: isPersistent, &errors)
        }
        errors.range("\(path).lun", source["lun"], 0...255)
        if source["chapAuthDiscovery"].bool == true || source["chapAuthSession"].bool == true, source["secretRef"].present == nil {
            errors.required("\(path).secretRef")
        }
        if isPersistent, let reference = source["secretRef"].present { errors.requireText("\(path).secretRef.name", reference["name"]) }
        if let name = source["initiatorName"].string { initiator(name, "\(path).initiatorname", isPersistent: isPersistent, &errors) }
    }

    private static func initiator(_ name: String, _ field: String, isPersistent: Bool, _ errors: inout FieldErrors) {
        func isAlphanumeric(_ c: UInt8) -> Bool {
            let letter = c | 0x20
            return (letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z")) || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9"))
        }
        let rest = name.utf8.dropFirst(4)
        let isWellFormed: Bool
        switch name.prefix(3) {
        case "iqn": isWellFormed = isQualified(name)
        case "eui": isWellFormed = rest.count == 16 && rest.allSatisfy(isAlphanumeric)
        case "naa": isWellFormed = rest.count == 32 && rest.allSatisfy(isAlphanumeric)
        default:
            let text = isPersistent ? "must be valid format" : "must be valid format starting with iqn, eui, or naa"
            return errors.invalid(field, text: name, text)
        }
        if !isWellFormed { errors.invalid(field, text: name, "must be valid format") }
    }

    /// `iqn.2003-01.org.example:name`. Upstream: iscsiInitiatorIqnRegex.
    private static func isQualified(_ name: String) -> Bool {
        let parts = name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "iqn" else { return false }
        let date = parts[1].split(separator: "-", omittingEmptySubsequences: false)
        guard date.count == 2, date[0].count == 4, date[1].count == 2, date.allSatisfy({ $0.allSatisfy(\.isNumber) }) else { return false }
        guard let colon = parts[2].firstIndex(of: ":"), colon != parts[2].startIndex else { return false }
        let target = parts[2][parts[2].index(after: colon)...]
        return !target.isEmpty && !target.contains { ",;*&$|".contains($0) || $0.isWhitespace }
    }

    private static func flocker(_ source: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let name = source["datasetName"].text
        let uuid = source["datasetUUID"].text
        if name.isEmpty, uuid.isEmpty { errors.required(path, "one of datasetName and datasetUUID is required") }
        if !name.isEmpty, !uuid.isEmpty {
            errors.invalid(path, text: "resource", "datasetName and datasetUUID can not be specified simultaneously")
        }
        if name.contains("/") { errors.invalid("\(path).datasetName", text: name, "must not contain '/'") }
    }

    private static func quobyte(_ source: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let rule = "must be a host:port pair or multiple pairs separated by commas"
        let registry = source["registry"].text
        if registry.isEmpty {
            errors.required("\(path).registry", rule)
        } else if source["tenant"].text.utf8.count >= 65 {
            errors.required("\(path).tenant", "must be a UUID and may not exceed a length of 64 characters")
        } else {
            for pair in registry.split(separator: ",", omittingEmptySubsequences: false) where pair.filter({ $0 == ":" }).count != 1 {
                errors.invalid("\(path).registry", text: registry, rule)
            }
        }
        errors.requireText("\(path).volume", source["volume"])
    }

    private static func fibreChannel(_ source: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let names = source["targetWWNs"].strings
        let identities = source["wwids"].strings
        if names.isEmpty, identities.isEmpty { errors.required("\(path).targetWWNs", "must specify either targetWWNs or wwids, but not both") }
        if !names.isEmpty, !identities.isEmpty {
            errors.invalid("\(path).targetWWNs", Value(names), "targetWWNs and wwids can not be specified simultaneously")
        }
        guard !names.isEmpty else { return }
        if source["lun"].int == nil {
            errors.required("\(path).lun", "lun is required if targetWWNs is specified")
        } else {
            errors.range("\(path).lun", source["lun"], 0...255)
        }
    }

    private static func azureDisk(_ source: JSONView, _ path: String, _ errors: inout FieldErrors) {
        errors.oneOf("\(path).cachingMode", source["cachingMode"], ["None", "ReadOnly", "ReadWrite"])
        errors.oneOf("\(path).kind", source["kind"], ["Dedicated", "Managed", "Shared"])
        let uri = source["diskURI"].text
        switch source["kind"].string {
        case "Managed" where !uri.hasPrefix("/subscriptions/"):
            errors.notSupported(
                "\(path).diskURI", uri, ["/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"])
        case "Dedicated" where !uri.hasPrefix("https://"), "Shared" where !uri.hasPrefix("https://"):
            errors.notSupported("\(path).diskURI", uri, ["https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"])
        default: break
        }
    }

    private static func csi(_ source: JSONView, _ path: String, isPersistent: Bool, _ errors: inout FieldErrors) {
        DomainRules.driverName("\(path).driver", source["driver"].text, &errors)
        guard isPersistent else {
            guard let reference = source["nodePublishSecretRef"].present else { return }
            if let name = errors.requireText("\(path).nodePublishSecretRef.name", reference["name"]) {
                errors.name("\(path).name", name, .dnsSubdomain)
            }
            return
        }
        errors.requireText("\(path).volumeHandle", source["volumeHandle"])
        for field in ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"] {
            guard let reference = source[field].present else { continue }
            errors.requiredName("\(path).\(field).name", reference["name"], .dnsSubdomain)
            errors.requiredName("\(path).\(field).namespace", reference["namespace"], .dnsLabel)
        }
    }

    // MARK: Files in volumes

    /// Upstream: core/validation.validateKeyToPath.
    static func keyToPath(_ item: JSONView, _ place: String, _ errors: inout FieldErrors) {
        errors.requireText("\(place).key", item["key"])
        let target = errors.requireText("\(place).path", item["path"]) ?? ""
        PathRule.localNonReserved(target, "\(place).path", &errors)
        mode(item["mode"], "\(place).mode", &errors)
    }

    static func mode(_ view: JSONView?, _ field: @autoclosure () -> String, _ errors: inout FieldErrors) {
        if let mode = view.int, mode < 0 || mode > 0o777 {
            errors.invalid(field(), .int(mode), "must be a number between 0 and 0777 (octal), both inclusive")
        }
    }

    /// Upstream: core/validation.validateDownwardAPIVolumeFile; its paths leave out the file's number.
    static func downwardFile(_ file: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let target = errors.requireText("\(path).path", file["path"]) ?? ""
        PathRule.localNonReserved(target, "\(path).path", &errors)
        if let field = file["fieldRef"].present {
            DownwardFields.object(field, "\(path).fieldRef", DownwardFields.ofVolumes, &errors)
            if file["resourceFieldRef"].present != nil {
                errors.invalid(path, text: "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
            }
        } else if let resource = file["resourceFieldRef"].present {
            DownwardFields.resource(resource, "\(path).resourceFieldRef", ofVolume: true, &errors)
        } else {
            errors.required(path, "one of fieldRef and resourceFieldRef is required")
        }
        mode(file["mode"], "\(path).mode", &errors)
    }
}
