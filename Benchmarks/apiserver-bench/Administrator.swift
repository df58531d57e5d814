import Certificates
import KubeAPI

/// The administrator whose certificate in-process requests show.
enum Administrator {
    /// In DER.
    static let certificate = Result<[UInt8], any Error> {
        let now = Timestamp.now.seconds
        let validity = CertificateValidity(notBefore: now - 300, notAfter: now + 86_400)
        let authority = try CertificateAuthority(commonName: "bench", validity: validity)
        let leaf = try authority.issue(
            LeafRequest(commonName: "kubernetes-admin", organizations: ["system:masters"], usage: .client, validity: validity))
        guard let der = try PEM.der(leaf.certificatePEM).first else { throw BenchError("the certificate is empty") }
        return der
    }
}
