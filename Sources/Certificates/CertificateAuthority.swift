import Crypto
import FoundationEssentials
import Glibc
import SwiftASN1
import X509

/// A certificate authority with an ECDSA P-256 key that signs leaf certificates directly. Upstream: kubeadm's certs phase,
/// crypto/x509.CreateCertificate.
///
/// What it makes passes the strictest verifiers in use: key identifiers on both sides, critical basic constraints and key usage, SAN for every
/// name.
package struct CertificateAuthority: Sendable {
    /// The authority's own certificate, for clients' and servers' trust stores.
    package let certificatePEM: String
    /// The authority's key (PKCS#8): a secret.
    package let privateKeyPEM: String

    private let certificate: Certificate
    private let key: Certificate.PrivateKey
    private let keyIdentifier: SubjectKeyIdentifier

    /// A new authority with a new key. Throws `CertificateError` for an empty name or an empty validity.
    package init(commonName: String, validity: CertificateValidity) throws {
        try Self.check(commonName, validity)
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let identifier = SubjectKeyIdentifier(hash: key.publicKey)
        let name = try DistinguishedName([RelativeDistinguishedName.Attribute(type: .RDNAttributeType.commonName, utf8String: commonName)])
        let certificate = try Certificate(
            version: .v3, serialNumber: Self.serial(), publicKey: key.publicKey, notValidBefore: Self.date(validity.notBefore),
            notValidAfter: Self.date(validity.notAfter), issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(digitalSignature: true, keyEncipherment: true, keyCertSign: true, cRLSign: true))
                identifier
            },
            issuerPrivateKey: key)
        try self.init(certificate, key, identifier)
    }

    /// An authority made earlier. Throws `CertificateError` when the PEM is not that of a CA, or the key is not its.
    package init(certificatePEM: String, privateKeyPEM: String) throws {
        let certificate: Certificate
        let key: Certificate.PrivateKey
        do {
            certificate = try Certificate(pemEncoded: certificatePEM)
            key = try Certificate.PrivateKey(pemEncoded: privateKeyPEM)
        } catch {
            // The error is not repeated: it might quote the key.
            throw CertificateError.malformed("the certificate authority's PEM cannot be read")
        }
        guard certificate.publicKey == key.publicKey else { throw CertificateError.malformed("the key is not that of the authority's certificate") }
        guard case .isCertificateAuthority = try Self.reading({ try certificate.extensions.basicConstraints }) else {
            throw CertificateError.malformed("\(certificate.subject) is not a certificate authority")
        }
        let identifier = try Self.reading { try certificate.extensions.subjectKeyIdentifier } ?? SubjectKeyIdentifier(hash: key.publicKey)
        try self.init(certificate, key, identifier)
    }

    private init(_ certificate: Certificate, _ key: Certificate.PrivateKey, _ identifier: SubjectKeyIdentifier) throws {
        self.certificate = certificate
        self.key = key
        keyIdentifier = identifier
        certificatePEM = try certificate.serializeAsPEM().pemString + "\n"
        privateKeyPEM = try key.serializeAsPEM().pemString + "\n"
    }

    /// Makes a key and a certificate for it. Throws `CertificateError.invalidRequest` for names, addresses or times that cannot be certified.
    package func issue(_ request: LeafRequest) throws -> Leaf {
        let leafKey = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let certificatePEM = try sign(leafKey.publicKey, request)
        return Leaf(certificatePEM: certificatePEM, privateKeyPEM: try leafKey.serializeAsPEM().pemString + "\n")
    }

    /// Certifies the key of a signing request under what `request` says (the caller decides what of the request's own wishes to grant).
    /// Returns the certificate in PEM. Upstream: pkg/controller/certificates/signer.
    package func certify(_ signingRequest: SigningRequest, _ request: LeafRequest) throws -> String {
        try sign(signingRequest.publicKey, request)
    }

    private func sign(_ publicKey: Certificate.PublicKey, _ request: LeafRequest) throws -> String {
        try Self.check(request.commonName, request.validity)
        // Groups before the user, as Go's pkix.Name writes them.
        var attributes = request.organizations.map {
            RelativeDistinguishedName.Attribute(type: .RDNAttributeType.organizationName, utf8String: $0)
        }
        attributes.append(RelativeDistinguishedName.Attribute(type: .RDNAttributeType.commonName, utf8String: request.commonName))
        let usages: [ExtendedKeyUsage.Usage] =
            switch request.usage {
            case .server: [.serverAuth]
            case .client: [.clientAuth]
            case .both: [.serverAuth, .clientAuth]
            }
        let names = try Self.generalNames(request)
        // A leaf that outlives its authority would be refused by every verifier anyway, and hides when to renew.
        let last = min(request.validity.notAfter, Int64(certificate.notValidAfter.timeIntervalSince1970))
        let extendedKeyUsage = try ExtendedKeyUsage(usages)
        let leaf = try Certificate(
            version: .v3, serialNumber: Self.serial(), publicKey: publicKey, notValidBefore: Self.date(request.validity.notBefore),
            notValidAfter: Self.date(last), issuer: certificate.subject, subject: try DistinguishedName(attributes),
            signatureAlgorithm: key.supportedSignatureAlgorithms.contains(.ecdsaWithSHA256) ? .ecdsaWithSHA256 : .sha256WithRSAEncryption,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true, keyEncipherment: true))
                extendedKeyUsage
                SubjectKeyIdentifier(hash: publicKey)
                AuthorityKeyIdentifier(keyIdentifier: keyIdentifier.keyIdentifier)
                if !names.isEmpty { SubjectAlternativeNames(names) }
            },
            issuerPrivateKey: key)
        return try leaf.serializeAsPEM().pemString + "\n"
    }

    private static func generalNames(_ request: LeafRequest) throws -> [GeneralName] {
        var names: [GeneralName] = []
        for name in request.dnsNames {
            guard !name.isEmpty, name.utf8.count <= 253, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw CertificateError.invalidRequest("\"\(name)\" is not a DNS name")
            }
            names.append(.dnsName(name))
        }
        for address in request.ipAddresses {
            names.append(.ipAddress(ASN1OctetString(contentBytes: try addressBytes(address)[...])))
        }
        return names
    }

    /// 4 or 16 bytes in network order.
    static func addressBytes(_ text: String) throws -> [UInt8] {
        var v4 = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &v4) == 1 { return v4 }
        var v6 = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET6, text, &v6) == 1 { return v6 }
        throw CertificateError.invalidRequest("\"\(text)\" is not an IP address")
    }

    private static func check(_ commonName: String, _ validity: CertificateValidity) throws {
        // RFC 5280's upper bound is 64; Kubernetes' user names may be longer, and Go's verifier does not count.
        guard !commonName.isEmpty else { throw CertificateError.invalidRequest("a certificate needs a common name") }
        guard validity.notAfter > validity.notBefore, validity.notBefore >= 0, validity.notAfter < 253_402_300_800 else {
            throw CertificateError.invalidRequest("a certificate cannot be valid from \(validity.notBefore) to \(validity.notAfter)")
        }
    }

    private static func reading<T>(_ read: () throws -> T) throws -> T {
        do { return try read() } catch { throw CertificateError.malformed("the certificate's extensions cannot be read: \(error)") }
    }

    private static func date(_ seconds: Int64) -> Date { Date(timeIntervalSince1970: Double(seconds)) }

    /// 128 random bits, positive and without leading zeros: verifiers refuse negative numbers and odd encodings.
    private static func serial() -> Certificate.SerialNumber {
        var generator = SystemRandomNumberGenerator()
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        bytes[0] = (bytes[0] & 0x7F) | 0x40
        return Certificate.SerialNumber(bytes: bytes)
    }
}
