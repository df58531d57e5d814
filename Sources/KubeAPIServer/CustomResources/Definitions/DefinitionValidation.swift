import KubeAPI

/// The rules a CustomResourceDefinition keeps. Upstream: apis/apiextensions/validation.ValidateCustomResourceDefinition and
/// ValidateCustomResourceDefinitionUpdate.
struct DefinitionValidation {
    /// Upstream: MaxSelectableFields.
    static let maximumSelectableFields = 8
    private static let maximumDeprecationWarning = 256
    private static let columnTypes = ["boolean", "date", "integer", "number", "string"]
    private static let columnFormats = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"]
    /// The fields the root of a schema may have when the status is a subresource: what could not be taken over into the status alone is left out.
    /// Upstream: allowedFieldsAtRootSchema.
    private static let allowedAtRoot =
        "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems "
        + "MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations]"

    let definition: CustomResourceDefinition
    let old: CustomResourceDefinition?
    let rules: DefinitionRules
    var errors = FieldErrors()

    init(_ definition: CustomResourceDefinition, old: CustomResourceDefinition?, rules: DefinitionRules) {
        self.definition = definition
        self.old = old
        self.rules = rules
    }

    // MARK: The whole

    mutating func metadataName() {
        let wanted = "\(definition.names.plural).\(definition.group)"
        if definition.name != wanted {
            errors.invalid("metadata.name", .string(definition.name), "must be spec.names.plural+\".\"+spec.group")
        }
    }

    mutating func spec() {
        let spec = definition.spec
        let group = definition.group
        if group.isEmpty {
            errors.required("spec.group")
        } else {
            let problems = Names.problems(group, .dnsSubdomain)
            if !problems.isEmpty {
                errors.invalid("spec.group", .string(group), problems.joined(separator: ","))
            } else if !group.contains(".") {
                errors.invalid("spec.group", .string(group), "should be a domain with at least one dot")
            }
        }
        errors.oneOf("spec.scope", spec["scope"], ["Cluster", "Namespaced"], isRequired: true)
        for (index, version) in definition.versions.enumerated() where version["schema"]["openAPIV3Schema"].present == nil {
            errors.required("spec.versions[\(index)].schema.openAPIV3Schema")
        }
        versions()
        let names = definition.names
        for (field, text) in [("plural", names.plural), ("singular", names.singular), ("kind", names.kind), ("listKind", names.listKind)]
        where text.isEmpty {
            errors.required("spec.names.\(field)")
        }
        self.names(names, "spec.names")
        conversion()
    }

    private mutating func versions() {
        let versions = definition.versions
        let sharesSchema = definition.isShared("schema")
        let sharesSubresources = definition.isShared("subresources")
        let sharesColumns = definition.isShared("additionalPrinterColumns")
        let sharesFields = definition.isShared("selectableFields")
        var names: Set<String> = []
        var isUnique = true
        var storage = 0
        for (index, version) in versions.enumerated() {
            let path = "spec.versions[\(index)]"
            let name = version["name"].string ?? ""
            if version["storage"].bool == true { storage += 1 }
            if !names.insert(name).inserted { isUnique = false }
            let problems = Names.problems(name, .dns1035Label)
            if !problems.isEmpty { errors.invalid("\(path).name", .string(name), problems.joined(separator: ",")) }
            deprecation(version, path)
            let isFirst = index == 0
            if !sharesSchema || isFirst { schema(version, sharesSchema ? "spec.validation" : "\(path).schema") }
            if !sharesSubresources || isFirst {
                subresources(version["subresources"].present, sharesSubresources ? "spec.subresources" : "\(path).subresources")
            }
            if !sharesColumns || isFirst {
                columns(version, sharesColumns ? "spec.additionalPrinterColumns" : "\(path).additionalPrinterColumns")
            }
            if !sharesFields || isFirst {
                selectableFields(version, sharesFields ? "spec.selectableFields" : "\(path).selectableFields", name)
            }
        }
        let shown = definition.spec["versions"].value ?? .null
        if !isUnique { errors.invalid("spec.versions", shown, "must contain unique version names") }
        if storage != 1 { errors.invalid("spec.versions", shown, "must have exactly one version marked as storage version") }
    }

    private mutating func deprecation(_ version: JSONView, _ path: String) {
        guard let warning = version["deprecationWarning"].string else { return }
        var problems: [String] = []
        if version["deprecated"].bool != true {
            problems = ["can only be set for deprecated versions"]
        } else {
            if warning.utf8.count > Self.maximumDeprecationWarning { problems.append("must be <= 256 characters long") }
            if warning.isEmpty { problems.append("must not be an empty string") }
            var offset = 0
            for scalar in warning.unicodeScalars {
                if scalar.value < 0x20 || scalar.value == 0x7F || scalar.properties.generalCategory == .control {
                    problems.append("must only contain printable UTF-8 characters; non-printable character found at index \(offset)")
                    break
                }
                offset += UTF8.width(scalar)
            }
        }
        for problem in problems { errors.invalid("\(path).deprecationWarning", .string(warning), problem) }
    }

