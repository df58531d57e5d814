import KubeAPI
import KubeClient

/// The past templates of a workload, kept as ControllerRevisions: what `kubectl rollout history` and `undo` read. Upstream: pkg/controller/history.
struct ControllerHistory: Sendable {
    static let hashLabel = "controller-revision-hash"

    /// The revision that holds `data`, and what has to be written for it to be the newest.
    struct Plan: Sendable, Equatable {
        /// The value of the hash label.
        var hash: String
        /// A revision to create.
        var create: Value?
        /// A revision to write again with a higher number: an old template came back.
        var update: Value?
        /// Names of revisions beyond the history limit.
        var deletes: [String] = []
    }

    /// - Parameters:
    ///   - data: what the revision holds, such as the template as a patch.
    ///   - inUse: hashes that pods carry: those revisions stay.
    static func plan(
        owner: OwnerReference, namespace: String, labels: Value?, data: Value, revisions: [Object], collisionCount: Int?, limit: Int,
        inUse: Set<String>
    ) -> Plan {
        let sorted = revisions.sorted { number($0) == number($1) ? $0.metadata.name < $1.metadata.name : number($0) < number($1) }
        let highest = sorted.last.map(number) ?? 0
        let equal = sorted.last { Value.semanticallyEqual($0["data"].value, data) }
        var plan: Plan
        if let equal {
            plan = Plan(hash: hash(of: equal))
            if number(equal) < highest {
                var value = equal.value
                value["revision"] = .int(highest &+ 1)
                plan.update = value
            }
        } else {
            var fnv = FNV32a()
            fnv.combine(data.canonical.jsonBytes)
            if let collisionCount { fnv.combine(String(collisionCount).utf8) }
            let hash = fnv.safeEncoded
            var all = labels ?? [:]
            all[hashLabel] = .string(hash)
            plan = Plan(hash: hash)
            plan.create = [
                "apiVersion": "apps/v1", "kind": "ControllerRevision",
                "metadata": [
                    "name": .string("\(owner.name)-\(hash)"), "namespace": .string(namespace), "labels": all, "ownerReferences": [owner.value],
                ], "data": data, "revision": .int(highest &+ 1),
            ]
        }
        let old = sorted.filter { hash(of: $0) != plan.hash && !inUse.contains(hash(of: $0)) }
        let excess = old.count - max(0, limit)
        if excess > 0 { plan.deletes = old.prefix(excess).map(\.metadata.name) }
        return plan
    }

    /// What a revision is to a workload that was about to create one of its name.
    enum Existing: Sendable, Equatable {
        /// The workload's own, holding the same: its cache was behind.
        case own
        /// Nobody's, holding the same: left by a workload of that name that was deleted without its dependents.
        case orphan
        /// On its way out: its name is free soon.
        case going
        /// Another template has its hash, or another workload has it: that counts as a collision, and the next name is another.
        case collision
    }

    /// Upstream: CreateControllerRevision in pkg/controller/history and DaemonSetsController.snapshot, which take any revision that holds the same;
    /// one that another workload answers for is left to it here.
    static func classify(_ existing: Object, owner uid: String, data: Value?) -> Existing {
        guard Value.semanticallyEqual(existing["data"].value, data) else { return .collision }
        if let controller = existing.metadata.controller { return controller.uid == uid ? .own : .collision }
        return existing.metadata.isBeingDeleted ? .going : .orphan
    }

    static func number(_ revision: Object) -> Int64 { revision["revision"].int ?? 0 }
    static func hash(of revision: Object) -> String { revision.metadata.labels[hashLabel] ?? "" }
}

/// Finds and writes one kind of workload's revisions. Upstream: pkg/controller/history.realHistory, controlledHistories in pkg/controller/daemon.
struct RevisionKeeper: Sendable {
    let client: KubeClient
    private let claimer: ControllerRefClaimer

    init(client: KubeClient, ownerResource: GroupVersionResource) {
        self.client = client
        claimer = ControllerRefClaimer(client: client, ownerResource: ownerResource, resource: .controllerRevisions)
    }

    /// The workload's revisions, with those it adopts: nobody's, which its selector matches. Upstream: adoptOrphanRevisions.
    func claim(_ owner: Object, selector: LabelSelector, reference: OwnerReference, in revisions: Indexer) async throws -> [Object] {
        let meta = owner.metadata
        let candidates = ControllerIndex.owned(revisions, by: meta.uid) + ControllerIndex.orphans(revisions, in: meta.namespace)
        return try await claimer.claim(owner, selector: selector, reference: reference, candidates: candidates)
    }

    /// Creates a revision, or takes the one that holds the same; nil: another template has this hash, which the caller has to count.
    func create(_ revision: Value, for owner: Object, selector: LabelSelector, reference: OwnerReference) async throws -> Object? {
        do {
            return try await client.create(.controllerRevisions, revision)
        } catch let error as StatusError where error.isAlreadyExists {
            let meta = owner.metadata
            let existing = try await client.get(
                .controllerRevisions, namespace: meta.namespace, name: revision[path: "metadata", "name"]?.string ?? "")
            switch ControllerHistory.classify(existing, owner: meta.uid, data: revision["data"]) {
            case .own: return existing
            case .orphan:
                // An owner that is going adopts nothing, and needs no other.
                if meta.isBeingDeleted { return existing }
                guard selector.matches(existing) else { return nil }
                let adopted = try await claimer.claim(owner, selector: selector, reference: reference, candidates: [existing]).first
                // Gone meanwhile: its name is free, which is no collision.
                guard let adopted else { throw error }
                return adopted
            case .going: throw error
            case .collision: return nil
            }
        }
    }

    /// Deletes revisions beyond the history's limit.
    func delete(_ names: [String], namespace: String) async throws {
        for name in names {
            do { try await client.delete(.controllerRevisions, namespace: namespace, name: name) } catch let error as StatusError
                where error.isNotFound
            {}
        }
    }
}
