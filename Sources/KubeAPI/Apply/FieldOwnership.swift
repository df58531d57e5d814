/// Who owns which fields of an object, kept up to date by every write, and what an apply makes of it. Upstream: managedfields.FieldManager over
/// structured-merge-diff's merge.Updater.
///
/// All entries are read in one version's paths: the versions of one object have the same fields here, so nothing is converted between them.
package struct FieldOwnership: Sendable {
    private let walk: TypedWalk
    private let apiVersion: String
    private let subresource: String
    private let now: Timestamp
    /// Fields that this path never writes, with all below them. Upstream: rest.ResetFieldsStrategy.GetResetFields.
    private let resetFields: FieldSet
    /// Whether updates are compared as Go's types see objects. The oracle of structured-merge-diff has no Go types.
    private let asStructs: Bool

    package init(
        walk: TypedWalk, apiVersion: String, subresource: String, resetFields: FieldSet = FieldSet(), now: Timestamp, asStructs: Bool = true
    ) {
        self.walk = walk
        self.apiVersion = apiVersion
        self.subresource = subresource
        self.resetFields = resetFields
        self.now = now
        self.asStructs = asStructs
    }

    /// Fields that nobody owns: what the server sets or what names the object. Upstream: stripMetaManager.
    private static let unowned = FieldSet(
        paths: [["apiVersion"], ["kind"], ["metadata"]].map { $0.map(PathElement.field) }
            + unownedMetadata.map { [.field("metadata"), .field($0)] })
    private static let unownedMetadata = [
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields", "resourceVersion",
    ]
    /// What comparisons need not look at: the unowned fields, but not metadata itself, and what a deletion sets.
    private static let uncompared = FieldSet(
        paths: [[.field("apiVersion")], [.field("kind")]]
            + (unownedMetadata + ["deletionTimestamp", "deletionGracePeriodSeconds"]).map { [.field("metadata"), .field($0)] })

    // MARK: Updates

    /// The `metadata.managedFields` of an object that was written by other means than apply; nil: none. `old` nil: the object is new. What the client
    /// sent in `new`'s own managedFields counts on the main path. Upstream: FieldManager.Update.
    package func afterUpdate(old: Value?, new: Value, manager: String) -> Value? {
        let stored = old?[path: "metadata", "managedFields"]
        let sent = new[path: "metadata", "managedFields"]
        var isTrusted = true
        var current = stored
        if subresource.isEmpty, let sent, sent != stored {
            if ManagedFields.isReset(sent) {
                current = nil
            } else if let items = sent.array, !items.isEmpty, (try? ManagedFields(sent)) != nil {
                // What cannot be read is passed over for what is stored, so that clients which do not know the field cannot harm it.
                current = sent
                isTrusted = false
            }
        }
        if old != nil, (current?.array ?? []).isEmpty { return nil }
        if old == nil, current == nil { return ofNew(new, manager: manager) }

        let difference = walk.compare(old ?? .object(Members()), new, asStructs: asStructs, skipping: Self.uncompared.union(resetFields))
        if difference.isSame, isTrusted { return current }
        let changed = difference.added.union(difference.modified)
        let own = changed.difference(difference.removed).difference(Self.unowned)
        if isTrusted, let same = touched(current, changed: changed, removed: difference.removed, own: own, manager: manager) { return same }
        guard var managed = try? ManagedFields(current) else { return own.isEmpty ? nil : ManagedFields([entry(manager, own)]).value }
        let lost = changed.union(difference.removed)
        for index in managed.entries.indices { managed.entries[index].fields = managed.entries[index].fields.difference(lost) }
        managed.entries.removeAll(where: \.fields.isEmpty)
        if !own.isEmpty {
            // The manager's earlier fields that it wrote again are its own as before.
            let entry = entry(manager, own)
            if let place = managed.place(of: entry.identity) {
                managed.entries[place].fields = managed.entries[place].fields.union(own)
                managed.entries[place].time = now.rfc3339
            } else {
                managed.entries.append(entry)
            }
        }
        managed.capUpdateManagers()
        return managed.value
    }

    /// Of a new object that brought no managedFields. What its shape tells is remembered.
    private func ofNew(_ new: Value, manager: String) -> Value? {
        let shape = asStructs ? walk.shapeOfNew(new, resets: resetFields) : nil
        let fields: Value
        if let shape, let known = ShapeMemory.fields(of: shape) {
            fields = known
        } else {
            fields = comparedWithNothing(new).fieldsV1
            if let shape { ShapeMemory.remember(fields, shape) }
        }
        guard fields.object?.isEmpty == false else { return nil }
        return .array([ManagedFields.encode(entry(manager, FieldSet()), fields: fields)])
    }

    /// What its writer owns of a new object.
    func comparedWithNothing(_ new: Value) -> FieldSet {
        let difference = walk.compare(.object(Members()), new, asStructs: asStructs, skipping: Self.uncompared.union(resetFields))
        return difference.added.union(difference.modified).difference(difference.removed).difference(Self.unowned)
    }

    private func entry(_ manager: String, _ fields: FieldSet) -> ManagedFieldsEntry {
        ManagedFieldsEntry(
            manager: manager.isEmpty ? "unknown" : manager, operation: .update, apiVersion: apiVersion, subresource: subresource, time: now.rfc3339,
            fields: fields)
    }

    /// The hot case, without decoding: a writer writes fields that it owns already and nobody else does. Then only its time changes. Nil: not so.
    private func touched(_ current: Value?, changed: FieldSet, removed: FieldSet, own: FieldSet, manager: String) -> Value? {
        guard !own.isEmpty, var items = current?.array else { return nil }
        let identity = entry(manager, FieldSet()).identity
        var place: Int?
        for (index, item) in items.enumerated() {
            guard let fields = item["fieldsV1"] else { return nil }
            let operation = item["operation"]?.string
            if operation == ManagedFieldsEntry.Operation.update.rawValue, item["manager"]?.string == identity.manager,
                item["apiVersion"]?.string == identity.apiVersion, (item["subresource"]?.string ?? "") == identity.subresource
            {
                guard own.isContained(inRaw: fields), !removed.meets(raw: fields) else { return nil }
                place = index
            } else if changed.meets(raw: fields) || removed.meets(raw: fields) {
                return nil
            }
        }
        guard let place else { return nil }
        let time = Value.string(now.rfc3339)
        if items[place]["time"] == time { return current }
        items[place]["time"] = time
        // Entries of updates come last and in the order of their times: the newest is the last.
        if place != items.count - 1 {
            let newest = items.remove(at: place)
            items.append(newest)
            guard let sorted = try? ManagedFields(.array(items)) else { return nil }
            return sorted.value
        }
        return .array(items)
    }

    // MARK: Apply

    /// What applying comes to.
    package struct Applied: Sendable {
        /// The merged object with its managedFields, not yet decoded or defaulted.
        package var object: Value
        /// Whether anything but the ownership differs from what was live.
        package var isChanged: Bool
    }

    /// One field that another manager owns with another value. Upstream: merge.Conflict.
    package struct Conflict: Error, Sendable {
        package var manager: ManagedFieldsEntry.Identity
        package var path: [PathElement]
        var shownPath: String { path.map(\.description).joined() }
    }

    /// Applies a configuration. `live` nil: the object does not exist. Throws `StatusError`: 409 with the conflicts, 500 for what does not fit the
    /// type. Upstream: FieldManager.Apply with lastAppliedManager and lastAppliedUpdater.
    package func apply(_ configuration: Value, to live: Value?, manager: String, force: Bool) throws(StatusError) -> Applied {
        let problems = walk.problems(in: configuration)
        guard problems.isEmpty else {
            throw Self.failure("failed to create typed patch object (\(Self.name(configuration))): \(TypedWalk.describe(problems))")
        }
        var managed: ManagedFields
        do throws(FieldSetError) { managed = try ManagedFields(live?[path: "metadata", "managedFields"]) } catch {
            throw Self.failure("failed to decode managed fields: \(error.message)")
        }
        var present = live ?? .object(Members())
        present[path: "metadata", "managedFields"] = nil
        if managed.isEmpty, live != nil {
            managed = ManagedFields()
            let before = walk.compare(.object(Members()), present, asStructs: asStructs, skipping: Self.uncompared.union(resetFields))
            let fields = before.added.union(before.modified).difference(Self.unowned)
            if !fields.isEmpty { managed.entries.append(entry(Self.beforeFirstApply, fields)) }
        }
        var outcome = merged(configuration, present, managed, manager: manager, force: force)
        if !outcome.conflicts.isEmpty, manager == Self.kubectl, let allowed = lastApplied(in: present) {
            let others = outcome.conflicts.filter { !allowed.contains($0.path) }
            guard others.isEmpty else { throw Self.conflict(others) }
            outcome = merged(configuration, present, managed, manager: manager, force: true)
        }
        guard outcome.conflicts.isEmpty else { throw Self.conflict(outcome.conflicts) }
        var object = outcome.isChanged ? outcome.object : present
        if manager == Self.kubectl, !(object[path: "metadata", "annotations", Self.lastAppliedAnnotation]?.string ?? "").isEmpty {
            var config = configuration
            config[path: "metadata", "annotations", Self.lastAppliedAnnotation] = nil
            object[path: "metadata", "annotations", Self.lastAppliedAnnotation] = .string(config.sorted.jsonString + "\n")
        }
        object[path: "metadata", "managedFields"] = outcome.managed.value
        return Applied(object: object, isChanged: outcome.isChanged)
    }

    private struct Outcome {
        var object: Value
        var managed: ManagedFields
        var isChanged: Bool
        var conflicts: [Conflict]
    }

    /// Upstream: merge.Updater.Apply.
    private func merged(_ configuration: Value, _ live: Value, _ before: ManagedFields, manager: String, force: Bool) -> Outcome {
        var managed = before
        var object = walk.merge(live, configuration)
        let applied = walk.fieldSet(of: configuration).recursiveDifference(resetFields)
        var own = ManagedFieldsEntry(manager: manager, operation: .apply, apiVersion: apiVersion, subresource: subresource, fields: applied)
        let identity = own.identity
        let place = managed.place(of: identity)
        if let place {
            own.time = managed.entries[place].time
            let last = managed.entries[place].fields
            managed.entries[place] = own
            object = pruned(object, managed, last: last)
        } else {
            managed.entries.append(own)
        }
        let difference = walk.compare(live, object, skipping: Self.uncompared.union(resetFields))
        let changed = difference.added.union(difference.modified)
        var conflicts: [Conflict] = []
        for index in managed.entries.indices where managed.entries[index].identity != identity {
            let entry = managed.entries[index]
            let taken = entry.fields.intersection(changed)
            if !taken.isEmpty, !force { conflicts += taken.paths.map { Conflict(manager: entry.identity, path: $0) } }
            managed.entries[index].fields = entry.fields.difference(taken).difference(difference.removed)
        }
        if !conflicts.isEmpty {
            conflicts.sort { ManagedFieldsEntry.Identity.precedes($0.manager, $1.manager) }
            return Outcome(object: live, managed: before, isChanged: false, conflicts: conflicts)
        }
        let isChanged = object != live
        if let place = managed.place(of: identity) {
            managed.entries[place].fields = managed.entries[place].fields.difference(Self.unowned)
            if isChanged { managed.entries[place].time = now.rfc3339 }
        }
        managed.entries.removeAll(where: \.fields.isEmpty)
        return Outcome(object: object, managed: managed, isChanged: isChanged, conflicts: [])
    }

    /// Takes out what the manager applied last time and not this time, and nobody else owns. Upstream: Updater.prune.
    private func pruned(_ merged: Value, _ managed: ManagedFields, last: FieldSet) -> Value {
        if last.isEmpty { return merged }
        let lastNamed = walk.withNamedFields(last)
        var object = walk.removing(lastNamed, from: merged)
        let mergedSet = walk.withNamedFields(walk.fieldSet(of: merged))
        // What others, or this manager's new configuration, own comes back.
        let owned = walk.withNamedFields(managed.entries.reduce(FieldSet()) { $0.union($1.fields) })
        object = walk.removing(mergedSet.difference(walk.withNamedFields(walk.fieldSet(of: object)).union(owned)), from: merged)
        // What nobody owned, but lay below something that went, comes back too.
        return walk.removing(mergedSet.difference(walk.withNamedFields(walk.fieldSet(of: object))).intersection(lastNamed), from: merged)
    }

    // MARK: Client-side apply

    static let beforeFirstApply = "before-first-apply"
    /// The manager for which client-side apply is upgraded.
    static let kubectl = "kubectl"
    static let lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"

    /// The fields of the last client-side apply that are still as it left them: conflicts on them are its own. Nil: there was none. Upstream:
    /// allowedConflictsFromLastApplied.
    private func lastApplied(in live: Value) -> FieldSet? {
        guard let text = live[path: "metadata", "annotations", Self.lastAppliedAnnotation]?.string, !text.isEmpty,
            // An annotation that is no object of this version tells nothing.
            let applied = try? Value(json: text), applied["apiVersion"]?.string == apiVersion, walk.problems(in: applied).isEmpty
        else { return nil }
        let difference = walk.compare(applied, live)
        return walk.fieldSet(of: applied).difference(difference.modified).difference(difference.added).difference(difference.removed)
    }

    // MARK: Errors

    private static func name(_ object: Value) -> String {
        let kind = GroupVersionKind(apiVersion: object["apiVersion"]?.string ?? "", kind: object["kind"]?.string ?? "")
        let namespace = object[path: "metadata", "namespace"]?.string ?? ""
        return "\(namespace)/\(object[path: "metadata", "name"]?.string ?? ""); \(kind.group)/\(kind.version), Kind=\(kind.kind)"
    }

    /// An error without a status of its own. Upstream: what ErrorToAPIStatus makes of it.
    private static func failure(_ message: String) -> StatusError { StatusError(code: 500, reason: "", message: message) }

    /// Upstream: NewConflictError.
    private static func conflict(_ conflicts: [Conflict]) -> StatusError {
        let causes = conflicts.map {
            StatusError.Cause(reason: "FieldManagerConflict", message: "conflict with \($0.manager.description)", field: $0.shownPath)
        }
        var message = "Apply failed with \(conflicts.count) conflict\(conflicts.count == 1 ? "" : "s"): "
        if conflicts.count == 1 {
            message += "\(causes[0].message): \(conflicts[0].shownPath)"
        } else {
            var lines: [String] = []
            for (index, conflict) in conflicts.enumerated() {
                if index == 0 || conflicts[index - 1].manager != conflict.manager { lines.append("conflicts with \(conflict.manager.description):") }
                lines.append("- \(conflict.shownPath)")
            }
            message += lines.joined(separator: "\n")
        }
        return StatusError(code: 409, reason: "Conflict", message: message, details: .init(causes: causes))
    }
}

extension Value {
    /// With the members of all objects in the order of their names, as Go writes maps.
    fileprivate var sorted: Value {
        switch self {
        case .array(let items): .array(items.map(\.sorted))
        case .object(let members):
            .object(Members(members.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }.map { ($0.0, $0.1.sorted) }))
        default: self
        }
    }
}
