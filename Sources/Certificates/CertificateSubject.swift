import SwiftASN1
import X509

/// Whom a certificate names, and when it is valid: what authentication reads from a client's certificate.
/// Upstream: apiserver's x509.CommonNameUserConversion (user = common name, groups = organizations).
package struct CertificateSubject: Sendable, Hashable {
    /// Empty when the certificate has none.
    package var commonName: String
    package var organizations: [String]
    /// Seconds since 1970-01-01 UTC.
    package var notBefore: Int64
    package var notAfter: Int64
    /// Big-endian.
    package var serial: [UInt8]
    /// DNS names and IP addresses (as bytes in network order) of the subject alternative name.
    package var dnsNames: [String]
    package var ipAddresses: [[UInt8]]

    package init(
        commonName: String, organizations: [String], notBefore: Int64, notAfter: Int64, serial: [UInt8], dnsNames: [String] = [],
        ipAddresses: [[UInt8]] = []
    ) {
        self.commonName = commonName
        self.organizations = organizations
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.serial = serial
        self.dnsNames = dnsNames
        self.ipAddresses = ipAddresses
    }

    /// Reads a certificate in DER. Verifies nothing. Throws `CertificateError.malformed`.
    package static func read(der: [UInt8]) throws -> CertificateSubject {
        do {
            let certificate = try Certificate(derEncoded: der)
            var subject = CertificateSubject(
                commonName: "", organizations: [], notBefore: Int64(certificate.notValidBefore.timeIntervalSince1970),
                notAfter: Int64(certificate.notValidAfter.timeIntervalSince1970), serial: Array(certificate.serialNumber.bytes))
            (subject.commonName, subject.organizations) = names(certificate.subject)
            for name in try certificate.extensions.subjectAlternativeNames ?? SubjectAlternativeNames() {
                switch name {
                case .dnsName(let name): subject.dnsNames.append(name)
                case .ipAddress(let bytes): subject.ipAddresses.append(Array(bytes.bytes))
                default: break
                }
            }
            return subject
        } catch {
            throw CertificateError.malformed("the certificate cannot be read: \(error)")
        }
    }

    /// Reads the first certificate of a PEM text.
    package static func read(pem: String) throws -> CertificateSubject {
        guard let der = try PEM.der(pem).first else { throw CertificateError.malformed("there is no certificate in the PEM") }
        return try read(der: der)
    }

    static func names(_ name: DistinguishedName) -> (commonName: String, organizations: [String]) {
        var commonName = ""
        var organizations: [String] = []
        for attribute in name.lazy.flatMap({ $0 }) {
            guard let text = String(attribute.value) else { continue }
            switch attribute.type {
            // As Go does: the last one counts.
            case .RDNAttributeType.commonName: commonName = text
            case .RDNAttributeType.organizationName: organizations.append(text)
            default: break
            }
        }
        return (commonName, organizations)
    }
}

/// A PKCS#10 request to certify a key. Upstream: crypto/x509.ParseCertificateRequest, certificates.k8s.io.
package struct SigningRequest: Sendable {
    package let commonName: String
    package let organizations: [String]
    package let dnsNames: [String]
    /// In network order, 4 or 16 bytes.
    package let ipAddresses: [[UInt8]]
    package let emailAddresses: [String]
    package let uris: [String]
    let publicKey: Certificate.PublicKey

    /// Reads a request in PEM (`CERTIFICATE REQUEST`) and checks its signature. Throws `CertificateError.malformed`.
    package init(pem: String) throws {
        let request: CertificateSigningRequest
        var dnsNames: [String] = []
        var ipAddresses: [[UInt8]] = []
        var emailAddresses: [String] = []
        var uris: [String] = []
        do {
            request = try CertificateSigningRequest(pemEncoded: pem)
            for name in try request.attributes.extensionRequest?.extensions.subjectAlternativeNames ?? SubjectAlternativeNames() {
                switch name {
                case .dnsName(let name): dnsNames.append(name)
                case .ipAddress(let bytes): ipAddresses.append(Array(bytes.bytes))
                case .rfc822Name(let name): emailAddresses.append(name)
                case .uniformResourceIdentifier(let uri): uris.append(uri)
                default: break
                }
            }
        } catch {
            throw CertificateError.malformed("the certificate request cannot be read: \(error)")
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw CertificateError.malformed("the certificate request's signature is wrong")
        }
        publicKey = request.publicKey
        self.dnsNames = dnsNames
        self.ipAddresses = ipAddresses
        self.emailAddresses = emailAddresses
        self.uris = uris
        (commonName, organizations) = CertificateSubject.names(request.subject)
    }
}
