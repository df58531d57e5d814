import KubeAPI

/// The resize conditions that a pod's status shows. Upstream: status.Manager's PodResizeConditions.
struct ResizeStanding: Sendable, Equatable {
    struct Progress: Sendable, Equatable {
        var generation: Int64
        /// Why the last try failed; empty while all goes well.
        var error: String
    }
    /// Wished for, not granted.
    var pending: PendingResize?
    /// Granted, not done.
    var progress: Progress?
}

/// A granted resize on its way: pure. Upstream: SetPodResizeInProgressCondition, ClearPodResizeInProgressCondition.
struct ResizeProgress: Sendable, Equatable {
    /// The generation being worked on; nil when nothing is.
    private(set) var generation: Int64?
    private(set) var error = ""

    mutating func granted(generation: Int64) {
        self.generation = generation
        error = ""
    }

    /// Returns whether that is news.
    mutating func failed(_ problem: String, generation: Int64) -> Bool {
        let isNews = error != problem
        if self.generation == nil { self.generation = generation }
        error = problem
        return isNews
    }

    /// `isOpen`: a running container does not have its resources yet. Returns the generation that was just completed. An agent that was started again
    /// finds an open one here.
    mutating func settle(isOpen: Bool, generation: Int64) -> Int64? {
        if isOpen {
            if self.generation == nil { self.generation = generation }
            return nil
        }
        defer {
            self.generation = nil
            error = ""
        }
        return self.generation
    }

    func standing(pending: PendingResize?) -> ResizeStanding {
        ResizeStanding(pending: pending, progress: generation.map { ResizeStanding.Progress(generation: $0, error: error) })
    }
}

/// What events about resizes say. Upstream: pkg/kubelet/events/pod_resize.go.
enum ResizeMessages {
    /// `Pod resize started: {"containers":[…],"generation":2}`.
    static func text(_ prefix: String, _ pod: Pod, generation: Int64, error: String = "") -> String {
        func summary(_ containers: [ContainerSpec]) -> Value {
            .array(containers.map { ["name": .string($0.name), "resources": $0.view["resources"].value ?? [:]] })
        }
        var summaries: Value = [:]
        if !pod.initContainers.isEmpty { summaries["initContainers"] = summary(pod.initContainers) }
        summaries["containers"] = summary(pod.containers)
        summaries["generation"] = .int(generation)
        if !error.isEmpty { summaries["error"] = .string(error) }
        return "\(prefix): \(summaries.jsonString)"
    }
}
