import KubeAPI

/// Containers that never ran, or are not to be found, when their pod is over: they are told of as failed, so that nobody waits for them or takes them
/// for done. Upstream: status manager's TerminatePod.
enum LostContainers {
    private static let end = ContainerStatusView.Termination(
        exitCode: 137, reason: "ContainerStatusUnknown", message: "The container could not be located when the pod was terminated", startedAt: 0,
        finishedAt: 0, containerID: "")

    /// Both lists are in the order of the pod's spec. Containers whose turn had not come stay as they are: the init containers before them tell
    /// enough.
    static func mark(inits: inout [ContainerStatusView], mains: inout [ContainerStatusView], of pod: Pod) {
        if isPastInit(inits, mains, pod) {
            for index in mains.indices where mains[index].termination == nil { mains[index].state = .terminated(end) }
        }
        for index in inits.prefix(attempted(inits)).indices where inits[index].termination == nil { inits[index].state = .terminated(end) }
    }

    /// How many init containers had their turn, the last of them perhaps in vain. Upstream: initializedContainers.
    private static func attempted(_ inits: [ContainerStatusView]) -> Int {
        if let last = inits.lastIndex(where: hasRun) { return last + 1 }
        return min(1, inits.count)
    }

    private static func hasRun(_ view: ContainerStatusView) -> Bool { view.isRunning || view.termination != nil || view.lastTermination != nil }

    /// Upstream: hasPodInitialized.
    private static func isPastInit(_ inits: [ContainerStatusView], _ mains: [ContainerStatusView], _ pod: Pod) -> Bool {
        guard let spec = pod.initContainers.last, let view = inits.last else { return true }
        if mains.contains(where: hasRun) { return true }
        guard spec.isSidecar else { return view.termination?.exitCode == 0 || view.lastTermination?.exitCode == 0 }
        // It is stopped by now: what was told of it before counts.
        let told = pod.status["initContainerStatuses"].elements.first { $0["name"].string == spec.name }
        return told["state"]["running"] != nil && told["started"].bool == true
    }
}
