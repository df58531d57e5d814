package import KubeAPI

/// The subresource `serviceaccounts/token`. Upstream: pkg/registry/core/serviceaccount/storage.TokenREST.
package enum TokenRequest {
    static let kind = GroupVersionKind(group: "authentication.k8s.io", version: "v1", kind: "TokenRequest")
    /// Seconds a token may live at least and at most. Upstream: authentication/validation.ValidateTokenRequest.
    static let minimumSeconds: Int64 = 600
    static let maximumSeconds: Int64 = 1 << 32
    /// What a cluster grants at most; longer requests get this. Upstream: --service-account-max-token-expiration; EKS's is a day.
    static let grantedSeconds: Int64 = 86400
    static let defaultSeconds: Int64 = 3600
    /// What kubelets ask for tokens of old volumes, whose readers may never read them again: these live longer, with a warning noted in the audit.
    /// Upstream: token.WarnOnlyBoundTokenExpirationPeriod; EKS extends them to 90 days.
    static let warnOnlySeconds: Int64 = 3607
    static let extendedSeconds: Int64 = 90 * 86400

    /// Signs a token for the service account `namespace/name`. `body` is the TokenRequest as sent (after admission); the answer is the object with
    /// its status.
    /// Throws `StatusError`.
    package static func create(
        _ body: Object, namespace: String, name: String, issuer: ServiceAccountTokenIssuer, reader: any ObjectReader
    ) throws -> Value {
        guard let account = reader.get(.serviceAccounts, namespace: namespace, name: name) else { throw StatusError.notFound(.serviceAccounts, name) }
        let metadata = body.metadata
        if !metadata.name.isEmpty, metadata.name != name {
            throw StatusError.badRequest("the name of the object (\(metadata.name)) does not match the name on the URL (\(name))")
        }
        let spec = body["spec"]
        let seconds = spec["expirationSeconds"].int ?? defaultSeconds
        try validate(seconds, name)
        let audiences = spec["audiences"].strings
        let reference = spec["boundObjectRef"].flatMap { $0.isNull ? nil : $0 }
        let (bound, node) = try reference.map { try bind($0, namespace: namespace, account: name, reader) } ?? (nil, nil)
        let granted = min(seconds, grantedSeconds)
        let isExtended = seconds == warnOnlySeconds && bound?.kind == "Pod" && (audiences.isEmpty || audiences.allSatisfy(issuer.audiences.contains))
        let signed = try issuer.token(
            namespace: namespace, name: name, uid: account.metadata.uid, audiences: audiences,
            expirationSeconds: isExtended ? extendedSeconds : granted,
            boundTo: bound, node: node, warnAfterSeconds: isExtended ? warnOnlySeconds : nil)
        // Who reads it is told the time by which to ask again.
        let expiration = isExtended ? signed.expiration.adding(seconds: warnOnlySeconds - extendedSeconds) : signed.expiration

        var answer = body.value
        answer["apiVersion"] = .string(kind.apiVersion)
        answer["kind"] = .string(kind.kind)
        answer[path: "metadata", "name"] = .string(name)
        answer[path: "metadata", "namespace"] = .string(namespace)
        answer[path: "metadata", "creationTimestamp"] = .string(Timestamp.now.rfc3339)
        answer[path: "spec", "audiences"] = Value(audiences.isEmpty ? issuer.audiences : audiences)
        answer[path: "spec", "expirationSeconds"] = .int(granted)
        if reference == nil { answer[path: "spec", "boundObjectRef"] = .null }
        answer["status"] = ["token": .string(signed.token), "expirationTimestamp": .string(expiration.rfc3339)]
        return answer
    }

    private static func validate(_ seconds: Int64, _ name: String) throws {
        var causes: [StatusError.Cause] = []
        if seconds < minimumSeconds {
            causes.append(MetadataValidation.invalid("spec.expirationSeconds", .int(seconds), "may not specify a duration less than 10 minutes"))
        }
        if seconds > maximumSeconds {
            causes.append(MetadataValidation.invalid("spec.expirationSeconds", .int(seconds), "may not specify a duration larger than 2^32 seconds"))
        }
        if !causes.isEmpty { throw StatusError.invalid(kind, name, causes) }
    }

    private static func bind(
        _ reference: JSONView, namespace: String, account: String, _ reader: any ObjectReader
    ) throws -> (ServiceAccountTokenIssuer.BoundObject?, ServiceAccountTokenIssuer.BoundObject?) {
        let kind = reference["kind"].string ?? ""
        let name = reference["name"].string ?? ""
        let uid = reference["uid"].string ?? ""
        let resources: [String: GroupResource] = ["v1/Pod": .pods, "v1/Secret": .secrets, "v1/Node": .nodes]
        guard let resource = resources["\(reference["apiVersion"].string ?? "")/\(kind)"] else {
            throw StatusError.badRequest(
                "cannot bind token to object of type \(GroupVersionKind(apiVersion: reference["apiVersion"].string ?? "", kind: kind).apiVersion), Kind=\(kind)"
            )
        }
        guard let object = reader.get(resource, namespace: kind == "Node" ? "" : namespace, name: name) else {
            throw StatusError.notFound(resource, name)
        }
        if kind == "Pod", (object["spec"]["serviceAccountName"].string ?? "") != account {
            throw StatusError.badRequest(
                "cannot bind token for serviceaccount \(account.goQuoted) to pod running with different serviceaccount name.")
        }
        let actual = object.metadata.uid
        guard uid.isEmpty || uid == actual else {
            throw StatusError.conflict(
                resource, name,
                "the UID in the bound object reference (\(uid)) does not match the UID in record. The object might have been deleted and then recreated"
            )
        }
        var node: ServiceAccountTokenIssuer.BoundObject?
        if kind == "Pod", let nodeName = object["spec"]["nodeName"].string, !nodeName.isEmpty {
            let nodeUID = reader.get(.nodes, namespace: "", name: nodeName)?.metadata.uid ?? ""
            node = ServiceAccountTokenIssuer.BoundObject(kind: "Node", name: nodeName, uid: nodeUID)
        }
        return (ServiceAccountTokenIssuer.BoundObject(kind: kind, name: name, uid: actual), node)
    }
}
