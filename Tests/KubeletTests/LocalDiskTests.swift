import Glibc
import KubeAPI
import Processes
import Testing

@testable import Kubelet

private struct Objects: ReferencedObjects {
    var claim: Object
    var volume: Object

    func configMap(namespace: String, name: String) async throws -> Object { throw VolumeError("none") }
    func secret(namespace: String, name: String) async throws -> Object { throw VolumeError("none") }
    func runtimeClass(name: String) async throws -> Object { throw VolumeError("none") }
    func persistentVolumeClaim(namespace: String, name: String) async throws -> Object { claim }
    func persistentVolume(name: String) async throws -> Object { volume }
}

private func pod(_ uid: String = "u1", list: String = "volumeDevices", readOnly: Bool = false) throws -> Pod {
    Pod(
        try Object([
            "metadata": ["name": "p", "namespace": "default", "uid": .string(uid)],
            "spec": [
                "containers": [["name": "c", list: [["name": "data", "devicePath": "/dev/xvda", "mountPath": "/data"]]]],
                "volumes": [["name": "data", "persistentVolumeClaim": ["claimName": "c", "readOnly": .bool(readOnly)]]],
            ],
        ]))
}

private func claimed(
    mode: String = "Block", source: Value = ["local": ["path": "/dev/vdb"]], has: String = "1Gi", pod: Pod? = nil
) async throws -> ClaimedVolume {
    var spec = source
    spec["capacity"] = ["storage": "2Gi"]
    spec["volumeMode"] = .string(mode)
    spec["claimRef"] = ["uid": "c1"]
    let objects = Objects(
        claim: try Object([
            "metadata": ["name": "c", "namespace": "default", "uid": "c1"], "spec": ["volumeName": "pv-1"],
            "status": ["phase": "Bound", "capacity": ["storage": .string(has)]],
        ]), volume: try Object(["metadata": ["name": "pv-1"], "spec": spec]))
    let pod = try pod ?? fitting(mode)
    let volume = try #require(pod.volumes.first)
    return try #require(try await ClaimedVolume(volume, pod: pod, objects: objects))
}

private func fitting(_ mode: String) throws -> Pod { try pod(list: mode == "Block" ? "volumeDevices" : "volumeMounts") }

