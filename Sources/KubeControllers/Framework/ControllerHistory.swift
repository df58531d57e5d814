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

    static func number(_ revision: Object) -> Int64 { revision["revision"].int ?? 0 }
    static func hash(of revision: Object) -> String { revision.metadata.labels[hashLabel] ?? "" }
}
