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
        try SigningRequest(pem: String(decoding: Base64.decode(object["spec"]["request"].string ?? "") ?? [], as: UTF8.self))
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