@Suite("Local disks")
struct LocalDiskTests {
    @Test("a claim's mode and what its containers want of it must agree, in upstream's words")
    func modes() async throws {
        let block = try await claimed()
        #expect(block.isBlock && block.missingBytes == 2 << 30)
        #expect(try await claimed(has: "2Gi").missingBytes == nil)
        let mounting = try pod(list: "volumeMounts")
        await #expect(throws: VolumeError("volume data has volumeMode Block, but is specified in volumeMounts")) {
            try await claimed(pod: mounting)
        }
        let mapping = try pod(list: "volumeDevices")
        await #expect(throws: VolumeError("volume data has volumeMode Filesystem, but is specified in volumeDevices")) {
            try await claimed(mode: "Filesystem", pod: mapping)
        }
        await #expect(throws: VolumeError.self) { try await claimed(source: ["hostPath": ["path": "/dev/vdb"]]) }
    }

    @Test("a disk is what its volume says; types that are no names of file systems are refused")
    func reading() async throws {
        let disk = try #require(
            try LocalDisk(try await claimed(mode: "Filesystem", source: ["local": ["path": "/dev/vdb"], "mountOptions": ["noatime"]])))
        #expect(disk == LocalDisk(name: "pv-1", path: "/dev/vdb", isBlock: false, fsType: "ext4", mountOptions: ["noatime"], missingBytes: 2 << 30))
        let hostile = try await claimed(mode: "Filesystem", source: ["local": ["path": "/dev/vdb", "fsType": "../ext4"]])
        #expect(throws: VolumeError.self) { try LocalDisk(hostile) }
        #expect(try LocalDisk(try await claimed(source: ["csi": ["driver": "toy"]])) == nil)
    }

    @Test("an empty device is formatted, a formatted one is checked and grows, one with something else on it is left alone")
    func preparation() throws {
        var disk = LocalDisk(name: "pv-1", path: "/dev/vdb", isBlock: false, fsType: "ext4")
        let empty = try disk.preparation(of: "/dev/vdb", found: "", code: 2)
        guard case .run(let format)? = empty.first else { return #expect(Bool(false), "an empty device is not formatted") }
        #expect(empty.count == 1 && format.first == "mkfs.ext4" && format.last == "/dev/vdb")
        let found = "DEVNAME=/dev/vdb\nTYPE=ext4\n"
        #expect(try disk.preparation(of: "/dev/vdb", found: found, code: 0) == [.check(["e2fsck", "-p", "/dev/vdb"])])
        disk.missingBytes = 1
        #expect(
            try disk.preparation(of: "/dev/vdb", found: found, code: 0)
                == [.check(["e2fsck", "-f", "-p", "/dev/vdb"]), .run(["resize2fs", "/dev/vdb"])])
        for (text, code) in [("PTTYPE=gpt\n", 0), ("TYPE=xfs\n", 0), ("", 8), ("", -2)] as [(String, Int32)] {
            #expect(throws: VolumeError.self) { try disk.preparation(of: "/dev/vdb", found: text, code: code) }
        }
    }

    @Test("only a damaged file system is not mounted")
    func verdicts() {
        #expect(LocalDiskStep.verdict(1) == .corrected && LocalDiskStep.verdict(4) == .damaged && LocalDiskStep.verdict(12) == .damaged)
        #expect(LocalDiskStep.verdict(8) == .impossible && LocalDiskStep.verdict(-2) == .impossible && LocalDiskStep.verdict(137) == .impossible)
    }

    /// A folder of the test's own.
    private func inFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/disk-XXXXXX".utf8CString)
        mkdtemp(&template)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileTree.removeAll(folder) }
        try body(folder)
    }

    private static var hasDevices: Bool { geteuid() == 0 && LoopDevice.isAvailable && FileTree.exists("/usr/sbin/losetup") }
    private static var hasDisks: Bool { hasDevices && FileTree.exists("/usr/sbin/mkfs.ext4") }

    @Test("a file is one device for all pods of all nodes, grows with its file, and is none when the last pod has ended", .enabled(if: hasDevices))
    func devices() throws {
        try inFolder { folder in
            let file = "\(folder)/disk"
            try LoopDevice.makeFile(file, bytes: 8 << 20)
            var disk = LocalDisk(name: "pv-1", path: file, isBlock: true, fsType: "ext4")
            let (first, second) = (LocalDisks(rootDirectory: "\(folder)/a", nodeName: "a"), LocalDisks(rootDirectory: "\(folder)/b", nodeName: "b"))
            let device = try first.setUp(disk, .file, pod: try pod("u1")).path
            defer { try? LoopDevice.detach(device) }
            #expect(device.hasPrefix("/dev/loop"))
            #expect(try first.setUp(disk, .file, pod: try pod("u2")).path == device)
            #expect(try second.setUp(disk, .file, pod: try pod("u3")).path == device)
            #expect(FileTree.readLink("\(folder)/a/pods/u1/volumeDevices/kubernetes.io~local-volume/pv-1") == device)
            try LoopDevice.makeFile(file, bytes: 16 << 20)
            disk.missingBytes = 16 << 20
            let grown = try first.setUp(disk, .file, pod: try pod("u1"))
            #expect(grown.problem == nil)
            let size = try Command.runBlocking(["blockdev", "--getsize64", device])
            #expect(size.hasPrefix("\(16 << 20)"))
            for (disks, uid) in [(first, "u1"), (first, "u2")] { try disks.unmap(uid) }
            #expect(try LoopDevice.device(of: file) == device, "the other node has it still")
            // An agent that started again knows no more than the disk says.
            try LocalDisks(rootDirectory: "\(folder)/b", nodeName: "b").unmap("u3")
            #expect(try isFree(file))
            try second.unmap("u3")
            #expect(try FileTree.list("\(folder)/b/plugins/kubernetes.io~local-volume/volumeDevices").isEmpty)
        }
    }

    /// Whether the file has no device, as soon as the kernel has let go of what was mounted.
    private func isFree(_ file: String) throws -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end { if try LoopDevice.device(of: file) == nil { return true } }
        return false
    }

    @Test("a disk is formatted once, holds what it was given and no more, grows, and has no device when it is unmounted", .enabled(if: hasDisks))
    func fileSystems() throws {
        try inFolder { folder in
            let file = "\(folder)/disk"
            try LoopDevice.makeFile(file, bytes: 16 << 20)
            var disk = LocalDisk(name: "pv-1", path: file, isBlock: false, fsType: "ext4")
            let disks = LocalDisks(rootDirectory: "\(folder)/a", nodeName: "a")
            defer { try? FileTree.unmountAll(below: folder) }
            let path = try disks.setUp(disk, .file, pod: try pod()).path
            try FileTree.write("\(path)/word", Array("hello".utf8))
            #expect(throws: FileError.self) { try FileTree.write("\(path)/large", [UInt8](repeating: 7, count: 20 << 20)) }
            #expect(try disks.setUp(disk, .file, pod: try pod()).path == path)
            try FileTree.unmountAll(below: folder)
            #expect(try isFree(file))
            try LoopDevice.makeFile(file, bytes: 48 << 20)
            disk.missingBytes = 48 << 20
            #expect(try disks.setUp(disk, .file, pod: try pod("u2")).problem == nil)
            let again = "\(folder)/a/pods/u2/volumes/kubernetes.io~local-volume/pv-1"
            #expect(try FileTree.read("\(again)/word") == Array("hello".utf8))
            try FileTree.removeAll("\(again)/large")
            try FileTree.write("\(again)/large", [UInt8](repeating: 7, count: 20 << 20))
        }
    }
}
