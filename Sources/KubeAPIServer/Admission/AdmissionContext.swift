package import KubeAPI

/// The request behind an admission, for plug-ins that tell others about it: webhooks and policies. Objects under admission are in the version that
/// is stored; those outside see them in the version of a resource they asked for.
package protocol AdmissionContext: Sendable {
    /// An object as it looks on a version of the request's resource, or on its subresource: a Scale for `deployments/scale`. Null stays null.
    func shown(_ object: Value, as matched: MatchedResource, subresource: String) async throws -> Value
    /// The way back for an object that was changed outside: decoded, with defaults, in the stored version. `present` is the object as it was.
    func taken(_ shown: Value, as matched: MatchedResource, subresource: String, present: Value) async throws -> Value
    /// The options of the request as an object: CreateOptions, UpdateOptions, DeleteOptions; null for a connection.
    func options(of operation: AdmissionAttributes.Operation) -> Value
    /// Tells the client, in a `Warning` header.
    func warn(_ texts: [String])
    /// Counts a webhook's call.
    func called(webhook: String, _ operation: AdmissionAttributes.Operation, isMutating: Bool, isRejected: Bool, seconds: Double)
}

extension AdmissionAttributes {
    /// Adds an annotation to the request's audit event. Upstream: audit.AddAuditAnnotation.
    func annotate(_ key: String, _ value: String) { AuditTrail.annotate(key, value) }
}

/// What the rounds of mutating admission know of each other. Upstream: admission.ReinvocationContext with the webhooks' own.
package struct Reinvocation: Sendable {
    /// The second round is under way.
    package var isSecondRound = false
    /// A webhook or policy has changed the object: all plug-ins look at it once more.
    package var isWanted = false
    /// Webhooks called so far that want to see later changes, by their key.
    var invoked: Set<String> = []
    /// Those to be called again.
    var pending: Set<String> = []
    /// The object as the last webhook left it.
    var lastOutput: Value?

    package init() {}

    /// The object has changed: who was called and cares is called again.
    mutating func changed() {
        pending.formUnion(invoked)
        invoked.removeAll()
        isWanted = true
    }
}

extension ResourceVerbs: AdmissionContext {
    func warn(_ texts: [String]) { warnings.add(texts) }

    func called(webhook: String, _ operation: AdmissionAttributes.Operation, isMutating: Bool, isRejected: Bool, seconds: Double) {
        environment.admissionMetrics.called(
            webhook: webhook, operation, isMutating ? .admit : .validate, isRejected: isRejected, seconds: seconds)
    }

    func shown(_ object: Value, as matched: MatchedResource, subresource: String) async throws -> Value {
        guard case .object = object else { return .null }
        if isScale(matched, object) { return try scaleValue(of: try Object(object)) }
        guard object["kind"]?.string == scope.storedKind.kind, let target = environment.registry.scope(matched.resource) else { return object }
        if scope.custom != nil {
            // Custom resources are worked with in the version of the request.
            if matched.resource == row.groupVersionResource { return object }
            return try await target.shown(try await scope.kept(try Object(object))).value
        }
        if let conversion = target.conversion { return conversion.toExternal(try Object(object)).value }
        guard target.storedKind.apiVersion != object["apiVersion"]?.string else { return object }
        var object = object
        object["apiVersion"] = .string(target.row.groupVersion)
        return object
    }

    func taken(_ shown: Value, as matched: MatchedResource, subresource: String, present: Value) async throws -> Value {
        if isScale(matched, present) {
            let scale = try decodePatched(shown, kind: matched.kind, typeName: "api.autoscaling.v1.Scale", validation: .ignore).0
            var tree = present
            tree[path: "spec", "replicas"] = .int(scale[path: "spec", "replicas"]?.int ?? 0)
            return tree
        }
        guard let target = environment.registry.scope(matched.resource), matched.kind == target.row.groupVersionKind else {
            // A subresource with a kind of its own: Binding, Eviction, PodExecOptions.
            let type = environment.schema.type(of: matched.kind)?.name ?? ""
            return try decodePatched(shown, kind: matched.kind, typeName: type, validation: .ignore).0
        }
        if let custom = target.custom {
            let decoded = try custom.decode(shown.jsonBytes, validation: .ignore).0
            if matched.resource == row.groupVersionResource { return decoded }
            return try await scope.shown(try await target.kept(try Object(decoded))).value
        }
        let (decoded, _) = try ObjectDecoder.decode(shown.jsonBytes, row: target.row, in: environment.schema, validation: .ignore)
        var object = decoded
        Defaults.apply(&object, target.row)
        if let conversion = target.conversion { return conversion.toStored(object) }
        object["apiVersion"] = .string(scope.storedKind.apiVersion)
        return object
    }

    private func isScale(_ matched: MatchedResource, _ object: Value) -> Bool {
        matched.kind.kind == "Scale" && matched.kind.group == "autoscaling" && object["kind"]?.string != "Scale"
    }

    func options(of operation: AdmissionAttributes.Operation) -> Value {
        let kind: String
        switch operation {
        case .create: kind = "CreateOptions"
        case .update: kind = "UpdateOptions"
        case .delete: kind = "DeleteOptions"
        case .connect: return .null
        }
        var options: Value = ["kind": .string(kind), "apiVersion": "meta.k8s.io/v1"]
        if operation == .delete, info.subresource.isEmpty {
            // The body was read as DeleteOptions before; what cannot be read did not come this far.
            for (key, value) in (try? Value(json: request.body))?.object ?? Members() where key != "kind" && key != "apiVersion" {
                options[key] = value
            }
            if let grace = request.query["gracePeriodSeconds"].flatMap({ Int64($0) }), request.body.isEmpty {
                options["gracePeriodSeconds"] = .int(grace)
            }
            if let policy = request.query["propagationPolicy"], request.body.isEmpty { options["propagationPolicy"] = .string(policy) }
        } else {
            for name in ["fieldManager", "fieldValidation"] {
                if let text = request.query[name], !text.isEmpty { options[name] = .string(text) }
            }
        }
        let dryRun = request.query.all("dryRun").filter { !$0.isEmpty }
        if !dryRun.isEmpty { options["dryRun"] = Value(dryRun) }
        return options
    }
}
