import KubeAPI

/// The schemas that a version of a custom resource publishes: the kind's and its list's. Upstream: controller/openapi/builder with
/// Structural.ToKubeOpenAPI and openapi/v2.ToStructuralOpenAPIV2.
struct CustomResourceOpenAPI {
    private let version: CustomResourceVersion
    /// OpenAPI v2 knows less: what it has no words for is left out, and with it what would make clients refuse valid objects.
    private let isV2: Bool

    init(_ version: CustomResourceVersion, isV2: Bool) {
        self.version = version
        self.isV2 = isV2
    }

    private static let apiVersionText =
        "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest "
        + "internal value, and may reject unrecognized values. More info: "
        + "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
    private static let kindText =
        "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits "
        + "requests to. Cannot be updated. In CamelCase. More info: "
        + "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
    private static let metadataText =
        "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"

    /// Definition names with their schemas.
    func schemas(_ writer: SchemaWriter) -> [(String, Value)] {
        let row = version.row
        let name = writer.typeName(row)
        return [(name, kindSchema(writer)), (listName(writer), listSchema(writer, item: name))]
    }

    /// `com.example.stable.v1.CronTabList`
    private func listName(_ writer: SchemaWriter) -> String {
        let row = version.row
        return (row.group.split(separator: ".").reversed().map(String.init) + [row.version, row.listKind]).joined(separator: ".")
    }

    private func kindSchema(_ writer: SchemaWriter) -> Value {
        let row = version.row
        let schema = version.schema
        var published: Value
        if isV2, schema.preservesUnknownFields || version.keepsUnknownFields {
            // Clients would refuse all fields but those that are named.
            published = ["type": "object"]
        } else {
            published = write(schema, writer)
            addMeta(&published, writer)
        }
        published["x-kubernetes-group-version-kind"] = [SchemaWriter.kind(row.groupVersionKind)]
        if !isV2, !row.selectableFields.isEmpty {
            published["x-kubernetes-selectable-fields"] = .array(row.selectableFields.map { ["fieldPath": .string($0)] })
        }
        return published
    }

    private func reference(_ type: String, _ text: String, _ writer: SchemaWriter) -> Value {
        let reference = writer.reference(SchemaWriter.name(type))
        if isV2 {
            var described: Value = ["description": .string(text)]
            described["$ref"] = reference["$ref"]
            return described
        }
        return ["description": .string(text), "allOf": [reference]]
    }

    private func addMeta(_ schema: inout Value, _ writer: SchemaWriter) {
        var properties = schema["properties"] ?? .object(Members())
        properties["apiVersion"] = ["type": "string", "description": .string(Self.apiVersionText)]
        properties["kind"] = ["type": "string", "description": .string(Self.kindText)]
        properties["metadata"] = reference("apimachinery.pkg.apis.meta.v1.ObjectMeta", Self.metadataText, writer)
        schema["properties"] = properties
    }

    private func listSchema(_ writer: SchemaWriter, item: String) -> Value {
        let row = version.row
        let conventions = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
        let kind = GroupVersionKind(group: row.group, version: row.version, kind: row.listKind)
        return [
            "description": .string("\(row.listKind) is a list of \(row.kind)"), "type": "object", "required": ["items"],
            "properties": [
                "apiVersion": ["type": "string", "description": .string(Self.apiVersionText)],
                "items": [
                    "description": .string("List of \(row.resource). \(conventions)"), "type": "array", "items": writer.reference(item),
                ],
                "kind": ["type": "string", "description": .string(Self.kindText)],
                "metadata": reference("apimachinery.pkg.apis.meta.v1.ListMeta", Self.metadataText, writer),
            ],
            "x-kubernetes-group-version-kind": [SchemaWriter.kind(kind)],
        ]
    }

    // MARK: One node

