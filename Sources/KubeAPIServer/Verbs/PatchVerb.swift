import KubeAPI

extension ResourceVerbs {
    /// Upstream: handlers.PatchResource.
    func patch(subresource: String) async throws -> APIResult {
        if isApply { return try await apply(subresource: subresource) }
        let dryRun = try dryRun()
        let validation = try fieldValidation()
        let patch = try readPatch()
        let manager = try fieldManager("PatchOptions")
        let written = try await write(subresource: subresource, dryRun: dryRun, note: .update(manager: manager)) { old in
            let patched = try patch.apply(to: scope.external(old).value, type: environment.schema.type(named: row.typeName), in: environment.schema)
            let (decoded, problems) = try decodePatched(patched, kind: row.groupVersionKind, typeName: row.typeName, validation: validation)
            warnings.add(problems)
            let object = defaulted(decoded)
            try checkName(object)
            return object
        }
        return .object(scope.external(written), status: 200)
    }

    /// The outcome of a patch as an object of its type; the kind cannot be patched to another.
    func decodePatched(_ patched: Value, kind: GroupVersionKind, typeName: String, validation: FieldValidation) throws -> (Value, [String]) {
        if let custom = scope.custom, kind == row.groupVersionKind { return try custom.decode(tree: patched, validation: validation) }
        let bytes = patched.jsonBytes
        return try ObjectDecoder.decode(
            bytes, kind: kind, type: environment.schema.type(named: typeName), in: environment.schema, validation: validation)
    }

    /// Whether the request is a server-side apply.
    var isApply: Bool { info.verb == "patch" && request.contentType == PatchType.apply.rawValue }

    /// The patch in the body. Throws 415 for a media type that is no patch, 501 for server-side apply where a path has none.
    func readPatch() throws -> RequestedPatch {
        guard let type = PatchType(rawValue: request.contentType) else {
            let accepted = PatchType.allCases.map(\.rawValue).joined(separator: ", ")
            throw StatusError(
                code: 415, reason: "UnsupportedMediaType",
                message: "the body of the request was in an unknown format - accepted media types include: \(accepted)")
        }
        if type == .apply { throw StatusError.notImplemented("server-side apply to \(row.resource)/\(info.subresource)") }
        if request.query["force"] != nil {
            throw Self.invalidOptions(
                "PatchOptions",
                [.init(reason: "FieldValueForbidden", message: "Forbidden: may not be specified for non-apply patch", field: "force")])
        }
        let document: Value
        do { document = try Value(json: request.body) } catch { throw StatusError.badRequest("error decoding patch: \(error)") }
        switch type {
        case .json: return .json(try JSONPatch(document))
        case .merge: return .merge(document)
        case .strategicMerge, .apply:
            if row.isCustom || row.typeName.isEmpty {
                throw StatusError(
                    code: 415, reason: "UnsupportedMediaType",
                    message: "the body of the request was in an unknown format - accepted media types include: "
                        + "\(PatchType.json.rawValue), \(PatchType.merge.rawValue), \(PatchType.apply.rawValue)")
            }
            return .strategic(document)
        }
    }
}

/// A patch that was read.
enum RequestedPatch: Sendable {
    case json(JSONPatch)
    case merge(Value)
    case strategic(Value)

    /// Throws `StatusError` for a patch that does not fit the document.
    func apply(to document: Value, type: SchemaType?, in table: SchemaTable) throws -> Value {
        switch self {
        case .json(let patch): return try patch.apply(to: document)
        case .merge(let patch): return try JSONMergePatch.apply(patch, to: document)
        case .strategic(let patch):
            guard let type else { return try JSONMergePatch.apply(patch, to: document) }
            return try StrategicMergePatch.apply(patch, to: document, type: type, in: table)
        }
    }
}
