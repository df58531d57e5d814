import KubeAPI
import KubeClient
import Testing

@testable import KubeScheduler

/// Claims, volumes and classes as the scheduler's caches have them.
private struct Storage {
    let claims = Indexer()
    let volumes = Indexer()
    let classes = Indexer()
    let csiNodes = Indexer()
    var lookup: VolumeLookup { VolumeLookup(claims: claims, volumes: volumes, classes: classes, csiNodes: csiNodes) }

    func addClass(_ name: String, mode: String = "WaitForFirstConsumer", provisioner: String = "p") throws {
        classes.set(
            try object([
                "kind": "StorageClass", "metadata": ["name": .string(name)], "provisioner": .string(provisioner), "volumeBindingMode": .string(mode),
            ]))
    }

    func addClaim(_ name: String, _ storageClass: String, volume: String? = nil, modes: Value = ["ReadWriteOnce"]) throws {
        var value: Value = [
            "kind": "PersistentVolumeClaim", "metadata": ["name": .string(name), "namespace": "default", "uid": .string("uid-\(name)")],
            "spec": ["storageClassName": .string(storageClass), "accessModes": modes, "resources": ["requests": ["storage": "1Gi"]]],
        ]
        if let volume {
            value[path: "spec", "volumeName"] = .string(volume)
            value[path: "metadata", "annotations", ClaimBinding.bindCompleted] = "yes"
        }
        claims.set(try object(value))
    }

    func addVolume(_ name: String, _ storageClass: String, node: String? = nil, labels: [String: String] = [:], driver: String? = nil) throws {
        var spec: Value = ["storageClassName": .string(storageClass), "accessModes": ["ReadWriteOnce"], "capacity": ["storage": "2Gi"]]
        if let node {
            spec["nodeAffinity"] = [
                "required": [
                    "nodeSelectorTerms": [["matchExpressions": [["key": "kubernetes.io/hostname", "operator": "In", "values": [.string(node)]]]]]
                ]
            ]
        }
        if let driver { spec["csi"] = ["driver": .string(driver), "volumeHandle": .string(name)] }
        volumes.set(
            try object([
                "kind": "PersistentVolume", "metadata": ["name": .string(name), "labels": Value(labels)], "spec": spec,
                "status": ["phase": "Available"],
            ]))
    }
}

private func user(_ name: String, _ claims: String..., node: String = "") throws -> PodInfo {
    try pod(name, node: node) { spec in
        spec["volumes"] = .array(claims.map { ["name": .string($0), "persistentVolumeClaim": ["claimName": .string($0)]] })
    }
}

private func schedule(_ pod: PodInfo, _ all: SchedulerCache, _ storage: Storage, promised: Set<String> = []) -> SchedulingCycle.Outcome {
    var all = all
    var cycle = SchedulingCycle()
    let input = CycleInput(
        pod: pod, workloadSelector: nil, volumes: storage.lookup.needs(of: pod, promised: promised), lookup: storage.lookup)
    return cycle.schedule(input, &all, random: { _ in 0 })
}

