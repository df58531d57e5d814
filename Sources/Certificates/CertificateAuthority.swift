/// From when to when a certificate is valid, in seconds since 1970-01-01 UTC.
package struct CertificateValidity: Sendable, Hashable {
    package var notBefore: Int64
    package var notAfter: Int64
    package init(notBefore: Int64, notAfter: Int64) { self.notBefore = notBefore; self.notAfter = notAfter }
}
/// What to put into a leaf certificate.
package struct LeafRequest: Sendable {
    package enum Usage: Sendable { case server, client, both }
    package var commonName: String
    package var organizations: [String]
    package var dnsNames: [String]
    package var ipAddresses: [String]
    package var usage: Usage
    package var validity: CertificateValidity
    package init(commonName: String, organizations: [String] = [], dnsNames: [String] = [], ipAddresses: [String] = [], usage: Usage, validity: CertificateValidity) {
        self.commonName = commonName; self.organizations = organizations; self.dnsNames = dnsNames; self.ipAddresses = ipAddresses
        self.usage = usage; self.validity = validity
    }
}
package struct Leaf: Sendable {
    package var certificatePEM: String
    package var privateKeyPEM: String
}
package struct CertificateAuthority: Sendable {
    package var certificatePEM: String { fatalError("being written") }
    package var privateKeyPEM: String { fatalError("being written") }
    package init(commonName: String, validity: CertificateValidity) throws { fatalError("being written") }
    package init(certificatePEM: String, privateKeyPEM: String) throws { fatalError("being written") }
    package func issue(_ request: LeafRequest) throws -> Leaf { fatalError("being written") }
}
/// Who a certificate names, and when it is valid.
package struct CertificateSubject: Sendable, Hashable {
    package var commonName: String
    package var organizations: [String]
    package var notBefore: Int64
    package var notAfter: Int64
    package var serial: [UInt8]
    package static func read(der: [UInt8]) throws -> CertificateSubject { fatalError("being written") }
}
package enum SecretFile {
    package static func write(_ path: String, _ bytes: [UInt8]) throws { fatalError("being written") }
}
package enum PEM {
    package static func der(_ pem: String) throws -> [[UInt8]] { fatalError("being written") }
    package static func encode(_ der: [UInt8], label: String = "CERTIFICATE") -> String { fatalError("being written") }
}
