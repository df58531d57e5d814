import Glibc
import KubeAPI
import Processes

/// A disk that is to grow cannot be looked at: something has it mounted.
struct DiskInUse: Error {}

/// Local disks of pods: mounted, or mapped as devices, and all of that undone. What is there stands in mounts and links, so that an agent that starts
/// again finds it. All functions block: call them by `FileWork`. Upstream: volumepathhandler, and operation_generator's GenerateMapVolumeFunc.
struct LocalDisks: Sendable {
    private static let plugin = "kubernetes.io~local-volume"
    /// In a volume's global folder: the file behind its device. No pod's uid is that.
    private static let fileLink = "file"

    let rootDirectory: String
    let nodeName: String

    private func target(_ uid: String, _ name: String) -> String { "\(rootDirectory)/pods/\(uid)/volumes/\(Self.plugin)/\(name)" }
    private func maps(_ uid: String) -> String { "\(rootDirectory)/pods/\(uid)/volumeDevices/\(Self.plugin)" }
    private func global(_ name: String) -> String { "\(rootDirectory)/plugins/\(Self.plugin)/volumeDevices/\(name)" }
    /// Nodes that have a file's device, a file for each: the last one detaches it.
    private func holders(_ file: String) -> String { "\(file).nodes" }

    /// What a local volume's path is.
    enum Kind: Sendable { case folder, device, file }

