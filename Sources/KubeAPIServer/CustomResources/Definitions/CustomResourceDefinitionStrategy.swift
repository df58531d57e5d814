import KubeAPI

/// Upstream: apiextensions-apiserver/pkg/registry/customresourcedefinition with apis/apiextensions/v1/defaults.go.
struct CustomResourceDefinitionStrategy: ResourceStrategy {
    /// Compiles the rules of schemas. Upstream: cel.Compile inside of the validation.
    var rules: DefinitionRules = DefinitionRules()

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        Self.setDefaults(&object)
        let versions = object[path: "spec", "versions"]?.array ?? []
        let stored = versions.filter { $0["storage"]?.bool == true }.compactMap { $0["name"]?.string }
        object["status"] = ["conditions": .null, "acceptedNames": ["plural": "", "kind": ""], "storedVersions": Value(stored)]
    }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        guard subresource.isEmpty else { return }
        Self.setDefaults(&object)
        // A version that objects were once stored in stays listed until they are rewritten.
        var stored = (object[path: "status", "storedVersions"]?.array ?? []).compactMap(\.string)
        for version in object[path: "spec", "versions"]?.array ?? [] where version["storage"]?.bool == true {
            if let name = version["name"]?.string, !stored.contains(name) { stored.append(name) }
        }
        object[path: "status", "storedVersions"] = Value(stored)
    }

    private static func setDefaults(_ object: inout Value) {
        guard var spec = object["spec"], case .object = spec else { return }
        let kind = spec[path: "names", "kind"]?.string ?? ""
        if (spec[path: "names", "singular"]?.string ?? "").isEmpty, !kind.isEmpty { spec[path: "names", "singular"] = .string(kind.lowercased()) }
        if (spec[path: "names", "listKind"]?.string ?? "").isEmpty, !kind.isEmpty { spec[path: "names", "listKind"] = .string(kind + "List") }
        if (spec[path: "conversion", "strategy"]?.string ?? "").isEmpty { spec[path: "conversion", "strategy"] = "None" }
        if spec[path: "conversion", "webhook", "clientConfig", "service"] != nil,
            spec[path: "conversion", "webhook", "clientConfig", "service", "port"] == nil
        {
            spec[path: "conversion", "webhook", "clientConfig", "service", "port"] = 443
        }
        // Go leaves out a false that is not required.
        if spec["preserveUnknownFields"]?.bool == false { spec["preserveUnknownFields"] = nil }
        object["spec"] = spec
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        let definition = CustomResourceDefinition(object)
        var validation = DefinitionValidation(definition, old: nil, rules: rules)
        validation.metadataName()
        validation.spec()
        validation.acceptedNames()
        validation.storedVersions()
        validation.approval()
        validation.preservedFields()
        return validation.errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        let definition = CustomResourceDefinition(object)
        var validation = DefinitionValidation(definition, old: CustomResourceDefinition(old), rules: rules)
        guard subresource.isEmpty else {
            validation.acceptedNames()
            return validation.errors.causes
        }
        // What was accepted once is not judged again: a definition that is going, or whose labels change, stays writable.
        let isSameSpec = object["spec"].map { $0.rawBytes } == old["spec"].map { $0.rawBytes }
        if !isSameSpec {
            validation.spec()
            validation.immutableFields()
        }
        validation.acceptedNames()
        validation.storedVersions()
        validation.approval()
        if !isSameSpec { validation.preservedFields() }
        return validation.errors.causes
    }
}

extension CustomResourceDefinitionStrategy {
    /// Formats that nobody checks, those that an update brings in. Upstream: WarningsOnCreate, WarningsOnUpdate.
    func warnings(_ object: Object, old: Object?) -> [String] {
        let before = Set(old.map(Self.unrecognizedFormats) ?? [])
        return Self.unrecognizedFormats(object).filter { !before.contains($0) }.map { "unrecognized format \($0.goQuoted)" }
    }

    /// Each once, in the order they stand. Upstream: getUnrecognizedFormatsInCRD.
    private static func unrecognizedFormats(_ object: Object) -> [String] {
        var found: [String] = []
        var seen: Set<String> = []
        for version in object["spec"]["versions"].elements {
            if let schema = version["schema"]["openAPIV3Schema"] { gather(schema, &found, &seen) }
        }
        return found
    }

    /// Upstream: getUnrecognizedFormatsInSchema, which asks of texts only. The document's depth bounds the recursion.
    private static func gather(_ schema: JSONView, _ found: inout [String], _ seen: inout Set<String>) {
        if schema["type"].string == "string", let format = schema["format"].string, !format.isEmpty,
            !StringFormat.isKept(format, type: "string"), seen.insert(format).inserted
        {
            found.append(format)
        }
        for name in ["items", "not", "additionalProperties"] { if let inner = schema[name] { gather(inner, &found, &seen) } }
        for name in ["items", "allOf", "anyOf", "oneOf"] { for inner in schema[name].elements { gather(inner, &found, &seen) } }
        if let properties = schema["properties"] { for (_, inner) in properties.members { gather(inner, &found, &seen) } }
    }
}

/// What the deletion of a definition begins with: its instances go first. Upstream: customresourcedefinition.REST.Delete.
enum DefinitionDeletion {
    static func isMeant(_ row: ResourceRow) -> Bool { row.groupResource == CustomResourceDefinition.resource }

    /// The definition with the mark, the finalizer and the condition that say so.
    static func begin(_ object: Object, now: Timestamp) -> Value {
        var tree = object.value
        tree[path: "metadata", "deletionTimestamp"] = .string(now.rfc3339)
        var finalizers = object.metadata.finalizers
        if !finalizers.contains(CustomResourceDefinition.finalizer) { finalizers.append(CustomResourceDefinition.finalizer) }
        tree[path: "metadata", "finalizers"] = Value(finalizers)
        DefinitionCondition.set(
            "Terminating", true, "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon", in: &tree, now: now)
        return tree
    }
}