    private func write(_ schema: StructuralSchema, _ writer: SchemaWriter) -> Value {
        var out: Value = .object(Members())
        if !schema.description.isEmpty { out["description"] = .string(schema.description) }
        if !schema.title.isEmpty { out["title"] = .string(schema.title) }
        let dropsShape = isV2 && schema.isNullable
        if !schema.type.isEmpty, !dropsShape { out["type"] = .string(schema.type) }
        if schema.isNullable, !isV2 { out["nullable"] = true }
        if let value = schema.defaultValue, !isV2 || !schema.isNullable { out["default"] = value }
        writeValidation(schema, writer, &out)
        if !dropsShape {
            // Of an object that preserves unknown fields v2 names none, or clients would refuse the others.
            let namesFields = !(isV2 && schema.preservesUnknownFields)
            if !schema.properties.isEmpty, namesFields {
                out["properties"] = .object(Members(schema.properties.map { ($0.name, write($0.schema, writer)) }))
            }
            switch schema.additional {
            case .allowed(let flag)?: if !isV2 { out["additionalProperties"] = .bool(flag) }
            case .schema(let inner)?: if namesFields { out["additionalProperties"] = write(inner, writer) }
            case nil: break
            }
            if let items = schema.items, namesFields { out["items"] = write(items, writer) }
        }
        writeExtensions(schema, &out)
        if let docs = schema.externalDocs { out["externalDocs"] = docs }
        if schema.isEmbeddedResource, !(isV2 && schema.preservesUnknownFields) {
            addMeta(&out, writer)
            var required = (out["required"]?.array ?? []).compactMap(\.string)
            for name in ["kind", "apiVersion"] where !required.contains(name) { required.append(name) }
            out["required"] = Value(required)
        }
        return out
    }

    private func writeValidation(_ schema: StructuralSchema, _ writer: SchemaWriter, _ out: inout Value) {
        func put(_ name: String, _ number: Int64?) { if let number { out[name] = .int(number) } }
        if !schema.format.isEmpty { out["format"] = .string(schema.format) }
        if let limit = schema.maximum { out["maximum"] = limit }
        if schema.exclusiveMaximum { out["exclusiveMaximum"] = true }
        if let limit = schema.minimum { out["minimum"] = limit }
        if schema.exclusiveMinimum { out["exclusiveMinimum"] = true }
        put("maxLength", schema.maxLength)
        put("minLength", schema.minLength)
        if !schema.pattern.isEmpty { out["pattern"] = .string(schema.pattern) }
        put("maxItems", schema.maxItems)
        put("minItems", schema.minItems)
        if let factor = schema.multipleOf { out["multipleOf"] = factor }
        if !schema.enumeration.isEmpty { out["enum"] = .array(schema.enumeration) }
        put("maxProperties", schema.maxProperties)
        put("minProperties", schema.minProperties)
        // What may be null is not required where null cannot be said.
        let required = isV2 ? schema.required.filter { !(schema.property($0)?.isNullable ?? false) } : schema.required
        if !required.isEmpty { out["required"] = Value(required) }
        guard !isV2 else { return }
        for (name, list) in [("allOf", schema.allOf), ("anyOf", schema.anyOf), ("oneOf", schema.oneOf)] where !list.isEmpty {
            out[name] = .array(list.map { write($0, writer) })
        }
        if let not = schema.not { out["not"] = write(not, writer) }
        if schema.isIntOrString, schema.anyOf.isEmpty, schema.allOf.isEmpty {
            out["anyOf"] = [["type": "integer"], ["type": "string"]]
        }
    }

    private func writeExtensions(_ schema: StructuralSchema, _ out: inout Value) {
        if schema.preservesUnknownFields { out["x-kubernetes-preserve-unknown-fields"] = true }
        if schema.isEmbeddedResource { out["x-kubernetes-embedded-resource"] = true }
        if schema.isIntOrString { out["x-kubernetes-int-or-string"] = true }
        if !schema.listMapKeys.isEmpty { out["x-kubernetes-list-map-keys"] = Value(schema.listMapKeys) }
        if let type = schema.listType { out["x-kubernetes-list-type"] = .string(type) }
        if let type = schema.mapType { out["x-kubernetes-map-type"] = .string(type) }
        if !schema.rules.isEmpty {
            out["x-kubernetes-validations"] = .array(
                schema.rules.map { rule in
                    var value: Value = ["rule": .string(rule.rule)]
                    if !rule.message.isEmpty { value["message"] = .string(rule.message) }
                    if !rule.messageExpression.isEmpty { value["messageExpression"] = .string(rule.messageExpression) }
                    if let reason = rule.reason { value["reason"] = .string(reason) }
                    if !rule.fieldPath.isEmpty { value["fieldPath"] = .string(rule.fieldPath) }
                    if let flag = rule.optionalOldSelf { value["optionalOldSelf"] = .bool(flag) }
                    return value
                })
        }
    }
}
