import ContainerRuntime
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Logging
import Synchronization
import Testing

@testable import Kubelet

/// A CSI driver as others write them, with its registrar: a socket of its own, and one where it is found.
private final class TestDriver: Sendable {
    static let name = "toy.example.com"
    /// What it takes for its block volumes: any block device will do.
    static let device = "/dev/loop0"
    /// Names of calls in order, with the volume.
    let calls = Mutex<[String]>([])
    var called: [String] { calls.withLock { $0 } }
    /// The last message of each call.
    let messages = Mutex<[String: [UInt8]]>([:])
    /// What a call is refused with.
    let refusals = Mutex<[String: GRPCError]>([:])
    let status = Mutex<(isRegistered: Bool, error: String)?>(nil)
    private let folder: String
    private let capabilities: [Int64]
    private let servers = Mutex<[HTTPServer]>([])

    init(folder: String, capabilities: [Int64] = [1, 3]) { (self.folder, self.capabilities) = (folder, capabilities) }

    var registrationSocket: String { "\(folder)/plugins_registry/toy-reg.sock" }

    func start() async throws {
        let endpoint = "\(folder)/toy.sock"
        let driver = try await HTTPServer.start(
            .init(address: .unix(path: endpoint)), responder: GRPCService { [self] path, message in try answer(path, message) })
        let registrar = try await HTTPServer.start(
            .init(address: .unix(path: registrationSocket)),
            responder: GRPCService { [self] path, message in
                if path == PluginRegistration.getInfo {
                    let head = ProtobufFields.field(1, "CSIPlugin") + ProtobufFields.field(2, Self.name)
                    return head + ProtobufFields.field(3, endpoint) + ProtobufFields.field(4, "1.0.0")
                }
                let fields = try ProtobufFields(message)
                status.withLock { $0 = (fields.flag(1), fields.text(2)) }
                return []
            })
        servers.withLock { $0 = [driver, registrar] }
    }

    func stop() async {
        let running = servers.withLock { servers in
            defer { servers = [] }
            return servers
        }
        for server in running { await server.stop(grace: .zero) }
        unlink(registrationSocket)
    }

    private func answer(_ path: String, _ message: [UInt8]) throws -> [UInt8] {
        let method = path.split(separator: "/").last.map(String.init) ?? ""
        messages.withLock { $0[method] = message }
        if !method.hasPrefix("NodeGet") { calls.withLock { $0.append(method) } }
        if let refusal = refusals.withLock({ $0[method] }) { throw refusal }
        switch method {
        case "NodeGetInfo":
            return ProtobufFields.field(1, "toy-n1") + ProtobufFields.field(2, Int64(7))
                + ProtobufFields.field(3, ProtobufFields.field(1, ["topology.toy/zone": "z1"]))
        case "NodeGetCapabilities":
            return capabilities.flatMap { ProtobufFields.field(1, ProtobufFields.field(1, ProtobufFields.field(1, $0))) }
        case "NodePublishVolume":
            let fields = try ProtobufFields(message)
            if try fields.messages(5).first?.bytes[1] != nil { symlink(Self.device, fields.text(4)) } else { mkdir(fields.text(4), 0o755) }
        case "NodeUnpublishVolume":
            let path = try ProtobufFields(message).text(2)
            if unlink(path) != 0 { rmdir(path) }
        default: break
        }
        return []
    }

    func fields(_ method: String) throws -> ProtobufFields { try ProtobufFields(messages.withLock { $0[method] } ?? []) }
}

@Suite("CSI: a kubelet with a driver")
struct CSITests {
    private static let handle = "vol-1"
    private static let unique = "kubernetes.io/csi/toy.example.com^vol-1"

    /// A kubelet whose files are in a folder of its own.
    private final class Node: Sendable {
        let folder: String
        let api: FakeAPIServer
        let runtime = SimulatedRuntime()
        private let task = Mutex<Task<Void, any Error>?>(nil)

        init(_ api: FakeAPIServer) {
            self.api = api
            // Sockets' paths are short.
            var template = Array("/tmp/csi-XXXXXX".utf8CString)
            mkdtemp(&template)
            folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        func start() {
            var settings = KubeletConfiguration(
                nodeName: "n1", nodeIP: "10.1.0.1", capacity: ["cpu": Quantity(4), "memory": Quantity(8 << 30), "pods": Quantity(9)],
                kubeletVersion: "v1")
            (settings.managesCgroups, settings.mountsFilesystems) = (false, false)
            (settings.rootDirectory, settings.podLogsDirectory) = (folder, "\(folder)/logs")
            settings.pluginRegistryPath = "\(folder)/plugins_registry"
            settings.observe = { [:] }
            var logger = Logger(label: "kubelet")
            logger.logLevel = .critical
            let kubelet = Kubelet(configuration: settings, client: api.client, runtime: runtime, logger: logger)
            task.withLock { $0 = Task { try await kubelet.run() } }
        }

        func stop() async {
            let running = task.withLock { $0 }
            running?.cancel()
            _ = await running?.result
        }

        func end() async {
            await stop()
            try? FileTree.removeAll(folder)
        }
    }