    mutating func acceptedNames() { names(definition.acceptedNames, "status.acceptedNames") }

    private mutating func names(_ names: CustomResourceDefinition.Names, _ path: String) {
        func problems(_ text: String) -> String? {
            guard !text.isEmpty else { return nil }
            let problems = Names.problems(text, .dns1035Label)
            return problems.isEmpty ? nil : problems.joined(separator: ",")
        }
        if let why = problems(names.plural) { errors.invalid("\(path).plural", .string(names.plural), why) }
        if let why = problems(names.singular) { errors.invalid("\(path).singular", .string(names.singular), why) }
        let mixed = "may have mixed case, but should otherwise match: "
        if let why = problems(names.kind.lowercased()) { errors.invalid("\(path).kind", .string(names.kind), mixed + why) }
        if let why = problems(names.listKind.lowercased()) { errors.invalid("\(path).listKind", .string(names.listKind), mixed + why) }
        for (index, name) in names.shortNames.enumerated() {
            let why = Names.problems(name, .dns1035Label)
            if !why.isEmpty { errors.invalid("\(path).shortNames[\(index)]", .string(name), why.joined(separator: ",")) }
        }
        if !names.kind.isEmpty, names.kind == names.listKind {
            errors.invalid("\(path).listKind", .string(names.listKind), "kind and listKind may not be the same")
        }
        for (index, name) in names.categories.enumerated() {
            let why = Names.problems(name, .dns1035Label)
            if !why.isEmpty { errors.invalid("\(path).categories[\(index)]", .string(name), why.joined(separator: ",")) }
        }
    }

    mutating func immutableFields() {
        guard let old else { return }
        if old.isEstablished {
            errors.immutable("spec.scope", definition.spec["scope"], old.spec["scope"])
            errors.immutable("spec.names.kind", definition.spec["names"]["kind"], old.spec["names"]["kind"])
        }
        errors.immutable("spec.group", definition.spec["group"], old.spec["group"])
        errors.immutable("spec.names.plural", definition.spec["names"]["plural"], old.spec["names"]["plural"])
    }

    mutating func storedVersions() {
        let stored = definition.storedVersions
        guard !stored.isEmpty else {
            errors.invalid("status.storedVersions", .array([]), "must have at least one stored version")
            return
        }
        let names = Set(definition.versions.compactMap { $0["name"].string })
        if let storage = definition.storageVersion, !stored.contains(storage) {
            errors.invalid("status.storedVersions", Value(stored), "must have the storage version \(storage)")
        }
        for (index, version) in stored.enumerated() where !names.contains(version) {
            errors.invalid(
                "status.storedVersions[\(index)]", .string(version),
                "missing from spec.versions; \(version) was previously a storage version, and must remain in spec.versions until a storage migration "
                    + "ensures no data remains persisted in \(version) and removes \(version) from status.storedVersions")
        }
    }

