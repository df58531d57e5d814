import HTTPTransport
import Synchronization

/// The kubelet's port: its certificates may be replaced while it listens.
final class KubeletListener: Sendable {
    private struct State {
        var tls: HTTPServer.TLS
        var server: HTTPServer?
    }

    private let address: HTTPAddress
    private let state: Mutex<State>

    init(_ configuration: KubeletConfiguration.Server) {
        address = .tcp(host: configuration.address, port: configuration.port)
        state = Mutex(State(tls: HTTPServer.TLS(identity: configuration.identity, clientCAPEM: configuration.clientCAPEM)))
    }

    /// Throws what keeps it from listening.
    func start(_ responder: any HTTPResponder) async throws {
        let tls = state.withLock { $0.tls }
        let server = try await HTTPServer.start(HTTPServer.Configuration(address: address, tls: tls), responder: responder)
        state.withLock { $0.server = server }
    }

    /// Throws for certificates that cannot be used, and goes on as before. One that does not listen yet begins with them.
    func renew(_ identity: TLSIdentity, clientCAPEM: String) throws {
        let tls = HTTPServer.TLS(identity: identity, clientCAPEM: clientCAPEM)
        let server = state.withLock { state in
            state.tls = tls
            return state.server
        }
        try server?.renew(tls)
    }

    func stop() async { await state.withLock { $0.server }?.stop(grace: .seconds(1)) }
}
