import KubeAPI

/// What is sent to an admission webhook. Upstream: request.CreateAdmissionObjects.
struct AdmissionReviewRequest {
    let uid = RandomText.uuid()
    let attributes: AdmissionAttributes
    let matched: MatchedResource
    /// The kind of the request itself, before `matchPolicy` made it another version.
    let requestKind: GroupVersionKind
    /// The new object and the old one in the matched version, as JSON; empty for none.
    let object: [UInt8]
    let oldObject: [UInt8]

    /// The review as JSON. Objects go in as they are.
    func bytes(version: String) -> [UInt8] {
        var head = Members()
        head["uid"] = .string(uid)
        head["kind"] = Self.value(matched.kind)
        head["resource"] = Self.value(matched.resource)
        if !attributes.subresource.isEmpty { head["subResource"] = .string(attributes.subresource) }
        head["requestKind"] = Self.value(requestKind)
        head["requestResource"] = Self.value(attributes.resource)
        if !attributes.subresource.isEmpty { head["requestSubResource"] = .string(attributes.subresource) }
        if !attributes.name.isEmpty { head["name"] = .string(attributes.name) }
        if !attributes.namespace.isEmpty { head["namespace"] = .string(attributes.namespace) }
        head["operation"] = .string(attributes.operation.rawValue)
        head["userInfo"] = userInfo
        head["dryRun"] = .bool(attributes.dryRun)
        head["options"] = attributes.context?.options(of: attributes.operation) ?? .null

        var out: [UInt8] = []
        out.reserveCapacity(object.count + oldObject.count + 1024)
        out += "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/\(version)\",\"request\":".utf8
        Value.object(head).write(to: &out)
        out.removeLast()
        out += ",\"object\":".utf8
        out += object.isEmpty ? Array("null".utf8) : object
        out += ",\"oldObject\":".utf8
        out += oldObject.isEmpty ? Array("null".utf8) : oldObject
        out += "}}".utf8
        return out
    }

    private var userInfo: Value {
        let user = attributes.user
        var info: Value = ["username": .string(user.name)]
        if !user.uid.isEmpty { info["uid"] = .string(user.uid) }
        if !user.groups.isEmpty { info["groups"] = Value(user.groups) }
        if !user.extra.isEmpty {
            info["extra"] = .object(Members(user.extra.sorted { $0.key < $1.key }.map { ($0.key, Value($0.value)) }))
        }
        return info
    }

    private static func value(_ kind: GroupVersionKind) -> Value {
        ["group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind)]
    }
    private static func value(_ resource: GroupVersionResource) -> Value {
        ["group": .string(resource.group), "version": .string(resource.version), "resource": .string(resource.resource)]
    }
}

/// What a webhook answered, checked. Upstream: request.VerifyAdmissionResponse.
struct AdmissionReviewResponse {
    var isAllowed: Bool
    /// The webhook's Status, if it sent one.
    var result: JSONView?
    /// A JSON patch document; empty when nothing is to be changed.
    var patch: [UInt8] = []
    var warnings: [String]
    var auditAnnotations: [(key: String, value: String)]

    /// An answer that breaks the rules, in upstream's words.
    struct Invalid: Error {
        let text: String
    }

    /// Throws `Invalid`.
    init(_ document: JSONDocument, version: String, uid: String, isMutating: Bool) throws(Invalid) {
        let root = document.root
        guard let response = root["response"].present, response.kind == .object else { throw Invalid(text: "webhook response was absent") }
        let apiVersion = root["apiVersion"].string ?? ""
        let kind = root["kind"].string ?? ""
        let expected = "admission.k8s.io/\(version)"
        // v1beta1 was lenient: an answer without type was taken.
        let mayOmit = version == "v1beta1" && apiVersion.isEmpty && kind.isEmpty
        guard mayOmit || (apiVersion == expected && kind == "AdmissionReview") else {
            let got = GroupVersionKind(apiVersion: apiVersion, kind: kind)
            let shown = got.group.isEmpty ? "/\(got.version)" : "\(got.group)/\(got.version)"
            throw Invalid(text: "expected webhook response of \(expected), Kind=AdmissionReview, got \(shown), Kind=\(kind)")
        }
        if version == "v1" {
            let got = response["uid"].string ?? ""
            guard got == uid else { throw Invalid(text: "expected response.uid=\(uid.goQuoted), got \(got.goQuoted)") }
        }
        let encoded = response["patch"].string ?? ""
        let type = response["patchType"].string
        if isMutating {
            if version == "v1" {
                if !encoded.isEmpty, type == nil { throw Invalid(text: "webhook returned response.patch but not response.patchType") }
                if encoded.isEmpty, type != nil { throw Invalid(text: "webhook returned response.patchType but not response.patch") }
                if let type, type != "JSONPatch" { throw Invalid(text: "webhook returned invalid response.patchType of \(type.goQuoted)") }
            }
            if !encoded.isEmpty {
                guard let decoded = Base64.decode(encoded) else { throw Invalid(text: "webhook returned response.patch that is not base64") }
                patch = decoded
            }
        } else if version == "v1" {
            if !encoded.isEmpty { throw Invalid(text: "validating webhook may not return response.patch") }
            if type != nil { throw Invalid(text: "validating webhook may not return response.patchType") }
        }
        isAllowed = response["allowed"].bool ?? false
        result = response["status"].present
        warnings = response["warnings"].strings
        auditAnnotations = (response["auditAnnotations"]?.members.map { ($0.key, $0.value.string ?? "") } ?? []).sorted { $0.0 < $1.0 }
    }

    /// The refusal as the client sees it. Upstream: webhookerrors.ToStatusErr.
    func denial(by webhook: String) -> StatusError {
        let code = result["code"].int.flatMap { Int(exactly: $0) } ?? 0
        let message = result["message"].string ?? ""
        let reason = result["reason"].string ?? ""
        let denied = "admission webhook \(webhook.goQuoted) denied the request"
        let text = !message.isEmpty ? "\(denied): \(message)" : !reason.isEmpty ? "\(denied): \(reason)" : "\(denied) without explanation"
        var error = StatusError(code: (400...599).contains(code) ? code : 400, reason: reason, message: text)
        if let details = result["details"].present {
            error.details = StatusError.Details(
                name: details["name"].string ?? "", group: details["group"].string ?? "", kind: details["kind"].string ?? "",
                causes: details["causes"].elements.map {
                    .init(reason: $0["reason"].string ?? "", message: $0["message"].string ?? "", field: $0["field"].string ?? "")
                },
                retryAfterSeconds: details["retryAfterSeconds"].int.flatMap { Int(exactly: $0) } ?? 0)
        }
        return error
    }
}
