import Glibc
import KubeControllers
import Processes

/// The volumes of a cluster, a folder for each in the cluster's own directory: they outlive the machines, and go with the cluster. A block volume is a
/// file in its folder, as large as the volume and empty at first, which nodes attach by a loop device.
package struct VolumeFolders: Sendable {
    let directory: String

    /// Files whose devices are to have whole pages.
    private static let page: Int64 = 4096

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

    private func create(_ name: String, _ kind: VolumeStore.Kind) throws -> String {
        let path = try path(name)
        try SmallFile.makeDirectory(directory, mode: 0o711)
        try SmallFile.makeDirectory(path, mode: 0o755)
        guard case .block(let bytes) = kind else { return path }
        guard LoopDevice.isAvailable else {
            throw ControlPlaneError.volume("block volumes need loop devices, and this host has no /dev/loop-control")
        }
        let disk = try disk(name)
        try LoopDevice.makeFile(disk, bytes: Self.fileSize(bytes))
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

    /// A machine that died leaves the device of a block volume; it goes with the volume.
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