    private func run(_ driver: (String) -> TestDriver = { TestDriver(folder: $0) }, _ body: (Node, TestDriver) async throws -> Void) async throws {
        let node = Node(FakeAPIServer())
        let driver = driver(node.folder)
        node.start()
        #expect(await eventually { FileTree.exists("\(node.folder)/plugins_registry") })
        try await driver.start()
        do { try await body(node, driver) } catch {
            await driver.stop()
            await node.end()
            throw error
        }
        await driver.stop()
        await node.end()
    }

    private func putVolume(_ api: FakeAPIServer, size: String = "1Gi") throws {
        try api.put(
            .persistentVolumes,
            [
                "metadata": ["name": "pv-1"],
                "spec": [
                    "capacity": ["storage": .string(size)], "accessModes": ["ReadWriteOnce"],
                    "csi": ["driver": .string(TestDriver.name), "volumeHandle": .string(Self.handle), "volumeAttributes": ["tier": "fast"]],
                    "claimRef": ["namespace": "default", "name": "data", "uid": "uid-data"],
                ],
            ])
    }

    private func putClaim(_ api: FakeAPIServer) throws {
        try api.put(
            .persistentVolumeClaims,
            [
                "metadata": ["name": "data", "namespace": "default", "uid": "uid-data"], "spec": ["volumeName": "pv-1"],
                "status": ["phase": "Bound", "capacity": ["storage": "1Gi"]],
            ])
    }

    private func putPod(
        _ api: FakeAPIServer, _ name: String, _ volume: Value, use: Value = ["volumeMounts": [["name": "data", "mountPath": "/data"]]]
    ) throws {
        var (volume, container) = (volume, use)
        volume["name"] = "data"
        container["name"] = "main"
        container["image"] = "i:1"
        try api.put(
            .pods,
            [
                "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "namespace": "default", "uid": .string("uid-\(name)")],
                "spec": [
                    "nodeName": "n1", "terminationGracePeriodSeconds": 1, "serviceAccountName": "default", "volumes": [volume],
                    "containers": [container],
                ],
            ])
    }

    private static let claimed: Value = ["persistentVolumeClaim": ["claimName": "data"]]

    /// As the attach/detach controller and the driver's attacher do. True once it stands: a status that is written meanwhile may take it back.
    private func isAttached(_ api: FakeAPIServer) throws -> Bool {
        var node = try #require(api.get(.nodes, nil, "n1"))
        if node[path: "status", "volumesAttached"] != nil { return true }
        let name = CSINames.attachment(handle: Self.handle, driver: TestDriver.name, node: "n1")
        try api.put(
            .volumeAttachments,
            [
                "metadata": ["name": .string(name)], "spec": ["nodeName": "n1"],
                "status": ["attached": true, "attachmentMetadata": ["device": "/dev/toy0"]],
            ])
        node[path: "status", "volumesAttached"] = [["name": .string(Self.unique), "devicePath": ""]]
        try api.put(.nodes, node)
        return false
    }

    private func inUse(_ api: FakeAPIServer) -> [String] {
        api.get(.nodes, nil, "n1")?[path: "status", "volumesInUse"]?.array?.compactMap(\.string) ?? []
    }

    private func phase(_ api: FakeAPIServer, _ name: String) -> String? { api.get(.pods, "default", name)?[path: "status", "phase"]?.string }

    /// Deletes a pod as a user does.
    private func delete(_ api: FakeAPIServer, _ name: String) throws {
        var pod = try #require(api.get(.pods, "default", name))
        pod[path: "metadata", "deletionTimestamp"] = "2026-01-01T00:00:00Z"
        pod[path: "metadata", "deletionGracePeriodSeconds"] = 0
        try api.put(.pods, pod)
    }

