import SwiftASN1

/// PEM (RFC 7468) to DER and back.
package enum PEM {
    /// The DER bytes of every block labelled `label`, in order. Other blocks are passed over. Throws `CertificateError.malformed`.
    package static func der(_ pem: String, label: String = "CERTIFICATE") throws -> [[UInt8]] {
        do {
            return try PEMDocument.parseMultiple(pemString: pem).filter { $0.discriminator == label }.map(\.derBytes)
        } catch {
            // Not repeated: the text may hold a key.
            throw CertificateError.malformed("the PEM text cannot be read")
        }
    }

    /// One block with a final line break.
    package static func encode(_ der: [UInt8], label: String = "CERTIFICATE") -> String {
        PEMDocument(type: label, derBytes: der).pemString + "\n"
    }
}
