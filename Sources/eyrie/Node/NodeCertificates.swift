import ControlPlane
import HTTPTransport
import KubeAPI
import Machines
import Processes

/// Whom a node believes and who it is: the CAs of its cluster, and its identities as kubelet, as the kubelet's server and as service proxy. One file,
/// which the service replaces as a whole.
struct NodeCertificates: Sendable {
    /// Which of the cluster's CAs it goes by; empty for the files of an earlier version.
    let revision: String
    /// Certificates in PEM.
    let authorities: String
    var client: TLSIdentity
    var server: TLSIdentity
    /// A machine made by an early version has none.
    var proxy: TLSIdentity?

    /// Throws for a file that is missing or incomplete.
    init(_ paths: MachinePaths) throws {
        guard let bytes = SmallFile.read("\(paths.bootstrap)/\(ClusterAuthorities.nodeFile)") else {
            self = try Self(separateFiles: paths)
            return
        }
        let root = try JSONDocument(bytes).root
        func text(_ view: JSONView?, _ name: String) throws -> String {
            guard let text = view?.string else {
                throw CLIError(what: "The machine's file \(ClusterAuthorities.nodeFile) has no \(name).", why: nil, fix: nil)
            }
            return text
        }
        func identity(_ name: String) throws -> TLSIdentity {
            TLSIdentity(
                certificateChainPEM: try text(root[name]["certificate"], "\(name).certificate"),
                privateKeyPEM: try text(root[name]["key"], "\(name).key"))
        }
        revision = try text(root["revision"], "revision")
        authorities = try text(root["authorities"], "authorities")
        client = try identity("client")
        server = try identity("server")
        proxy = try identity("proxy")
    }

    /// The files of machines made by an earlier version.
    private init(separateFiles paths: MachinePaths) throws {
        func text(_ name: String) throws -> String { String(decoding: try NodeBootstrapFiles.read(name, paths), as: UTF8.self) }
        revision = ""
        authorities = try text("ca.pem")
        client = TLSIdentity(certificateChainPEM: try text("client.pem"), privateKeyPEM: try text("client.key"))
        server = TLSIdentity(certificateChainPEM: try text("server.pem"), privateKeyPEM: try text("server.key"))
        proxy = SmallFile.readText("\(paths.bootstrap)/proxy.pem").flatMap { chain in
            SmallFile.readText("\(paths.bootstrap)/proxy.key").map { TLSIdentity(certificateChainPEM: chain, privateKeyPEM: $0) }
        }
    }

    /// What the node's object says of them: by it the service knows that they are in use.
    var annotations: [String: String] { [ClusterAuthorities.nodeAnnotation: revision] }
}
