import KubeAPI
import Logging

/// Asks the extenders whose concern a pod is, one after the other. Of one that may be left out an error is only noted.
struct ExtenderRound: Sendable {
    /// In the order they are asked; all are interested.
    var extenders: [SchedulerExtender]
    var pod: Object
    var logger: Logger

    /// What all extenders together leave of nodes.
    struct Filtered: Sendable, Equatable {
        var nodes: [String]
        /// By node, why it will not do.
        var rejections: [String: Rejection] = [:]
    }

    /// `nodes` by name. Throws `ExtenderError` of one that may not be left out. Upstream: findNodesThatPassExtenders.
    func filter(_ nodes: [String], object: (String) -> Object?) async throws -> Filtered {
        var filtered = Filtered(nodes: nodes)
        for extender in extenders where !filtered.nodes.isEmpty {
            let answer: ExtenderMessages.Filtered
            do { answer = try await extender.filter(pod, filtered.nodes.compactMap(object)) } catch let error as ExtenderError {
                guard extender.configuration.isIgnorable else { throw error }
                note("Skipping extender as it returned error and has ignorable flag set", extender, error)
                continue
            }
            for (node, why) in answer.failed { filtered.rejections[node] = Rejection(why) }
            for (node, why) in answer.unresolvable { filtered.rejections[node] = Rejection(why, unresolvable: true) }
            filtered.nodes = answer.nodes
        }
        return filtered
    }

    /// What nodes are worth to all extenders together. One that fails gives no score. Upstream: prioritizeNodes.
    func prioritize(_ nodes: [Object]) async throws -> [String: Int64] {
        try await withThrowingTaskGroup(of: [String: Int64].self) { group in
            for extender in extenders {
                group.addTask {
                    do { return try await extender.prioritize(pod, nodes) } catch let error as ExtenderError {
                        note("Failed to run extender's priority function. No score given by this extender.", extender, error)
                        return [:]
                    }
                }
            }
            var scores: [String: Int64] = [:]
            for try await some in group { scores.merge(some, uniquingKeysWith: ExtenderMessages.sum) }
            return scores
        }
    }

    /// Which of the candidates are left. Throws `ExtenderError` of one that may not be left out. Upstream: callExtenders.
    func preempt(
        _ candidates: [DefaultPreemption.Candidate], objects: (PodInfo) -> Object?, pods: (_ node: String) -> [PodInfo]?
    ) async throws -> [DefaultPreemption.Candidate] {
        var left = candidates
        for extender in extenders where extender.canPreempt && !left.isEmpty {
            do { left = try await extender.preempt(pod, left, objects: objects, pods: pods) } catch let error as ExtenderError {
                guard extender.configuration.isIgnorable else { throw error }
                note("Skipped extender as it returned error and has ignorable flag set", extender, error)
            }
        }
        return left
    }

    /// Whether an extender has bound the pod: false when none does that. Throws `ExtenderError`. Upstream: extendersBinding.
    func bind(_ info: PodInfo, to node: String) async throws -> Bool {
        for extender in extenders where extender.canBind {
            do {
                try await extender.bind(info, to: node)
                return true
            } catch let error as ExtenderError {
                guard extender.configuration.isIgnorable else { throw error }
                note("Skipping extender in bind as it returned error and has ignorable flag set", extender, error)
            }
        }
        return false
    }

    private func note(_ message: Logger.Message, _ extender: SchedulerExtender, _ error: ExtenderError) {
        logger.info(message, metadata: ["extender": "\(extender.configuration.urlPrefix)", "error": "\(error)"])
    }
}
