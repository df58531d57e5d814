import HTTPTransport
import KubeAPI
import Testing

@testable import Kubelet

private func persistent(modes: Value = ["ReadWriteOnce"], size: String = "1Gi", fsType: String = "ext4") throws -> CSIVolume {
    let volume = try Object([
        "metadata": ["name": "pv-1"],
        "spec": [
            "capacity": ["storage": .string(size)], "accessModes": modes, "mountOptions": ["noatime"],
            "csi": [
                "driver": "toy.example.com", "volumeHandle": "vol-1", "fsType": .string(fsType), "volumeAttributes": ["a": "b"],
                "nodeStageSecretRef": ["name": "s", "namespace": "vault"], "nodePublishSecretRef": ["name": "p"],
            ],
        ],
    ])
    let claim = try Object([
        "metadata": ["name": "c", "namespace": "default"], "status": ["phase": "Bound", "capacity": ["storage": "1Gi"]],
    ])
    return try CSIVolume(persistent: volume, claim: claim, isReadOnly: false)
}

private func inline(readOnly: Bool = false) throws -> CSIVolume {
    let source = try Object(["driver": "toy.example.com", "readOnly": .bool(readOnly), "fsType": "ext4"])
    return try CSIVolume(inline: source.root, name: "data", pod: Pod(try Object(["metadata": ["name": "p", "namespace": "default", "uid": "u1"]])))
}

private func driver(_ spec: Value) throws -> CSIDriverSettings {
    CSIDriverSettings(try Object(["metadata": ["name": "toy.example.com"], "spec": spec]))
}

@Suite("CSI: decisions")
struct CSIPartsTests {
    @Test("names are upstream's: of attachments, of pods' own volumes, of volumes in nodes' statuses")
    func names() throws {
        #expect(
            CSINames.attachment(handle: "abc", driver: "", node: "")
                == "csi-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(CSINames.attachment(handle: "a", driver: "b", node: "c") == CSINames.attachment(handle: "abc", driver: "", node: ""))
        #expect(try inline().handle == CSINames.ephemeralHandle(podUID: "u1", volume: "data"))
        #expect(try persistent().uniqueName == "kubernetes.io/csi/toy.example.com^vol-1")
    }

    @Test("volumes with names that lead elsewhere are refused")
    func hostileNames() throws {
        for name in ["..", "a/b", "", "."] {
            let pod = Pod(try Object(["metadata": ["name": "p", "namespace": "default", "uid": "u1"]]))
            let source = try Object(["driver": .string(name)])
            #expect(throws: VolumeError.self) { try CSIVolume(inline: source.root, name: "data", pod: pod) }
        }
    }

    @Test(
        "access modes are the driver's, by what it can do",
        arguments: [
            ("ReadWriteOnce", false, 1), ("ReadWriteOnce", true, 7), ("ReadWriteOncePod", false, 1), ("ReadWriteOncePod", true, 6),
            ("ReadOnlyMany", true, 3), ("ReadWriteMany", false, 5),
        ] as [(String, Bool, Int64)])
    func accessModes(mode: String, isCapable: Bool, number: Int64) throws {
        let capabilities: Set<CSICapability> = isCapable ? [.singleNodeMultiWriter] : []
        #expect(try persistent(modes: [.string(mode)]).mount(capabilities, group: nil).accessMode == number)
    }

    @Test("messages bear their fields: a publish call")
    func publishMessage() throws {
        let volume = try persistent()
        let message = CSIMessages.publish(
            volume, at: "/t", staged: "/s", mount: volume.mount([.mountGroup], group: 2000), publishContext: ["device": "/dev/x"],
            secrets: ["key": "word"], context: ["a": "b"])
        let fields = try ProtobufFields(message)
        #expect(fields.text(1) == "vol-1" && fields.text(3) == "/s" && fields.text(4) == "/t" && !fields.flag(6))
        #expect(try fields.map(2) == ["device": "/dev/x"] && fields.map(7) == ["key": "word"] && fields.map(8) == ["a": "b"])
        let capability = try #require(try fields.messages(5).first)
        let mount = try #require(try capability.messages(2).first)
        #expect(mount.text(1) == "ext4" && mount.texts(2) == ["noatime"] && mount.text(3) == "2000")
        #expect(try capability.messages(3).first?.int(1) == 1)
    }

    @Test("a block volume's capability is a device, with paths of its own, and a record that leads back to them")
    func block() throws {
        var volume = try persistent()
        volume.isBlock = true
        let capability = try ProtobufFields(volume.mount([], group: 2000).message)
        #expect(try capability.bytes[1] == [[]] && capability.bytes[2] == nil && capability.messages(3).first?.int(1) == 1)
        #expect(volume.operation("SetUp", "MapPodDevice") == "MapVolume.MapPodDevice")
        #expect(try !driver(["fsGroupPolicy": "File"]).setsGroup(volume))
        let files = CSIVolumeFiles(rootDirectory: "/k")
        #expect(files.target("u1", "pv-1", isBlock: true) == "/k/plugins/kubernetes.io/csi/volumeDevices/publish/pv-1/u1")
        let record = CSIVolumeRecord(specName: "pv-1", driver: "toy", handle: "v", isBlock: true)
        #expect(files.staging(record) == "/k/plugins/kubernetes.io/csi/volumeDevices/staging/pv-1")
        #expect(CSIVolumeRecord(json: record.json) == record)
        #expect(CSIFailure(operation: "MapVolume.SetUpDevice", volume: "v", message: "").reason == "FailedMapVolume")
    }

