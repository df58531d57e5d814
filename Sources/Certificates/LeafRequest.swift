/// From when to when a certificate is valid, in seconds since 1970-01-01 UTC, both ends included.
package struct CertificateValidity: Sendable, Hashable {
    package var notBefore: Int64
    package var notAfter: Int64

    package init(notBefore: Int64, notAfter: Int64) {
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// How far certificates are dated back, for machines whose clocks are behind. Upstream: csr signer's default backdate, cert-util's 5 minutes.
    private static let backdateSeconds: Int64 = 300

    /// Valid for `seconds` from `now`, dated back a little for machines whose clocks are behind.
    package init(now: Int64, seconds: Int64) {
        notBefore = now &- Self.backdateSeconds
        notAfter = now &+ seconds
    }

    package static let dayInSeconds: Int64 = 86_400
    package static let yearInSeconds: Int64 = 365 * 86_400
}

/// What to put into a leaf certificate.
package struct LeafRequest: Sendable {
    /// Which end of TLS the certificate is for (extended key usage).
    package enum Usage: Sendable, Hashable { case server, client, both }

    /// The user name, for clients of the Kubernetes API.
    package var commonName: String
    /// The groups, for clients of the Kubernetes API.
    package var organizations: [String]
    package var dnsNames: [String]
    /// IPv4 or IPv6, as text.
    package var ipAddresses: [String]
    package var usage: Usage
    package var validity: CertificateValidity

    package init(
        commonName: String, organizations: [String] = [], dnsNames: [String] = [], ipAddresses: [String] = [], usage: Usage,
        validity: CertificateValidity
    ) {
        self.commonName = commonName
        self.organizations = organizations
        self.dnsNames = dnsNames
        self.ipAddresses = ipAddresses
        self.usage = usage
        self.validity = validity
    }
}

/// A certificate and its key. The key is a secret: write it with `SecretFile`, never log it.
package struct Leaf: Sendable {
    package var certificatePEM: String
    /// PKCS#8.
    package var privateKeyPEM: String

    package init(certificatePEM: String, privateKeyPEM: String) {
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
    }
}

/// Why a certificate could not be made or read.
package enum CertificateError: Error, Sendable, Equatable, CustomStringConvertible {
    case malformed(String)
    case invalidRequest(String)
    case file(String)

    package var description: String {
        switch self {
        case .malformed(let text), .invalidRequest(let text), .file(let text): text
        }
    }
}
