internal import Certificates
internal import HTTPTransport
internal import KubeAPI
internal import KubeAPIServer

#if canImport(Glibc)
    internal import Glibc
#endif

/// A cluster's keys and certificates, in its directory: its CAs, the API server's serving certificate, the API server's client certificate for
/// kubelets, and the service-account key. All private keys are files of mode 0600.
struct ClusterPKI: Sendable {
    /// The first CA lives ten years, as EKS's and kubeadm's do, its successors five, as EKS's; leaves one year, made anew at each start.
    private static let authorityLifetime: Int64 = 10 * 365 * 86400
    private static let successorLifetime: Int64 = 5 * 365 * 86400
    private static let leafLifetime: Int64 = 365 * 86400
    /// Clocks of clients may lag: certificates count from a little before now.
    private static let backdating: Int64 = 300
    /// Who may name users in headers. Upstream: kubeadm's --requestheader-allowed-names.
    static let frontProxyName = "front-proxy-client"

    /// The one that signs.
    let authority: CertificateAuthority
    /// The certificates of all that are believed, the signer's first.
    let bundlePEM: String
    /// Vouches for nothing but the API server's word towards extension servers: kept apart, so that no client's certificate can pass for it.
    let frontProxyAuthority: CertificateAuthority
    let serviceAccountKeyPEM: String

    /// Loads what `directory` holds, or makes it. Throws on files that cannot be read, written, or do not fit together.
    init(directory: String, authorities: ClusterAuthorities = .initial) throws {
        authority = try Self.authority(authorities.signer, in: directory)
        bundlePEM = try authorities.ordered.map { try Self.authority($0, in: directory).certificatePEM }.joined()
        frontProxyAuthority = try Self.authority("\(directory)/front-proxy-ca", commonName: "front-proxy-ca", lifetime: Self.authorityLifetime)
        let accountPath = "\(directory)/service-account.key"
        if let key = try PrivateFile.read(accountPath) {
            serviceAccountKeyPEM = key
        } else {
            serviceAccountKeyPEM = ServiceAccountTokenIssuer.makePrivateKeyPEM()
            try SecretFile.write(accountPath, Array(serviceAccountKeyPEM.utf8))
        }
    }

    /// One of the cluster's CAs, made when it is not there. Each has a name of its own: verifiers look for issuers by name.
    static func authority(_ name: String, in directory: String) throws -> CertificateAuthority {
        guard name != ClusterAuthorities.initialName else {
            return try authority("\(directory)/\(name)", commonName: "kubernetes", lifetime: authorityLifetime)
        }
        return try authority("\(directory)/\(name)", commonName: "kubernetes-\(name.prefix(11))", lifetime: successorLifetime)
    }

    /// Removes a CA that is believed no more. Removing what is not there succeeds. Throws on files that stay.
    static func removeAuthority(_ name: String, in directory: String) throws {
        for path in ["\(directory)/\(name).key", "\(directory)/\(name).pem"] where unlink(path) != 0 && errno != ENOENT {
            throw ControlPlaneError.file(path, errno)
        }
    }

    /// The CA in the files `PATH.pem` and `PATH.key`, made when they are not there.
    private static func authority(_ path: String, commonName: String, lifetime: Int64) throws -> CertificateAuthority {
        if let certificate = try PrivateFile.read("\(path).pem"), let key = try PrivateFile.read("\(path).key") {
            return try CertificateAuthority(certificatePEM: certificate, privateKeyPEM: key)
        }
        let authority = try CertificateAuthority(commonName: commonName, validity: validity(lifetime))
        // The key first: a certificate without its key would be found complete and be useless.
        try SecretFile.write("\(path).key", Array(authority.privateKeyPEM.utf8))
        try SecretFile.write("\(path).pem", Array(authority.certificatePEM.utf8))
        return authority
    }

    /// The API server's serving identity for the names and addresses clients use.
    func apiServer(addresses: [String]) throws -> TLSIdentity {
        try identity(
            LeafRequest(
                commonName: "kube-apiserver",
                dnsNames: ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"],
                ipAddresses: addresses, usage: .server, validity: Self.validity(Self.leafLifetime)))
    }

    /// The API server's identity towards kubelets. Upstream: kubeadm's apiserver-kubelet-client.
    func kubeletClient() throws -> TLSIdentity {
        try identity(
            LeafRequest(
                commonName: "kube-apiserver-kubelet-client", organizations: ["system:masters"], usage: .client,
                validity: Self.validity(Self.leafLifetime)))
    }

    /// The API server's identity towards extension API servers. Upstream: kubeadm's front-proxy-client.
    func frontProxyClient() throws -> TLSIdentity {
        let leaf = try frontProxyAuthority.issue(
            LeafRequest(commonName: Self.frontProxyName, usage: .client, validity: Self.validity(Self.leafLifetime)))
        return TLSIdentity(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
    }

    /// A node's identity towards the API server, its kubelet's serving identity, and the identity of its service proxy and DNS.
    func node(name: String, addresses: [String], lifetime: Int64) throws -> (client: TLSIdentity, server: TLSIdentity, proxy: TLSIdentity) {
        let validity = Self.validity(lifetime)
        let client = try identity(
            LeafRequest(
                commonName: "system:node:\(name)", organizations: ["system:nodes"], usage: .client, validity: validity))
        let server = try identity(
            LeafRequest(
                commonName: "system:node:\(name)", organizations: ["system:nodes"], dnsNames: [name], ipAddresses: addresses, usage: .server,
                validity: validity))
        let proxy = try identity(LeafRequest(commonName: "system:kube-proxy", usage: .client, validity: validity))
        return (client, server, proxy)
    }

    private func identity(_ request: LeafRequest) throws -> TLSIdentity {
        let leaf = try authority.issue(request)
        return TLSIdentity(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
    }

    private static func validity(_ lifetime: Int64) -> CertificateValidity {
        let now = Timestamp.now.seconds
        return CertificateValidity(notBefore: now - backdating, notAfter: now + lifetime)
    }
}

/// Reads small private files whole.
enum PrivateFile {
    /// Bytes at most: keys and certificates are far smaller.
    private static let limit = 1 << 20

    /// The file's text; nil when there is none. Throws when there is one that cannot be read.
    static func read(_ path: String) throws -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw ControlPlaneError.file(path, errno) }
            return nil
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = Glibc.read(descriptor, &bytes, limit)
        guard count >= 0 else { throw ControlPlaneError.file(path, errno) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}

/// Why a control plane could not be started.
package enum ControlPlaneError: Error, CustomStringConvertible {
    /// A file that cannot be used, with the system's error.
    case file(String, Int32)
    case notReady(String)
    case address(String)
    case volume(String)

    package var description: String {
        switch self {
        case .file(let path, let code): "cannot use \(path): \(String(cString: strerror(code)))"
        case .notReady(let why): "the control plane is not ready: \(why)"
        case .address(let why), .volume(let why): why
        }
    }
}
