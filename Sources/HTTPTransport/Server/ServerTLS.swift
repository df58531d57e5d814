import Glibc
import NIOCore
import NIOSSL
import Synchronization

/// A listener's TLS: a context for each identity, and what is known of clients' certificates.
final class ServerTLS: Sendable {
    /// Contexts kept for server names; one takes some tens of kilobytes. Far more than the clusters of one process.
    private static let maximumContexts = 1024
    /// Certificates of a chain that are looked at: real chains have two or three.
    private static let maximumChainLength = 8

    private let tls: HTTPServer.TLS
    private let clientCAs: [NIOSSLCertificate]
    private let fallback: NIOSSLContext
    private let contexts = Mutex<[TLSIdentity: NIOSSLContext]>([:])
    private let clients = VerifiedClients()

    /// Throws `HTTPError.tls` for PEM that cannot be used.
    init(_ tls: HTTPServer.TLS) throws {
        self.tls = tls
        do {
            clientCAs = try tls.clientCAPEM.map { try NIOSSLCertificate.fromPEMBytes(Array($0.utf8)) } ?? []
            fallback = try Self.makeContext(tls.identity, clientCAs: clientCAs)
        } catch {
            throw HTTPError.tls("the server's certificate, key or client CA cannot be used: \(error)")
        }
    }

    private static func makeContext(_ identity: TLSIdentity, clientCAs: [NIOSSLCertificate]) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(identity.certificateChainPEM.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(identity.privateKeyPEM.utf8), format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["h2", "http/1.1"]
        // Clients that keep a connection in reserve do not read from it, and so never answer its closing alert: a server that stops would wait for
        // each.
        configuration.shutdownTimeout = .milliseconds(300)
        if !clientCAs.isEmpty {
            configuration.certificateVerification = .optionalVerification
            configuration.trustRoots = .certificates(clientCAs)
            configuration.sendCANameList = true
        }
        return try NIOSSLContext(configuration: configuration)
    }

    /// The TLS handler for a connection whose client asked for `serverName`.
    func makeHandler(serverName: String?) throws -> NIOSSLServerHandler {
        let context = try context(for: serverName)
        guard !clientCAs.isEmpty, let verify = tls.verifyClientChain else { return NIOSSLServerHandler(context: context) }
        return NIOSSLServerHandler(context: context) { certificates, promise in
            // An unacceptable certificate must not end the handshake: the responder tells the client, in words.
            promise.completeWithTask {
                guard certificates.count <= Self.maximumChainLength else { return .certificateVerified(VerificationMetadata(nil)) }
                let chain = try certificates.map { try $0.toDERBytes() }
                guard let validated = await verify(chain), !validated.isEmpty else { return .certificateVerified(VerificationMetadata(nil)) }
                let certificates = try validated.map { try NIOSSLCertificate(bytes: $0, format: .der) }
                return .certificateVerified(VerificationMetadata(ValidatedCertificateChain(certificates)))
            }
        }
    }

    /// Whether whoever is known by the other's CAs is known by these.
    func believes(allOf other: ServerTLS) -> Bool { other.clientCAs.allSatisfy { clientCAs.contains($0) } }

    private func context(for serverName: String?) throws -> NIOSSLContext {
        guard let serverName, let identity = tls.identityForServerName?(serverName) else { return fallback }
        if let known = contexts.withLock({ $0[identity] }) { return known }
        let made = try Self.makeContext(identity, clientCAs: clientCAs)
        contexts.withLock { contexts in
            // Renewed certificates leave their predecessors behind; starting over is rare and cheap.
            if contexts.count >= Self.maximumContexts { contexts.removeAll() }
            contexts[identity] = made
        }
        return made
    }

    /// The client's verified chain in DER, leaf first, after the handshake; empty when it showed none that counts.
    func peerCertificates(_ handler: NIOSSLServerHandler) -> [[UInt8]] {
        guard !clientCAs.isEmpty, let leaf = handler.peerCertificate, let leafDER = der(leaf) else { return [] }
        let expiry = leaf.notValidAfter
        guard expiry > time(nil) else { return [] }
        guard tls.verifyClientChain != nil else { return [leafDER] }
        if let chain = handler.peerValidatedCertificateChain {
            let ders = chain.compactMap(der)
            guard ders.first == leafDER else { return [] }
            clients.remember(ders)
            return ders
        }
        // A resumed session shows the certificate of the session's first handshake without judging it again: only a chain that passed then counts.
        return clients.chain(ofLeaf: leafDER) ?? []
    }

    private func der(_ certificate: NIOSSLCertificate) -> [UInt8]? {
        do { return try certificate.toDERBytes() } catch { return nil }  // A certificate that cannot be written down again is none.
    }
}

/// Chains that passed verification on this listener, by leaf.
private final class VerifiedClients: Sendable {
    /// Enough for the nodes and controllers of many clusters; who falls out does a full handshake once more or is asked to sign in.
    private static let limit = 8192
    private let chains = Mutex<[[UInt8]: [[UInt8]]]>([:])

    func remember(_ chain: [[UInt8]]) {
        guard let leaf = chain.first else { return }
        chains.withLock { chains in
            if chains.count >= Self.limit, chains[leaf] == nil, let victim = chains.keys.first { chains[victim] = nil }
            chains[leaf] = chain
        }
    }

    func chain(ofLeaf leaf: [UInt8]) -> [[UInt8]]? { chains.withLock { $0[leaf] } }
}

/// The TLS that a listener's next connections are made with.
final class CurrentTLS: Sendable {
    private let current: Mutex<ServerTLS>

    init(_ tls: ServerTLS) { current = Mutex(tls) }

    var value: ServerTLS { current.withLock { $0 } }

    /// The one before.
    func exchange(_ tls: ServerTLS) -> ServerTLS {
        current.withLock { current in
            defer { current = tls }
            return current
        }
    }
}
