import KubeAPI

/// The rules of a pod's volumes. Upstream: core/validation.ValidateVolumes.
struct PodVolumeValidation {
    let path: String
    /// Only a pod itself must say which image a volume is of; a template may leave it to who makes the pod.
    var isPod = false
    /// The pod's name, for the names of the claims its ephemeral volumes make; empty in templates.
    var podName = ""

    /// What containers need to know of the valid volumes.
    struct Known {
        var all: Set<String> = []
        /// Volumes that may be used as block devices.
        var claims: Set<String> = []
    }

    func validate(_ volumes: [JSONView], _ errors: inout FieldErrors) -> Known {
        var names = Known()
        guard !volumes.isEmpty else { return names }
        let made = podName.isEmpty ? [] : volumes.filter { $0["ephemeral"].present != nil }.map { "\(podName)-\($0["name"].text)" }
        for (index, volume) in volumes.enumerated() {
            let place = "\(path).volumes[\(index)]"
            let name = volume["name"].text
            var own = FieldErrors()
            source(volume, name, place, &own)
            own.requiredName("\(place).name", volume["name"], .dnsLabel)
            if names.all.contains(name) { own.duplicate("\(place).name", .string(name)) }
            if own.isEmpty {
                names.all.insert(name)
                if volume["persistentVolumeClaim"].present != nil || volume["ephemeral"].present != nil { names.claims.insert(name) }
            } else {
                errors.append(own.causes)
            }
            let claim = volume["persistentVolumeClaim"]["claimName"].text
            if made.contains(claim) {
                errors.invalid(
                    "\(place).persistentVolumeClaim.claimName", text: claim, "must not reference a PVC that gets created for an ephemeral volume")
            }
        }
        return names
    }

    private func source(_ volume: JSONView, _ name: String, _ place: String, _ errors: inout FieldErrors) {
        var found = false
        for kind in VolumeSourceRules.podKinds {
            guard let source = volume[kind].present else { continue }
            if found {
                // As upstream spells them.
                let shown = kind == "cephfs" ? "cephFS" : kind == "downwardAPI" ? "downwarAPI" : kind
                if kind != "emptyDir" { errors.forbidden("\(place).\(shown)", "may not specify more than 1 volume type") }
                continue
            }
            found = true
            let path = kind == "gcePersistentDisk" ? "\(place).persistentDisk" : "\(place).\(kind)"
            switch kind {
            case "downwardAPI": downwardAPI(source, path, &errors)
            case "projected": ProjectedVolumeValidation(path: path).validate(source, &errors)
            case "ephemeral":
                ephemeral(source, name, place, &errors)
            case "image":
                if isPod { errors.requireText("\(path).reference", source["reference"]) }
                errors.oneOf("\(path).pullPolicy", source["pullPolicy"], ContainerValidation.pullPolicies)
            default:
                VolumeSourceRules.validate(kind, source, path, isPersistent: false, &errors)
                if kind == "iscsi", source["initiatorName"].present != nil, "\(name):\(source["targetPortal"].text)".utf8.count > 64 {
                    errors.invalid("\(place).name", text: name, VolumeSourceRules.longPortal)
                }
            }
        }
        if !found { errors.required(place, "must specify a volume type") }
    }

    private func ephemeral(_ source: JSONView, _ name: String, _ place: String, _ errors: inout FieldErrors) {
        let path = "\(place).ephemeral.volumeClaimTemplate"
        guard let template = source["volumeClaimTemplate"].present else { return errors.required(path) }
        let metadata = template["metadata"]
        for (key, _) in metadata?["annotations"]?.members.map({ $0 }) ?? [] { errors.qualifiedName("\(path).metadata.annotations", key.lowercased()) }
        errors.labels("\(path).metadata.labels", metadata["labels"])
        for (field, value) in metadata?.members.map({ $0 }) ?? []
        where !["annotations", "labels", "creationTimestamp"].contains(field) && !value.isNull {
            errors.forbidden("\(path).metadata.\(field)", "cannot be set")
        }
        PersistentVolumeClaimValidation.spec("\(path).spec", template["spec"], &errors)
        if !podName.isEmpty, !name.isEmpty {
            let claim = "\(podName)-\(name)"
            for problem in Names.problems(claim, .dnsSubdomain) {
                errors.invalid("\(place).name", text: name, "PVC name \(claim.goQuoted): \(problem)")
            }
        }
    }

    private func downwardAPI(_ source: JSONView, _ path: String, _ errors: inout FieldErrors) {
        VolumeSourceRules.mode(source["defaultMode"], "\(path).defaultMode", &errors)
        for file in source["items"].elements { VolumeSourceRules.downwardFile(file, path, &errors) }
    }
}

/// Volumes made of several sources. Upstream: core/validation.validateProjectionSources.
struct ProjectedVolumeValidation {
    let path: String

    static let keyTypes = ["ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096"]

