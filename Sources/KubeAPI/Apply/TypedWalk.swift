/// How a place of an object is typed: the field's type with the marks that stand on the field. Upstream: structured-merge-diff schema.TypeRef.
struct TypeReference: Sendable {
    var type: FieldType
    var list: ListKind?
    var isAtomicMap = false

    init(_ type: FieldType) { self.type = type }
    init(_ field: SchemaField) {
        type = field.type
        list = field.list
        isAtomicMap = field.atomicMap
    }

    /// Of fields that no schema knows: granular objects, atomic lists. Upstream: the deduced type.
    static let deduced = TypeReference(.any)
}

/// What a value at a place is to merging. Upstream: schema.Atom.
enum Shape {
    case scalar
    /// A list or map that has one owner as a whole.
    case atomic(isList: Bool)
    case set
    case associative(keys: [String], element: TypeReference)
    case structure(SchemaType)
    case map(TypeReference)

    /// Values of the same kind are merged with each other; of others the newer one is taken.
    var kind: Int {
        switch self {
        case .scalar: 0
        case .atomic(let isList): isList ? 1 : 2
        case .set, .associative: 1
        case .structure, .map: 2
        }
    }
}

/// Typed values: everything that walks an object by its schema. Upstream: structured-merge-diff typed.TypedValue.
package struct TypedWalk: Sendable {
    let table: SchemaTable
    let root: TypeReference
    /// The type of metadata where the root has none of its own (custom resources without a schema).
    let metadata: TypeReference

    /// `type` nil: any fields, as for a custom resource without a schema.
    package init(type: SchemaType?, in table: SchemaTable) {
        self.table = table
        let place = type.flatMap { table.place(of: $0.name) }
        root = TypeReference(place.map { .object($0) } ?? .any)
        let objectMeta = table.place(of: "apimachinery.pkg.apis.meta.v1.ObjectMeta")
        metadata = type == nil ? TypeReference(objectMeta.map { .object($0) } ?? .any) : .deduced
    }

    /// The shape of `value` at a place; fields without a schema show it by what they hold.
    func shape(_ reference: TypeReference, _ value: Value) -> Shape {
        switch reference.type {
        case .string, .bytes, .bool, .int32, .int64, .double, .time, .microTime, .quantity, .intOrString: return .scalar
        case .fields: return .atomic(isList: false)
        case .any:
            switch value {
            case .object, .null: return .map(.deduced)
            case .array: return .atomic(isList: true)
            default: return .scalar
            }
        case .object(let place):
            guard let type = table[place], !type.atomic, !reference.isAtomicMap else { return .atomic(isList: false) }
            return .structure(type)
        case .map(let element): return reference.isAtomicMap ? .atomic(isList: false) : .map(TypeReference(element))
        case .array(let element):
            switch reference.list {
            case .set: return .set
            case .map(let keys): return .associative(keys: keys, element: TypeReference(element))
            case .atomic, nil: return .atomic(isList: true)
            }
        }
    }

    /// The type of a member, and whether it is a field that the type names.
    func member(_ name: String, of shape: Shape, isRoot: Bool) -> (reference: TypeReference, isNamed: Bool) {
        switch shape {
        case .structure(let type): return type.field(name).map { (TypeReference($0), true) } ?? (.deduced, false)
        case .map(let element): return isRoot && name == "metadata" ? (metadata, false) : (element, false)
        default: return (.deduced, false)
        }
    }

    /// Why an element of a list has no path.
    struct ElementError: Error { var message: String }

    /// How an element of a set or associative list is found. Upstream: listItemToPathElement.
    func element(_ item: Value, of shape: Shape) throws(ElementError) -> PathElement {
        guard case .associative(let keys, let reference) = shape else {
            switch item {
            case .object: throw ElementError(message: "associative list without keys has an element that's a map type")
            case .array: throw ElementError(message: "not supported: associative list with lists as elements")
            case .null: throw ElementError(message: "associative list without keys has an element that's an explicit null")
            default: return .value(item)
            }
        }
        if item.isNull { throw ElementError(message: "associative list with keys may not have a null element") }
        guard case .object(let members) = item else { throw ElementError(message: "associative list with keys may not have non-map elements") }
        var fields: [(String, Value)] = []
        for key in keys {
            if let value = members[key] {
                fields.append((key, value))
            } else if case .object(let place) = reference.type, let type = table[place], let value = GoStructs.keyDefault(type, key) {
                fields.append((key, value))
            } else {
                throw ElementError(
                    message: "associative list with keys has an element that omits key field \(key.goQuoted) (and doesn't have default value)")
            }
        }
        return .key(fields)
    }
}

/// Facts of the Go types that the wire's schema does not tell. Upstream: k8s.io/api and its generated defaults.
enum GoStructs {
    /// The value of a list key that an element leaves out. Upstream: `+default="TCP"` of the protocol of ports; defaults of custom resources' schemas.
    static func keyDefault(_ type: SchemaType, _ field: String) -> Value? {
        // Not a ternary: there `nil` would be the JSON null.
        if let value = type.keyDefaults[field] { return value }
        guard field == "protocol", type.name == "api.core.v1.ContainerPort" || type.name == "api.core.v1.ServicePort" else { return nil }
        return "TCP"
    }

    /// Whether a struct field is no pointer in Go: then it is there whenever its parent is, empty if nobody set it. Seen in field ownership: nobody
    /// adds such a field itself, only what is inside.
    static func isEmbedded(_ field: SchemaField, of type: SchemaType) -> Bool {
        guard case .object = field.type else { return false }
        if field.required { return true }
        switch field.name {
        case "metadata", "spec", "status": return true
        case "template": return type.name != "api.core.v1.ReplicationControllerSpec"
        default: return embedded[field.name]?.contains(type.name) ?? false
        }
    }

    /// The other optional struct fields without a pointer, with the types that have them: the message fields of the protobuf table that keep no zero.
    private static let embedded: [String: [String]] = [
        "updateStrategy": ["api.apps.v1.DaemonSetSpec", "api.apps.v1.StatefulSetSpec"],
        "strategy": ["api.apps.v1.DeploymentSpec"],
        "resources": ["api.core.v1.Container", "api.core.v1.EphemeralContainer", "api.core.v1.PersistentVolumeClaimSpec"],
        "state": ["api.core.v1.ContainerStatus"], "lastState": ["api.core.v1.ContainerStatus"],
        "source": ["api.core.v1.Event"], "regarding": ["api.events.v1.Event"], "deprecatedSource": ["api.events.v1.Event"],
        "kubeletEndpoint": ["api.core.v1.NodeDaemonEndpoints"],
        "daemonEndpoints": ["api.core.v1.NodeStatus"], "nodeInfo": ["api.core.v1.NodeStatus"],
        "loadBalancer": ["api.core.v1.ServiceStatus", "api.networking.v1.IngressStatus"],
        "conditions": ["api.discovery.v1.Endpoint"],
        "limitResponse": ["api.flowcontrol.v1.LimitedPriorityLevelConfiguration"],
        "port": ["api.networking.v1.IngressServiceBackend"],
        "devices": ["api.resource.v1.AllocationResult"],
    ]
}
