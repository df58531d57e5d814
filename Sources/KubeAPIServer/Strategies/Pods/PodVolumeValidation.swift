import KubeAPI

/// The rules of a pod's volumes. Upstream: core/validation.ValidateVolumes.
struct PodVolumeValidation {
    let path: String
    /// Names of volumes; of those that are claims, which containers may use as block devices.
    typealias Names = (all: Set<String>, claims: Set<String>)

    /// Upstream: the fields of core.VolumeSource.
    private static let sources: Set<String> = [
        "hostPath", "emptyDir", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "secret", "nfs", "iscsi", "glusterfs",
        "persistentVolumeClaim", "rbd",
        "flexVolume", "cinder", "cephfs", "flocker", "downwardAPI", "fc", "azureFile", "configMap", "vsphereVolume", "quobyte", "azureDisk",
        "photonPersistentDisk", "projected", "portworxVolume", "scaleIO", "storageos", "csi", "ephemeral", "image",
    ]

    func validate(_ volumes: [JSONView], _ errors: inout FieldErrors) -> Names {
        var names: Names = ([], [])
        for (index, volume) in volumes.enumerated() {
            let place = "\(path).volumes[\(index)]"
            let name = volume["name"].string ?? ""
            if name.isEmpty { errors.required("\(place).name") } else { errors.name("\(place).name", name, .dnsLabel) }
            if !name.isEmpty, !names.all.insert(name).inserted { errors.duplicate("\(place).name", .string(name)) }
            let kinds = volume.members.filter { Self.sources.contains($0.key) && !$0.value.isNull }.map(\.key)
            if kinds.isEmpty { errors.required(place, "must specify a volume type") }
            for extra in kinds.dropFirst() { errors.forbidden("\(place).\(extra)", "may not specify more than 1 volume type") }
            if let kind = kinds.first { source(kind, volume[kind], "\(place).\(kind)", &errors) }
            if kinds.contains("persistentVolumeClaim") || kinds.contains("ephemeral") { names.claims.insert(name) }
        }
        return names
    }

    private func source(_ kind: String, _ source: JSONView?, _ place: String, _ errors: inout FieldErrors) {
        func require(_ field: String) { if (source[field].string ?? "").isEmpty { errors.required("\(place).\(field)") } }
        switch kind {
        case "hostPath":
            require("path")
            let components = (source["path"].string ?? "").split(separator: "/")
            if components.contains("..") { errors.invalid("\(place).path", .string(source["path"].string ?? ""), "must not contain '..'") }
            errors.oneOf(
                "\(place).type", source["type"], ["BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"])
        case "secret":
            require("secretName")
            items(source["items"].elements, "\(place).items", &errors)
            mode(source["defaultMode"], "\(place).defaultMode", &errors)
        case "configMap":
            require("name")
            items(source["items"].elements, "\(place).items", &errors)
            mode(source["defaultMode"], "\(place).defaultMode", &errors)
        case "persistentVolumeClaim": require("claimName")
        case "nfs":
            require("server")
            require("path")
        case "csi": require("driver")
        case "emptyDir":
            if let limit = source["sizeLimit"].quantity, limit.sign < 0 {
                errors.forbidden("\(place).sizeLimit", "SizeLimit field must be a valid resource quantity")
            }
        case "downwardAPI": mode(source["defaultMode"], "\(place).defaultMode", &errors)
        case "projected": projected(source, place, &errors)
        // A way to run commands as root on the node (CVE-2024-10220); never supported here.
        case "gitRepo": errors.forbidden(place, "gitRepo volumes are not supported")
        default: break
        }
    }

    private func projected(_ source: JSONView?, _ place: String, _ errors: inout FieldErrors) {
        mode(source["defaultMode"], "\(place).defaultMode", &errors)
        var paths: Set<String> = []
        for (index, projection) in source["sources"].elements.enumerated() {
            let here = "\(place).sources[\(index)]"
            let kinds = projection.members.filter { !$0.value.isNull }.map(\.key)
            for extra in kinds.dropFirst() { errors.forbidden("\(here).\(extra)", "may not specify more than 1 volume type per source") }
            for kind in ["secret", "configMap"] {
                guard let named = projection[kind].present else { continue }
                if (named["name"]?.string ?? "").isEmpty { errors.required("\(here).\(kind).name") }
                items(named["items"].elements, "\(here).\(kind).items", &errors)
            }
            guard let token = projection["serviceAccountToken"].present else { continue }
            let seconds = token["expirationSeconds"]?.int ?? 3600
            if seconds < 600 {
                errors.invalid("\(here).serviceAccountToken.expirationSeconds", .int(seconds), "may not specify a duration less than 10 minutes")
            }
            if seconds > 1 << 32 {
                errors.invalid("\(here).serviceAccountToken.expirationSeconds", .int(seconds), "may not specify a duration larger than 2^32 seconds")
            }
            let tokenPath = token["path"]?.string ?? ""
            if tokenPath.isEmpty { errors.required("\(here).serviceAccountToken.path") }
            if !tokenPath.isEmpty, !paths.insert(tokenPath).inserted {
                errors.invalid("\(here).serviceAccountToken.path", .string(tokenPath), "conflicting duplicate paths")
            }
        }
    }

    private func items(_ items: [JSONView], _ place: String, _ errors: inout FieldErrors) {
        for (index, item) in items.enumerated() {
            if (item["key"].string ?? "").isEmpty { errors.required("\(place)[\(index)].key") }
            let target = item["path"].string ?? ""
            if target.isEmpty { errors.required("\(place)[\(index)].path") }
            PathRule.localDescending(target, "\(place)[\(index)].path", &errors)
            mode(item["mode"], "\(place)[\(index)].mode", &errors)
        }
    }

    private func mode(_ view: JSONView?, _ field: String, _ errors: inout FieldErrors) {
        if let mode = view.int, mode < 0 || mode > 0o777 {
            errors.invalid(field, .int(mode), "must be a number between 0 and 0777 (octal), both inclusive")
        }
    }
}

/// Paths below a directory: relative, never upwards. Upstream: core/validation.validateLocalDescendingPath.
enum PathRule {
    static func localDescending(_ path: String, _ field: String, _ errors: inout FieldErrors) {
        if path.hasPrefix("/") { errors.invalid(field, .string(path), "must be a relative path") }
        if path.split(separator: "/").contains("..") { errors.invalid(field, .string(path), "must not contain '..'") }
    }
}
