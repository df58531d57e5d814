import KubeAPI

/// Cells of custom resources' additional columns. Upstream: k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor.
enum CustomResourceTable {
    static func cell(_ column: TableColumn, _ path: JSONPath?, _ object: Object, _ now: Timestamp) -> Value {
        guard let view = path?.first(in: object.root), !view.isNull else { return .null }
        switch column.type {
        case "integer": return view.int.map { .int($0) } ?? view.double.map { .int(Int64(clamping: Int128($0.isFinite ? $0 : 0))) } ?? .null
        case "number": return view.double.map { view.kind == .integer ? view.value : .double($0) } ?? .null
        case "boolean": return view.bool.map { .bool($0) } ?? .null
        case "date":
            guard let text = view.string else { return .null }
            return .string(Timestamp(rfc3339: text).map { Cells.since($0, now) } ?? "<invalid>")
        default: return .string(view.string ?? view.value.jsonString)
        }
    }
}
