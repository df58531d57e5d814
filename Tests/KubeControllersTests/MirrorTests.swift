import KubeAPI
import Testing

@testable import KubeControllers

@Suite("EndpointSlice mirroring")
struct MirrorTests {
    private func endpoints(_ subsets: Value, labels: [String: String] = [:]) throws -> Object {
        try object([
            "apiVersion": "v1", "kind": "Endpoints", "metadata": ["name": "db", "namespace": "default", "uid": "e", "labels": Value(labels)],
            "subsets": subsets,
        ])
    }

    private let subsets: Value = [
        [
            "addresses": [["ip": "10.0.0.1", "hostname": "a"], ["ip": "fd00::1"]], "notReadyAddresses": [["ip": "10.0.0.2"]],
            "ports": [["name": "sql", "port": 5432, "protocol": "TCP"]],
        ]
    ]

    @Test("each family and set of ports has a slice; a second look changes nothing; without Endpoints all go")
    func mirror() throws {
        let source = try endpoints(subsets)
        let plan = MirrorPlanner.plan(source, existing: [])
        #expect(plan.creates.compactMap { $0["addressType"]?.string } == ["IPv4", "IPv6"])
        let first = try #require(plan.creates.first)
        #expect(first["endpoints"]?.array?.count == 2)
        #expect(first[path: "metadata", "labels", EndpointSlicePlanner.managedByLabel]?.string == MirrorPlanner.managedBy)
        let existing = try plan.creates.enumerated().map { place, slice in
            var slice = slice
            slice[path: "metadata", "name"] = .string("db-\(place)")
            return try object(slice)
        }
        let again = MirrorPlanner.plan(source, existing: existing)
        #expect(again.creates.isEmpty && again.updates.isEmpty && again.deletes.isEmpty)
        #expect(MirrorPlanner.plan(nil, existing: existing).deletes == ["db-0", "db-1"])
        let fewer = MirrorPlanner.plan(
            try endpoints([["addresses": [["ip": "10.0.0.9"]], "ports": [["name": "sql", "port": 5432]]]]), existing: existing)
        #expect(fewer.updates.count == 1 && fewer.deletes == ["db-1"])
    }

    @Test("only Endpoints of Services without a selector are mirrored")
    func chosen() throws {
        let byHand = try object(["kind": "Service", "metadata": ["name": "db"], "spec": [:]])
        let selecting = try object(["kind": "Service", "metadata": ["name": "db"], "spec": ["selector": ["a": "b"]]])
        #expect(MirrorPlanner.isMirrored(try endpoints(subsets), service: byHand))
        #expect(!MirrorPlanner.isMirrored(try endpoints(subsets), service: selecting))
        #expect(!MirrorPlanner.isMirrored(try endpoints(subsets), service: nil))
        #expect(!MirrorPlanner.isMirrored(try endpoints(subsets, labels: [MirrorPlanner.skipLabel: "true"]), service: byHand))
    }
}

@Suite("Retention of claims")
struct ClaimRetentionTests {
    private let set = OwnerReference(apiVersion: "apps/v1", kind: "StatefulSet", name: "ss", uid: "set")

    private func owners(_ policy: Value, has: [OwnerReference] = [], condemned: Bool = false) throws -> [String]? {
        let claim = try object(["kind": "PersistentVolumeClaim", "metadata": ["name": "c", "ownerReferences": .array(has.map(\.value))]])
        return ClaimRetention(try object(["p": policy])["p"]).owners(of: claim, set: set, pod: try pod("ss-1"), isCondemned: condemned)?.map(\.kind)
    }

    @Test("claims belong to the set, to a pod that scaling takes away, or to nobody")
    func policies() throws {
        #expect(try owners(["whenDeleted": "Delete", "whenScaled": "Retain"]) == ["StatefulSet"])
        #expect(try owners(["whenDeleted": "Delete", "whenScaled": "Delete"], has: [set], condemned: true) == ["Pod"])
        #expect(try owners(["whenDeleted": "Retain", "whenScaled": "Delete"]) == nil)
        #expect(try owners(["whenDeleted": "Retain", "whenScaled": "Delete"], condemned: true) == ["Pod"])
        #expect(try owners(["whenDeleted": "Retain", "whenScaled": "Retain"], has: [set]) == [])
        let other = OwnerReference(apiVersion: "v1", kind: "Other", name: "x", uid: "x")
        #expect(try owners(["whenDeleted": "Delete"], has: [other]) == nil)
    }

    @Test("changed back to Retain, claims no longer go with the set or the pod; what an earlier one was promised stays")
    func back() throws {
        let pod = OwnerReference(apiVersion: "v1", kind: "Pod", name: "ss-1", uid: "uid-ss-1")
        let keeps: Value = ["whenDeleted": "Retain", "whenScaled": "Retain"]
        #expect(try owners(keeps, has: [pod]) == [])
        #expect(try owners([:], has: [set, pod]) == [])
        #expect(try owners(keeps) == nil)
        let other = OwnerReference(apiVersion: "v1", kind: "Other", name: "x", uid: "x")
        #expect(try owners(keeps, has: [set, other]) == ["Other"], "of a claim that another controller answers for, ours go all the same")
        let earlier = OwnerReference(apiVersion: "v1", kind: "Pod", name: "ss-1", uid: "earlier")
        #expect(try owners(keeps, has: [earlier]) == nil)
        #expect(
            try owners(["whenDeleted": "Delete"], has: [OwnerReference(apiVersion: "apps/v1", kind: "StatefulSet", name: "ss", uid: "old")]) == nil)
    }

    @Test("a claim that goes with an earlier pod holds the next one back, where scaling deletes claims")
    func stale() throws {
        func isStale(_ policy: String, _ owner: OwnerReference) throws -> Bool {
            let claim = try object(["kind": "PersistentVolumeClaim", "metadata": ["name": "c", "ownerReferences": [owner.value]]])
            return ClaimRetention(try object(["whenScaled": .string(policy)]).root).isStale(claim, pod: "ss-1")
        }
        let earlier = OwnerReference(apiVersion: "v1", kind: "Pod", name: "ss-1", uid: "earlier")
        #expect(try isStale("Delete", earlier))
        #expect(try !isStale("Retain", earlier))
        #expect(try !isStale("Delete", set))
    }
}