    /// Throws `VolumeError`, `FileError`.
    static func kind(of path: String) throws -> Kind {
        guard let status = try FileTree.status(path, follow: true) else { throw VolumeError("path \"\(path)\" does not exist") }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return .folder
        case S_IFBLK: return .device
        case S_IFREG: return .file
        default: throw VolumeError("path \"\(path)\" is neither a directory nor a block device")
        }
    }

    /// Mounts or maps the disk for the pod, and has it grow where its volume has grown. Returns its path, and why it could not grow; it is used as
    /// it is then. With `refusesBusy` a disk that is to grow and that something holds is not mounted. Throws `VolumeError`, `FileError`,
    /// `CommandError`, `DiskInUse`.
    func setUp(_ disk: LocalDisk, _ kind: Kind, pod: Pod, refusesBusy: Bool = false) throws -> (path: String, problem: String?) {
        let (path, hasGrown) = disk.isBlock ? (try map(disk, kind, pod: pod), false) : try mount(disk, kind, pod: pod, refusesBusy: refusesBusy)
        guard disk.missingBytes != nil, !hasGrown else { return (path, nil) }
        do { try grow(disk, kind, pod: pod) } catch { return (path, "\(error)") }
        return (path, nil)
    }

    // MARK: file systems

    /// Mounts the disk for the pod, formatted before where there is nothing on it. Returns where, and whether it has been given all of its device.
    private func mount(_ disk: LocalDisk, _ kind: Kind, pod: Pod, refusesBusy: Bool) throws -> (String, Bool) {
        let target = target(pod.uid, disk.name)
        var hasGrown = false
        if try !FileTree.isMountPoint(target) {
            try FileTree.makeDirectories(target, mode: 0o750)
            if kind == .file {
                // The file gives back what is deleted on the disk.
                hasGrown = try LoopDevice.withDevice(of: disk.path) {
                    try mount(disk, device: $0, options: ["discard"], at: target, refusesBusy: refusesBusy)
                }
            } else {
                hasGrown = try mount(disk, device: disk.path, options: [], at: target, refusesBusy: refusesBusy)
            }
        }
        if let group = pod.securityContext["fsGroup"].int.flatMap({ gid_t(exactly: $0) }), let status = try FileTree.status(target),
            status.st_gid != group || status.st_mode & 0o2000 == 0
        {
            try FileTree.setGroup(target, group: group, readOnly: false)
        }
        return (target, hasGrown)
    }

    private func mount(_ disk: LocalDisk, device: String, options: [String], at target: String, refusesBusy: Bool) throws -> Bool {
        let (found, code) = Self.identify(device)
        if disk.missingBytes != nil { try Self.adoptSize(device) }
        let isPrepared = try prepare(
            device, try disk.preparation(of: device, found: found, code: code), refusesBusy: refusesBusy && disk.missingBytes != nil)
        let all = (options + disk.mountOptions).joined(separator: ",")
        try Command.runBlocking(["mount", "-t", disk.fsType] + (all.isEmpty ? [] : ["-o", all]) + ["--", device, target])
        return isPrepared
    }

    /// Returns false when another node has the disk mounted: then it can only be mounted as it is. Throws `DiskInUse` instead when `refusesBusy`.
    private func prepare(_ device: String, _ steps: [LocalDiskStep], refusesBusy: Bool) throws -> Bool {
        for step in steps {
            switch step {
            case .run(let arguments): try Command.runBlocking(arguments)
            case .check(let arguments):
                do { try Command.runBlocking(arguments) } catch {
                    switch LocalDiskStep.verdict(error.code) {
                    case .corrected: continue
                    case .impossible:
                        if refusesBusy { throw DiskInUse() }
                        return false
                    case .damaged: throw VolumeError("'fsck' found errors on device \(device) but could not correct them: \(error.output)")
                    }
                }
            }
        }
        return true
    }

    private static func identify(_ device: String) -> (String, Int32) {
        do { return (try Command.runBlocking(["blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", device]), 0) } catch {
            return (error.output, error.code)
        }
    }

    private static func adoptSize(_ device: String) throws { if device.hasPrefix("/dev/loop") { try LoopDevice.adopt(sizeOf: device) } }

    /// Gives a disk that is in use the size its volume has by now.
    private func grow(_ disk: LocalDisk, _ kind: Kind, pod: Pod) throws {
        guard let device = kind == .file ? try LoopDevice.device(of: disk.path) : disk.path else {
            throw VolumeError("\(disk.path) has no device")
        }
        try Self.adoptSize(device)
        guard !disk.isBlock else { return }
        guard let arguments = disk.growing(device, mountedAt: target(pod.uid, disk.name)) else {
            throw VolumeError("file systems of type \(disk.fsType) cannot grow")
        }
        try Command.runBlocking(arguments)
    }

    // MARK: devices

    /// Maps the disk for the pod, and returns its device. The pod's link is made first: whatever comes can then be undone.
    private func map(_ disk: LocalDisk, _ kind: Kind, pod: Pod) throws -> String {
        let (global, link) = (global(disk.name), "\(maps(pod.uid))/\(disk.name)")
        try FileTree.makeDirectories(maps(pod.uid), mode: 0o750)
        switch kind {
        case .folder: throw VolumeError("path \"\(disk.path)\" is not a block device")
        case .device:
            let device = try FileTree.resolved(disk.path)
            try FileTree.link(link, to: device)
            try FileTree.makeDirectories(global, mode: 0o750)
            try FileTree.link("\(global)/\(pod.uid)", to: device)
            return device
        case .file:
            return try LoopDevice.withLock(on: disk.path) {
                if FileTree.readLink(link) == nil { try FileTree.link(link, to: disk.path) }
                try FileTree.makeDirectories(global, mode: 0o750)
                try FileTree.link("\(global)/\(Self.fileLink)", to: disk.path)
                try FileTree.makeDirectories(holders(disk.path), mode: 0o700)
                try FileTree.write("\(holders(disk.path))/\(nodeName)", [])
                let device = try LoopDevice.attach(disk.path)
                try FileTree.link("\(global)/\(pod.uid)", to: device)
                try FileTree.link(link, to: device)
                return device
            }
        }
    }

    /// Ends a pod's maps: a file's device goes with the last of them on the last node. Throws `FileError`, `CommandError`.
    func unmap(_ uid: String) throws {
        for name in try FileTree.list(maps(uid)) {
            let global = global(name)
            if let file = FileTree.readLink("\(global)/\(Self.fileLink)"), FileTree.exists(file) {
                try LoopDevice.withLock(on: file) {
                    try FileTree.removeAll("\(global)/\(uid)")
                    guard try FileTree.list(global) == [Self.fileLink] else { return }
                    try FileTree.removeAll("\(holders(file))/\(nodeName)")
                    if try FileTree.list(holders(file)).isEmpty, let device = try LoopDevice.device(of: file) { try LoopDevice.detach(device) }
                    try FileTree.removeAll(global)
                }
            } else {
                try FileTree.removeAll("\(global)/\(uid)")
                if try FileTree.list(global).allSatisfy({ $0 == Self.fileLink }) { try FileTree.removeAll(global) }
            }
            try FileTree.removeAll("\(maps(uid))/\(name)")
        }
    }
}
