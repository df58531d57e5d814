import ContainerRuntime
import KubeAPI

/// Images as read-only volumes: the runtime's own CRI has mounts of images only in newer versions, its snapshots are there in all. Upstream: the image
/// volume source, kubelet's getImageVolumes.
package struct ImageVolumes: Sendable {
    /// Mounts a present image, by its full name, at a folder. The mount outlives this agent.
    package var mount: @Sendable (_ image: String, _ folder: String) async throws -> Void
    /// Takes a mount away with what it kept. Idempotent.
    package var unmount: @Sendable (_ folder: String) async throws -> Void

    package init(mount: @escaping @Sendable (String, String) async throws -> Void, unmount: @escaping @Sendable (String) async throws -> Void) {
        self.mount = mount
        self.unmount = unmount
    }
}

extension PodMounts {
    /// Pulls the image as its policy says, mounts it, and returns the folder. Throws `ImageFailure`, which the pod's containers then wait for.
    func imageVolume(_ source: JSONView, name: String, credentials: PullCredentials) async throws -> String {
        guard let images = services.configuration.imageVolumes else { throw VolumeError("image volumes are not implemented for this node's runtime") }
        let folder = try services.volumes.imageDirectory(pod.uid, name)
        let path = folder
        if try await FileWork.run({ try FileTree.isMountPoint(path) }) { return folder }
        let image = source["reference"].string ?? ""
        let policy = source["pullPolicy"].string ?? (ContainerSpec.hasLatestTag(image) ? "Always" : "IfNotPresent")
        _ = try await services.images.ensure(image, policy: policy, podUID: pod.uid, credentials: credentials, sandbox: nil) {
            services.event(pod, nil, $0, $1, $2)
        }
        guard let reference = ImageReference(image) else { throw VolumeError("image reference \(image.goQuoted) is not valid") }
        try await FileWork.run { try FileTree.makeDirectories(path) }
        try await images.mount(reference.description, folder)
        return folder
    }

    /// Takes the pod's image volumes away.
    func removeImageVolumes() async throws {
        guard let images = services.configuration.imageVolumes else { return }
        for volume in pod.volumes where volume["image"] != nil {
            guard let name = volume["name"].string else { continue }
            try await images.unmount(try services.volumes.imageDirectory(pod.uid, name))
        }
    }
}
