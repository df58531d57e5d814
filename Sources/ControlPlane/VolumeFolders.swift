import KubeControllers
import Processes

/// The folders of a cluster's volumes, in the cluster's own directory: they outlive the machines, and go with the cluster.
struct VolumeFolders: Sendable {
    let directory: String

    var store: VolumeStore { VolumeStore(create: { try create($0) }, remove: { try await remove($0) }) }

    /// Names of volumes are the provisioner's own; anything else must not lead out of the directory.
    private func path(_ name: String) throws -> String {
        guard !name.isEmpty, !name.contains("/"), !name.hasPrefix(".") else { throw ControlPlaneError.address("\"\(name)\" is no name of a volume") }
        return "\(directory)/\(name)"
    }

    private func create(_ name: String) throws -> String {
        let path = try path(name)
        try SmallFile.makeDirectory(directory, mode: 0o711)
        try SmallFile.makeDirectory(path, mode: 0o755)
        return path
    }

    /// By a program that follows no links, enters no other filesystem and has no limit of depth.
    private func remove(_ name: String) async throws {
        _ = try await Command.run(["rm", "-rf", "--one-file-system", "--", path(name)])
    }
}
