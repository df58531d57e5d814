import Kubelet
import Processes

/// Image volumes by containerd's snapshots: a read-only view of the image, mounted. Its key is the folder, so that it is found again.
struct SnapshotMounts: Sendable {
    let socket: String

    /// The snapshotter of the machine's containerd.
    private static let snapshotter = "overlayfs"

    private func run(_ arguments: [String]) async throws {
        try await Command.run(["ctr", "--address", socket, "--namespace", "k8s.io"] + arguments)
    }

    var imageVolumes: ImageVolumes {
        ImageVolumes(
            mount: { image, folder in
                // A view left by a try that failed halfway would be in the way.
                try? await run(["images", "unmount", "--snapshotter", Self.snapshotter, "--rm", folder])  // There is none, as a rule.
                try await run(["images", "mount", "--snapshotter", Self.snapshotter, image, folder])
                // The lease that ctr takes ends after a day; a pod may stay longer.
                try await run(["snapshots", "--snapshotter", Self.snapshotter, "label", folder, "containerd.io/gc.root=volume"])
            },
            unmount: { folder in
                do { try await run(["images", "unmount", "--snapshotter", Self.snapshotter, "--rm", folder]) } catch let error as CommandError
                    where error.output.contains("not found") || error.output.contains("does not exist")
                {
                    return  // It was never made.
                }
            })
    }
}
