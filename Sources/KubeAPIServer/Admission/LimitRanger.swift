import KubeAPI

/// Gives containers the resources that a namespace's LimitRanges say, and refuses pods and claims beyond them. Upstream: plugin/limitranger.
struct LimitRanger: AdmissionPlugin {
    let name = "LimitRanger"
    static let annotation = "kubernetes.io/limit-ranger"
    private let ranges: NamespacedFollower

    init(reader: any ObjectReader) { ranges = NamespacedFollower(reader, .limitRanges) }

    /// The ranges that count for a request; none for requests that are not limited. Upstream: SupportsAttributes.
    private func ranges(for attributes: AdmissionAttributes) -> [Object] {
        let isPod = attributes.resource.groupResource == .pods
        guard isPod || attributes.resource.groupResource == .persistentVolumeClaims else { return [] }
        switch (attributes.operation, attributes.subresource) {
        case (.create, ""): break
        case (.update, ""): if isPod { return [] }
        case (.update, "resize"): if !isPod { return [] }
        default: return []
        }
        // What is going may be changed whatever the limits.
        if attributes.oldObject?.metadata.isBeingDeleted == true { return [] }
        return ranges.list(attributes.namespace)
    }

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.resource.groupResource == .pods else { return }
        for range in ranges(for: attributes) { Self.setDefaults(of: range, in: &attributes.object) }
    }

    func validate(_ attributes: AdmissionAttributes) async throws {
        let ranges = ranges(for: attributes)
        guard !ranges.isEmpty else { return }
        let object = try Object(attributes.object)
        let isPod = attributes.resource.groupResource == .pods
        for range in ranges {
            let problems = isPod ? Self.problems(ofPod: object, range) : Self.problems(ofClaim: object, range)
            guard let message = Self.aggregate(problems) else { continue }
            throw attributes.forbidden(message)
        }
    }

    /// One error by itself, several in brackets, each once. Upstream: utilerrors.NewAggregate.
    static func aggregate(_ problems: [String]) -> String? {
        var seen: Set<String> = []
        let distinct = problems.filter { seen.insert($0).inserted }
        guard let first = distinct.first else { return nil }
        return distinct.count == 1 ? first : "[\(distinct.joined(separator: ", "))]"
    }

    // MARK: Defaults

    /// Upstream: mergePodResourceRequirements.
    private static func setDefaults(of range: Object, in pod: inout Value) {
        var requests: ResourceList = [:]
        var limits: ResourceList = [:]
        for item in range["spec"]["limits"].elements where item["type"].string == "Container" {
            requests.merge(item["defaultRequest"].resourceList) { $1 }
            limits.merge(item["default"].resourceList) { $1 }
        }
        guard !requests.isEmpty || !limits.isEmpty else { return }
        var notes: [String] = []
        for (list, kind) in [("containers", "container"), ("initContainers", "init container")] {
            guard var containers = pod[path: "spec", list]?.array else { continue }
            for index in containers.indices {
                let name = containers[index]["name"]?.string ?? ""
                let setLimits = fill(&containers[index], "limits", limits)
                let setRequests = fill(&containers[index], "requests", requests)
                if !setRequests.isEmpty { notes.append("\(setRequests.joined(separator: ", ")) request for \(kind) \(name)") }
                if !setLimits.isEmpty { notes.append("\(setLimits.joined(separator: ", ")) limit for \(kind) \(name)") }
            }
            pod[path: "spec", list] = .array(containers)
        }
        guard !notes.isEmpty else { return }
        pod[path: "metadata", "annotations", annotation] = .string("LimitRanger plugin set: \(notes.joined(separator: "; "))")
    }

    /// Puts in what is missing and gives its names, sorted.
    private static func fill(_ container: inout Value, _ part: String, _ defaults: ResourceList) -> [String] {
        let missing = defaults.filter { container[path: "resources", part, $0.key] == nil }.sorted { $0.key < $1.key }
        for (name, quantity) in missing { container[path: "resources", part, name] = .string(quantity.description) }
        return missing.map(\.key)
    }

    // MARK: Limits

    private static func problems(ofPod pod: Object, _ range: Object) -> [String] {
        let whole = PodResources.Options(usesStatus: false)
        return range["spec"]["limits"].elements.flatMap { item -> [String] in
            let limit = LimitRangeItem(item)
            switch limit.type {
            case "Container":
                let containers = pod["spec"]["containers"].elements + pod["spec"]["initContainers"].elements
                return containers.flatMap { container in
                    limit.problems(
                        requests: container["resources"].flatMap { $0["requests"] }.resourceList,
                        limits: container["resources"].flatMap { $0["limits"] }.resourceList)
                }
            case "Pod": return limit.problems(requests: PodResources.requests(pod, whole), limits: PodResources.limits(pod, whole))
            default: return []
            }
        }
    }

    /// Upstream: PersistentVolumeClaimValidateLimitFunc. A claim's limit on its request alone counts.
    private static func problems(ofClaim claim: Object, _ range: Object) -> [String] {
        let requests = claim["spec"]["resources"]["requests"].resourceList
        return range["spec"]["limits"].elements.flatMap { item -> [String] in
            let limit = LimitRangeItem(item)
            guard limit.type == "PersistentVolumeClaim" else { return [] }
            return limit.minimum.sorted { $0.key < $1.key }.compactMap { limit.belowMinimum($0.key, $0.value, requests, [:]) }
                + limit.maximum.sorted { $0.key < $1.key }.compactMap { limit.requestAboveMaximum($0.key, $0.value, requests) }
        }
    }
}

