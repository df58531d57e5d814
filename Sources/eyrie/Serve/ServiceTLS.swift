import Certificates
import HTTPTransport
import KubeAPI
import Processes

/// The service's own CA and the AWS endpoint's certificate. Clients trust it by `AWS_CA_BUNDLE`.
enum ServiceTLS {
    private static let authorityLifetime: Int64 = 10 * 365 * 86400
    private static let leafLifetime: Int64 = 365 * 86400
    private static let backdating: Int64 = 300

    /// Loads the CA of the data directory, or makes it, and issues a certificate for `host`.
    static func identity(_ directory: DataDirectory, host: String) throws -> TLSIdentity {
        let now = Timestamp.now.seconds
        let authority: CertificateAuthority
        if let certificate = SmallFile.readText(directory.certificateAuthority), let key = SmallFile.readText(directory.certificateAuthorityKey) {
            authority = try CertificateAuthority(certificatePEM: certificate, privateKeyPEM: key)
        } else {
            authority = try CertificateAuthority(
                commonName: "Eyrie", validity: CertificateValidity(notBefore: now - backdating, notAfter: now + authorityLifetime))
            try SecretFile.write(directory.certificateAuthorityKey, Array(authority.privateKeyPEM.utf8))
            try SmallFile.write(directory.certificateAuthority, Array(authority.certificatePEM.utf8), mode: 0o644)
        }
        let isAddress = host.allSatisfy { $0.isNumber || $0 == "." } || host.contains(":")
        let leaf = try authority.issue(
            LeafRequest(
                commonName: "eyrie", dnsNames: isAddress ? ["localhost"] : ["localhost", host],
                ipAddresses: Array(Set(["127.0.0.1"] + (isAddress ? [host] : []))),
                usage: .server, validity: CertificateValidity(notBefore: now - backdating, notAfter: now + leafLifetime)))
        return TLSIdentity(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
    }
}
