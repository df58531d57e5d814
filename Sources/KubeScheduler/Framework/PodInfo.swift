import KubeAPI
import KubeClient

/// A host port a pod takes. Upstream: framework.ProtocolPort with its address.
struct HostPort: Sendable, Hashable {
    var address: String
    var `protocol`: String
    var port: Int64

    /// The address that stands for all of a node's.
    static let anyAddress = "0.0.0.0"

    func conflicts(with other: HostPort) -> Bool {
        port == other.port && self.protocol == other.protocol
            && (address == other.address || address == Self.anyAddress || other.address == Self.anyAddress)
    }
}

/// Upstream: core/v1 Toleration.
struct Toleration: Sendable, Hashable {
    var key: String
    var op: String
    var value: String
    var effect: String

    init(_ view: JSONView) {
        key = view["key"].string ?? ""
        op = view["operator"].string ?? ""
        value = view["value"].string ?? ""
        effect = view["effect"].string ?? ""
    }

    init(key: String, op: String, value: String = "", effect: String = "") {
        self.key = key
        self.op = op
        self.value = value
        self.effect = effect
    }

    /// Upstream: Toleration.ToleratesTaint.
    func tolerates(_ taint: Taint) -> Bool {
        if !effect.isEmpty, effect != taint.effect { return false }
        if !key.isEmpty, key != taint.key { return false }
        switch op {
        case "", "Equal": return value == taint.value
        case "Exists": return true
        default: return false
        }
    }
}

/// Upstream: core/v1 Taint.
struct Taint: Sendable, Hashable {
    var key: String
    var value: String
    var effect: String

    init(_ view: JSONView) {
        key = view["key"].string ?? ""
        value = view["value"].string ?? ""
        effect = view["effect"].string ?? ""
    }

    init(key: String, value: String = "", effect: String) {
        self.key = key
        self.value = value
        self.effect = effect
    }

    /// Whether the taint keeps pods off, rather than only being disliked.
    var forbids: Bool { effect == "NoSchedule" || effect == "NoExecute" }
}

/// A set of pods by their labels and namespaces, and what "together" means. Upstream: framework.AffinityTerm.
struct AffinityTerm: Sendable, Hashable {
    var selector: LabelSelector
    var namespaces: Set<String>
    /// Namespaces by their labels, in addition; nil: none.
    var namespaceSelector: LabelSelector?
    var topologyKey: String

    /// Nil when a selector cannot be read; the API server refuses those.
    init?(_ view: JSONView, namespace: String) {
        guard let selector = try? LabelSelector(object: view["labelSelector"]) else { return nil }
        self.selector = selector
        topologyKey = view["topologyKey"].string ?? ""
        let names = view["namespaces"].strings
        let byLabels = view["namespaceSelector"].flatMap { $0.isNull ? nil : $0 }
        namespaces = names.isEmpty && byLabels == nil ? [namespace] : Set(names)
        if let byLabels {
            guard let selector = try? LabelSelector(object: byLabels) else { return nil }
            namespaceSelector = selector
        }
    }

    /// - Parameter namespaceLabels: of the namespace the pod is in.
    func matches(_ pod: PodInfo, namespaceLabels: [String: String]) -> Bool {
        guard namespaces.contains(pod.namespace) || (namespaceSelector?.matches(namespaceLabels) ?? false) else { return false }
        return selector.matches(pod.labels)
    }
}

/// An affinity term with what it is worth; negative for anti-affinity.
struct WeightedAffinityTerm: Sendable, Hashable {
    var term: AffinityTerm
    var weight: Int64
}

/// How evenly pods are to be spread. Upstream: core/v1 TopologySpreadConstraint.
struct TopologySpreadConstraint: Sendable, Hashable {
    var maxSkew: Int64
    var topologyKey: String
    var doNotSchedule: Bool
    var selector: LabelSelector
    var minDomains: Int64
    /// Whether only nodes the pod's node affinity allows are counted.
    var honorsNodeAffinity: Bool
    /// Whether only nodes whose taints the pod tolerates are counted.
    var honorsNodeTaints: Bool

    init(maxSkew: Int64, topologyKey: String, doNotSchedule: Bool, selector: LabelSelector) {
        self.maxSkew = maxSkew
        self.topologyKey = topologyKey
        self.doNotSchedule = doNotSchedule
        self.selector = selector
        minDomains = 1
        honorsNodeAffinity = true
        honorsNodeTaints = false
    }