@Suite("Scheduler: volumes")
struct VolumeTests {
    @Test("a pod goes where its bound volume can be used")
    func bound() throws {
        let storage = Storage()
        try storage.addClaim("data", "c", volume: "v")
        try storage.addVolume("v", "c", node: "b")
        let all = cache([try node("a"), try node("b")])
        #expect(schedule(try user("p", "data"), all, storage) == .node("b"))
        let onlyA = cache([try node("a")])
        #expect(
            message(schedule(try user("p", "data"), onlyA, storage))
                == "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity.")
    }

    @Test("a claim that is missing, or waits for no pod, keeps it back with upstream's words")
    func refused() throws {
        let storage = Storage()
        let all = cache([try node("a")])
        #expect(message(schedule(try user("p", "data"), all, storage)) == "0/1 nodes are available: persistentvolumeclaim \"data\" not found.")
        try storage.addClass("now", mode: "Immediate")
        try storage.addClaim("data", "now")
        #expect(
            message(schedule(try user("p", "data"), all, storage)) == "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")
    }

    @Test("a claim that waits for the pod takes a free volume on the node, or has one made; one volume serves one claim")
    func delayed() throws {
        let storage = Storage()
        try storage.addClass("static", provisioner: ClaimBinding.noProvisioner)
        try storage.addClass("dynamic")
        try storage.addClaim("one", "static")
        try storage.addClaim("two", "static")
        try storage.addClaim("three", "dynamic")
        try storage.addVolume("v", "static", node: "b")
        let all = cache([try node("a"), try node("b")])
        #expect(schedule(try user("p", "one", "three"), all, storage) == .node("b"))
        #expect(
            message(schedule(try user("p", "one"), all, storage, promised: ["v"]))
                == "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.")
        #expect(message(schedule(try user("p", "one", "two"), all, storage)) != nil)
        let needs = try #require(storage.lookup.needs(of: try user("p", "one", "three"), promised: []))
        let choice = try #require(all.node("b").flatMap { VolumeChoice(needs, on: $0) })
        #expect(choice.promises.map(\.volume.metadata.name) == ["v"])
        #expect(choice.provisions.map(\.metadata.name) == ["three"])
    }

    @Test("labels of a volume name its zone")
    func zone() throws {
        let storage = Storage()
        try storage.addClaim("data", "c", volume: "v")
        try storage.addVolume("v", "c", labels: ["topology.kubernetes.io/zone": "z2__z3"])
        let all = cache([
            try node("a", labels: ["topology.kubernetes.io/zone": "z1"]), try node("b", labels: ["topology.kubernetes.io/zone": "z3"]),
        ])
        #expect(schedule(try user("p", "data"), all, storage) == .node("b"))
    }

    @Test("a claim of one pod alone is not given to a second")
    func exclusive() throws {
        let storage = Storage()
        try storage.addClaim("data", "c", volume: "v", modes: ["ReadWriteOncePod"])
        try storage.addVolume("v", "c")
        let all = cache([try node("a"), try node("b")], [try user("first", "data", node: "a")])
        #expect(message(schedule(try user("p", "data"), all, storage))?.contains("2 node has pod using PersistentVolumeClaim") ?? false)
    }

    @Test("a node's limit of a driver's volumes is kept")
    func limits() throws {
        let storage = Storage()
        for name in ["one", "two"] {
            try storage.addClaim(name, "c", volume: "v-\(name)")
            try storage.addVolume("v-\(name)", "c", driver: "d")
        }
        storage.csiNodes.set(
            try object(["kind": "CSINode", "metadata": ["name": "a"], "spec": ["drivers": [["name": "d", "allocatable": ["count": 1]]]]]))
        let all = cache([try node("a")], [try user("first", "one", node: "a")])
        #expect(message(schedule(try user("p", "two"), all, storage)) == "0/1 nodes are available: 1 node(s) exceed max volume count.")
        #expect(schedule(try user("p", "one"), all, storage) == .node("a"))
    }

    @Test("a parked pod whose claim its provisioner gives back is tried elsewhere; what is older than the order says nothing")
    func refusedProvision() throws {
        let storage = Storage()
        func setClaim(revision: String, node: String?) throws {
            var value: Value = [
                "kind": "PersistentVolumeClaim",
                "metadata": ["name": "data", "namespace": "default", "uid": "uid-data", "resourceVersion": .string(revision)], "spec": [:],
            ]
            if let node { value[path: "metadata", "annotations", ClaimBinding.selectedNode] = .string(node) }
            storage.claims.set(try object(value))
        }
        var parked = ParkedPods()
        let info = try user("p", "data")
        parked.park(QueuedPod(info: info, timestamp: epoch), "a", orders: ["default/data": 10])
        try setClaim(revision: "9", node: nil)
        #expect(parked.refused(storage.lookup).isEmpty)
        try setClaim(revision: "10", node: "a")
        #expect(parked.refused(storage.lookup).isEmpty)
        try setClaim(revision: "11", node: nil)
        #expect(parked.refused(storage.lookup) == [info.uid] && parked.refusedClaim(info.uid, storage.lookup) == "default/data")
        parked.remove(info.uid)
        #expect(parked.refused(storage.lookup).isEmpty)
    }
}
