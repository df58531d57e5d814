import KubeAPI

/// Names of annotations and labels a Deployment's controller writes. Upstream: pkg/controller/deployment/util.
enum DeploymentAnnotation {
    static let revision = "deployment.kubernetes.io/revision"
    static let revisionHistory = "deployment.kubernetes.io/revision-history"
    static let desiredReplicas = "deployment.kubernetes.io/desired-replicas"
    static let maxReplicas = "deployment.kubernetes.io/max-replicas"
    static let podTemplateHash = "pod-template-hash"
    /// Annotations that are the Deployment's own and never copied to its ReplicaSets.
    static let notCopied: Set<String> = [
        "kubectl.kubernetes.io/last-applied-configuration", revision, revisionHistory, desiredReplicas, maxReplicas,
        "deprecated.deployment.rollback.to",
    ]
    /// Characters of revision history kept on a ReplicaSet. Upstream: maxRevHistoryLengthInChars.
    static let historyLimit = 2000
}

/// Reasons of a Deployment's conditions. Upstream: pkg/controller/deployment/util.
enum DeploymentReason {
    static let newReplicaSetCreated = "NewReplicaSetCreated"
    static let foundNewReplicaSet = "FoundNewReplicaSet"
    static let replicaSetUpdated = "ReplicaSetUpdated"
    static let createError = "ReplicaSetCreateError"
    static let newReplicaSetAvailable = "NewReplicaSetAvailable"
    static let timedOut = "ProgressDeadlineExceeded"
    static let paused = "DeploymentPaused"
    static let resumed = "DeploymentResumed"
    static let minimumAvailable = "MinimumReplicasAvailable"
    static let minimumUnavailable = "MinimumReplicasUnavailable"
}

/// A Deployment as its controller sees it. Upstream: apps/v1 Deployment.
struct DeploymentState: Sendable {
    enum Strategy: Sendable, Equatable {
        case recreate
        case rollingUpdate(maxSurge: IntOrString, maxUnavailable: IntOrString)
    }

    var name: String
    var namespace: String
    var uid: String
    var generation: Int64
    var isBeingDeleted: Bool
    var labels: [String: String]
    var annotations: [String: String]
    var replicas: Int
    var paused: Bool
    var minReadySeconds: Int
    /// Nil: no deadline.
    var progressDeadlineSeconds: Int64?
    /// Nil: all old ReplicaSets are kept.
    var revisionHistoryLimit: Int?
    var strategy: Strategy
    var selector: Value
    var template: Value
    var status: DeploymentStatus

    init(_ object: Object) {
        let meta = object.metadata
        let spec = object["spec"]
        name = meta.name
        namespace = meta.namespace
        uid = meta.uid
        generation = meta.generation
        isBeingDeleted = meta.isBeingDeleted
        labels = meta.labels
        annotations = meta.annotations
        replicas = max(0, Int(clamping: spec["replicas"].int ?? 1))
        paused = spec["paused"].bool ?? false
        minReadySeconds = Int(clamping: spec["minReadySeconds"].int ?? 0)
        // math.MaxInt32 stands for "none" in both, as upstream defaults old versions of the API.
        progressDeadlineSeconds = spec["progressDeadlineSeconds"].int.flatMap { $0 == Int64(Int32.max) ? nil : $0 }
        revisionHistoryLimit = spec["revisionHistoryLimit"].int.flatMap { $0 == Int64(Int32.max) ? nil : Int(clamping: $0) }
        if spec["strategy"]["type"].string == "Recreate" {
            strategy = .recreate
        } else {
            let rolling = spec["strategy"]["rollingUpdate"]
            strategy = .rollingUpdate(
                maxSurge: IntOrString(rolling["maxSurge"]) ?? .string("25%"), maxUnavailable: IntOrString(rolling["maxUnavailable"]) ?? .string("25%")
            )
        }
        selector = spec["selector"].value ?? [:]
        template = spec["template"].value ?? [:]
        status = DeploymentStatus(object["status"])
    }

    /// Pods above `replicas` and pods below it that a rolling update may have. Surge rounds up, unavailable rounds down; both zero would stand still,
    /// so then one
    /// may be unavailable. Upstream: deploymentutil.ResolveFenceposts.
    private var fenceposts: (surge: Int, unavailable: Int) {
        guard case .rollingUpdate(let maxSurge, let maxUnavailable) = strategy else { return (0, 0) }
        let surge = max(0, maxSurge.scaled(total: replicas, roundUp: true) ?? 0)
        var unavailable = max(0, maxUnavailable.scaled(total: replicas, roundUp: false) ?? 0)
        if surge == 0, unavailable == 0 { unavailable = 1 }
        return (surge, unavailable)
    }

    /// Upstream: deploymentutil.MaxSurge.
    var maxSurge: Int { fenceposts.surge }
    /// Upstream: deploymentutil.MaxUnavailable.
    var maxUnavailable: Int { replicas == 0 ? 0 : min(fenceposts.unavailable, replicas) }

    var ownerReference: OwnerReference { OwnerReference(apiVersion: "apps/v1", kind: "Deployment", name: name, uid: uid) }
}

