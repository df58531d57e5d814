import Glibc
import KubeControllers
import Processes

/// The volumes of a cluster, a folder for each in the cluster's own directory: they outlive the machines, and go with the cluster. In it is a file as
/// large as the volume and empty at first, the disk, which nodes attach by a loop device. Where the host has none a volume of files is the folder
/// itself.
package struct VolumeFolders: Sendable {
    let directory: String

    /// Files whose devices are to have whole pages.
    private static let page: Int64 = 4096
    /// Below it a file system would have no room for files.
    private static let leastFilesystem: Int64 = 16 << 20
    /// What the kubelet runs for a disk with files.
    private static let programs = ["losetup", "blkid", "mkfs.ext4", "e2fsck", "resize2fs", "mount"]

    /// - Parameter cluster: the directory of the cluster.
    package init(cluster: String) { directory = "\(cluster)/volumes" }

    var store: VolumeStore {
        VolumeStore(create: { try create($0, $1) }, expand: { try expand($0, bytes: $1) }, remove: { try await remove($0) })
    }

    /// Names of volumes are the provisioner's own; anything else must not lead out of the directory.
    private func path(_ name: String) throws -> String {
        guard !name.isEmpty, !name.contains("/"), !name.hasPrefix(".") else { throw ControlPlaneError.address("\"\(name)\" is no name of a volume") }
        return "\(directory)/\(name)"
    }

    private func disk(_ name: String) throws -> String { try "\(path(name))/disk" }

    /// The bytes of a volume's file: whole pages.
    static func fileSize(_ bytes: Int64) -> Int64 {
        let (sum, overflow) = max(bytes, 1).addingReportingOverflow(page - 1)
        return (overflow ? Int64.max : sum) / page * page
    }

    /// The bytes of a new volume's disk; nil: it is a folder. Throws `ControlPlaneError` for what cannot be a folder.
    static func diskSize(_ kind: VolumeStore.Kind, hasDevices: Bool, hasFilesystems: Bool) throws -> Int64? {
        switch kind {
        case .filesystem(let bytes): return hasDevices && hasFilesystems ? fileSize(max(bytes, leastFilesystem)) : nil
        case .block(let bytes):
            guard hasDevices else { throw ControlPlaneError.volume("block volumes need loop devices, and this host has no /dev/loop-control") }
            return fileSize(bytes)
        }
    }

    /// Whether disks can be formatted, and any number of them attached: that the kernel makes the devices' nodes.
    private static var hasFilesystems: Bool {
        let makesNodes = (SmallFile.readText("/proc/self/mounts") ?? "").contains(" /dev devtmpfs ")
        return makesNodes && programs.allSatisfy { Command.isInstalled($0) }
    }

    private func create(_ name: String, _ kind: VolumeStore.Kind) throws -> String {
        let path = try path(name)
        let bytes = try Self.diskSize(kind, hasDevices: LoopDevice.isAvailable, hasFilesystems: Self.hasFilesystems)
        try SmallFile.makeDirectory(directory, mode: 0o711)
        try SmallFile.makeDirectory(path, mode: 0o755)
        guard let bytes else { return path }
        let disk = try disk(name)
        try LoopDevice.makeFile(disk, bytes: bytes)
        return disk
    }

    /// A folder has no size.
    private func expand(_ name: String, bytes: Int64) throws -> Bool {
        let disk = try disk(name)
        guard access(disk, F_OK) == 0 else { return false }
        try LoopDevice.makeFile(disk, bytes: Self.fileSize(bytes))
        return true
    }

    /// By a program that follows no links, enters no other filesystem and has no limit of depth.
    private func remove(_ name: String) async throws {
        try detach(name)
        _ = try await Command.run(["rm", "-rf", "--one-file-system", "--", path(name)])
    }

    /// A machine that died leaves the device of a block volume. It goes with the volume; a mounted one when it is unmounted.
    private func detach(_ name: String) throws {
        let disk = try disk(name)
        guard access(disk, F_OK) == 0, LoopDevice.isAvailable else { return }
        try LoopDevice.withLock(on: disk) { if let device = try LoopDevice.device(of: disk) { try LoopDevice.detach(device) } }
    }

    /// Detaches all volumes: when no machine is left that could use them. Throws `CommandError`.
    package func detachAll() throws {
        for name in SmallFile.names(directory) where !name.hasPrefix(".") { try detach(name) }
    }
}
