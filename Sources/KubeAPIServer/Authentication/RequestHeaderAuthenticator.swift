internal import Certificates
package import HTTPTransport
import KubeAPI
import Synchronization

/// A proxy in front that has authenticated the user and names it in headers, and proves by its certificate that it may. Upstream:
/// authenticator/request/headerrequest.
package final class RequestHeaderAuthenticator: RequestAuthenticator {
    /// Upstream: --requestheader-*.
    package struct Configuration: Sendable {
        /// The CA of the proxies' certificates, in PEM. It must be no other client CA: whoever holds one of its certificates can be anyone.
        package var clientCAPEM: String
        /// Common names of proxies; empty: all that the CA has signed.
        package var allowedNames: [String] = []
        package var usernameHeaders = ["X-Remote-User"]
        package var uidHeaders = ["X-Remote-Uid"]
        package var groupHeaders = ["X-Remote-Group"]
        package var extraHeaderPrefixes = ["X-Remote-Extra-"]

        package init(clientCAPEM: String) { self.clientCAPEM = clientCAPEM }
    }

    private let configuration: Configuration
    private let verifier: ClientCertificateVerifier
    /// The CA's certificates in DER: they make nobody a user by itself.
    let roots: [[UInt8]]
    /// Leaves that were judged, by the place of their bytes: those of one connection are the same ones.
    private let judged = Mutex<[ObjectAddress: (leaf: [UInt8], name: String?)]>([:])
    /// Connections of proxies remembered: there are few.
    private static let limit = 256

    /// Throws `CertificateError` when the CA cannot be read.
    package init(_ configuration: Configuration) throws {
        self.configuration = configuration
        verifier = try ClientCertificateVerifier(caPEM: configuration.clientCAPEM)
        roots = try PEM.der(configuration.clientCAPEM)
    }

    package func authenticateNow(_ head: HTTPRequestHead) throws -> ImmediateAuthentication {
        hasUser(head) ? .later : .notMine
    }

    private func hasUser(_ head: HTTPRequestHead) -> Bool {
        !head.connection.peerCertificates.isEmpty && configuration.usernameHeaders.contains { head.fields[$0] != nil }
    }

    package func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? {
        guard hasUser(head), let leaf = head.connection.peerCertificates.first else { return nil }
        guard let proxy = await proxyName(leaf, head.connection.peerCertificates) else { return nil }
        guard configuration.allowedNames.isEmpty || configuration.allowedNames.contains(proxy) else { throw StatusError.unauthorized }
        func first(_ names: [String]) -> String { names.lazy.compactMap { head.fields[$0] }.first { !$0.isEmpty } ?? "" }
        let name = first(configuration.usernameHeaders)
        guard !name.isEmpty else { return nil }
        var user = UserInfo(name: name, uid: first(configuration.uidHeaders))
        for header in configuration.groupHeaders { user.groups += head.fields.all(header) }
        for prefix in configuration.extraHeaderPrefixes {
            for (field, value) in head.fields.fields where field.count > prefix.count && field.lowercased().hasPrefix(prefix.lowercased()) {
                let raw = String(field.lowercased().dropFirst(prefix.count))
                user.extra[PercentEncoding.decode(raw) ?? raw, default: []].append(value)
            }
        }
        return user
    }

    /// The common name of a leaf that our CA vouches for; nil: it does not.
    private func proxyName(_ leaf: [UInt8], _ chain: [[UInt8]]) async -> String? {
        let address = ObjectAddress(leaf)
        if let known = judged.withLock({ $0[address] }) { return known.name }
        var name: String?
        if let validated = await verifier.validate(chain), let first = validated.first {
            // It was parsed a moment ago.
            name = (try? CertificateSubject.read(der: first))?.commonName
        }
        judged.withLock { judged in
            if judged.count >= Self.limit { judged.removeAll() }
            judged[address] = (leaf, name)
        }
        return name
    }
}

/// The place of an array's bytes: as long as somebody holds the array, no other array is there.
struct ObjectAddress: Hashable, Sendable {
    private let address: UInt

    init(_ bytes: [UInt8]) { address = bytes.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) } }
}
