import KubeAPI

/// What a client asks of a deletion, from its body or its query. Upstream: metav1.DeleteOptions.
struct DeleteOptions: Sendable {
    enum Propagation: String, Sendable {
        case orphan = "Orphan"
        case background = "Background"
        case foreground = "Foreground"
    }

    var gracePeriodSeconds: Int64?
    var preconditionUID: String?
    var preconditionResourceVersion: String?
    var orphanDependents: Bool?
    var propagationPolicy: Propagation?
    var dryRun = false

    init() {}

    /// Reads the body when there is one, else the query. Throws 400 and 422 as upstream's ValidateDeleteOptions.
    init(body: [UInt8], query: QueryParameters) throws {
        var policy: String?
        var dryRunValues: [String]
        if body.isEmpty {
            gracePeriodSeconds = try query.integer("gracePeriodSeconds")
            policy = query["propagationPolicy"]
            if query["orphanDependents"] != nil { orphanDependents = query.flag("orphanDependents") }
            dryRunValues = query.all("dryRun")
        } else {
            let options = try JSONDocument(body).root
            guard options.kind == .object else { throw StatusError.badRequest("the object provided is unrecognized (must be of type DeleteOptions)") }
            let kind = options["kind"].string ?? ""
            guard kind.isEmpty || kind == "DeleteOptions" else {
                throw StatusError.badRequest("decoded object cannot be converted to DeleteOptions: kind \(kind.goQuoted)")
            }
            gracePeriodSeconds = options["gracePeriodSeconds"].int
            preconditionUID = options["preconditions"]["uid"].string
            preconditionResourceVersion = options["preconditions"]["resourceVersion"].string
            orphanDependents = options["orphanDependents"].bool
            policy = options["propagationPolicy"].string
            dryRunValues = options["dryRun"].strings
            if dryRunValues.isEmpty { dryRunValues = query.all("dryRun") }
        }
        let kind = GroupVersionKind(group: "meta.k8s.io", version: "v1", kind: "DeleteOptions")
        if let policy, !policy.isEmpty {
            guard let known = Propagation(rawValue: policy) else {
                throw StatusError.invalid(
                    kind, "",
                    [
                        .init(
                            reason: "FieldValueNotSupported",
                            message: "Unsupported value: \(policy.goQuoted): supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
                            field: "propagationPolicy")
                    ])
            }
            guard orphanDependents == nil else {
                throw StatusError.invalid(
                    kind, "",
                    [MetadataValidation.invalid("propagationPolicy", .string(policy), "orphanDependents and deletionPropagation cannot be both set")])
            }
            propagationPolicy = known
        }
        dryRun = try DryRun.read(dryRunValues)
    }
}

/// `dryRun=All`. Upstream: validation.ValidateDryRun.
enum DryRun {
    static func read(_ values: [String]) throws -> Bool {
        let named = values.filter { !$0.isEmpty }
        guard named.allSatisfy({ $0 == "All" }) else {
            throw StatusError.badRequest("dryRun: Unsupported value: [\(named.map(\.goQuoted).joined(separator: ", "))]: supported values: \"All\"")
        }
        return !named.isEmpty
    }
}

/// What a deletion comes to. Upstream: rest.BeforeDelete with genericregistry.Store.Delete, and the pod and namespace registries' own parts.
enum Deletion {
    static let orphanFinalizer = "orphan"
    static let foregroundFinalizer = "foregroundDeletion"

    enum Action: Sendable, Equatable {
        /// The object goes at once.
        case remove
        /// The object is changed (marked as being deleted) and goes later.
        case update(Value)
        /// A deletion is under way already and this one adds nothing.
        case pending
    }

