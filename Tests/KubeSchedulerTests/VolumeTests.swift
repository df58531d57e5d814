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
    let drivers = Indexer()
    let capacities = Indexer()
    var lookup: VolumeLookup {
        VolumeLookup(claims: claims, volumes: volumes, classes: classes, csiNodes: csiNodes, drivers: drivers, capacities: capacities)
    }

    /// A driver that tells of its room, or one that does not.
    func addDriver(_ name: String, tells: Bool) throws {
        drivers.set(try object(["kind": "CSIDriver", "metadata": ["name": .string(name)], "spec": ["storageCapacity": .bool(tells)]]))
    }

    /// Room on one node; `node` nil: on none.
    func addCapacity(_ storageClass: String, on node: String?, _ capacity: String?, largest: String? = nil) throws {
        let name = "\(storageClass)-\(node ?? "none")"
        var value: Value = [
            "kind": "CSIStorageCapacity", "metadata": ["name": .string(name), "namespace": "kube-system"], "storageClassName": .string(storageClass),
        ]
        if let node { value["nodeTopology"] = ["matchLabels": ["kubernetes.io/hostname": .string(node)]] }
        if let capacity { value["capacity"] = .string(capacity) }
        if let largest { value["maximumVolumeSize"] = .string(largest) }
        capacities.set(try object(value))
    }

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
        let choice = try #require(all.node("b").flatMap { try VolumeChoice(needs, on: $0) })
        #expect(choice.promises.map(\.volume.metadata.name) == ["v"])
        #expect(choice.provisions.map(\.claim.metadata.name) == ["three"])
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

    @Test("a parked pod that waits in vain is tried elsewhere, with the reason; what is older than the order says nothing")
    func refusedProvision() throws {
        let storage = Storage()
        func setClaim(revision: String, node: String?, hasOthers: Bool = true, volume: String? = nil) throws {
            var annotations: Value = [:]
            if hasOthers { annotations["other"] = "x" }
            if let node { annotations[ClaimBinding.selectedNode] = .string(node) }
            var spec: Value = [:]
            if let volume {
                spec["volumeName"] = .string(volume)
                annotations[ClaimBinding.bindCompleted] = "yes"
            }
            storage.claims.set(
                try object([
                    "kind": "PersistentVolumeClaim",
                    "metadata": [
                        "name": "data", "namespace": "default", "uid": "uid-data", "resourceVersion": .string(revision),
                        "annotations": annotations,
                    ], "spec": spec,
                ]))
        }
        let all = cache([try node("a")])
        func find(_ name: String) -> NodeInfo? { all.node(name) }
        var parked = ParkedPods()
        let info = try user("p", "data")
        parked.park(QueuedPod(info: info, timestamp: epoch), "a", orders: ["default/data": 10])
        try setClaim(revision: "9", node: nil)
        #expect(parked.refused(storage.lookup, node: find).isEmpty)
        try setClaim(revision: "10", node: "a")
        #expect(parked.refused(storage.lookup, node: find).isEmpty)
        try setClaim(revision: "11", node: nil)
        #expect(parked.refused(storage.lookup, node: find) == [info.uid])
        #expect(parked.problem(info.uid, storage.lookup, node: find) == "provisioning failed for PVC \"data\"")
        try setClaim(revision: "12", node: nil, hasOthers: false)
        #expect(parked.problem(info.uid, storage.lookup, node: find) == "selectedNode annotation reset for PVC \"data\"")
        try storage.addVolume("v", "c", node: "b")
        try setClaim(revision: "13", node: "a", volume: "v")
        #expect(
            parked.problem(info.uid, storage.lookup, node: find)
                == "pv \"v\" node affinity doesn't match node \"a\": no matching NodeSelectorTerms")
        parked.release(storage.lookup, except: parked.refused(storage.lookup, node: find))
        #expect(parked.popReady() == nil)
        try storage.addVolume("v", "c", node: "a")
        #expect(parked.refused(storage.lookup, node: find).isEmpty)
        parked.release(storage.lookup)
        #expect(parked.popReady()?.node == "a")
        #expect(parked.refused(storage.lookup, node: find).isEmpty)
    }

    @Test("a driver that tells of its room has volumes made only where there is enough; others are not asked")
    func capacity() throws {
        let storage = Storage()
        try storage.addClass("c", provisioner: "d")
        try storage.addClaim("data", "c")
        let all = cache([try node("a"), try node("b"), try node("c")])
        try storage.addDriver("d", tells: true)
        let noRoom = "0/3 nodes are available: 3 node(s) did not have enough free storage."
        #expect(message(schedule(try user("p", "data"), all, storage)) == noRoom)
        try storage.addCapacity("other", on: "a", "9Gi")
        try storage.addCapacity("c", on: nil, "9Gi")
        try storage.addCapacity("c", on: "a", "1000Mi")
        try storage.addCapacity("c", on: "b", "9Gi", largest: "1Mi")
        #expect(message(schedule(try user("p", "data"), all, storage)) == noRoom)
        try storage.addCapacity("c", on: "c", "1Gi")
        #expect(schedule(try user("p", "data"), all, storage) == .node("c"))
        try storage.addDriver("d", tells: false)
        try storage.addCapacity("c", on: "c", "1Mi")
        #expect(message(schedule(try user("p", "data"), all, storage)) == nil)
    }

    @Test("a shape has nodes scored by how full their storage will be")
    func scores() throws {
        let storage = Storage()
        try storage.addClass("c", provisioner: "d")
        try storage.addDriver("d", tells: true)
        for name in ["one", "two"] { try storage.addClaim(name, "c") }
        try storage.addCapacity("c", on: "a", "4Gi")
        try storage.addCapacity("c", on: "b", "20Gi")
        var all = cache([try node("a"), try node("b")])
        let needs = try #require(storage.lookup.needs(of: try user("p", "one", "two"), promised: []))
        let input = CycleInput(pod: try user("p", "one", "two"), workloadSelector: nil, volumes: needs, lookup: storage.lookup)
        #expect(VolumeBinding().prepareScore(input, [0, 1], &all) == nil)
        let shape = ResourceScoring.Shape(points: [(0, 100), (100, 0)])
        let scorer = try #require(VolumeBinding(shape: shape).prepareScore(input, [0, 1], &all))
        let (a, b) = (try #require(all.node("a")), try #require(all.node("b")))
        #expect(scorer.score(a) == 50 && scorer.score(b) == 90)
        // A volume that is there counts by its own size.
        try storage.addVolume("v", "c", node: "a")
        let some = try #require(storage.lookup.needs(of: try user("p", "one", "two"), promised: []))
        #expect(try VolumeChoice(some, on: a).storage == ["c": .init(requested: 1 << 30, capacity: 2 << 30)])
    }
}
