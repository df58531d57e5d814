import KubeAPI

/// A StatefulSet as its controller sees it. Upstream: apps/v1 StatefulSet.
struct StatefulSetState: Sendable {
    let object: Object
    var name: String
    var namespace: String
    var uid: String
    var generation: Int64
    var isBeingDeleted: Bool
    var replicas: Int
    /// The first ordinal.
    var start: Int
    var serviceName: String
    var minReadySeconds: Int
    var revisionHistoryLimit: Int
    /// One pod at a time, in order; otherwise all at once.
    var isOrdered: Bool
    /// Nil: pods are only replaced when they are deleted. Otherwise ordinals below it keep the current revision.
    var partition: Int?
    /// How many pods an update may have unavailable at once; nil: it goes one by one, and each waits for the ones above it alone.
    var maxUnavailable: Int?
    var claimTemplates: [Value]
    var retention: ClaimRetention
    var status: StatefulSetStatus

    init(_ object: Object) {
        let meta = object.metadata
        let spec = object["spec"]
        self.object = object
        name = meta.name
        namespace = meta.namespace
        uid = meta.uid
        generation = meta.generation
        isBeingDeleted = meta.isBeingDeleted
        // Names of pods and hosts end in an ordinal: far fewer digits than could overflow.
        replicas = Int(clamping: min(Int64(Int32.max), max(0, spec["replicas"].int ?? 1)))
        start = Int(clamping: min(Int64(Int32.max), max(0, spec["ordinals"]["start"].int ?? 0)))
        serviceName = spec["serviceName"].string ?? ""
        minReadySeconds = Int(clamping: spec["minReadySeconds"].int ?? 0)
        revisionHistoryLimit = Int(clamping: spec["revisionHistoryLimit"].int ?? 10)
        isOrdered = spec["podManagementPolicy"].string != "Parallel"
        let strategy = spec["updateStrategy"]
        partition =
            strategy["type"].string == "OnDelete"
            ? nil : Int(clamping: min(Int64(Int32.max), max(0, strategy["rollingUpdate"]["partition"].int ?? 0)))
        // Upstream: getStatefulSetMaxUnavailable: rounded down, one at least.
        maxUnavailable =
            partition == nil
            ? nil
            : IntOrString(strategy["rollingUpdate"]["maxUnavailable"])?.scaled(total: replicas, roundUp: false)
                .map { max(1, $0) }
        claimTemplates = spec["volumeClaimTemplates"].elements.map(\.value)
        retention = ClaimRetention(spec["persistentVolumeClaimRetentionPolicy"])
        status = StatefulSetStatus(object["status"])
    }

    var ownerReference: OwnerReference { OwnerReference(apiVersion: "apps/v1", kind: "StatefulSet", name: name, uid: uid) }
    var ordinals: Range<Int> { start..<start + replicas }

    /// What a revision remembers. Upstream: getPatch.
    var revisionData: Value {
        var template = object["spec"]["template"].value ?? [:]
        template["$patch"] = "replace"
        return ["spec": ["template": template]]
    }

    /// The template that a revision remembers. Upstream: ApplyRevision.
    static func template(of revision: Value) -> Value {
        var template = revision[path: "data", "spec", "template"] ?? [:]
        template["$patch"] = nil
        return template
    }

    /// The ordinal in a pod's name, or nil for a pod that is not of this set by name. Upstream: getParentNameAndOrdinal.
    func ordinal(of pod: Object) -> Int? {
        let name = pod.metadata.name
        guard name.hasPrefix(self.name + "-"), let number = Int(name.dropFirst(self.name.count + 1)), number >= 0, "\(self.name)-\(number)" == name
        else {
            return nil
        }
        return number
    }

    func podName(_ ordinal: Int) -> String { "\(name)-\(ordinal)" }
    func claimName(_ template: Value, _ ordinal: Int) -> String { "\(template[path: "metadata", "name"]?.string ?? "")-\(podName(ordinal))" }