    @Test("a driver registers: the node shows it, and what it says of the place; its socket gone, the node shows it no more")
    func registers() async throws {
        try await run { node, driver in
            func entry() -> Value? { node.api.get(.csiNodes, nil, "n1")?[path: "spec", "drivers"]?.array?.first }
            #expect(await eventually { driver.status.withLock { $0?.isRegistered } == true })
            #expect(entry()?["name"] == .string(TestDriver.name) && entry()?["nodeID"] == "toy-n1" && entry()?[path: "allocatable", "count"] == 7)
            let metadata = node.api.get(.nodes, nil, "n1")?["metadata"]
            #expect(metadata?[path: "labels", "topology.toy/zone"] == "z1")
            #expect(metadata?[path: "annotations", CSINodeChange.nodeIDs]?.string == #"{"toy.example.com":"toy-n1"}"#)
            await driver.stop()
            #expect(await eventually { entry() == nil })
        }
    }

    @Test("a persistent volume waits for its attachment, is staged and published, is in use until the last pod went, and leaves")
    func persistent() async throws {
        try await run { node, driver in
            let api = node.api
            try putVolume(api)
            try putClaim(api)
            try putPod(api, "first", Self.claimed)
            #expect(await eventually { inUse(api) == [Self.unique] })
            #expect(driver.called.isEmpty, "nothing is staged before it is attached")
            #expect(try await eventually { try isAttached(api) && phase(api, "first") == "Running" })
            #expect(driver.called == ["NodeStageVolume", "NodePublishVolume"])
            let device = "\(node.folder)/plugins/kubernetes.io/csi/toy.example.com/\(CSINames.digest(Self.handle))"
            let target = "\(node.folder)/pods/uid-first/volumes/kubernetes.io~csi/pv-1"
            let (staged, published) = (try driver.fields("NodeStageVolume"), try driver.fields("NodePublishVolume"))
            #expect(staged.text(3) == "\(device)/globalmount" && published.text(3) == "\(device)/globalmount")
            #expect(published.text(4) == "\(target)/mount" && published.text(1) == Self.handle)
            #expect(try published.map(2) == ["device": "/dev/toy0"] && published.map(8) == ["tier": "fast"])
            let record = CSIVolumeRecord(json: try FileTree.read("\(target)/vol_data.json"))
            #expect(record?.specName == "pv-1" && record?.attachmentID.hasPrefix("csi-") == true && record?.nodeName == "n1")

            try putPod(api, "second", Self.claimed)
            #expect(await eventually { phase(api, "second") == "Running" })
            try delete(api, "first")
            #expect(await eventually { driver.called.contains("NodeUnpublishVolume") })
            #expect(await eventually { !FileTree.exists(target) })
            #expect(inUse(api) == [Self.unique] && FileTree.exists(device))
            try delete(api, "second")
            #expect(await eventually { inUse(api).isEmpty })
            #expect(driver.called.last == "NodeUnstageVolume" && !FileTree.exists(device))
        }
    }

    @Test(
        "a block volume is staged and published as a device, linked for the pod, and leaves",
        .enabled(if: FileTree.exists(TestDriver.device)))
    func block() async throws {
        try await run({ TestDriver(folder: $0, capabilities: [1]) }) { node, driver in
            let api = node.api
            try api.put(.csiDrivers, ["metadata": ["name": .string(TestDriver.name)], "spec": ["attachRequired": false]])
            try putVolume(api)
            var volume = try #require(api.get(.persistentVolumes, nil, "pv-1"))
            volume[path: "spec", "volumeMode"] = "Block"
            try api.put(.persistentVolumes, volume)
            try putClaim(api)
            #expect(await eventually { driver.status.withLock { $0?.isRegistered } == true })
            try putPod(api, "first", Self.claimed, use: ["volumeDevices": [["name": "data", "devicePath": "/dev/xvda"]]])
            #expect(await eventually { phase(api, "first") == "Running" })
            #expect(driver.called == ["NodeStageVolume", "NodePublishVolume"])
            let devices = "\(node.folder)/plugins/kubernetes.io/csi/volumeDevices"
            let target = "\(devices)/publish/pv-1/uid-first"
            let published = try driver.fields("NodePublishVolume")
            #expect(published.text(3) == "\(devices)/staging/pv-1" && published.text(4) == target)
            #expect(FileTree.readLink("\(node.folder)/pods/uid-first/volumeDevices/kubernetes.io~csi/pv-1") == target)
            try delete(api, "first")
            #expect(await eventually { driver.called.last == "NodeUnstageVolume" })
            #expect(await eventually { !FileTree.exists("\(devices)/publish/pv-1") && !FileTree.exists("\(devices)/staging/pv-1") })
        }
    }

