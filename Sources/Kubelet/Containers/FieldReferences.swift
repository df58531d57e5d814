import KubeAPI

/// Why a container's configuration cannot be made; the message stands in its status. Upstream: CreateContainerConfigError.
struct ContainerConfigError: Error, Sendable, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Values of a pod's own fields, for env and downward API volumes. Upstream: pkg/fieldpath and api/v1/resource.
struct FieldReferences: Sendable {
    let pod: Pod
    /// Addresses that are not in the API yet.
    var podIPs: [String] = []
    var hostIPs: [String] = []
    /// What limits default to.
    var allocatable: ResourceList = [:]

    /// The text of a field such as `metadata.labels['app']`. Throws `ContainerConfigError` for a field that is not supported.
    func field(_ path: String) throws(ContainerConfigError) -> String {
        let metadata = pod.metadata
        if let (map, key) = Self.subscripted(path) {
            switch map {
            case "metadata.labels": return metadata.labels[key] ?? ""
            case "metadata.annotations": return metadata.annotations[key] ?? ""
            default: throw ContainerConfigError("fieldPath \"\(path)\" does not support subscript")
            }
        }
        switch path {
        case "metadata.name": return pod.name
        case "metadata.namespace": return pod.namespace
        case "metadata.uid": return pod.uid
        case "metadata.labels": return Self.format(metadata.labels)
        case "metadata.annotations": return Self.format(metadata.annotations)
        case "spec.nodeName": return pod.nodeName
        case "spec.serviceAccountName": return pod.serviceAccountName
        case "status.hostIP": return hostIPs.first ?? ""
        case "status.hostIPs": return hostIPs.joined(separator: ",")
        case "status.podIP": return podIPs.first ?? ""
        case "status.podIPs": return podIPs.joined(separator: ",")
        default: throw ContainerConfigError("unsupported fieldPath: \(path)")
        }
    }

    /// `metadata.labels['x']` as its map and key.
    private static func subscripted(_ path: String) -> (map: String, key: String)? {
        guard path.hasSuffix("']"), let open = path.firstIndex(of: "[") else { return nil }
        let inner = path[open...].dropFirst(2).dropLast(2)
        return (String(path[..<open]), String(inner))
    }

    /// Maps in files: one `key="value"` a line, sorted. Upstream: fieldpath.FormatMap.
    private static func format(_ map: [String: String]) -> String {
        map.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.goQuoted)" }.joined(separator: "\n")
    }

    /// A `resourceFieldRef`: an amount in units of its divisor, rounded up. Upstream: ExtractContainerResourceValue.
    func resource(_ reference: JSONView, container: ContainerSpec?) throws(ContainerConfigError) -> String {
        let name = reference["resource"].string ?? ""
        let owner = reference["containerName"].string.flatMap { $0.isEmpty ? nil : pod.container(named: $0) } ?? container
        guard let owner else { throw ContainerConfigError("container \(reference["containerName"].string ?? "") not found") }
        let parts = name.split(separator: ".", maxSplits: 1)
        guard parts.count == 2 else { throw ContainerConfigError("unsupported container resource : \(name)") }
        let resource = String(parts[1])
        let amount: Quantity
        switch parts[0] {
        case "limits": amount = owner.limits[resource] ?? (HugePages.isResource(resource) ? nil : allocatable[resource]) ?? .zero
        case "requests": amount = owner.requests[resource] ?? .zero
        default: throw ContainerConfigError("unsupported container resource : \(name)")
        }
        let divisor = reference["divisor"].quantity ?? .zero
        if resource == "cpu" {
            let unit = divisor.isZero ? 1000 : max(1, divisor.milliValue)
            return String((amount.milliValue &+ unit &- 1) / unit)
        }
        let unit = divisor.isZero ? 1 : max(1, divisor.value)
        return String(amount.value / unit + (amount.value % unit > 0 ? 1 : 0))
    }
}
