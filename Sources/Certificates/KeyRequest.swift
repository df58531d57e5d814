import Crypto
import Glibc
import SwiftASN1
import X509

/// A new key, and the request (PKCS#10) to certify it. Upstream: client-go/util/cert.MakeCSRFromTemplate.
package struct KeyRequest: Sendable {
    /// `CERTIFICATE REQUEST`.
    package let requestPEM: String
    /// PKCS#8: a secret.
    package let privateKeyPEM: String

    /// Throws `CertificateError.invalidRequest` for an empty name, and for what is no IP address.
    package init(commonName: String, organizations: [String] = [], dnsNames: [String] = [], ipAddresses: [String] = []) throws {
        guard !commonName.isEmpty else { throw CertificateError.invalidRequest("a certificate needs a common name") }
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        // Groups before the user, as Go's pkix.Name writes them.
        let attributes =
            organizations.map { RelativeDistinguishedName.Attribute(type: .RDNAttributeType.organizationName, utf8String: $0) }
            + [RelativeDistinguishedName.Attribute(type: .RDNAttributeType.commonName, utf8String: commonName)]
        let names =
            dnsNames.map { GeneralName.dnsName($0) }
            + (try ipAddresses.map { .ipAddress(ASN1OctetString(contentBytes: try CertificateAuthority.addressBytes($0)[...])) })
        let extensions = try Certificate.Extensions { if !names.isEmpty { SubjectAlternativeNames(names) } }
        let wishes = names.isEmpty ? [] : [try CertificateSigningRequest.Attribute(ExtensionRequest(extensions: extensions))]
        let request = try CertificateSigningRequest(
            version: .v1, subject: try DistinguishedName(attributes), privateKey: key, attributes: CertificateSigningRequest.Attributes(wishes),
            signatureAlgorithm: .ecdsaWithSHA256)
        requestPEM = try request.serializeAsPEM().pemString + "\n"
        privateKeyPEM = try key.serializeAsPEM().pemString + "\n"
    }
}