    /// Decides; changes nothing. Throws 409 when a precondition does not hold.
    static func plan(_ object: Object, row: ResourceRow, options: DeleteOptions, now: Timestamp) throws -> Action {
        try check(options, object.metadata, row)
        if row.group.isEmpty, row.resource == "namespaces" { return namespace(object, options: options, now: now) }

        let orphansByDefault = orphansByDefault(row)
        let metadata = object.metadata
        if DefinitionDeletion.isMeant(row), !metadata.isBeingDeleted { return .update(DefinitionDeletion.begin(object, now: now)) }
        var tree = object.value
        var grace = options.gracePeriodSeconds.map { $0 < 0 ? 1 : $0 }

        var graceful = false
        if metadata.isBeingDeleted, let already = metadata.deletionGracePeriodSeconds {
            // Only a shorter grace period than the running one changes anything; a deletion that waits for finalizers alone stands at 0.
            guard supportsGrace(row), let wanted = grace, wanted < already, let timestamp = metadata.deletionTimestamp else {
                return already == 0 && metadata.finalizers.isEmpty
                    ? .remove : finalizers(object, options, orphansByDefault).map { changed(tree, finalizers: $0) } ?? .pending
            }
            tree[path: "metadata", "deletionTimestamp"] = .string(timestamp.adding(seconds: wanted &- already).rfc3339)
            tree[path: "metadata", "deletionGracePeriodSeconds"] = .int(wanted)
            graceful = true
            grace = wanted
        } else if !metadata.isBeingDeleted, supportsGrace(row) {
            let period = podGracePeriod(object, wanted: grace)
            grace = period
            graceful = true
            mark(&tree, at: now.adding(seconds: period), grace: period)
        }

        if let list = finalizers(object, options, orphansByDefault) { tree = changedTree(tree, finalizers: list) }
        let waits = !(tree[path: "metadata", "finalizers"]?.array ?? []).isEmpty
        if graceful {
            return waits || (grace ?? 0) > 0 ? .update(tree) : .remove
        }
        guard waits else { return .remove }
        if metadata.deletionTimestamp.map({ $0 > now }) ?? true { mark(&tree, at: now, grace: 0) }
        return tree == object.value ? .pending : .update(tree)
    }

    /// Whether an update has taken the last thing a deletion waited for. Upstream: ShouldDeleteDuringUpdate, and the namespace registry's.
    static func isComplete(_ new: Value, old: Object, row: ResourceRow) -> Bool {
        guard old.metadata.isBeingDeleted, (new[path: "metadata", "finalizers"]?.array ?? []).isEmpty else { return false }
        if row.group.isEmpty, row.resource == "namespaces" { return (new[path: "spec", "finalizers"]?.array ?? []).isEmpty }
        return (old.metadata.deletionGracePeriodSeconds ?? 0) == 0
    }

    private static func check(_ options: DeleteOptions, _ metadata: ObjectMeta, _ row: ResourceRow) throws {
        // Upstream names the kind here, not the resource.
        let resource = GroupResource(group: row.group, resource: row.kind)
        if let uid = options.preconditionUID, uid != metadata.uid {
            throw StatusError.conflict(
                resource, metadata.name,
                "the UID in the precondition (\(uid)) does not match the UID in record (\(metadata.uid)). The object "
                    + "might have been deleted and then recreated"
            )
        }
        if let version = options.preconditionResourceVersion, version != metadata.resourceVersion {
            throw StatusError.conflict(
                resource, metadata.name,
                "the ResourceVersion in the precondition (\(version)) does not match the ResourceVersion in record (\(metadata.resourceVersion)). "
                    + "The object might have been modified")
        }
    }

    /// Only pods wait for their processes to end.
    private static func supportsGrace(_ row: ResourceRow) -> Bool { row.group.isEmpty && row.resource == "pods" }

    /// Upstream: podStrategy.CheckGracefulDelete: no waiting for a pod that no node runs.
    private static func podGracePeriod(_ pod: Object, wanted: Int64?) -> Int64 {
        let phase = pod["status"]["phase"].string
        if (pod["spec"]["nodeName"].string ?? "").isEmpty || phase == "Failed" || phase == "Succeeded" { return 0 }
        let period = wanted ?? pod["spec"]["terminationGracePeriodSeconds"].int ?? 30
        return period < 0 ? 1 : period
    }