    func validate(_ source: JSONView, _ errors: inout FieldErrors) {
        VolumeSourceRules.mode(source["defaultMode"], "\(path).defaultMode", &errors)
        var paths: Set<String> = []
        for (index, projection) in source["sources"].elements.enumerated() {
            let place = "\(path).sources[\(index)]"
            var count = 0
            for kind in ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"] {
                guard let part = projection[kind].present else { continue }
                count += 1
                switch kind {
                case "secret", "configMap":
                    let name = errors.requireText("\(place).\(kind).name", part["name"]) ?? ""
                    for (position, item) in part["items"].elements.enumerated() {
                        VolumeSourceRules.keyToPath(item, "\(place).\(kind).items[\(position)]", &errors)
                        unique(item["path"].text, shown: name, &paths, &errors)
                    }
                case "downwardAPI":
                    for file in part["items"].elements {
                        VolumeSourceRules.downwardFile(file, "\(place).\(kind)", &errors)
                        unique(file["path"].text, shown: file["path"].text, &paths, &errors)
                    }
                case "serviceAccountToken": token(part, "\(place).\(kind)", &errors)
                case "clusterTrustBundle":
                    trustBundle(part, "\(place).\(kind)", &errors)
                    unique(part["path"].text, shown: part["path"].text, &paths, &errors)
                default: certificate(part, "\(place).\(kind)", &paths, &errors)
                }
            }
            if count > 1 { errors.forbidden(place, "may not specify more than 1 volume type per source") }
        }
    }

    private func unique(_ target: String, shown: String, _ paths: inout Set<String>, _ errors: inout FieldErrors) {
        if !target.isEmpty, !paths.insert(target).inserted { errors.invalid(path, text: shown, "conflicting duplicate paths") }
    }

    private func token(_ token: JSONView, _ place: String, _ errors: inout FieldErrors) {
        if let seconds = token["expirationSeconds"].int {
            if seconds < 600 { errors.invalid("\(place).expirationSeconds", .int(seconds), "may not specify a duration less than 10 minutes") }
            if seconds > 1 << 32 {
                errors.invalid("\(place).expirationSeconds", .int(seconds), "may not specify a duration larger than 2^32 seconds")
            }
        }
        // Upstream's path is that of the volume.
        if let target = errors.requireText("\(path).path", token["path"]) { PathRule.localNonReserved(target, "\(path).path", &errors) }
    }

    private func trustBundle(_ bundle: JSONView, _ place: String, _ errors: inout FieldErrors) {
        switch (bundle["name"].present, bundle["signerName"].present) {
        case (.some, .some): errors.invalid(place, bundle.value, "only one of name and signerName may be used")
        case (let name?, nil):
            if name.text.isEmpty { errors.required("\(place).name", "must be a valid object name") }
            for problem in Names.problems(name.text.replacing(":", with: "-"), .dnsSubdomain) {
                errors.invalid("\(place).name", text: name.text, "not a valid clustertrustbundlename: \(problem)")
            }
            if let selector = bundle["labelSelector"].present {
                errors.invalid("\(place).labelSelector", selector.value, "labelSelector must be unset if name is specified")
            }
        case (nil, let signer?):
            if signer.text.isEmpty { errors.required("\(place).signerName", "must be a valid signer name") }
            SignerNames.validate("\(place).signerName", signer.text, &errors)
            errors.labelSelector("\(place).labelSelector", bundle["labelSelector"])
        default: errors.required(place, "either name or signerName must be specified")
        }
        let target = errors.requireText("\(place).path", bundle["path"]) ?? ""
        PathRule.localNonReserved(target, "\(place).path", &errors)
    }

    private func certificate(_ part: JSONView, _ place: String, _ paths: inout Set<String>, _ errors: inout FieldErrors) {
        SignerNames.validate("\(place).signerName", part["signerName"].text, &errors)
        errors.oneOf("\(place).keyType", part["keyType"], Self.keyTypes, isRequired: true)
        if let seconds = part["maxExpirationSeconds"].int {
            if seconds < 3600 { errors.invalid("\(place).maxExpirationSeconds", .int(seconds), "if provided, maxExpirationSeconds must be >= 3600") }
            if seconds > 7_862_400 {
                errors.invalid("\(place).maxExpirationSeconds", .int(seconds), "if provided, maxExpirationSeconds must be <= 7862400")
            }
        }
        var count = 0
        for field in ["credentialBundlePath", "keyPath", "certificateChainPath"] {
            let target = part[field].text
            if target.isEmpty { continue }
            count += 1
            PathRule.localNonReserved(target, "\(place).\(field)", &errors)
            unique(target, shown: target, &paths, &errors)
        }
        if count == 0 { errors.required(place, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath") }
    }
}

/// Paths below a directory: relative, never upwards. Upstream: core/validation.validateLocalDescendingPath, ValidateLocalNonReservedPath.
enum PathRule {
    static func localDescending(_ path: String, _ field: @autoclosure () -> String, _ errors: inout FieldErrors) {
        if path.hasPrefix("/") { errors.invalid(field(), text: path, "must be a relative path") }
        noBacksteps(path, field(), &errors)
    }

    /// No name of the path begins with two dots either.
    static func localNonReserved(_ path: String, _ field: @autoclosure () -> String, _ errors: inout FieldErrors) {
        localDescending(path, field(), &errors)
        if path.hasPrefix(".."), !path.hasPrefix("../") { errors.invalid(field(), text: path, "must not start with '..'") }
    }

    static func hasBacksteps(_ path: String) -> Bool { path.contains("..") && path.split(separator: "/").contains("..") }

    static func noBacksteps(_ path: String, _ field: @autoclosure () -> String, _ errors: inout FieldErrors) {
        if hasBacksteps(path) { errors.invalid(field(), text: path, "must not contain '..'") }
    }
}