    /// The pod of an ordinal and a revision. Upstream: newStatefulSetPod.
    func pod(_ ordinal: Int, template: Value, revision: String) -> Value {
        let view = (try? Object(template))?.root  // A template is an object; one that is not makes an empty pod, which the API server refuses.
        var pod = PodFactory.pod(template: view, namespace: namespace, prefix: "", owner: ownerReference)
        pod[path: "metadata", "generateName"] = nil
        pod[path: "metadata", "name"] = .string(podName(ordinal))
        for (key, value) in identityLabels(ordinal) { pod[path: "metadata", "labels", key] = .string(value) }
        pod[path: "metadata", "labels", ControllerHistory.hashLabel] = .string(revision)
        pod[path: "spec", "hostname"] = .string(podName(ordinal))
        if !serviceName.isEmpty { pod[path: "spec", "subdomain"] = .string(serviceName) }
        let claimed = Set(claimTemplates.compactMap { $0[path: "metadata", "name"]?.string })
        let others = (pod[path: "spec", "volumes"]?.array ?? []).filter { !claimed.contains($0["name"]?.string ?? "") }
        let volumes = claimTemplates.map { template -> Value in
            [
                "name": template[path: "metadata", "name"] ?? "",
                "persistentVolumeClaim": ["claimName": .string(claimName(template, ordinal)), "readOnly": false],
            ]
        }
        if !volumes.isEmpty { pod[path: "spec", "volumes"] = .array(volumes + others) }
        return pod
    }

    func identityLabels(_ ordinal: Int) -> [(String, String)] {
        [("statefulset.kubernetes.io/pod-name", podName(ordinal)), ("apps.kubernetes.io/pod-index", String(ordinal))]
    }

    /// The claims of an ordinal. Upstream: getPersistentVolumeClaims.
    func claims(_ ordinal: Int) -> [Value] {
        claimTemplates.map { template in
            var claim = template
            claim["apiVersion"] = "v1"
            claim["kind"] = "PersistentVolumeClaim"
            claim["status"] = nil
            claim[path: "metadata", "name"] = .string(claimName(template, ordinal))
            claim[path: "metadata", "namespace"] = .string(namespace)
            for (key, value) in object["spec"]["selector"]["matchLabels"].stringMap { claim[path: "metadata", "labels", key] = .string(value) }
            return claim
        }
    }
}

/// `status` of a StatefulSet. Upstream: apps/v1 StatefulSetStatus.
struct StatefulSetStatus: Sendable, Equatable {
    var observedGeneration: Int64 = 0
    var replicas = 0
    var readyReplicas = 0
    var availableReplicas = 0
    var currentReplicas = 0
    var updatedReplicas = 0
    var currentRevision = ""
    var updateRevision = ""
    var collisionCount: Int?

    init() {}

    init(_ view: JSONView?) {
        func count(_ key: String) -> Int { Int(clamping: view[key].int ?? 0) }
        observedGeneration = view["observedGeneration"].int ?? 0
        replicas = count("replicas")
        readyReplicas = count("readyReplicas")
        availableReplicas = count("availableReplicas")
        currentReplicas = count("currentReplicas")
        updatedReplicas = count("updatedReplicas")
        currentRevision = view["currentRevision"].string ?? ""
        updateRevision = view["updateRevision"].string ?? ""
        collisionCount = view["collisionCount"].int.map { Int(clamping: $0) }
    }

    /// Writes the fields into a status; `replicas` and `availableReplicas` always stand there, the others when not empty.
    func write(to status: inout Value) {
        func put(_ key: String, _ number: Int) { status[key] = number == 0 ? nil : .int(Int64(number)) }
        status["observedGeneration"] = .int(observedGeneration)
        status["replicas"] = .int(Int64(replicas))
        status["availableReplicas"] = .int(Int64(availableReplicas))
        put("readyReplicas", readyReplicas)
        put("currentReplicas", currentReplicas)
        put("updatedReplicas", updatedReplicas)
        status["currentRevision"] = currentRevision.isEmpty ? nil : .string(currentRevision)
        status["updateRevision"] = updateRevision.isEmpty ? nil : .string(updateRevision)
        status["collisionCount"] = .int(Int64(collisionCount ?? 0))
    }
}
