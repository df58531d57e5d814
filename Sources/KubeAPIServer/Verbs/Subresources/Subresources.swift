import KubeAPI
import KubeStorage

extension ResourceVerbs {
    /// Requests below an object. Upstream: the storage map of each group's NewRESTStorage.
    func subresource() async throws -> APIResult {
        guard let known = row.subresource(info.subresource), !info.name.isEmpty else { throw Responses.unknownResource }
        let isOptions = info.subresource == "proxy" && request.head?.method == "OPTIONS"
        guard known.verbs.contains(info.verb) || isOptions else { throw StatusError.methodNotSupported(scope.resource, info.verb) }
        switch info.subresource {
        case "status":
            switch info.verb {
            case "get": return .object(scope.external(try await presentObject()), status: 200)
            case "update": return try await update(subresource: "status")
            default: return try await patch(subresource: "status")
            }
        case "scale":
            if let paths = scope.custom?.scale { return try await customScale(paths) }
            return try await scale()
        case "binding": return try await bind(try decodeOther(known.kind, typeName: "api.core.v1.Binding"), pod: info.name, dryRun: try dryRun())
        case "eviction": return try await evict(try decodeOther(known.kind, typeName: "api.policy.v1.Eviction"))
        case "token": return try await issueToken(known.kind)
        // The strategy keeps all but the part that each is for.
        case "ephemeralcontainers", "resize", "approval", "finalize":
            switch info.verb {
            case "get": return .object(scope.external(try existing()), status: 200)
            case "update": return try await update(subresource: info.subresource)
            default: return try await patch(subresource: info.subresource)
            }
        case "log": return try await log()
        case "exec", "attach", "portforward": return try await stream()
        case "proxy": return try await proxy()
        default: throw StatusError.notImplemented("\(row.resource)/\(info.subresource)")
        }
    }

    /// Reads a body of another kind than the row's.
    func decodeOther(_ kind: GroupVersionKind, typeName: String) throws -> Value {
        try requireJSON()
        let (value, problems) = try ObjectDecoder.decode(
            request.body, kind: kind, type: environment.schema.type(named: typeName), in: environment.schema, validation: try fieldValidation(),
            earlier: request.strictProblem)
        warnings.add(problems)
        return value
    }

    /// Upstream: core/serviceaccount/storage.TokenREST.Create.
    private func issueToken(_ kind: GroupVersionKind) async throws -> APIResult {
        guard let issuer = environment.tokenIssuer else { throw StatusError.notImplemented("serviceaccounts/token without a signing key") }
        let sent = try decodeOther(kind, typeName: "api.authentication.v1.TokenRequest")
        let dryRun = try dryRun()
        var attributes = admissionAttributes(.create, sent, old: nil, name: info.name, kind: kind, dryRun: dryRun)
        try await admit(&attributes)
        try await validateAdmission(attributes)
        let answer = try TokenRequest.create(
            try Object(attributes.object), namespace: info.namespace, name: info.name, issuer: issuer, reader: reader)
        return .object(try Object(answer), status: 201)
    }
}
