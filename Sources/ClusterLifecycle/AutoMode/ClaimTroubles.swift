import Logging

/// Instances of EKS Auto Mode that could not be started, did not join or died: the next is launched a while later, longer each time in a row.
extension Reconciler {
    func noteTrouble(_ instance: InstanceRecord, _ issue: HealthIssue) {
        context.logger.error(
            "an instance of EKS Auto Mode has a problem",
            metadata: ["cluster": "\(instance.clusterName)", "instance": "\(instance.instanceID)", "message": "\(issue.message)"])
        claimTroubles[instance.clusterName] = issue.message
        holdBack(.cluster(instance.clusterName))
    }

    func forgetTroubles(of cluster: String) {
        claimTroubles[cluster] = nil
        notBefore[.cluster(cluster)] = nil
    }

    /// Why no instance may be launched just now; nil: one may.
    func whyNotLaunching(in cluster: String) -> String? {
        guard isHeldBack(.cluster(cluster)) else { return nil }
        return claimTroubles[cluster] ?? "the last instance had a problem"
    }
}
