package import KubeAPI

/// What is watched of a node. Upstream: pkg/kubelet/eviction/api.Signal.
package enum EvictionSignal: String, Sendable, Hashable, CaseIterable {
    case memoryAvailable = "memory.available"
    /// What is left to pods of the memory that is theirs.
    case allocatableMemoryAvailable = "allocatableMemory.available"
    case nodeFsAvailable = "nodefs.available"
    case nodeFsInodesFree = "nodefs.inodesFree"
    case imageFsAvailable = "imagefs.available"
    case imageFsInodesFree = "imagefs.inodesFree"
    case pidAvailable = "pid.available"

    /// Upstream: signalToNodeCondition.
    var pressure: NodePressure {
        switch self {
        case .memoryAvailable, .allocatableMemoryAvailable: .memory
        case .nodeFsAvailable, .nodeFsInodesFree, .imageFsAvailable, .imageFsInodesFree: .disk
        case .pidAvailable: .pid
        }
    }

    /// What pods give back when they end. Upstream: signalToResource.
    var resource: StarvedResource {
        switch self {
        case .memoryAvailable, .allocatableMemoryAvailable: .memory
        case .nodeFsAvailable, .imageFsAvailable: .storage
        case .nodeFsInodesFree, .imageFsInodesFree: .inodes
        case .pidAvailable: .pids
        }
    }
}

/// As events and messages name it. Upstream: v1.ResourceName, resourceInodes, resourcePids.
enum StarvedResource: String, Sendable, Hashable {
    case memory
    case storage = "ephemeral-storage"
    case inodes, pids
}

/// A condition of the node that evictions follow. Upstream: v1.NodeConditionType.
package enum NodePressure: String, Sendable, Hashable, CaseIterable {
    case memory = "MemoryPressure"
    case disk = "DiskPressure"
    case pid = "PIDPressure"
}

/// When pods are evicted for a signal. Upstream: evictionapi.Threshold.
package struct EvictionThreshold: Sendable, Hashable {
    package var signal: EvictionSignal
    package var amount: EvictionAmount
    /// Seconds that it must be met before pods are evicted; zero is a hard threshold, at which they have no time to end.
    package var grace: Double
    /// How much more than the threshold must be free before evicting ends.
    package var minimumReclaim: EvictionAmount?

    package init(_ signal: EvictionSignal, _ amount: EvictionAmount, grace: Double = 0, minimumReclaim: EvictionAmount? = nil) {
        self.signal = signal
        self.amount = amount
        self.grace = grace
        self.minimumReclaim = minimumReclaim
    }
}

/// Upstream: the eviction fields of KubeletConfiguration.
package struct EvictionPolicy: Sendable {
    package var thresholds: [EvictionThreshold]
    /// Seconds that a condition stays after its threshold was last met, so that it does not flap.
    package var transitionPeriod: Double = 300
    /// Seconds a pod has to end at a soft threshold, at most.
    package var maximumPodGrace: Int64 = 0

    package init(thresholds: [EvictionThreshold]) { self.thresholds = thresholds }

    /// As EKS's machine images set it.
    package static let standard = EvictionPolicy(EvictionSettings())

    /// What hard thresholds keep from pods. Upstream: hardEvictionReservation.
    func reservation(capacity: ResourceList) -> ResourceList {
        var reserved: ResourceList = [:]
        for threshold in thresholds where threshold.grace == 0 {
            let name = threshold.signal == .memoryAvailable ? "memory" : threshold.signal == .nodeFsAvailable ? "ephemeral-storage" : nil
            if let name, let whole = capacity[name] { reserved[name] = threshold.amount.quantity(of: whole) }
        }
        return reserved
    }
}

/// What was seen of one signal. Upstream: signalObservation.
package struct SignalObservation: Sendable, Hashable {
    package var available: Quantity
    package var capacity: Quantity

    package init(available: Quantity, capacity: Quantity) {
        self.available = available
        self.capacity = capacity
    }
}

/// One look at the node; signals that cannot be told are absent.
package typealias NodeObservations = [EvictionSignal: SignalObservation]