    init?(_ view: JSONView, labels: [String: String]) {
        guard var selector = try? LabelSelector(object: view["labelSelector"]) else { return nil }
        // The pod's own values of these labels are part of the selector; the API server has mostly written them there.
        let extra = view["matchLabelKeys"].strings.compactMap { key in
            labels[key].flatMap { try? LabelSelector.Requirement(key: key, op: .in, values: [$0]) }
        }.filter { !selector.requirements.contains($0) }
        if !extra.isEmpty { selector = LabelSelector(selector.requirements + extra) }
        self.init(
            maxSkew: max(1, view["maxSkew"].int ?? 1), topologyKey: view["topologyKey"].string ?? "",
            doNotSchedule: view["whenUnsatisfiable"].string != "ScheduleAnyway", selector: selector)
        minDomains = max(1, view["minDomains"].int ?? 1)
        honorsNodeAffinity = view["nodeAffinityPolicy"].string != "Ignore"
        honorsNodeTaints = view["nodeTaintsPolicy"].string == "Honor"
    }
}

/// A pod with everything scheduling reads of it, taken apart once; the object is not kept, there are newer ones. Upstream: framework.PodInfo.
final class PodInfo: Sendable {
    let uid: String
    let key: String
    let name: String
    let namespace: String
    let labels: [String: String]
    let owner: OwnerReference?
    let resourceVersion: String
    let isTerminating: Bool
    /// It goes to make room for one of higher priority. Upstream: podTerminatingByPreemption.
    let isBeingPreempted: Bool
    /// When its kubelet took it on; one that has not been yet is as young as can be. Upstream: GetPodStartTime.
    let started: Timestamp
    let priority: Int64
    /// Whether it may take the place of pods of lower priority. Upstream: preemptionPolicy other than Never.
    let mayPreempt: Bool
    /// The node it is bound to, or empty.
    let nodeName: String
    /// The node on which room is being made for it, or empty.
    let nominatedNodeName: String
    let schedulingGates: [String]
    /// What it asks of a node.
    let shape: PodShape
    let requiredAffinity: [AffinityTerm]
    let requiredAntiAffinity: [AffinityTerm]
    let preferredAffinity: [WeightedAffinityTerm]
    let spreadConstraints: [TopologySpreadConstraint]
    /// Keys of the claims it uses, those of ephemeral volumes, too.
    let claims: [String]
    /// Whether it uses ResourceClaims; which they are its object says.
    let hasResourceClaims: Bool
    let images: [String]
    let containerCount: Int

    /// - Parameter shapes: those of other pods, to share with; nil: it shares with none.
    init(_ object: Object, shapes: PodShapes? = nil) {
        let meta = object.metadata
        let spec = object["spec"]
        uid = meta.uid
        key = meta.key
        name = meta.name
        let namespace = meta.namespace
        self.namespace = namespace
        let labels = shapes?.labels(meta.labels) ?? meta.labels
        self.labels = labels
        owner = meta.controller
        resourceVersion = meta.resourceVersion
        isTerminating = meta.isBeingDeleted
        isBeingPreempted = Self.isBeingPreempted(object)
        started = Self.started(object)
        priority = spec["priority"].int ?? 0
        mayPreempt = spec["preemptionPolicy"].string != "Never"
        nodeName = spec["nodeName"].string ?? ""
        nominatedNodeName = object["status"]["nominatedNodeName"].string ?? ""
        schedulingGates = spec["schedulingGates"].elements.compactMap { $0["name"].string }
        let status = object.mayContain("allocatedResources") ? object["status"] : nil
        let containers = spec["containers"].elements
        let initContainers = spec["initContainers"].elements
        let running = containers + initContainers.filter { $0["restartPolicy"].string == "Always" }
        let hostPorts: [HostPort] = running.flatMap { $0["ports"]?.elements.map { $0 } ?? [] }.compactMap { port in
            guard let number = port["hostPort"].int, number > 0 else { return nil }
            let address = port["hostIP"].string ?? ""
            return HostPort(address: address.isEmpty ? HostPort.anyAddress : address, protocol: port["protocol"].string ?? "TCP", port: number)
        }
        let preferredNodes: [PreferredNodes] = spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"].elements.compactMap
        { item in
            item["preference"].map { PreferredNodes(weight: item["weight"].int ?? 0, term: NodeSelectorTerm($0)) }
        }
        let affinity = spec["affinity"]["podAffinity"]
        let antiAffinity = spec["affinity"]["podAntiAffinity"]
        let required = "requiredDuringSchedulingIgnoredDuringExecution"
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution"
        requiredAffinity = affinity[required].elements.compactMap { AffinityTerm($0, namespace: namespace) }
        requiredAntiAffinity = antiAffinity[required].elements.compactMap { AffinityTerm($0, namespace: namespace) }
        func weighted(_ list: [JSONView], _ sign: Int64) -> [WeightedAffinityTerm] {
            list.compactMap { item in
                guard let term = item["podAffinityTerm"].flatMap({ AffinityTerm($0, namespace: namespace) }) else { return nil }
                // The API allows 1 to 100.
                return WeightedAffinityTerm(term: term, weight: sign * min(100, max(0, item["weight"].int ?? 0)))
            }
        }
        preferredAffinity = weighted(affinity[preferred].elements, 1) + weighted(antiAffinity[preferred].elements, -1)
        spreadConstraints = spec["topologySpreadConstraints"].elements.compactMap { TopologySpreadConstraint($0, labels: labels) }
        claims = spec["volumes"].elements.compactMap { volume in
            if let name = volume["persistentVolumeClaim"]["claimName"].string { return "\(namespace)/\(name)" }
            guard let source = volume["ephemeral"], !source.isNull else { return nil }
            return "\(namespace)/\(meta.name)-\(volume["name"].string ?? "")"
        }
        hasResourceClaims = object.mayContain("resourceClaims") && !(spec["resourceClaims"].elements.isEmpty)
        images = (containers + initContainers).compactMap { $0["image"].string }
        containerCount = containers.count + initContainers.count
        let needs = NodeNeeds(
            requests: PodRequests.of(spec, status: status, nonZero: false),
            nonZeroRequests: PodRequests.of(spec, status: status, nonZero: true), hostPorts: hostPorts,
            tolerations: spec["tolerations"].elements.map(Toleration.init), nodeAffinity: RequiredNodeAffinity(spec), preferredNodes: preferredNodes)
        shape = shapes?.shape(needs) ?? PodShape(needs)
    }

