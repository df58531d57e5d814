import KubeAPI

/// A schema as the types by which server-side apply walks objects. Upstream: managedfields.NewTypeConverter over the OpenAPI of a definition.
struct StructuralTyping: Sendable {
    let table: SchemaTable
    let type: SchemaType?

    private static let metadataTypes = [
        "apimachinery.pkg.apis.meta.v1.OwnerReference", "apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry",
        "apimachinery.pkg.apis.meta.v1.ObjectMeta",
    ]

    init(_ schema: StructuralSchema) {
        var builder = Builder()
        let root = builder.object(schema, isResource: true)
        table = builder.table
        type = root.flatMap { builder.table[$0] }
    }

    private struct Builder {
        var table = SchemaTable()
        private var metadata = FieldType.any
        private var count = 0

        init() {
            // The types of metadata are taken over from the table of all types, with their places in this one.
            var places: [Int: Int] = [:]
            func moved(_ type: FieldType) -> FieldType {
                switch type {
                case .object(let place): places[place].map { .object($0) } ?? .any
                case .array(let element): .array(moved(element))
                case .map(let element): .map(moved(element))
                default: type
                }
            }
            for name in StructuralTyping.metadataTypes {
                guard let type = SchemaTable.shared.type(named: name), let place = SchemaTable.shared.place(of: name) else { continue }
                let fields = type.fields.map { field in
                    var field = field
                    field.type = moved(field.type)
                    return field
                }
                let at = table.add(SchemaType(name: name, atomic: type.atomic, fields: fields))
                places[place] = at
                metadata = .object(at)
            }
        }

        /// Adds the type of an object with properties; nil where nothing is told apart.
        mutating func object(_ schema: StructuralSchema, isResource: Bool) -> Int? {
            var fields: [SchemaField] = []
            for (name, property) in schema.properties where !(isResource && name == "metadata") { fields.append(field(name, property)) }
            if isResource {
                for name in ["apiVersion", "kind"] where schema.property(name) == nil { fields.append(SchemaField(name: name, type: .string)) }
                fields.append(SchemaField(name: "metadata", type: metadata))
            }
            count += 1
            var defaults: [String: Value] = [:]
            for (name, property) in schema.properties { if let value = property.defaultValue { defaults[name] = value } }
            return table.add(
                SchemaType(
                    name: "custom.\(count)", atomic: schema.mapType == "atomic", isOpen: schema.preservesUnknownFields, keyDefaults: defaults,
                    fields: fields))
        }

        private mutating func field(_ name: String, _ schema: StructuralSchema) -> SchemaField {
            var field = SchemaField(name: name, type: type(schema))
            field.list = list(schema)
            field.atomicMap = schema.mapType == "atomic"
            return field
        }

        private func list(_ schema: StructuralSchema) -> ListKind? {
            switch schema.listType {
            case "set": .set
            case "map": .map(keys: schema.listMapKeys)
            case "atomic": .atomic
            default: nil
            }
        }

        private mutating func type(_ schema: StructuralSchema) -> FieldType {
            if schema.isIntOrString { return .intOrString }
            switch schema.type {
            case "string": return .string
            case "boolean": return .bool
            case "integer": return .int64
            case "number": return .double
            case "array": return schema.items.map { .array(type($0)) } ?? .any
            case "object":
                if let additional = schema.additionalSchema { return .map(type(additional)) }
                if schema.properties.isEmpty, !schema.isEmbeddedResource {
                    // Nothing is known inside, or nothing may be inside: both walk as a map of anything.
                    return schema.mapType == "atomic" ? .map(.any) : schema.preservesUnknownFields ? .any : .map(.any)
                }
                return object(schema, isResource: schema.isEmbeddedResource).map { .object($0) } ?? .any
            default: return .any
            }
        }
    }
}
