internal import KubeAPI
internal import KubeAPIServer
internal import KubeClient
internal import Logging

/// Runs what only one may run of a cluster while it holds its Lease in kube-system, as on EKS. Upstream: leaderElectAndRun in
/// cmd/kube-controller-manager, and cmd/kube-scheduler.
struct Leaders: Sendable {
    let server: APIServer
    /// Those that everybody shares; who loses the Lease no longer hears of them.
    let informers: InformerFactory
    let identity: String

    /// The holder's name, `HOST_UUID`. The UUID is the cluster's own, that of its namespace kube-system: the lock on the service's data leaves the
    /// cluster to one process at a time, so a process that follows a killed one is the holder of that one's Leases at once. The host is called as
    /// the control plane's instance by its address in the VPC.
    static func identity(cluster uid: String, address: String?) -> String {
        let host = address.map { "ip-" + $0.split(separator: ".").joined(separator: "-") } ?? "control-plane"
        return "\(host)_\(uid)"
    }

    /// Runs `lead` with a view of the informers each time the Lease is got, until cancelled. `name` is the Lease's and its user's: `kube-scheduler`.
    func run(_ name: String, component: String, _ logger: Logger, _ lead: @escaping @Sendable (InformerFactory) async -> Void) async {
        let client = KubeClient(transport: InProcessTransport(server, user: UserInfo(name: "system:\(name)", groups: [])))
        let elector = LeaderElector(client: client, name: name, identity: identity, component: component, logger: logger)
        await elector.run {
            let view = informers.makeView()
            await lead(view)
            view.removeHandlers()
        }
    }
}