    @Test("what a driver says of itself is read; what is no message is refused")
    func answers() throws {
        func rpc(_ type: Int64) -> [UInt8] { ProtobufFields.field(1, ProtobufFields.field(1, ProtobufFields.field(1, type))) }
        #expect(try CSICapability.set(rpc(1) + rpc(3) + rpc(99)) == [.stageUnstage, .expand])
        let topology = ProtobufFields.field(3, ProtobufFields.field(1, ["zone": "a"]))
        let info = try CSINodeInfo(ProtobufFields.field(1, "i-1") + ProtobufFields.field(2, Int64(25)) + topology)
        #expect(info == CSINodeInfo(nodeID: "i-1", maximumVolumes: 25, topology: ["zone": "a"]))
        for message: [UInt8] in [[0x0A, 0x05, 0x61], [0xFF], [0x0B]] {
            #expect(throws: (any Error).self) { try CSINodeInfo(message) }
            #expect(throws: (any Error).self) { try CSICapability.set(message) }
            #expect(throws: (any Error).self) { try PluginRegistration(message) }
        }
    }

    @Test("registrations of other kinds, of other versions and of hostile names are refused")
    func registrations() throws {
        func problem(_ type: String, _ name: String, _ versions: [String]) throws -> String? {
            let message = ProtobufFields.field(1, type) + ProtobufFields.field(2, name) + ProtobufFields.field(3, "/x.sock")
            return try PluginRegistration(message + versions.flatMap { ProtobufFields.field(4, $0) }).problem(socket: "/r.sock")
        }
        for version in ["1.0.0", "v1.9", "1"] { #expect(try problem("CSIPlugin", "toy", [version]) == nil) }
        #expect(try problem("DRAPlugin", "toy", ["1.0.0"]) == "no handler registered for plugin type: DRAPlugin at socket /r.sock")
        for versions in [[], ["0.3.0"], ["11.0.0"], [""]] { #expect(try problem("CSIPlugin", "toy", versions) != nil) }
        for name in ["", "..", "a/b"] { #expect(try problem("CSIPlugin", name, ["1.0.0"]) != nil) }
    }

    @Test("a driver serves the kinds of volumes that its object names; without one, persistent ones alone")
    func lifecycle() throws {
        #expect(CSIDriverSettings(nil).problem(try persistent()) == nil)
        #expect(
            CSIDriverSettings(nil).problem(try inline())
                == "volume mode \"Ephemeral\" not supported by driver toy.example.com (no CSIDriver object)")
        #expect(
            try driver([:]).problem(try inline())
                == "volume mode \"Ephemeral\" not supported by driver toy.example.com (only supports [\"Persistent\"])")
        #expect(try driver(["volumeLifecycleModes": ["Ephemeral"]]).problem(try inline()) == nil)
        #expect(try driver(["volumeLifecycleModes": ["Ephemeral"]]).problem(try persistent()) != nil)
    }

    @Test("a volume is given to the pod's group as the driver's policy says")
    func groups() throws {
        #expect(CSIDriverSettings(nil).setsGroup(try persistent()))
        #expect(!CSIDriverSettings(nil).setsGroup(try persistent(modes: ["ReadWriteMany"])))
        #expect(!CSIDriverSettings(nil).setsGroup(try persistent(fsType: "")))
        #expect(try driver(["fsGroupPolicy": "File"]).setsGroup(try persistent(modes: ["ReadWriteMany"], fsType: "")))
        #expect(try !driver(["fsGroupPolicy": "None"]).setsGroup(try persistent()))
        #expect(CSIDriverSettings(nil).setsGroup(try inline()))
        #expect(!CSIDriverSettings(nil).setsGroup(try inline(readOnly: true)))
    }

    @Test("the pod is told of only where the driver asks")
    func podInfo() throws {
        let pod = Pod(try Object(["metadata": ["name": "p", "namespace": "n", "uid": "u"], "spec": ["serviceAccountName": "sa"]]))
        #expect(try driver([:]).podInfo(pod, try inline()).isEmpty)
        let info = try driver(["podInfoOnMount": true]).podInfo(pod, try inline())
        #expect(info["csi.storage.k8s.io/ephemeral"] == "true" && info["csi.storage.k8s.io/pod.name"] == "p" && info.count == 5)
    }

    @Test("a volume that grew beyond what its claim says is the node's to enlarge")
    func growth() throws {
        #expect(try persistent().missingBytes == nil)
        #expect(try persistent(size: "3Gi").missingBytes == 3 << 30)
        #expect(try inline().missingBytes == nil)
    }

    @Test("Secrets are looked for in the claim's namespace unless another is named")
    func secretReferences() throws {
        let volume = try persistent()
        #expect(volume.stageSecret?.namespace == "vault" && volume.publishSecret?.namespace == "default" && volume.expandSecret == nil)
    }

    @Test("records outlive the agent; what is none is passed over")
    func records() throws {
        let record = CSIVolumeRecord(
            specName: "pv-1", driver: "toy", handle: "vol-1", attachmentID: "csi-1", isEphemeral: true, nodeName: "n1")
        #expect(CSIVolumeRecord(json: record.json) == record)
        #expect(CSIVolumeRecord(json: CSIVolumeRecord(driver: "toy", handle: "v").json) == CSIVolumeRecord(driver: "toy", handle: "v"))
        for text in ["", "{", "[]", "{}", #"{"driverName":"","volumeHandle":"x"}"#, #"{"driverName":1}"#] {
            #expect(CSIVolumeRecord(json: Array(text.utf8)) == nil)
        }
    }

    @Test(
        "a volume is ready once the node's status says both that it is in use and that it is attached; it is in use until the last pod and the device went"
    )
    func use() throws {
        var use = CSIUse()
        use.want("v", pod: "a")
        use.want("v", pod: "b")
        use.add(device: "v")
        #expect(use.inUse == ["v"] && !use.isReady("v"))
        use.nodeChanged(try Object(["metadata": ["name": "n"], "status": ["volumesAttached": [["name": "v", "devicePath": ""]]]]))
        #expect(!use.isReady("v"))
        use.nodeChanged(
            try Object([
                "metadata": ["name": "n"], "status": ["volumesInUse": ["v"], "volumesAttached": [["name": "v", "devicePath": ""]]],
            ]))
        #expect(use.isReady("v"))
        use.forget(pod: "a")
        use.remove(device: "v")
        #expect(use.inUse == ["v"])
        use.forget(pod: "b")
        #expect(use.inUse.isEmpty)
    }

    @Test("the node's objects get what a driver says, keep what others wrote, and lose it with the driver")
    func nodeObjects() throws {
        let node = try Object([
            "metadata": [
                "name": "n1", "uid": "u", "labels": ["zone": "a"], "annotations": [CSINodeChange.nodeIDs: #"{"other":"x"}"#],
            ]
        ])
        let info = CSINodeInfo(nodeID: "i-1", maximumVolumes: 5, topology: ["zone": "a", "rack": "r1"])
        let patch = try #require(try CSINodeChange.patch(node, driver: "toy", info: info))
        #expect(patch[path: "metadata", "labels"] == ["rack": "r1"])
        #expect(patch[path: "metadata", "annotations", CSINodeChange.nodeIDs]?.string == #"{"other":"x","toy":"i-1"}"#)
        #expect(throws: VolumeError("detected topology value collision: driver reported \"zone\":\"b\" but existing label is \"zone\":\"a\"")) {
            try CSINodeChange.patch(node, driver: "toy", info: CSINodeInfo(nodeID: "i-1", topology: ["zone": "b"]))
        }
        let done = try Object([
            "metadata": [
                "name": "n1", "labels": ["zone": "a", "topology.toy/rack": "r1"], "annotations": [CSINodeChange.nodeIDs: #"{"toy":"i-1"}"#],
            ]
        ])
        // Not null either, which would be sent.
        #expect(try CSINodeChange.patch(done, driver: "toy", info: CSINodeInfo(nodeID: "i-1", topology: ["zone": "a"])).map { _ in true } == nil)
        let begun = CSINodeChange.initial(node: node)
        #expect(begun[path: "metadata", "ownerReferences"]?.array?.first?["uid"] == "u")
        let with = try #require(CSINodeChange.change(begun, driver: "toy", info: info))
        let entry = with[path: "spec", "drivers"]?.array?.first
        #expect(entry?["nodeID"] == "i-1" && entry?["topologyKeys"] == ["rack", "zone"] && entry?[path: "allocatable", "count"] == 5)
        #expect(CSINodeChange.change(with, driver: "toy", info: info) == nil)
        #expect(CSINodeChange.change(with, driver: "toy", info: nil)?[path: "spec", "drivers"]?.array == [])
        #expect(CSINodeChange.change(begun, driver: "toy", info: nil) == nil)
    }

    @Test("only answers that surely left nothing behind are final")
    func finalErrors() {
        #expect(CSIPlugin.isFinal(GRPCError(code: GRPCError.invalidArgument, message: "")))
        for code in [GRPCError.deadlineExceeded, GRPCError.unavailable, GRPCError.cancelled, 10] {
            #expect(!CSIPlugin.isFinal(GRPCError(code: code, message: "")))
        }
        #expect(!CSIPlugin.isFinal(CancellationError()))
    }
}