    private static func mark(_ tree: inout Value, at time: Timestamp, grace: Int64) {
        tree[path: "metadata", "deletionTimestamp"] = .string(time.rfc3339)
        tree[path: "metadata", "deletionGracePeriodSeconds"] = .int(grace)
        if let generation = tree[path: "metadata", "generation"]?.int, generation > 0 { tree[path: "metadata", "generation"] = .int(generation &+ 1) }
    }

    /// Whether dependents stay when a deletion says nothing of them: of Jobs and ReplicationControllers, for old clients' sake.
    /// Upstream: the DefaultGarbageCollectionPolicy of their strategies.
    static func orphansByDefault(_ row: ResourceRow) -> Bool {
        row.group == "batch" && row.resource == "jobs" || row.group.isEmpty && row.resource == "replicationcontrollers"
    }

    /// What a client hears that leaves a Job's pods behind without having said so. Upstream: job/storage.REST.Delete.
    static func warning(_ row: ResourceRow, _ options: DeleteOptions) -> String? {
        guard row.group == "batch", row.resource == "jobs", options.propagationPolicy == nil, options.orphanDependents == nil else { return nil }
        return "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
            + "propagationPolicy=Orphan to suppress this warning"
    }

    /// The finalizers the propagation policy calls for; nil when they are those the object has. Upstream: deletionFinalizersForGarbageCollection.
    private static func finalizers(_ object: Object, _ options: DeleteOptions, _ orphansByDefault: Bool = false) -> [String]? {
        let existing = object.metadata.finalizers
        let orphan: Bool
        let foreground: Bool
        if let policy = options.propagationPolicy {
            orphan = policy == .orphan
            foreground = policy == .foreground
        } else if let flag = options.orphanDependents {
            orphan = flag
            foreground = false
        } else {
            // The first of an object's own finalizers overrides the kind's default.
            let first = existing.first { $0 == orphanFinalizer || $0 == foregroundFinalizer }
            orphan = first.map { $0 == orphanFinalizer } ?? orphansByDefault
            foreground = first == foregroundFinalizer
        }
        var wanted = existing.filter { $0 != orphanFinalizer && $0 != foregroundFinalizer }
        if orphan { wanted.append(orphanFinalizer) }
        if foreground { wanted.append(foregroundFinalizer) }
        return Set(wanted) == Set(existing) ? nil : wanted
    }

    private static func changedTree(_ tree: Value, finalizers: [String]) -> Value {
        var tree = tree
        tree[path: "metadata", "finalizers"] = finalizers.isEmpty ? Value?.none : Value(finalizers)
        return tree
    }

    /// A deletion under way gets another propagation policy, which may be what lets it finish.
    private static func changed(_ tree: Value, finalizers: [String]) -> Action {
        finalizers.isEmpty && tree[path: "metadata", "deletionGracePeriodSeconds"]?.int == 0
            ? .remove : .update(changedTree(tree, finalizers: finalizers))
    }

    /// A namespace goes when the namespace controller has emptied it and taken `kubernetes` off spec.finalizers. Upstream:
    /// core/namespace/storage.REST.Delete.
    private static func namespace(_ object: Object, options: DeleteOptions, now: Timestamp) -> Action {
        var tree = object.value
        if let list = finalizers(object, options) { tree = changedTree(tree, finalizers: list) }
        if !object.metadata.isBeingDeleted {
            tree[path: "metadata", "deletionTimestamp"] = .string(now.rfc3339)
            tree[path: "status", "phase"] = "Terminating"
            let empty = object["spec"]["finalizers"].strings.isEmpty && (tree[path: "metadata", "finalizers"]?.array ?? []).isEmpty
            return empty ? .remove : .update(tree)
        }
        guard object["spec"]["finalizers"].strings.isEmpty, (tree[path: "metadata", "finalizers"]?.array ?? []).isEmpty else {
            return tree == object.value ? .pending : .update(tree)
        }
        return .remove
    }
}
