import Certificates
import HTTPTransport
import Processes

/// The certificates that the node has asked for itself, each with its key in a file of mode 0600. Upstream: client-go/util/certificate.FileStore.
struct RotatedCertificates: Sendable {
    /// Which of the node's identities.
    enum Kind: String, Sendable, CaseIterable {
        case client = "kubelet-client"
        case server = "kubelet-server"
        case proxy = "kube-proxy"
    }

    let directory: String

    private func path(_ kind: Kind) -> String { "\(directory)/\(kind.rawValue)-current.pem" }

    /// Throws what keeps it from being written.
    func store(_ identity: TLSIdentity, as kind: Kind) throws {
        try SmallFile.makeDirectory(directory)
        try SmallFile.write(path(kind), Array((identity.certificateChainPEM + identity.privateKeyPEM).utf8))
    }

    /// `certificates` with those that were asked for since they were made: of two the one that was issued later counts.
    func merged(into certificates: NodeCertificates) -> NodeCertificates {
        var merged = certificates
        for kind in Kind.allCases {
            guard let given = certificates[kind], let own = read(kind), Self.issued(own) > Self.issued(given) else { continue }
            merged[kind] = own
        }
        return merged
    }

    /// A file that cannot be read counts as none: the node then begins with what the service gave it.
    private func read(_ kind: Kind) -> TLSIdentity? {
        guard let text = SmallFile.readText(path(kind)), let key = try? PEM.der(text, label: "PRIVATE KEY").first,
            let chain = try? PEM.der(text), !chain.isEmpty
        else { return nil }
        return TLSIdentity(
            certificateChainPEM: chain.map { PEM.encode($0) }.joined(), privateKeyPEM: PEM.encode(key, label: "PRIVATE KEY"))
    }

    private static func issued(_ identity: TLSIdentity) -> Int64 {
        // One that cannot be read is older than any.
        (try? CertificateSubject.read(pem: identity.certificateChainPEM))?.notBefore ?? .min
    }
}

extension NodeCertificates {
    subscript(kind: RotatedCertificates.Kind) -> TLSIdentity? {
        get {
            switch kind {
            case .client: client
            case .server: server
            case .proxy: proxy
            }
        }
        set {
            switch kind {
            case .client: client = newValue ?? client
            case .server: server = newValue ?? server
            case .proxy: proxy = newValue
            }
        }
    }
}
