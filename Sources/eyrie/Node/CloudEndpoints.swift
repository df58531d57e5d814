import HTTPTransport
import Logging
import NodeIdentity

/// The agent's answers for the cloud: instance metadata and Pod Identity, each at its link-local address of the machine.
enum CloudEndpoints {
    private static let port = 80

    /// What could be started. A machine without the addresses, made before there were any, does without.
    static func start(_ cloud: NodeCloud?) async -> [HTTPServer] {
        guard let cloud else { return [] }
        let logger = Logger(label: "eyrie.node")
        do {
            let transport = try HTTPCloudTransport(cloud)
            let credentials = NodeCredentials(transport: transport)
            let responders: [(String, any HTTPResponder)] = [
                (InstanceMetadataEndpoint.address, InstanceMetadataEndpoint(cloud, transport: transport)),
                (
                    PodIdentityAgent.address,
                    PodIdentityAgent(cloud, transport: transport, credentials: credentials, logger: Logger(label: "eyrie.podidentity"))
                ),
            ]
            var servers: [HTTPServer] = []
            for (address, responder) in responders {
                do { servers.append(try await HTTPServer.start(.init(address: .tcp(host: address, port: port)), responder: responder)) } catch {
                    logger.warning("the node does not answer for the cloud", metadata: ["address": "\(address)", "error": "\(error)"])
                }
            }
            return servers
        } catch {
            logger.warning("the node does not answer for the cloud", metadata: ["error": "\(error)"])
            return []
        }
    }
}
