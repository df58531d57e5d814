import HTTPTransport
import KubeAPI
import KubeClient
import Logging
import NodeIdentity

/// The agent's answers for the cloud, each at its link-local address of the machine: instance metadata always, Pod Identity while the add-on's service
/// account stands in kube-system.
struct CloudEndpoints: Sendable {
    private static let port = 80
    private static let agentAccount = "eks-pod-identity-agent"

    private let metadata: InstanceMetadataEndpoint
    private let podIdentity: PodIdentityAgent
    /// Where the Pod Identity agent answers.
    private let agentAddresses: [String]
    private let informers: InformerFactory
    private let logger = Logger(label: "eyrie.node")

    /// Nil for a machine that was told nothing of the cloud. Throws for an address that is none.
    init?(_ cloud: NodeCloud?, client: KubeClient) throws {
        guard let cloud else { return nil }
        let transport = try HTTPCloudTransport(cloud)
        metadata = InstanceMetadataEndpoint(cloud, transport: transport)
        agentAddresses = [PodIdentityAgent.address] + (cloud.isIPv6 ? [PodIdentityAgent.ipv6Address] : [])
        podIdentity = PodIdentityAgent(
            cloud, transport: transport, credentials: NodeCredentials(transport: transport), logger: Logger(label: "eyrie.podidentity"))
        informers = InformerFactory(client: client, logger: logger)
    }

    /// Runs until the task is cancelled.
    func run() async {
        let (wanted, want) = AsyncStream.makeStream(of: Bool.self)
        let accounts = informers.informer(for: .serviceAccounts, namespace: "kube-system", fieldSelector: "metadata.name=\(Self.agentAccount)")
        accounts.addHandler(InformerHandler(added: { _ in want.yield(true) }, updated: { _, _ in }, deleted: { _ in want.yield(false) }))
        let metadata = await start(InstanceMetadataEndpoint.address, metadata)
        await withDiscardingTaskGroup { group in
            group.addTask { await informers.run() }
            group.addTask {
                var servers: [HTTPServer] = []
                for await isWanted in wanted where isWanted == servers.isEmpty {
                    if isWanted {
                        for address in agentAddresses { if let server = await start(address, podIdentity) { servers.append(server) } }
                    } else {
                        for server in servers { await server.stop(grace: .seconds(1)) }
                        servers = []
                    }
                }
                for server in servers { await server.stop(grace: .zero) }
            }
        }
        await metadata?.stop(grace: .zero)
    }

    /// Nil where the address cannot be had: on a machine made before there were any.
    private func start(_ address: String, _ responder: any HTTPResponder) async -> HTTPServer? {
        do { return try await HTTPServer.start(.init(address: .tcp(host: address, port: Self.port)), responder: responder) } catch {
            logger.warning("the node does not answer for the cloud", metadata: ["address": "\(address)", "error": "\(error)"])
            return nil
        }
    }
}
