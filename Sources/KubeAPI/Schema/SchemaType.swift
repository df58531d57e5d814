/// The type of a field as the wire knows it. Upstream: the Go types of k8s.io/api and what their JSON methods accept.
package indirect enum FieldType: Sendable, Equatable {
    case string
    /// Base64 text. Upstream: []byte.
    case bytes
    case bool
    case int32
    case int64
    case double
    /// RFC 3339 in whole seconds. Upstream: metav1.Time.
    case time
    /// RFC 3339 in microseconds. Upstream: metav1.MicroTime.
    case microTime
    /// Upstream: resource.Quantity.
    case quantity
    /// Upstream: intstr.IntOrString.
    case intOrString
    /// A set of fields as server-side apply keeps it. Upstream: metav1.FieldsV1.
    case fields
    /// Any JSON. Upstream: runtime.RawExtension, apiextensions JSON.
    case any
    /// An object of the type at this place of the `SchemaTable`.
    case object(Int)
    case array(FieldType)
    /// An object with free keys and values of one type.
    case map(FieldType)
}

/// How the elements of a list are told apart. Upstream: x-kubernetes-list-type and x-kubernetes-list-map-keys.
package enum ListKind: Sendable, Equatable {
    case atomic
    case set
    case map(keys: [String])
}

/// What a strategic merge patch does with a field. Upstream: x-kubernetes-patch-strategy.
package struct PatchStrategy: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Elements are merged (by the merge key, or as a set of primitives) instead of replaced.
    package static let merge = PatchStrategy(rawValue: 1)
    /// Fields the patch does not name in `$retainKeys` are dropped.
    package static let retainKeys = PatchStrategy(rawValue: 2)
    /// The value is replaced as a whole.
    package static let replace = PatchStrategy(rawValue: 4)
}

/// One field of a type.
package struct SchemaField: Sendable, Equatable {
    package var name: String
    package var type: FieldType
    /// Whether the API calls it required; Go always writes such a field.
    package var required: Bool
    /// Nil: the list is not marked, and so atomic.
    package var list: ListKind?
    /// Whether server-side apply takes the map or object as a whole.
    package var atomicMap: Bool
    package var patch: PatchStrategy
    /// The field of the elements by which a strategic merge patch finds them.
    package var mergeKey: String?

    package init(
        name: String, type: FieldType, required: Bool = false, list: ListKind? = nil, atomicMap: Bool = false, patch: PatchStrategy = [],
        mergeKey: String? = nil
    ) {
        self.name = name
        self.type = type
        self.required = required
        self.list = list
        self.atomicMap = atomicMap
        self.patch = patch
        self.mergeKey = mergeKey
    }
}

/// One object type of the API: its fields, sorted by name.
package struct SchemaType: Sendable, Equatable {
    /// The name without the leading `io.k8s.`: `api.core.v1.Pod`.
    package var name: String
    /// Set for types that are kinds.
    package var kind: GroupVersionKind?
    /// Whether server-side apply takes objects of this type as a whole.
    package var atomic: Bool
    /// Whether it may have fields that are not in `fields`: a custom resource that preserves unknown fields.
    package var isOpen: Bool
    /// Values of fields that elements of lists leave out of their keys. Built-in types have theirs in code.
    package var keyDefaults: [String: Value]
    package private(set) var fields: [SchemaField]

    package init(
        name: String, kind: GroupVersionKind? = nil, atomic: Bool = false, isOpen: Bool = false, keyDefaults: [String: Value] = [:],
        fields: [SchemaField]
    ) {
        self.name = name
        self.kind = kind
        self.atomic = atomic
        self.isOpen = isOpen
        self.keyDefaults = keyDefaults
        self.fields = fields.sorted { $0.name < $1.name }
    }

    /// The field `name`, found by binary search.
    package func field(_ name: String) -> SchemaField? {
        var low = 0
        var high = fields.count
        while low < high {
            let middle = (low + high) / 2
            if fields[middle].name < name { low = middle + 1 } else { high = middle }
        }
        return low < fields.count && fields[low].name == name ? fields[low] : nil
    }

    /// `Pod`: the Go type's name.
    package var shortName: String { String(name.split(separator: ".").last ?? "") }
    /// `v1.Pod`: the Go type as its error messages name it.
    package var goName: String { name.split(separator: ".").suffix(2).joined(separator: ".") }
}
