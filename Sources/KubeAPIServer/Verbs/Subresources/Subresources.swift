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
        // The pod's strategy keeps all but the part that each is for.
        case "ephemeralcontainers", "resize":
            switch info.verb {
            case "get": return .object(scope.external(try existing()), status: 200)
            case "update": return try await update(subresource: info.subresource)
            default: return try await patch(subresource: info.subresource)
            }
        case "finalize":
            return try await replacePart("finalize") { sent, tree in
                tree[path: "spec", "finalizers"] = sent[path: "spec", "finalizers"] ?? .array([])
            }
        case "approval":
            return try await replacePart("approval") { sent, tree in tree[path: "status", "conditions"] = sent[path: "status", "conditions"] }
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

    /// GET, PUT and PATCH of a subresource that writes one part of its object and leaves the rest as it is. `take` puts the part of what was sent
    /// into the present tree.
    private func replacePart(_ subresource: String, _ take: @Sendable (_ sent: Value, _ tree: inout Value) -> Void) async throws -> APIResult {
        if info.verb == "get" { return .object(scope.external(try existing()), status: 200) }
        if isApply { return try await applyPart(subresource, take) }
        let validation = try fieldValidation()
        let isPatch = info.verb == "patch"
        let patch: RequestedPatch? = isPatch ? try readPatch() : nil
        if !isPatch { try requireJSON() }
        let sentObject: Value? = isPatch ? Value?.none : try decode(request.body, validation: validation)
        if let sentObject { try checkName(sentObject) }
        let note = OwnershipNote.update(manager: try fieldManager(isPatch ? "PatchOptions" : "UpdateOptions"))
        let written = try await write(subresource: subresource, dryRun: try dryRun(), note: note) { old in
            let sent: Value
            if let patch {
                let patched = try patch.apply(to: old.value, type: environment.schema.type(named: row.typeName), in: environment.schema)
                sent = try decodePatched(patched, kind: row.groupVersionKind, typeName: row.typeName, validation: validation).0
            } else {
                sent = sentObject ?? .null
            }
            var tree = old.value
            for field in ["resourceVersion", "uid"] { tree[path: "metadata", field] = sent[path: "metadata", field] }
            take(sent, &tree)
            return tree
        }
        return .object(scope.external(written), status: 200)
    }

    /// Server-side apply to such a subresource: the part that it writes is taken of what applying makes, with its owners.
    private func applyPart(_ subresource: String, _ take: @Sendable (_ sent: Value, _ tree: inout Value) -> Void) async throws -> APIResult {
        let request = try readApply(kind: row.groupVersionKind)
        let written = try await write(subresource: subresource, dryRun: try dryRun(), note: .asIs) { old in
            let applied = try applied(request, to: scope.external(old).value, subresource: subresource)
            var tree = old.value
            for field in ["resourceVersion", "uid", "managedFields"] { tree[path: "metadata", field] = applied[path: "metadata", field] }
            take(applied, &tree)
            return tree
        }
        return .object(scope.external(written), status: 200)
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
