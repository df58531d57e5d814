import ContainerRuntime
import KubeAPI

/// What the runtime has of one pod. Upstream: kubecontainer.PodStatus.
struct PodRuntimeStatus: Sendable, Equatable {
    /// The newest first; the first one carries its addresses.
    var sandboxes: [PodSandbox] = []
    /// The newest first.
    var containers: [RuntimeContainerStatus] = []

    /// The newest container of a name.
    func latest(_ name: String) -> RuntimeContainerStatus? { containers.first { $0.name == name } }
    var ips: [String] { sandboxes.first { $0.isReady }?.ips ?? [] }
    var hasRunningContainers: Bool { containers.contains { $0.state == .running } }
    /// The running containers by name.
    var runningIDs: [String: String] {
        Dictionary(containers.filter { $0.state == .running }.map { ($0.name, $0.id) }) { newest, _ in newest }
    }
    var readySandbox: PodSandbox? { sandboxes.first { $0.isReady } }

    /// Asks the runtime. Throws `RuntimeError`.
    static func read(uid: String, from runtime: any ContainerRuntime) async throws -> PodRuntimeStatus {
        var status = PodRuntimeStatus()
        let labels = [ContainerLabels.podUID: uid]
        let listed = try await runtime.podSandboxes(PodSandboxFilter(labels: labels))
        status.sandboxes = listed.sorted { $0.createdAt > $1.createdAt }
        if let newest = status.sandboxes.first, newest.isReady { status.sandboxes[0] = try await runtime.podSandboxStatus(newest.id) }
        if !listed.isEmpty {
            for container in try await runtime.containers(ContainerFilter(labels: labels)) {
                do { status.containers.append(try await runtime.containerStatus(container.id)) } catch let error as RuntimeError
                    where error.code == .notFound
                {
                    continue  // Removed between the list and the look.
                }
            }
            status.containers.sort { $0.createdAt > $1.createdAt }
        }
        return status
    }
}

/// Labels and annotations by which a kubelet finds its containers again. Upstream: pkg/kubelet/types/labels.go and kuberuntime/labels.go.
enum ContainerLabels {
    static let podName = "io.kubernetes.pod.name"
    static let podNamespace = "io.kubernetes.pod.namespace"
    static let podUID = "io.kubernetes.pod.uid"
    static let containerName = "io.kubernetes.container.name"
    // Annotations.
    static let hash = "io.kubernetes.container.hash"
    static let restartCount = "io.kubernetes.container.restartCount"
    static let terminationMessagePath = "io.kubernetes.container.terminationMessagePath"
    static let terminationMessagePolicy = "io.kubernetes.container.terminationMessagePolicy"
    static let terminationGracePeriod = "io.kubernetes.pod.terminationGracePeriod"
    static let ports = "io.kubernetes.container.ports"
    static let preStopHandler = "io.kubernetes.container.preStopHandler"
}
