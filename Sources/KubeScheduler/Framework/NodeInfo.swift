import KubeAPI

/// A node with the sums of what its pods take, kept as pods come and go. Upstream: framework.NodeInfo.
struct NodeInfo: Sendable {
    let name: String
    /// Where it stands in the cache: the index of arrays that tell something of all nodes.
    var place: Int
    /// False for a node that is known only by pods bound to it: deleted, or not seen yet.
    var isPresent = false
    var labels: [String: String] = [:]
    var taints: [Taint] = []
    var unschedulable = false
    var allocatable = Resource()
    var allowedPods: Int64 = 0
    /// Bytes by name of image.
    var images: [String: Int64] = [:]

    private(set) var requested = Resource()
    private(set) var nonZeroRequested = Resource()
    private(set) var podCount: Int64 = 0
    private(set) var hostPorts: [HostPort: Int] = [:]
    /// Claims that pods use here, with their number.
    private(set) var claims: [String: Int] = [:]

    init(name: String, place: Int) {
        self.name = name
        self.place = place
    }

    /// Takes over what the Node object says.
    mutating func set(_ node: Object) {
        isPresent = true
        labels = node.metadata.labels
        taints = node["spec"]["taints"].elements.map(Taint.init)
        unschedulable = node["spec"]["unschedulable"].bool ?? false
        let list = node["status"]["allocatable"]
        allocatable = Resource(list)
        allowedPods = list["pods"].quantity?.value ?? 0
        images = [:]
        for image in node["status"]["images"].elements {
            let size = max(0, image["sizeBytes"].int ?? 0)
            for name in image["names"]?.strings ?? [] { images[name] = size }
        }
    }

    mutating func unset() {
        isPresent = false
        labels = [:]
        taints = []
        images = [:]
    }

    mutating func add(_ pod: PodInfo) {
        requested += pod.requests
        nonZeroRequested += pod.nonZeroRequests
        podCount += 1
        for port in pod.hostPorts { hostPorts[port, default: 0] += 1 }
        for claim in pod.claims { claims[claim, default: 0] += 1 }
    }

    mutating func remove(_ pod: PodInfo) {
        requested -= pod.requests
        nonZeroRequested -= pod.nonZeroRequests
        podCount -= 1
        for port in pod.hostPorts {
            let left = (hostPorts[port] ?? 0) - 1
            hostPorts[port] = left > 0 ? left : nil
        }
        for claim in pod.claims {
            let left = (claims[claim] ?? 0) - 1
            claims[claim] = left > 0 ? left : nil
        }
    }
}