/// One item of a LimitRange. Upstream: corev1.LimitRangeItem with the constraints of plugin/limitranger.
struct LimitRangeItem {
    var type: String
    var minimum: ResourceList
    var maximum: ResourceList
    var ratio: ResourceList

    init(_ view: JSONView) {
        type = view["type"].string ?? ""
        minimum = view["min"].resourceList
        maximum = view["max"].resourceList
        ratio = view["maxLimitRequestRatio"].resourceList
    }

    func problems(requests: ResourceList, limits: ResourceList) -> [String] {
        func sorted(_ list: ResourceList) -> [(key: String, value: Quantity)] { list.sorted { $0.key < $1.key } }
        return sorted(minimum).compactMap { belowMinimum($0.key, $0.value, requests, limits) }
            + sorted(maximum).compactMap { aboveMaximum($0.key, $0.value, requests, limits) }
            + sorted(ratio).compactMap { aboveRatio($0.key, $0.value, requests, limits) }
    }

    func belowMinimum(_ name: String, _ enforced: Quantity, _ requests: ResourceList, _ limits: ResourceList) -> String? {
        let rule = "minimum \(name) usage per \(type) is \(enforced)"
        guard let request = requests[name] else { return "\(rule).  No request is specified" }
        if request < enforced { return "\(rule), but request is \(request)" }
        if let limit = limits[name], limit < enforced { return "\(rule), but limit is \(limit)" }
        return nil
    }

    func requestAboveMaximum(_ name: String, _ enforced: Quantity, _ requests: ResourceList) -> String? {
        let rule = "maximum \(name) usage per \(type) is \(enforced)"
        guard let request = requests[name] else { return "\(rule).  No request is specified" }
        return request > enforced ? "\(rule), but request is \(request)" : nil
    }

    private func aboveMaximum(_ name: String, _ enforced: Quantity, _ requests: ResourceList, _ limits: ResourceList) -> String? {
        let rule = "maximum \(name) usage per \(type) is \(enforced)"
        guard let limit = limits[name] else { return "\(rule).  No limit is specified" }
        if limit > enforced { return "\(rule), but limit is \(limit)" }
        if let request = requests[name], request > enforced { return "\(rule), but request is \(request)" }
        return nil
    }

    private func aboveRatio(_ name: String, _ enforced: Quantity, _ requests: ResourceList, _ limits: ResourceList) -> String? {
        let rule = "\(name) max limit to request ratio per \(type) is \(enforced)"
        guard let request = requests[name], !request.isZero else { return "\(rule), but no request is specified or request is 0" }
        guard let limit = limits[name], !limit.isZero else { return "\(rule), but no limit is specified or limit is 0" }
        let observed = limit.double / request.double
        return observed > enforced.double ? "\(rule), but provided ratio is \(observed.sixDigits)" : nil
    }
}

extension Double {
    /// As Go's `%f` writes it: six digits after the point. What is too large for that is written as Swift does.
    var sixDigits: String {
        guard isFinite, abs(self) < 1e12 else { return "\(self)" }
        let millionths = Int64((abs(self) * 1e6).rounded())
        let fraction = String(millionths % 1_000_000)
        return "\(self < 0 ? "-" : "")\(millionths / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)"
    }
}