    /// The same pod later, when nothing else that scheduling reads has changed: taken over, not taken apart again.
    init(_ known: PodInfo, as object: Object, shapes: PodShapes?) {
        let meta = object.metadata
        uid = known.uid
        key = known.key
        name = known.name
        namespace = known.namespace
        labels = shapes?.labels(meta.labels) ?? meta.labels
        owner = known.owner
        resourceVersion = meta.resourceVersion
        isTerminating = meta.isBeingDeleted
        isBeingPreempted = Self.isBeingPreempted(object)
        started = Self.started(object)
        priority = known.priority
        mayPreempt = known.mayPreempt
        nodeName = object["spec"]["nodeName"].string ?? ""
        nominatedNodeName = object["status"]["nominatedNodeName"].string ?? ""
        schedulingGates = known.schedulingGates
        shape = known.shape
        requiredAffinity = known.requiredAffinity
        requiredAntiAffinity = known.requiredAntiAffinity
        preferredAffinity = known.preferredAffinity
        spreadConstraints = known.spreadConstraints
        claims = known.claims
        hasResourceClaims = known.hasResourceClaims
        images = known.images
        containerCount = known.containerCount
    }

    /// Whether both are the same to everything that is counted of bound pods.
    func counts(as other: PodInfo) -> Bool {
        shape === other.shape && isTerminating == other.isTerminating && priority == other.priority && labels == other.labels
            && claims == other.claims && requiredAffinity == other.requiredAffinity && requiredAntiAffinity == other.requiredAntiAffinity
            && preferredAffinity == other.preferredAffinity
    }

    private static func started(_ object: Object) -> Timestamp {
        object["status"]["startTime"].string.flatMap(Timestamp.init(rfc3339:)) ?? Timestamp(microseconds: .max)
    }

    private static func isBeingPreempted(_ object: Object) -> Bool {
        object.metadata.isBeingDeleted
            && object["status"]["conditions"].elements.contains {
                $0["type"].string == "DisruptionTarget" && $0["status"].string == "True" && $0["reason"].string == "PreemptionByScheduler"
            }
    }

    /// For events about it.
    var reference: ObjectReference {
        ObjectReference(apiVersion: "v1", kind: "Pod", namespace: namespace, name: name, uid: uid, resourceVersion: resourceVersion)
    }

    var requests: Resource { shape.needs.requests }
    /// With the defaults for containers that ask for nothing: for comparing nodes only.
    var nonZeroRequests: Resource { shape.needs.nonZeroRequests }
    var hostPorts: [HostPort] { shape.needs.hostPorts }
    var tolerations: [Toleration] { shape.needs.tolerations }
    var nodeAffinity: RequiredNodeAffinity { shape.needs.nodeAffinity }
    var preferredNodes: [PreferredNodes] { shape.needs.preferredNodes }

    func tolerates(_ taint: Taint) -> Bool { tolerations.contains { $0.tolerates(taint) } }
}
