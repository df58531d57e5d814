import KubeAPI

/// Keys and sizes of what pods are configured with. Upstream: core/validation.ValidateSecret, ValidateConfigMap.
enum ConfigurationData {
    /// Upstream: v1.MaxSecretSize.
    static let maximumBytes = 1024 * 1024
    static let maximumKey = 253

    /// Upstream: validation.IsConfigMapKey.
    static func keyProblems(_ key: String) -> [String] {
        var problems: [String] = []
        if key.utf8.count > maximumKey { problems.append("must be no more than \(maximumKey) bytes") }
        let isWellFormed =
            !key.isEmpty
            && key.utf8.allSatisfy { c in
                (c >= UInt8(ascii: "a") && c <= UInt8(ascii: "z")) || (c >= UInt8(ascii: "A") && c <= UInt8(ascii: "Z"))
                    || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9")) || c == UInt8(ascii: "-") || c == UInt8(ascii: "_")
                    || c == UInt8(ascii: ".")
            }
        if !isWellFormed {
            problems.append(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', "
                    + "regex used for validation is '[-._a-zA-Z0-9]+')")
        }
        // A key becomes a file's name.
        if key == "." || key == ".." {
            problems.append("must not be '\(key)'")
        } else if key.hasPrefix("..") {
            problems.append("must not start with '..'")
        }
        return problems
    }

    /// Bytes that base 64 text stands for.
    static func decodedCount(_ text: String) -> Int {
        let characters = text.utf8.filter { $0 != UInt8(ascii: "=") && $0 > 0x20 }.count
        return characters / 4 * 3 + (characters % 4) * 3 / 4
    }

    static func immutability(_ new: Object, _ old: Object, _ fields: [String], _ errors: inout FieldErrors) {
        guard old["immutable"].bool == true else { return }
        if new["immutable"].bool != true { errors.forbidden("immutable", "field is immutable when `immutable` is set") }
        for field in fields where (new[field].value ?? .null).pruned != (old[field].value ?? .null).pruned {
            errors.forbidden(field, "field is immutable when `immutable` is set")
        }
    }
}

/// Upstream: pkg/registry/core/secret.strategy. `stringData` was made `data` when the object was read.
struct SecretStrategy: ResourceStrategy {
    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        // Secrets from before the type was required stay writable.
        if (object["type"]?.string ?? "").isEmpty { object["type"] = old["type"].value }
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        var size = 0
        var data: [String: String] = [:]
        for (key, value) in object["data"]?.members.map({ $0 }) ?? [] {
            for problem in ConfigurationData.keyProblems(key) { errors.invalid("data[\(key)]", .string(key), problem) }
            let text = value.string ?? ""
            size += ConfigurationData.decodedCount(text)
            data[key] = text
        }
        if size > ConfigurationData.maximumBytes { errors.tooLong("data", maximum: ConfigurationData.maximumBytes) }
        func require(_ key: String) { if data[key] == nil { errors.required("data[\(key)]") } }
        switch object["type"].string ?? "" {
        case "kubernetes.io/service-account-token":
            if (object.metadata.annotations["kubernetes.io/service-account.name"] ?? "").isEmpty {
                errors.required("metadata.annotations[kubernetes.io/service-account.name]")
            }
        case "kubernetes.io/dockercfg": dockerConfig(".dockercfg", data, &errors)
        case "kubernetes.io/dockerconfigjson": dockerConfig(".dockerconfigjson", data, &errors)
        case "kubernetes.io/basic-auth":
            if data["username"] == nil, data["password"] == nil {
                errors.required("data[username]")
                errors.required("data[password]")
            }
        case "kubernetes.io/ssh-auth": if (data["ssh-privatekey"] ?? "").isEmpty { errors.required("data[ssh-privatekey]") }
        case "kubernetes.io/tls":
            require("tls.crt")
            require("tls.key")
        default: break
        }
        return errors.causes
    }

    private func dockerConfig(_ key: String, _ data: [String: String], _ errors: inout FieldErrors) {
        guard let text = data[key] else {
            errors.required("data[\(key)]")
            return
        }
        // What is no JSON object is of no use to a kubelet.
        guard let bytes = Base64.decode(text), (try? Object(bytes: bytes)) != nil else {
            errors.invalid("data[\(key)]", "<secret contents redacted>", "invalid character looking for beginning of value")
            return
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.immutable("type", object["type"], old["type"])
        ConfigurationData.immutability(object, old, ["data"], &errors)
        errors.append(validate(object))
        return errors.causes
    }
}

/// Upstream: pkg/registry/core/configmap.strategy.
struct ConfigMapStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        var size = 0
        let binary = Set(object["binaryData"]?.members.map(\.key) ?? [])
        for (key, value) in object["data"]?.members.map({ $0 }) ?? [] {
            for problem in ConfigurationData.keyProblems(key) { errors.invalid("data[\(key)]", .string(key), problem) }
            if binary.contains(key) {
                errors.invalid("data[\(key)]", .string(key), "duplicate of key present in binaryData")
            }
            size += value.string?.utf8.count ?? 0
        }
        for (key, value) in object["binaryData"]?.members.map({ $0 }) ?? [] {
            for problem in ConfigurationData.keyProblems(key) { errors.invalid("binaryData[\(key)]", .string(key), problem) }
            size += ConfigurationData.decodedCount(value.string ?? "")
        }
        if size > ConfigurationData.maximumBytes { errors.tooLong("", maximum: ConfigurationData.maximumBytes) }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        ConfigurationData.immutability(object, old, ["data", "binaryData"], &errors)
        errors.append(validate(object))
        return errors.causes
    }
}
