import SwiftASN1
import X509

/// Judges clients' certificate chains against a CA bundle. Upstream: apiserver's x509 request authenticator (`VerifyOptions` with client key
/// usage).
package struct ClientCertificateVerifier: Sendable {
    private let roots: CertificateStore

    /// Throws `CertificateError.malformed` when there is no certificate in the PEM.
    package init(caPEM: String) throws {
        let certificates: [Certificate]
        do {
            certificates = try PEM.der(caPEM).map { try Certificate(derEncoded: $0) }
        } catch {
            throw CertificateError.malformed("the client CA cannot be read: \(error)")
        }
        guard !certificates.isEmpty else { throw CertificateError.malformed("there is no certificate in the client CA's PEM") }
        roots = CertificateStore(certificates)
    }

    /// Returns the chain from the leaf to the CA in DER when the CA vouches for the leaf now and for client use; nil otherwise. `chain` is what
    /// the client sent:
    /// DER, leaf first. Fits `HTTPServer.TLS.verifyClientChain`.
    package func validate(_ chain: [[UInt8]]) async -> [[UInt8]]? {
        do {
            let certificates = try chain.map { try Certificate(derEncoded: $0) }
            guard let leaf = certificates.first else { return nil }
            var verifier = Verifier(rootCertificates: roots) {
                RFC5280Policy()
                ClientUsagePolicy()
            }
            let intermediates = CertificateStore(certificates.dropFirst())
            guard case .validCertificate(let validated) = await verifier.validate(leaf: leaf, intermediates: intermediates) else { return nil }
            return try validated.map { certificate in
                var serializer = DER.Serializer()
                try serializer.serialize(certificate)
                return serializer.serializedBytes
            }
        } catch {
            return nil  // What cannot be parsed is not valid: that is all the caller asks.
        }
    }
}

/// A leaf that says what it is for must say it is for clients.
private struct ClientUsagePolicy: VerifierPolicy {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [.X509ExtensionID.extendedKeyUsage]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) async -> PolicyEvaluationResult {
        do {
            guard let usage = try chain.leaf.extensions.extendedKeyUsage else { return .meetsPolicy }
            guard usage.contains(.clientAuth) || usage.contains(.any) else { return .failsToMeetPolicy(reason: "not a client's certificate") }
            return .meetsPolicy
        } catch {
            return .failsToMeetPolicy(reason: "the extended key usage cannot be read")
        }
    }
}
