import KubeAPI

/// Writes schema types as OpenAPI schemas, with the extensions by which clients merge and explain. Upstream: k8s.io/kube-openapi.
struct SchemaWriter {
    let table: SchemaTable
    /// `#/components/schemas/` or `#/definitions/`.
    let prefix: String
    /// In OpenAPI v3 a reference with anything beside it stands in `allOf`.
    let wrapsReferences: Bool
    private let descriptions = SchemaDescriptions()

    /// The type of the metadata of every object.
    static let objectMeta = "apimachinery.pkg.apis.meta.v1.ObjectMeta"

    /// The types that are written as references although they are scalars, as upstream does; clients print their names.
    private static let quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity"
    private static let intOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    private static let time = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
    private static let microTime = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
    private static let fieldsV1 = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"

    /// The name of a type in documents: built-in types get back the `io.k8s.` that the table leaves out.
    static func name(_ type: String) -> String {
        for start in ["api.", "apimachinery.", "apiextensions-apiserver.", "kube-aggregator."] where type.hasPrefix(start) { return "io.k8s." + type }
        return type
    }

    /// The schemas of all types that `roots` (places in the table) refer to, by name, themselves included.
    func schemas(reachableFrom roots: [Int]) -> Members {
        var wanted: Set<Int> = []
        var scalars: Set<String> = []
        var pending = roots
        while let place = pending.popLast() {
            guard wanted.insert(place).inserted, let type = table[place] else { continue }
            for field in type.fields { collect(field.type, &pending, &scalars) }
        }
        var pairs = wanted.compactMap { place in table[place].map { (Self.name($0.name), schema($0)) } }
        pairs += scalars.map { ($0, Self.scalar($0)) }
        return Members(pairs.sorted { $0.0 < $1.0 })
    }

    private func collect(_ type: FieldType, _ pending: inout [Int], _ scalars: inout Set<String>) {
        switch type {
        case .object(let place): pending.append(place)
        case .array(let element), .map(let element): collect(element, &pending, &scalars)
        default: if let name = Self.scalarName(type) { scalars.insert(name) }
        }
    }

    private static func scalarName(_ type: FieldType) -> String? {
        switch type {
        case .quantity: quantity
        case .intOrString: intOrString
        case .time: time
        case .microTime: microTime
        case .fields: fieldsV1
        default: nil
        }
    }

    private static func scalar(_ name: String) -> Value {
        switch name {
        case quantity: ["oneOf": [["type": "string"], ["type": "number"]]]
        case intOrString: ["format": "int-or-string", "oneOf": [["type": "integer"], ["type": "string"]]]
        case time, microTime: ["type": "string", "format": "date-time"]
        default: ["type": "object"]
        }
    }

    /// One object type with its fields.
    func schema(_ type: SchemaType) -> Value {
        var schema: Value = ["type": "object"]
        if let text = descriptions.text(of: type) { schema["description"] = .string(text) }
        let required = type.fields.filter(\.required).map(\.name)
        if !required.isEmpty { schema["required"] = Value(required) }
        if !type.fields.isEmpty {
            schema["properties"] = .object(
                Members(type.fields.map { ($0.name, property($0, descriptions.text(of: $0.name, in: type))) }))
        }
        if type.atomic { schema["x-kubernetes-map-type"] = "atomic" }
        if let kind = type.kind { schema["x-kubernetes-group-version-kind"] = [Self.kind(kind)] }
        return schema
    }

    static func kind(_ kind: GroupVersionKind) -> Value {
        ["group": .string(kind.group), "kind": .string(kind.kind), "version": .string(kind.version)]
    }

    func reference(_ type: String) -> Value { ["$ref": .string(prefix + type)] }

    private func property(_ field: SchemaField, _ description: String?) -> Value {
        var marks = Members()
        if let description { marks["description"] = .string(description) }
        switch field.list {
        case .atomic?: marks["x-kubernetes-list-type"] = "atomic"
        case .set?: marks["x-kubernetes-list-type"] = "set"
        case .map(let keys)?:
            marks["x-kubernetes-list-map-keys"] = Value(keys)
            marks["x-kubernetes-list-type"] = "map"
        case nil: break
        }
        if field.atomicMap { marks["x-kubernetes-map-type"] = "atomic" }
        if let key = field.mergeKey { marks["x-kubernetes-patch-merge-key"] = .string(key) }
        var strategies: [String] = []
        if field.patch.contains(.merge) { strategies.append("merge") }
        if field.patch.contains(.retainKeys) { strategies.append("retainKeys") }
        if field.patch.contains(.replace) { strategies.append("replace") }
        if !strategies.isEmpty { marks["x-kubernetes-patch-strategy"] = .string(strategies.joined(separator: ",")) }

        var schema = value(field.type)
        if marks.isEmpty { return schema }
        if wrapsReferences, schema["$ref"] != nil { schema = ["allOf": [schema]] }
        for (key, mark) in marks { schema[key] = mark }
        return schema
    }

    private func value(_ type: FieldType) -> Value {
        switch type {
        case .string: return ["type": "string"]
        case .bytes: return ["type": "string", "format": "byte"]
        case .bool: return ["type": "boolean"]
        case .int32: return ["type": "integer", "format": "int32"]
        case .int64: return ["type": "integer", "format": "int64"]
        case .double: return ["type": "number", "format": "double"]
        case .time, .microTime, .quantity, .intOrString, .fields: return reference(Self.scalarName(type) ?? "")
        case .any: return ["x-kubernetes-preserve-unknown-fields": true]
        case .object(let place): return reference(Self.name(table[place]?.name ?? ""))
        case .array(let element): return ["type": "array", "items": value(element)]
        case .map(let element): return ["type": "object", "additionalProperties": value(element)]
        }
    }

    /// The places of everything that the paths of some rows speak: the kinds, their lists, the kinds of subresources, and what every kind needs.
    func roots(_ rows: [ResourceRow]) -> [Int] {
        var names: [String] = [
            "DeleteOptions", "Status", "APIResourceList", "WatchEvent", "Patch", "APIGroup", "APIGroupList", "APIVersions",
        ].map { "apimachinery.pkg.apis.meta.v1." + $0 }
        for row in rows {
            names.append(row.isCustom ? Self.objectMeta : row.typeName)
            for kind in [GroupVersionKind(group: row.group, version: row.version, kind: row.listKind)] + row.subresources.map(\.kind) {
                if let type = table.type(of: kind) { names.append(type.name) }
            }
        }
        return names.compactMap { table.place(of: $0) }
    }

    /// The schema of a custom resource whose fields are not in the table.
    static func opaque(_ row: ResourceRow) -> Value {
        ["type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-group-version-kind": [kind(row.groupVersionKind)]]
    }

    /// `com.example.stable.v1.CronTabList`: the document name of a custom row's list.
    func listTypeName(_ row: ResourceRow) -> String {
        (row.group.split(separator: ".").reversed().map(String.init) + [row.version, row.listKind]).joined(separator: ".")
    }

    /// The document name of a row's type: for a custom resource the reversed group, version and kind, as upstream publishes it.
    func typeName(_ row: ResourceRow) -> String {
        if table.place(of: row.typeName) != nil { return Self.name(row.typeName) }
        return (row.group.split(separator: ".").reversed().map(String.init) + [row.version, row.kind]).joined(separator: ".")
    }
}
