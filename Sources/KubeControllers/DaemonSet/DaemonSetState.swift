import KubeAPI

/// A DaemonSet as its controller sees it. Upstream: apps/v1 DaemonSet.
struct DaemonSetState: Sendable {
    enum Strategy: Sendable, Equatable {
        case onDelete
        case rollingUpdate(maxUnavailable: IntOrString, maxSurge: IntOrString)
    }

    let object: Object
    var name: String
    var namespace: String
    var uid: String
    var generation: Int64
    var isBeingDeleted: Bool
    var minReadySeconds: Int
    var revisionHistoryLimit: Int
    var strategy: Strategy
    var collisionCount: Int?

    init(_ object: Object) {
        let meta = object.metadata
        let spec = object["spec"]
        self.object = object
        name = meta.name
        namespace = meta.namespace
        uid = meta.uid
        generation = meta.generation
        isBeingDeleted = meta.isBeingDeleted
        minReadySeconds = Int(clamping: spec["minReadySeconds"].int ?? 0)
        revisionHistoryLimit = Int(clamping: spec["revisionHistoryLimit"].int ?? 10)
        collisionCount = object["status"]["collisionCount"].int.map { Int(clamping: $0) }
        if spec["updateStrategy"]["type"].string == "OnDelete" {
            strategy = .onDelete
        } else {
            let rolling = spec["updateStrategy"]["rollingUpdate"]
            strategy = .rollingUpdate(
                maxUnavailable: IntOrString(rolling["maxUnavailable"]) ?? .int(1), maxSurge: IntOrString(rolling["maxSurge"]) ?? .int(0))
        }
    }

    var template: JSONView? { object["spec"]["template"] }
    var ownerReference: OwnerReference { OwnerReference(apiVersion: "apps/v1", kind: "DaemonSet", name: name, uid: uid) }

    /// How many nodes may have an extra pod, or be without an available one, while pods are replaced. Upstream: updatedDesiredNodeCounts.
    func fenceposts(desired: Int) -> (surge: Int, unavailable: Int) {
        guard case .rollingUpdate(let maxUnavailable, let maxSurge) = strategy else { return (0, 0) }
        let surge = max(0, maxSurge.scaled(total: desired, roundUp: true) ?? 0)
        var unavailable = max(0, maxUnavailable.scaled(total: desired, roundUp: true) ?? 0)
        if surge == 0, unavailable == 0 { unavailable = 1 }
        return (surge, unavailable)
    }

    /// What a revision remembers: the template, as a patch that `kubectl rollout undo` applies. Upstream: getPatch.
    var revisionData: Value {
        var template = self.template.value ?? [:]
        template["$patch"] = "replace"
        return ["spec": ["template": template]]
    }

    /// Taints that every daemon tolerates, so that it runs on nodes in trouble. Upstream: util.AddOrUpdateDaemonPodTolerations.
    var tolerations: [Value] {
        func tolerate(_ key: String, _ effect: String) -> Value { ["key": .string(key), "operator": "Exists", "effect": .string(effect)] }
        var added = [
            tolerate(NodeTaints.notReady, "NoExecute"), tolerate(NodeTaints.unreachable, "NoExecute"),
            tolerate("node.kubernetes.io/disk-pressure", "NoSchedule"), tolerate("node.kubernetes.io/memory-pressure", "NoSchedule"),
            tolerate("node.kubernetes.io/pid-pressure", "NoSchedule"), tolerate(NodeTaints.unschedulable, "NoSchedule"),
        ]
        if template["spec"]["hostNetwork"].bool ?? false { added.append(tolerate("node.kubernetes.io/network-unavailable", "NoSchedule")) }
        let own = template["spec"]["tolerations"].elements.map(\.value)
        return own.filter { !added.contains($0) } + added
    }

    /// Whether a daemon belongs on a node, and whether one that is there may stay. Upstream: NodeShouldRunDaemonPod.
    func placement(on node: Object, tolerations: [Toleration]) -> (shouldRun: Bool, mayStay: Bool) {
        guard NodeFit.matches(template["spec"], node) else { return (false, false) }
        if NodeFit.tolerates(tolerations, node, effects: ["NoSchedule", "NoExecute"]) { return (true, true) }
        return (false, NodeFit.tolerates(tolerations, node, effects: ["NoExecute"]))
    }

    var parsedTolerations: [Toleration] {
        // Built of literals and of what was parsed: it encodes.
        guard let list = try? Object(["tolerations": .array(tolerations)]) else { return [] }
        return list["tolerations"].elements.map(Toleration.init(view:))
    }

    /// The pod for one node. The node is named by affinity, not bound: the scheduler still sees whether it has room. Upstream:
    /// ReplaceDaemonSetPodNodeNameNodeAffinity.
    func pod(for node: String, hash: String) -> Value {
        var pod = PodFactory.pod(template: template, namespace: namespace, prefix: PodFactory.prefix(of: name), owner: ownerReference)
        pod[path: "metadata", "labels", ControllerHistory.hashLabel] = .string(hash)
        pod[path: "spec", "tolerations"] = .array(tolerations)
        let byName: [Value] = [["key": "metadata.name", "operator": "In", "values": [.string(node)]]]
        // What the template itself asks of nodes was checked before; the name says it all.
        pod[path: "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [
            "nodeSelectorTerms": [["matchFields": .array(byName)]]
        ]
        return pod
    }

    /// The node a daemon is on, or meant for. Upstream: util.GetTargetNodeName.
    static func targetNode(of pod: Object) -> String? {
        if let name = pod["spec"]["nodeName"].string, !name.isEmpty { return name }
        let terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"].elements
        for field in terms.flatMap({ $0["matchFields"].elements })
        where field["key"].string == "metadata.name" && field["operator"].string == "In" {
            return field["values"].strings.first
        }
        return nil
    }
}

/// `status` of a DaemonSet. Upstream: apps/v1 DaemonSetStatus.
struct DaemonSetStatus: Sendable, Equatable {
    var currentNumberScheduled = 0
    var numberMisscheduled = 0
    var desiredNumberScheduled = 0
    var numberReady = 0
    var updatedNumberScheduled = 0
    var numberAvailable = 0
    var numberUnavailable = 0
    var observedGeneration: Int64 = 0

    init() {}

    init(_ view: JSONView?) {
        func count(_ key: String) -> Int { Int(clamping: view[key].int ?? 0) }
        currentNumberScheduled = count("currentNumberScheduled")
        numberMisscheduled = count("numberMisscheduled")
        desiredNumberScheduled = count("desiredNumberScheduled")
        numberReady = count("numberReady")
        updatedNumberScheduled = count("updatedNumberScheduled")
        numberAvailable = count("numberAvailable")
        numberUnavailable = count("numberUnavailable")
        observedGeneration = view["observedGeneration"].int ?? 0
    }

    /// Writes the counts into a status; the first four always stand there, the others when not zero.
    func write(to status: inout Value) {
        status["currentNumberScheduled"] = .int(Int64(currentNumberScheduled))
        status["numberMisscheduled"] = .int(Int64(numberMisscheduled))
        status["desiredNumberScheduled"] = .int(Int64(desiredNumberScheduled))
        status["numberReady"] = .int(Int64(numberReady))
        func put(_ key: String, _ number: Int) { status[key] = number == 0 ? nil : .int(Int64(number)) }
        put("updatedNumberScheduled", updatedNumberScheduled)
        put("numberAvailable", numberAvailable)
        put("numberUnavailable", numberUnavailable)
        status["observedGeneration"] = observedGeneration == 0 ? nil : .int(observedGeneration)
    }
}
