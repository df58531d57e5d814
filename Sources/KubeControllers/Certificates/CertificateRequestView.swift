import Certificates
import KubeAPI

/// A CertificateSigningRequest as its controllers read it. Upstream: certificates/v1 CertificateSigningRequest with certificate_controller_utils.
struct CertificateRequestView: Sendable {
    let object: Object

    init(_ object: Object) { self.object = object }

    var meta: ObjectMeta { object.metadata }
    var signerName: String { object["spec"]["signerName"].string ?? "" }
    var username: String { object["spec"]["username"].string ?? "" }
    var usages: [String] { object["spec"]["usages"].strings }
    var expirationSeconds: Int64? { object["spec"]["expirationSeconds"].int }
    var hasCertificate: Bool { !(object["status"]["certificate"].string ?? "").isEmpty }
    private var conditions: [JSONView] { object["status"]["conditions"].elements }

    func has(_ type: String) -> Bool { conditions.contains { $0["type"]?.equals(type) ?? false } }
    /// Approved, and not denied as well.
    var isApproved: Bool { has("Approved") && !has("Denied") }
    var isDecided: Bool { has("Approved") || has("Denied") }

    /// When a condition was last set.
    func updated(_ type: String) -> Timestamp? {
        conditions.first { $0["type"]?.equals(type) ?? false }.flatMap { $0["lastUpdateTime"].string }.flatMap(Timestamp.init(rfc3339:))
    }

    /// The PKCS#10 request inside. Throws `CertificateError`.
    func signingRequest() throws -> SigningRequest {
        try SigningRequest(pem: String(decoding: Base64Digits.decode(object["spec"]["request"].string ?? ""), as: UTF8.self))
    }

    /// The object with one more condition. Upstream: the conditions that approver and signer append.
    func adding(_ type: String, reason: String, message: String, now: Timestamp) -> Value {
        var tree = object.value
        let condition: Value = [
            "type": .string(type), "status": "True", "reason": .string(reason), "message": .string(message), "lastUpdateTime": .string(now.rfc3339),
            "lastTransitionTime": .string(now.rfc3339),
        ]
        tree[path: "status", "conditions"] = .array((tree[path: "status", "conditions"]?.array ?? []) + [condition])
        return tree
    }
}

/// Standard base 64, as JSON carries bytes. What is decoded was checked when it was stored.
enum Base64Digits {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8: UInt32] = Dictionary(uniqueKeysWithValues: digits.enumerated().map { ($1, UInt32($0)) })

    static func decode(_ text: String) -> [UInt8] {
        var out: [UInt8] = []
        var buffer: UInt32 = 0
        var bits: UInt32 = 0
        for byte in text.utf8 {
            guard let value = values[byte] else { continue }
            buffer = (buffer << 6 | value) & 0xFFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: buffer >> bits))
            }
        }
        return out
    }

    static func encode(_ bytes: some Collection<UInt8>) -> String {
        var out: [UInt8] = []
        var buffer: UInt32 = 0
        var bits: UInt32 = 0
        for byte in bytes {
            buffer = (buffer << 8 | UInt32(byte)) & 0xFFFF
            bits += 8
            while bits >= 6 {
                bits -= 6
                out.append(digits[Int(buffer >> bits & 0x3F)])
            }
        }
        if bits > 0 { out.append(digits[Int(buffer << (6 - bits) & 0x3F)]) }
        while out.count % 4 != 0 { out.append(UInt8(ascii: "=")) }
        return String(decoding: out, as: UTF8.self)
    }
}
