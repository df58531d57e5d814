import KubeAPI
import KubeClient
import Synchronization

/// Who each controller is to the API server: the service account in kube-system to which the bootstrap role `system:controller:ACCOUNT` gives what
/// the controller needs, and no more. Upstream: ServiceAccountNames in cmd/kube-controller-manager/names and the client builders of the controllers.
package enum ControllerIdentity {
    /// Where the account's name is not the controller's.
    private static let accounts: [String: String] = [
        "serviceaccount-controller": "service-account-controller",
        "replicationcontroller-controller": "replication-controller",
        "daemonset-controller": "daemon-set-controller",
        "endpoints-controller": "endpoint-controller",
        "endpoint-slice-controller": "endpointslice-controller",
        "endpointslice-mirroring-controller": "endpointslicemirroring-controller",
        "node-lifecycle-controller": "node-controller",
        "taint-eviction-controller": "node-controller",
        "node-ipam-controller": "node-controller",
        "pod-garbage-collector-controller": "pod-garbage-collector",
        "certificatesigningrequest-signing-controller": "certificate-controller",
        "certificatesigningrequest-approving-controller": "certificate-controller",
        "certificatesigningrequest-cleaner-controller": "certificate-controller",
        "persistentvolumeclaim-protection-controller": "pvc-protection-controller",
        "persistentvolume-protection-controller": "pv-protection-controller",
        "persistentvolume-binder-controller": "persistent-volume-binder",
        "persistentvolume-attach-detach-controller": "attachdetach-controller",
        "persistentvolume-expander-controller": "expand-controller",
        "ephemeral-volume-controller": "ephemeral-volume-controller",
        "resourceclaim-controller": "resource-claim-controller",
        "garbage-collector-controller": "generic-garbage-collector",
        "root-ca-certificate-publisher-controller": "root-ca-cert-publisher",
        "horizontal-pod-autoscaler-controller": "horizontal-pod-autoscaler",
        "bootstrap-signer-controller": "bootstrap-signer",
        "token-cleaner-controller": "token-cleaner",
    ]

    /// Those that upstream runs as the manager itself: what they need stands in the role system:kube-controller-manager.
    private static let managers: Set<String> = ["serviceaccount-token-controller"]

    /// The account of a controller by its name; nil: it is the manager.
    package static func account(of controller: String) -> String? { managers.contains(controller) ? nil : accounts[controller] ?? controller }
}

/// A way to the API server whose user is told later: a controller is made with its client, and its name is known only then. Nothing may be asked
/// before that.
final class LateTransport: KubeTransport {
    private let chosen = Mutex<(any KubeTransport)?>(nil)

    func choose(_ transport: any KubeTransport) { chosen.withLock { $0 = transport } }

    private func transport() throws -> any KubeTransport {
        guard let transport = chosen.withLock({ $0 }) else { throw StatusError.internalError("a controller asked before it was run") }
        return transport
    }

    func perform(_ request: KubeRequest) async throws -> Object { try await transport().perform(request) }

    func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> { try await transport().watch(request) }
}
