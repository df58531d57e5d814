import KubeScheduler

/// Labels of one's own that a pool's requirements leave open: the pod's selector chooses, else the first value there is. Upstream: karpenter's
/// scheduling documentation, "User-Defined Labels".
enum CustomLabels {
    static func of(_ pool: NodePool, for pod: SimulatedPod) -> [String: String] {
        var labels: [String: String] = [:]
        for requirement in pool.requirements where !Names.isOfInstances(requirement.key) {
            if let wanted = pod.selector[requirement.key], requirement.matches(wanted) {
                labels[requirement.key] = wanted
            } else if requirement.op == "In" {
                labels[requirement.key] = requirement.values.first
            }
        }
        return labels
    }
}