/// `status` of a Deployment. Upstream: apps/v1 DeploymentStatus.
struct DeploymentStatus: Sendable, Equatable {
    var observedGeneration: Int64 = 0
    var replicas = 0
    var updatedReplicas = 0
    var readyReplicas = 0
    var availableReplicas = 0
    var unavailableReplicas = 0
    var terminatingReplicas: Int?
    var collisionCount: Int?
    var conditions: [Condition] = []

    init(_ view: JSONView?) {
        func count(_ key: String) -> Int { Int(clamping: view[key].int ?? 0) }
        observedGeneration = view["observedGeneration"].int ?? 0
        replicas = count("replicas")
        updatedReplicas = count("updatedReplicas")
        readyReplicas = count("readyReplicas")
        availableReplicas = count("availableReplicas")
        unavailableReplicas = count("unavailableReplicas")
        terminatingReplicas = view["terminatingReplicas"].int.map { Int(clamping: $0) }
        collisionCount = view["collisionCount"].int.map { Int(clamping: $0) }
        conditions = view["conditions"].elements.map(Condition.init(view:))
    }

    /// The status for the wire; counts of zero are left out, as upstream's omitempty does.
    var value: Value {
        var status: Value = [:]
        func put(_ key: String, _ number: Int) { if number != 0 { status[key] = .int(Int64(number)) } }
        if observedGeneration != 0 { status["observedGeneration"] = .int(observedGeneration) }
        put("replicas", replicas)
        put("updatedReplicas", updatedReplicas)
        put("readyReplicas", readyReplicas)
        put("availableReplicas", availableReplicas)
        put("unavailableReplicas", unavailableReplicas)
        if let terminatingReplicas { status["terminatingReplicas"] = .int(Int64(terminatingReplicas)) }
        if let collisionCount { status["collisionCount"] = .int(Int64(collisionCount)) }
        if !conditions.isEmpty { status["conditions"] = conditions.value }
        return status
    }
}

/// A ReplicaSet as the Deployment's controller sees it; the planner changes copies of it as it goes. Upstream: apps/v1 ReplicaSet.
struct ReplicaSetState: Sendable, Equatable {
    var name: String
    var uid: String
    /// Microseconds; the name breaks ties, as upstream's sort does.
    var created: Timestamp
    var generation: Int64
    var observedGeneration: Int64
    var isBeingDeleted: Bool
    var annotations: [String: String]
    var replicas: Int
    var minReadySeconds: Int
    var template: Value
    var statusReplicas: Int
    var readyReplicas: Int
    var availableReplicas: Int
    var terminatingReplicas: Int?
    var conditions: [Condition]

    init(_ object: Object) {
        let meta = object.metadata
        let status = object["status"]
        func count(_ key: String) -> Int { Int(clamping: status[key].int ?? 0) }
        name = meta.name
        uid = meta.uid
        created = meta.creationTimestamp ?? Timestamp(seconds: 0)
        generation = meta.generation
        observedGeneration = status["observedGeneration"].int ?? 0
        isBeingDeleted = meta.isBeingDeleted
        annotations = meta.annotations
        replicas = max(0, Int(clamping: object["spec"]["replicas"].int ?? 1))
        minReadySeconds = Int(clamping: object["spec"]["minReadySeconds"].int ?? 0)
        template = object["spec"]["template"].value ?? [:]
        statusReplicas = count("replicas")
        readyReplicas = count("readyReplicas")
        availableReplicas = count("availableReplicas")
        terminatingReplicas = status["terminatingReplicas"].int.map { Int(clamping: $0) }
        conditions = status["conditions"].elements.map(Condition.init(view:))
    }

    /// A ReplicaSet the planner is about to create.
    init(name: String, annotations: [String: String], replicas: Int, minReadySeconds: Int, template: Value, created: Timestamp) {
        self.name = name
        uid = ""
        self.created = created
        generation = 0
        observedGeneration = 0
        isBeingDeleted = false
        self.annotations = annotations
        self.replicas = replicas
        self.minReadySeconds = minReadySeconds
        self.template = template
        statusReplicas = 0
        readyReplicas = 0
        availableReplicas = 0
        terminatingReplicas = 0
        conditions = []
    }

    /// The rollout this ReplicaSet belongs to; 0 where none is written. Upstream: deploymentutil.Revision.
    var revision: Int64 { annotations[DeploymentAnnotation.revision].flatMap { Int64($0) } ?? 0 }

    /// Whether this ReplicaSet makes the pods of `template`, the hash label aside. Upstream: deploymentutil.EqualIgnoreHash.
    func makesPods(of template: Value) -> Bool {
        Value.semanticallyEqual(Self.withoutHash(self.template), Self.withoutHash(template))
    }

    private static func withoutHash(_ template: Value) -> Value {
        var copy = template
        copy[path: "metadata", "labels", DeploymentAnnotation.podTemplateHash] = nil
        return copy
    }

    static func olderFirst(_ a: ReplicaSetState, _ b: ReplicaSetState) -> Bool {
        a.created == b.created ? a.name < b.name : a.created < b.created
    }
}
