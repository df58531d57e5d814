import Certificates
import KubeAPI

/// Requests for certificates: what is asked cannot be changed, and who approves, denies and signs writes its own part. Upstream:
/// pkg/registry/certificates/certificates with certificates/validation.
struct CertificateRequestStrategy: ResourceStrategy {
    private static let decisions = ["Approved", "Denied"]
    /// Upstream: the least spec.expirationSeconds.
    private static let shortest: Int64 = 600
    private static let usages = [
        "signing", "digital signature", "content commitment", "key encipherment", "key agreement", "data encipherment", "cert sign", "crl sign",
        "encipher only", "decipher only", "any", "server auth", "client auth", "code signing", "email protection", "s/mime", "ipsec end system",
        "ipsec tunnel", "ipsec user", "timestamping", "ocsp signing", "microsoft sgc", "netscape sgc",
    ]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = .object(Members()) }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        let before = old.value
        object["spec"] = before["spec"]
        switch subresource {
        case "approval":
            let conditions = object[path: "status", "conditions"]
            object["status"] = before["status"]
            object[path: "status", "conditions"] = conditions
        case "status":
            let conditions = Self.withDecisions(
                of: before[path: "status", "conditions"]?.array ?? [], object[path: "status", "conditions"]?.array ?? [])
            if !conditions.isEmpty { object[path: "status", "conditions"] = .array(conditions) }
        default: object["status"] = before["status"]
        }
        Self.stamp(&object, before: before)
    }

    /// The conditions that were sent, with the decisions as they are: those are made on the path for them. Where decisions were added or left out,
    /// nothing of what was sent counts. Upstream: preserveConditionInstances in csrStatusStrategy.
    private static func withDecisions(of old: [Value], _ sent: [Value]) -> [Value] {
        func places(_ type: String, _ list: [Value]) -> [Int] { list.indices.filter { list[$0]["type"]?.string == type } }
        var conditions = sent
        for type in decisions {
            let (kept, new) = (places(type, old), places(type, sent))
            guard kept.count == new.count else { return old }
            for (from, to) in zip(kept, new) { conditions[to] = old[from] }
        }
        return conditions
    }

    /// New conditions get the time they were set. Upstream: populateConditionTimestamps.
    private static func stamp(_ object: inout Value, before: Value) {
        guard var conditions = object[path: "status", "conditions"]?.array else { return }
        let old = before[path: "status", "conditions"]?.array ?? []
        let now = Timestamp.now.rfc3339
        for index in conditions.indices {
            let type = conditions[index]["type"]
            if (conditions[index]["lastUpdateTime"]?.string ?? "").isEmpty { conditions[index]["lastUpdateTime"] = .string(now) }
            guard (conditions[index]["lastTransitionTime"]?.string ?? "").isEmpty else { continue }
            let same = old.first { $0["type"] == type && $0["status"] == conditions[index]["status"] }
            conditions[index]["lastTransitionTime"] = same?["lastTransitionTime"] ?? .string(now)
        }
        object[path: "status", "conditions"] = .array(conditions)
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        let encoded = spec["request"].string ?? ""
        do {
            _ = try SigningRequest(pem: String(decoding: Base64.decode(encoded) ?? [], as: UTF8.self))
        } catch {
            errors.invalid("spec.request", .string(encoded), "\(error)")
        }
        let usages = spec["usages"].strings
        if usages.isEmpty { errors.required("spec.usages", "usages must be provided") }
        var seen: Set<String> = []
        for (index, usage) in usages.enumerated() {
            if !Self.usages.contains(usage) { errors.notSupported("spec.usages[\(index)]", usage, Self.usages.sorted()) }
            if !seen.insert(usage).inserted { errors.duplicate("spec.usages[\(index)]", .string(usage)) }
        }
        let signer = spec["signerName"].string ?? ""
        if signer == "kubernetes.io/legacy-unknown" {
            errors.invalid("spec.signerName", .string(signer), "the legacy signerName is not allowed via this API version")
        } else {
            SignerNames.validate("spec.signerName", signer, &errors)
        }
        if let seconds = spec["expirationSeconds"].int, seconds < Self.shortest {
            errors.invalid("spec.expirationSeconds", .int(seconds), "may not specify a duration less than 600 seconds (10 minutes)")
        }
        Self.conditions(object, &errors)
        return errors.causes
    }

    /// Upstream: validateConditions.
    private static func conditions(_ object: Object, _ errors: inout FieldErrors) {
        var seen: Set<String> = []
        var decision: String?
        for (index, condition) in object["status"]["conditions"].elements.enumerated() {
            let place = "status.conditions[\(index)]"
            let type = condition["type"].string ?? ""
            let status = condition["status"].string ?? ""
            if type.isEmpty { errors.required("\(place).type") }
            let mustBeTrue = type == "Approved" || type == "Denied" || type == "Failed"
            if status.isEmpty {
                errors.required("\(place).status")
            } else if mustBeTrue, status != "True" {
                errors.notSupported("\(place).status", status, ["True"])
            } else if !["True", "False", "Unknown"].contains(status) {
                errors.notSupported("\(place).status", status, ["True", "False", "Unknown"])
            }
            if decisions.contains(type) {
                if let decision, decision != type {
                    errors.invalid("\(place).type", .string(type), "Approved and Denied conditions are mutually exclusive")
                }
                decision = decision ?? type
            }
            if !type.isEmpty, !seen.insert(type).inserted { errors.duplicate("\(place).type", .string(type)) }
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        if subresource == "approval" || subresource == "status" { Self.conditions(object, &errors) }
        func count(_ request: Object, _ type: String) -> Int {
            request["status"]["conditions"].elements.count { $0["type"]?.equals(type) ?? false }
        }
        for type in Self.decisions + ["Failed"] where count(object, type) < count(old, type) {
            errors.forbidden("status.conditions", "updates may not remove a condition of type \(type.goQuoted)")
        }
        if subresource != "approval" {
            for type in Self.decisions where count(object, type) > count(old, type) {
                errors.forbidden("status.conditions", "updates may not add a condition of type \(type.goQuoted)")
            }
        }
        let certificate = old["status"]["certificate"].string ?? ""
        if !certificate.isEmpty, object["status"]["certificate"].string != certificate {
            errors.forbidden("status.certificate", "updates may not modify existing certificate content")
        }
        return errors.causes
    }
}
