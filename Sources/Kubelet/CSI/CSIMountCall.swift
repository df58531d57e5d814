import Glibc
import KubeAPI
import KubeClient

/// One pod's use of a volume, with all that the driver's calls for it are told. Upstream: csiAttacher.MountDevice, csiMountMgr.SetUpAt, NodeExpand.
struct CSIMountCall: Sendable {
    let volume: CSIVolume
    let pod: Pod
    let settings: CSIDriverSettings
    let client: KubeClient
    let tokens: any TokenSource
    /// Where the volume is published.
    let target: String
    /// Where it is staged, if the driver stages; nil for volumes of one pod alone.
    let staging: String?

    private static let tokensKey = "csi.storage.k8s.io/serviceAccount.tokens"

    private var group: Int64? { pod.securityContext["fsGroup"].int }

    private func staged(_ plugin: CSIPlugin) -> String? { plugin.capabilities.contains(.stageUnstage) ? staging : nil }

    /// `error` in the words of the operation that failed.
    func failure(_ operation: String, _ error: any Error) -> any Error {
        if error is CancellationError || error is CSIFailure { return error }
        return CSIFailure(operation: operation, volume: volume.specName, message: (error as? StatusError)?.message ?? CSIPlugin.text(error))
    }

    /// The driver is not there (yet).
    func notRegistered(_ error: VolumeError) -> CSIFailure {
        if volume.isBlock {
            return CSIFailure(
                operation: "MapVolume.SetUpDevice", volume: volume.specName,
                message: "\(CSIVolumes.plugin): blockMapper.SetUpDevice failed to get CSI client: \(error)")
        }
        return volume.isEphemeral
            ? CSIFailure(
                operation: "MountVolume.SetUp", volume: volume.specName,
                message: "\(CSIVolumes.plugin): mounter.SetUpAt failed to get CSI client: \(error)")
            : CSIFailure(
                operation: "MountVolume.MountDevice", volume: volume.specName,
                message: "\(CSIVolumes.plugin): attacher.MountDevice failed to create newCsiDriverClient: \(error)")
    }

    // MARK: calls

    /// Throws `GRPCError`, and `VolumeError` for a Secret that is missing.
    func stage(_ plugin: CSIPlugin, _ context: [String: String], at path: String) async throws {
        guard plugin.capabilities.contains(.stageUnstage) else { return }
        let secrets = try await secrets(volume.stageSecret, "NodeStageSecretRef")
        try await plugin.call(
            "NodeStageVolume",
            CSIMessages.stage(
                volume, at: path, mount: volume.mount(plugin.capabilities, group: group), publishContext: context, secrets: secrets))
    }

    /// Throws as `stage`, and `FileError`.
    /// - Parameter isNew: the volume was not published for the pod before.
    func publish(_ plugin: CSIPlugin, _ context: [String: String], isNew: Bool) async throws {
        var secrets = try await secrets(volume.publishSecret, "NodePublishSecretRef")
        var attributes = volume.attributes.merging(settings.podInfo(pod, volume)) { _, own in own }
        if !settings.tokenRequests.isEmpty {
            let text = try await accountTokens()
            if settings.tokensAreSecrets { secrets[Self.tokensKey] = text } else { attributes[Self.tokensKey] = text }
        }
        // The driver makes the target itself; its parent must be there.
        try await plugin.call(
            "NodePublishVolume",
            CSIMessages.publish(
                volume, at: target, staged: staged(plugin), mount: volume.mount(plugin.capabilities, group: group), publishContext: context,
                secrets: secrets, context: attributes))
        guard isNew, let group, let id = gid_t(exactly: group), !plugin.capabilities.contains(.mountGroup), settings.setsGroup(volume) else { return }
        let (path, onMismatch) = (target, pod.securityContext["fsGroupChangePolicy"].string == "OnRootMismatch")
        try await FileWork.run {
            let status = try FileTree.status(path)
            if onMismatch, let status, status.st_gid == id, status.st_mode & 0o2000 != 0 { return }
            try FileTree.setGroup(path, group: id, readOnly: false)
        }
    }

    /// Has the driver do the node's part of a volume that grew, and tells the claim. Throws as `stage`, and `StatusError`.
    /// Upstream: nodeExpandVolume.
    func expand(_ plugin: CSIPlugin, nodeName: String, events: @Sendable (String, String) -> Void) async throws {
        guard let bytes = volume.missingBytes, !volume.isReadOnly, plugin.capabilities.contains(.expand), let capacity = volume.capacity else {
            return
        }
        let secrets = try await secrets(volume.expandSecret, "NodeExpandSecretRef")
        try await plugin.call(
            "NodeExpandVolume",
            CSIMessages.expand(
                volume, at: target, staged: staged(plugin), bytes: bytes, mount: volume.mount(plugin.capabilities, group: group), secrets: secrets))
        try await ClaimGrowth(client: client).finish(namespace: pod.namespace, claim: volume.claimName, capacity: capacity)
        events("FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded for volume \"\(volume.specName)\" \(nodeName)")
    }

    // MARK: what they need

    private func secrets(_ reference: CSIVolume.SecretReference?, _ field: String) async throws -> [String: String] {
        guard let reference else { return [:] }
        do {
            let secret = try await client.get(.secrets, namespace: reference.namespace, name: reference.name)
            return Environment.data(of: secret, isSecret: true).mapValues { String(decoding: $0, as: UTF8.self) }
        } catch let error as StatusError {
            throw VolumeError("fetching \(field) \(reference.namespace)/\(reference.name) failed: \(error.message)")
        }
    }

    /// Tokens of the pod's account by audience, as JSON. Upstream: podServiceAccountTokenAttrs.
    private func accountTokens() async throws -> String {
        var written: Value = [:]
        for request in settings.tokenRequests {
            let audiences = request.audience.isEmpty ? [] : [request.audience]
            let token = try await tokens.issue(pod: pod, audiences: audiences, expirationSeconds: request.expirationSeconds)
            written[request.audience] = ["token": .string(token.text), "expirationTimestamp": .string(token.endsAt.rfc3339)]
        }
        return written.jsonString
    }
}
