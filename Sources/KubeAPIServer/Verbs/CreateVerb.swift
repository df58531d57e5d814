import KubeAPI
import KubeStorage

extension ResourceVerbs {
    /// Tries with another generated name when one is taken. Upstream: genericregistry's maxNameGenerationCreateAttempts.
    static var maximumGenerateNameAttempts: Int { 8 }

    /// Upstream: handlers.createHandler.
    func create() async throws -> APIResult {
        try requireJSON()
        let dryRun = try dryRun()
        let object = try decode(request.body, validation: try fieldValidation())
        if let review = environment.reviews[scope.resource] {
            return .object(try Object(try await review(try Object(object), info.namespace, request.user)), status: 201)
        }
        if row.resource == "bindings", row.group.isEmpty {
            let name = object[path: "metadata", "name"]?.string ?? ""
            return try await bind(object, pod: name, dryRun: dryRun)
        }
        guard row.isStored else { throw StatusError.notImplemented("creating \(scope.resource)") }
        let note = OwnershipNote.update(manager: try fieldManager("CreateOptions"))
        return .object(scope.external(try await store(new: object, dryRun: dryRun, note: note)), status: 201)
    }

    /// Reads a body as this row's kind, with its defaults, in the stored version.
    func decode(_ body: [UInt8], validation: FieldValidation) throws -> Value {
        if let custom = scope.custom {
            let (decoded, problems) = try custom.decode(body, validation: validation)
            warnings.add(problems)
            return decoded
        }
        let (decoded, problems) = try ObjectDecoder.decode(
            body, row: row, in: environment.schema, validation: validation, earlier: request.strictProblem)
        warnings.add(problems)
        return defaulted(decoded)
    }

    func defaulted(_ object: Value) -> Value {
        var object = object
        Defaults.apply(&object, row)
        return scope.conversion?.toStored(object) ?? object
    }

    /// Makes an object that was decoded: namespace, admission, system fields, strategy, validation, write.
    func store(new sent: Value, dryRun: Bool, note: OwnershipNote) async throws -> Object {
        var object = sent
        try ObjectPreparation.matchNamespace(&object, request: objectNamespace)
        if !(object[path: "metadata", "resourceVersion"]?.string ?? "").isEmpty {
            throw StatusError.badRequest("resourceVersion should not be set on objects to be created")
        }
        // What admission and the server itself add has no owner.
        self.note(note, in: &object, old: nil, subresource: "")
        let sentName = object[path: "metadata", "name"]?.string ?? ""
        let base = object[path: "metadata", "generateName"]?.string ?? ""
        guard sentName.isEmpty, !base.isEmpty else { return try await storeOnce(object, name: sentName, dryRun: dryRun) }
        var attempt = 1
        while true {
            do {
                return try await storeOnce(object, name: "", dryRun: dryRun)
            } catch let error as StatusError where error.isAlreadyExists {
                guard attempt < Self.maximumGenerateNameAttempts else {
                    throw StatusError(
                        code: 409, reason: "AlreadyExists",
                        message: "\(error.message), the server was not able to generate a unique name for the object", details: error.details)
                }
                attempt += 1
            }
        }
    }

    private func storeOnce(_ sent: Value, name sentName: String, dryRun: Bool) async throws -> Object {
        var attributes = admissionAttributes(.create, sent, old: nil, name: sentName, kind: scope.storedKind, dryRun: dryRun)
        try await admit(&attributes)
        warnings.add(attributes.warnings)
        var object = attributes.object
        ObjectPreparation.fillSystemFields(&object, row: row, now: environment.now())
        var name = object[path: "metadata", "name"]?.string ?? ""
        if name.isEmpty, let base = object[path: "metadata", "generateName"]?.string, !base.isEmpty {
            name = ObjectPreparation.generateName(base)
            object[path: "metadata", "name"] = .string(name)
        }
        if ObjectPreparation.dropsStatusOnCreate(row) { object["status"] = nil }
        DisabledFields.drop(from: &object, row: row, old: nil)
        warnings.add(scope.strategy?.warningsBeforeCreate(object) ?? [])
        try scope.strategy?.prepareForCreate(&object, reader)
        let stored = try ObjectPreparation.stored(object, kind: scope.storedKind)
        do {
            let causes =
                MetadataValidation.validate(stored.metadata, rule: scope.nameRule, namespaced: row.namespaced, isCustom: row.isCustom)
                + (scope.strategy?.validate(stored) ?? [])
            guard causes.isEmpty else { throw StatusError.invalid(row.groupVersionKind, name, causes) }
            warnings.add(scope.strategy?.warnings(stored, old: nil) ?? [])
            attributes.object = object
            attributes.name = name
            attributes.warnings = []
            try await validateAdmission(attributes)
            if dryRun {
                if scope.storage.get(namespace: objectNamespace, name: name) != nil { throw StatusError.alreadyExists(scope.resource, name) }
                scope.strategy?.release(stored)
                return stored
            }
            let made = try await scope.storage.create(
                try await scope.kept(stored), namespace: objectNamespace, name: name, timeToLive: scope.timeToLive)
            return try await scope.shown(made)
        } catch {
            scope.strategy?.release(stored)
            if let error = error as? StoreError { throw statusError(error, name: name) }
            throw error
        }
    }
}