    mutating func preservedFields() {
        guard definition.preservesUnknownFields, !(old?.preservesUnknownFields ?? false) else { return }
        errors.invalid(
            "spec.preserveUnknownFields", true,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead")
    }

    /// Groups of the project need its approval. Upstream: validateAPIApproval.
    mutating func approval() {
        guard APIApproval.isProtected(definition.group) else { return }
        let state = APIApproval(definition.object.metadata.annotations)
        // A definition that was not approved when it was made stays writable.
        if let old, APIApproval(old.object.metadata.annotations).kind == state.kind { return }
        let path = "metadata.annotations[\(APIApproval.annotation)]"
        switch state.kind {
        case .missing: errors.required(path, state.message)
        case .invalid:
            errors.invalid(path, .string(definition.object.metadata.annotations[APIApproval.annotation] ?? ""), state.message)
        case .approved, .bypassed: break
        }
    }

    // MARK: Parts of a version

    private mutating func schema(_ version: JSONView, _ path: String) {
        guard let view = version["schema"]["openAPIV3Schema"].present else { return }
        let schema = StructuralSchema(view)
        let place = "\(path).openAPIV3Schema"
        let before = errors.causes.count
        if version["subresources"]["status"].present != nil { rootOfStatus(schema, view, path) }
        if schema.isNullable { errors.forbidden("\(place).nullable", "nullable cannot be true at the root") }
        var isSound = true
        let structural = StructuralSchemaValidation.problems(schema, at: place)
        errors.append(structural)
        if structural.isEmpty {
            let defaults = DefaultValidation.problems(schema, at: place)
            errors.append(defaults)
            isSound = defaults.isEmpty
        } else {
            isSound = false
        }
        let openAPI = OpenAPISchemaValidation.validate(schema, at: place)
        errors.append(openAPI.errors.causes)
        guard isSound, openAPI.errors.causes.isEmpty, !openAPI.rules.isEmpty, errors.causes.count == before else { return }
        let name = version["name"].string ?? ""
        let isUnchanged = old?.versions.first { $0["name"].string == name }?["schema"].value == version["schema"].value
        let found = rules.problems(openAPI.rules, at: place, isUnchanged: isUnchanged)
        errors.append(found)
        if found.isEmpty { errors.append(DefaultValidation.ruleProblems(schema, at: place)) }
    }

    private mutating func rootOfStatus(_ schema: StructuralSchema, _ view: JSONView, _ path: String) {
        if !schema.type.isEmpty, schema.type != "object" {
            errors.invalid(
                "\(path).openAPIV3Schema.type", .string(schema.type),
                "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled")
            return
        }
        let allowed: Set<String> = [
            "description", "type", "format", "title", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength",
            "pattern", "maxItems", "minItems", "uniqueItems", "multipleOf", "required", "items", "properties", "externalDocs", "example",
            "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations",
        ]
        let isAllowed = view.members.allSatisfy { name, member in allowed.contains(name) || member.isNull || member.bool == false }
        if !isAllowed {
            errors.invalid(
                "\(path).openAPIV3Schema", view.value,
                "only \(Self.allowedAtRoot) fields are allowed at the root of the schema if the status subresource is enabled")
        }
    }

    private mutating func subresources(_ view: JSONView?, _ path: String) {
        guard let scale = view["scale"].present else { return }
        func check(_ field: String, _ prefixes: [String], _ where_: String, isRequired: Bool, _ errors: inout FieldErrors) {
            let place = "\(path).scale.\(field)"
            let text = scale[field].string ?? ""
            if text.isEmpty {
                if isRequired { errors.required(place) }
            } else if !text.hasPrefix(".") {
                errors.invalid(place, .string(text), "must be a simple json path starting with .")
            } else if !prefixes.contains(where: text.hasPrefix) {
                errors.invalid(place, .string(text), "should be a json path under \(where_)")
            }
        }
        check("specReplicasPath", [".spec."], ".spec", isRequired: true, &errors)
        check("statusReplicasPath", [".status."], ".status", isRequired: true, &errors)
        check("labelSelectorPath", [".spec.", ".status."], "either .spec or .status", isRequired: false, &errors)
    }

    private mutating func columns(_ version: JSONView, _ path: String) {
        for (index, column) in version["additionalPrinterColumns"].elements.enumerated() {
            let place = "\(path)[\(index)]"
            if (column["name"].string ?? "").isEmpty { errors.required("\(place).name") }
            let type = column["type"].string ?? ""
            let types = "must be one of \(Self.columnTypes.joined(separator: ","))"
            if type.isEmpty {
                errors.required("\(place).type", types)
            } else if !Self.columnTypes.contains(type) {
                errors.invalid("\(place).type", .string(type), types)
            }
            let format = column["format"].string ?? ""
            if !format.isEmpty, !Self.columnFormats.contains(format) {
                errors.invalid("\(place).format", .string(format), "must be one of \(Self.columnFormats.joined(separator: ","))")
            }
            let jsonPath = column["jsonPath"].string ?? ""
            if jsonPath.isEmpty {
                errors.required("\(place).JSONPath")
            } else if !jsonPath.hasPrefix(".") {
                errors.invalid("\(place).JSONPath", .string(jsonPath), "must be a simple json path starting with .")
            }
        }
    }

    private mutating func selectableFields(_ version: JSONView, _ path: String, _ name: String) {
        let fields = version["selectableFields"].elements
        guard !fields.isEmpty else { return }
        guard let view = version["schema"]["openAPIV3Schema"].present else {
            errors.invalid(path, "", "may only be set when validations.schema is included")
            return
        }
        let schema = StructuralSchema(view)
        var seen: Set<String> = []
        for (index, field) in fields.enumerated() {
            let place = "\(path)[\(index)].jsonPath"
            let text = field["jsonPath"].string ?? ""
            guard !text.isEmpty else {
                errors.required(place)
                continue
            }
            guard !text.contains("[") else {
                errors.invalid(place, .string(text), "is an invalid path: expected [ or . but got: [")
                continue
            }
            switch SchemaFieldPath.parse(text, in: schema) {
            case .failure(let problem): errors.invalid(place, .string(text), "is an invalid path: \(problem.text)")
            case .success(let found):
                if found.names.first == "metadata" { errors.invalid(place, .string(text), "must not point to fields in metadata") }
                if !["string", "boolean", "integer"].contains(found.schema.type) {
                    errors.invalid(
                        place, .string(text),
                        "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.")
                }
                if !seen.insert(found.shown).inserted { errors.duplicate(place, .string(text)) }
            }
        }
        guard seen.count > Self.maximumSelectableFields else { return }
        let before = old?.versions.first { $0["name"].string == name }?["selectableFields"].value
        if before != version["selectableFields"].value { errors.tooMany(path, seen.count, maximum: Self.maximumSelectableFields) }
    }
}
