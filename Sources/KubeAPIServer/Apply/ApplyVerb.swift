import KubeAPI

extension ResourceVerbs {
    /// Server-side apply. Upstream: handlers.PatchResource with applyPatcher.
    func apply(subresource: String) async throws -> APIResult {
        let request = try readApply(kind: row.groupVersionKind)
        let dryRun = try dryRun()
        if scope.storage.get(namespace: objectNamespace, name: info.name) == nil, subresource.isEmpty {
            do {
                return .object(scope.external(try await create(request, dryRun: dryRun)), status: 201)
            } catch let error as StatusError where error.isAlreadyExists && !dryRun {
                // Somebody else made it meanwhile: apply to that.
            }
        }
        let written = try await write(subresource: subresource, dryRun: dryRun, note: .asIs) { old in
            try applied(request, to: scope.external(old).value, subresource: subresource)
        }
        return .object(scope.external(written), status: 200)
    }

    /// What an apply asks for.
    struct ApplyRequest: Sendable {
        var configuration: Value
        var manager: String
        var force: Bool
    }

    private func create(_ apply: ApplyRequest, dryRun: Bool) async throws -> Object {
        try authorizeCreate()
        let uid = apply.configuration[path: "metadata", "uid"]?.string ?? ""
        let object = try applied(apply, to: nil, subresource: "")
        guard uid.isEmpty else {
            throw StatusError.conflict(
                scope.resource, info.name, "uid mismatch: the provided object specified uid \(uid), and no existing object was found")
        }
        return try await store(new: object, dryRun: dryRun, note: .asIs)
    }

    /// The object that applying makes, decoded, with defaults, in the stored version.
    func applied(_ apply: ApplyRequest, to live: Value?, subresource: String) throws -> Value {
        let ownership = ownership(subresource: subresource, isCreate: live == nil, isExternal: true)
        let applied = try ownership.apply(apply.configuration, to: live, manager: apply.manager, force: apply.force)
        // Unknown fields were refused by the type already.
        let (decoded, _) = try decodePatched(applied.object, kind: row.groupVersionKind, typeName: row.typeName, validation: .ignore)
        let object = defaulted(decoded)
        try checkName(object)
        return object
    }

    /// Reads the query and the body of an apply of an object of `kind`.
    func readApply(kind: GroupVersionKind) throws -> ApplyRequest {
        guard environment.tracksFieldOwnership else { throw StatusError.notImplemented("server-side apply without field ownership") }
        let manager = request.query["fieldManager"] ?? ""
        var causes = FieldManager.problems(manager)
        if manager.isEmpty { causes.append(MetadataValidation.required("fieldManager", "is required for apply patch")) }
        guard causes.isEmpty else { throw Self.invalidOptions("PatchOptions", causes) }
        let validation = try fieldValidation()
        let document: JSONDocument
        do { document = try JSONDocument(request.body) } catch { throw StatusError.badRequest("error decoding YAML: \(error)") }
        guard document.root.kind == .object else {
            throw StatusError.badRequest(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal \(document.root.goTypeName) into Go value of "
                    + "type map[string]interface {}")
        }
        let configuration = document.root.value
        let sent = GroupVersionKind(apiVersion: configuration["apiVersion"]?.string ?? "", kind: configuration["kind"]?.string ?? "")
        guard sent == kind else { throw StatusError.badRequest("invalid object type: \(sent.group)/\(sent.version), Kind=\(sent.kind)") }
        if let managed = configuration[path: "metadata", "managedFields"], !managed.isNull {
            throw StatusError.badRequest("metadata.managedFields must be nil")
        }
        if validation != .ignore {
            if let problem = request.strictProblem { try tell(problem, validation) } else { try check(duplicatesIn: document, validation) }
        }
        return ApplyRequest(configuration: configuration, manager: manager, force: request.query.flag("force"))
    }

    /// Keys that stand twice in an object, in the words of upstream's YAML reader.
    private func check(duplicatesIn document: JSONDocument, _ validation: FieldValidation) throws {
        var lines: [String] = []
        func visit(_ view: JSONView) {
            var seen: Set<String> = []
            for (name, member) in view.members {
                if !seen.insert(name).inserted, lines.count < ObjectDecoder.problemLimit {
                    let line = document.bytes.prefix(member.start).count { $0 == 0x0A } + 1
                    lines.append("  line \(line): key \(name.goQuoted) already set in map")
                }
                visit(member)
            }
            for item in view.elements { visit(item) }
        }
        visit(document.root)
        guard !lines.isEmpty else { return }
        try tell("error converting YAML to JSON: yaml: unmarshal errors:\n" + lines.joined(separator: "\n"), validation)
    }

    private func tell(_ text: String, _ validation: FieldValidation) throws {
        if validation == .strict { throw StatusError.badRequest("error strict decoding YAML: \(text)") }
        warnings.add([text])
    }
}
