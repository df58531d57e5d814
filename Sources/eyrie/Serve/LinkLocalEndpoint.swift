import AWSServices
import ClusterLifecycle
import HTTPTransport
import Machines

/// The services once more, for machines and pods: on the host's link-local address, at the port of the AWS endpoint, with the instances' metadata. In
/// the clear, as instance metadata and pods' credentials are on AWS: what is sent there does not leave this host.
enum LinkLocalEndpoint {
    static func url(port: Int) -> String { "http://\(VPCNetwork.serviceAddress):\(port)" }

    /// Throws `CLIError` when the address is taken.
    static func start(port: Int, eks: EKSService, next: any HTTPResponder) async throws -> HTTPServer {
        try await VPCNetwork.createServiceInterface()
        let responder = InstanceMetadataService(
            metadata: { await eks.instanceMetadata(primaryAddress: $0) }, credentials: { try await eks.instanceCredentials(primaryAddress: $0) },
            next: next)
        let address = HTTPAddress.tcp(host: VPCNetwork.serviceAddress, port: port)
        do { return try await HTTPServer.start(.init(address: address), responder: responder) } catch HTTPError.connectFailed(let why) {
            throw CLIError(
                what: "The service cannot listen on \(address), where nodes and pods find it.", why: why,
                fix: "end the program that is in the way, or choose another port with --listen HOST:PORT")
        }
    }
}