    @Test("a pod's own volume is published with what the driver wants to know, and needs no attachment")
    func ephemeral() async throws {
        try await run { node, driver in
            try node.api.put(
                .csiDrivers,
                [
                    "metadata": ["name": .string(TestDriver.name)],
                    "spec": [
                        "attachRequired": false, "podInfoOnMount": true, "volumeLifecycleModes": ["Ephemeral"],
                        "tokenRequests": [["audience": "vault"]],
                    ],
                ])
            try node.api.put(.secrets, ["metadata": ["name": "key", "namespace": "default"], "data": ["word": "c2VzYW1l"]])
            #expect(await eventually { driver.status.withLock { $0?.isRegistered } == true })
            try putPod(
                node.api, "web",
                ["csi": ["driver": .string(TestDriver.name), "nodePublishSecretRef": ["name": "key"], "volumeAttributes": ["a": "b"]]])
            #expect(await eventually { phase(node.api, "web") == "Running" })
            let published = try driver.fields("NodePublishVolume")
            let context = try published.map(8)
            #expect(published.text(1) == CSINames.ephemeralHandle(podUID: "uid-web", volume: "data") && published.text(3).isEmpty)
            #expect(context["a"] == "b" && context["csi.storage.k8s.io/pod.name"] == "web" && context["csi.storage.k8s.io/ephemeral"] == "true")
            #expect(context["csi.storage.k8s.io/serviceAccount.tokens"]?.contains(#""vault":{"token":"a-token""#) == true)
            #expect(try published.map(7) == ["word": "sesame"])
            #expect(inUse(node.api).isEmpty)
            try delete(node.api, "web")
            #expect(await eventually { driver.called == ["NodePublishVolume", "NodeUnpublishVolume"] })
        }
    }

    @Test("without its driver a pod waits, in upstream's words; a refused volume is told of with the driver's")
    func failures() async throws {
        try await run { node, driver in
            let api = node.api
            try api.put(.csiDrivers, ["metadata": ["name": "other"], "spec": ["volumeLifecycleModes": ["Ephemeral"]]])
            try putPod(api, "lost", ["csi": ["driver": "other"]])
            let missing = "driver name other not found in the list of registered CSI drivers"
            #expect(
                await eventually {
                    api.events("FailedMount").contains {
                        $0 == "MountVolume.SetUp failed for volume \"data\" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: \(missing)"
                    }
                })
            driver.refusals.withLock { $0["NodeStageVolume"] = GRPCError(code: GRPCError.invalidArgument, message: "no such disk") }
            try putVolume(api)
            try putClaim(api)
            try putPod(api, "first", Self.claimed)
            #expect(await eventually { inUse(api) == [Self.unique] })
            #expect(
                try await eventually {
                    try isAttached(api)
                        && api.events("FailedMount").contains {
                            $0.hasPrefix("MountVolume.MountDevice failed for volume \"pv-1\" : ") && $0.hasSuffix("no such disk")
                        }
                })
            // A deletion that comes amid another try does not know what the driver did, and has it undone: only the outcome is sure.
            try delete(api, "first")
            #expect(await eventually { inUse(api).isEmpty })
            #expect(!driver.called.contains("NodePublishVolume"))
        }
    }

    @Test("an agent that starts again still has the volume in use before it says anything, and takes it off the node at the end")
    func restart() async throws {
        try await run { node, driver in
            let api = node.api
            try putVolume(api)
            try putClaim(api)
            try putPod(api, "first", Self.claimed)
            #expect(await eventually { inUse(api) == [Self.unique] })
            #expect(try await eventually { try isAttached(api) && phase(api, "first") == "Running" })
            await node.stop()
            try api.remove(.pods, "default", "first")
            node.start()
            #expect(await eventually { driver.called.last == "NodeUnstageVolume" })
            #expect(await eventually { inUse(api).isEmpty })
            #expect(await eventually { !FileTree.exists("\(node.folder)/pods/uid-first") })
        }
    }

    @Test("a volume that grew is enlarged by the driver, and the claim says so")
    func expands() async throws {
        try await run { node, driver in
            let api = node.api
            try putVolume(api, size: "3Gi")
            try putClaim(api)
            try putPod(api, "first", Self.claimed)
            #expect(await eventually { inUse(api) == [Self.unique] })
            #expect(
                try await eventually {
                    try isAttached(api) && api.get(.persistentVolumeClaims, "default", "data")?[path: "status", "capacity", "storage"] == "3Gi"
                })
            let fields = try driver.fields("NodeExpandVolume")
            #expect(try fields.messages(3).first?.int(1) == 3 << 30)
            #expect(
                await eventually {
                    api.events("FileSystemResizeSuccessful") == ["MountVolume.NodeExpandVolume succeeded for volume \"pv-1\" n1"]
                })
        }
    }
}
