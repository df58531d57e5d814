import Glibc
import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Why a volume of a driver is not there. Upstream: operation_generator's GenerateError and event recorder functions.
struct CSIFailure: Error, Sendable, CustomStringConvertible {
    /// `MountVolume.SetUp`.
    var operation: String
    var volume: String
    var message: String
    /// False: the pod's events say nothing; who is waited for tells of it.
    var isEvent = true

    /// The event's. Upstream: events.FailedMapVolume, FailedMountVolume.
    var reason: String { operation.hasPrefix("MapVolume.") ? "FailedMapVolume" : "FailedMount" }
    var description: String { "\(operation) failed for volume \"\(volume)\" : \(message)" }
}

/// Volumes of CSI drivers on this node: attached, staged, published, and all of that undone. What is there stands in files beside it, so that nothing
/// is lost when the agent ends. Upstream: pkg/volume/csi's csiAttacher and csiMountMgr, driven by volumemanager's reconciler.
final class CSIVolumes: Sendable {
    /// How long a pass waits for the attachment. Upstream: podAttachAndMountTimeout.
    private static let patience = Duration.seconds(123)
    static let plugin = "kubernetes.io/csi"

    private struct State {
        var use = CSIUse()
        /// Targets that this agent has published, or found published.
        var published: Set<String> = []
        var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
        var next = 0
    }

    let files: CSIVolumeFiles
    let plugins = CSIPlugins()
    private let client: KubeClient
    private let tokens: any TokenSource
    private let nodeName: String
    private let logger: Logger
    /// The volumes in use have changed: the node's status is to say so.
    private let changed: @Sendable () -> Void
    private let gate = CSIGate()
    private let state = Mutex(State())

    init(
        files: CSIVolumeFiles, client: KubeClient, tokens: any TokenSource, nodeName: String, logger: Logger, changed: @escaping @Sendable () -> Void
    ) {
        self.files = files
        self.client = client
        self.tokens = tokens
        self.nodeName = nodeName
        self.logger = logger
        self.changed = changed
    }

    /// For the node's `status.volumesInUse`.
    var inUse: [String] { state.withLock { $0.use.inUse } }

    /// Takes over what an earlier agent left on the disk. Before the node's status is written first: volumes must not be detached meanwhile.
    func recover() async throws {
        let files = files
        let (pods, devices) = try await FileWork.run { (try files.recordsOfPods(), try files.recordsOfDevices()) }
        state.withLock { state in
            for device in devices { state.use.add(device: device.uniqueName) }
            for (uid, records) in pods { for record in records where !record.attachmentID.isEmpty { state.use.want(record.uniqueName, pod: uid) } }
        }
    }

    /// The API server's newest state of this node.
    func nodeChanged(_ node: Object) {
        guard node.metadata.name == nodeName else { return }
        let waiters = state.withLock { state in
            state.use.nodeChanged(node)
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.yield() }
    }

    // MARK: set-up

    /// Publishes the volume for the pod, or brings it up to date, and returns its path. Throws `CSIFailure`.
    func setUp(_ volume: CSIVolume, pod: Pod, events: @Sendable (_ reason: String, _ message: String) -> Void) async throws -> String {
        let settings = try await driver(volume)
        var record = CSIVolumeRecord(
            specName: volume.specName, driver: volume.driver, handle: volume.handle, isEphemeral: volume.isEphemeral, nodeName: nodeName,
            isBlock: volume.isBlock)
        let mount = CSIMountCall(
            volume: volume, pod: pod, settings: settings, client: client, tokens: tokens,
            target: files.target(pod.uid, volume.specName, isBlock: volume.isBlock), staging: volume.isEphemeral ? nil : files.staging(record))
        let isKnown = try await isPublished(mount.target, isBlock: volume.isBlock)
        if isKnown, !settings.requiresRepublish, volume.missingBytes == nil { return mount.target }
        var context: [String: String] = [:]
        if !volume.isEphemeral, settings.attachRequired {
            record.attachmentID = CSINames.attachment(handle: volume.handle, driver: volume.driver, node: nodeName)
            if !isKnown { try await waitForAttachment(volume, pod) }
            context = try await publishContext(volume, record.attachmentID)
        }
        let (publishContext, written) = (context, record)
        try await gate.pass(volume.uniqueName) {
            try await publish(mount, written, publishContext, isKnown: isKnown, events: events)
        }
        _ = state.withLock { $0.published.insert(mount.target) }
        return mount.target
    }

    private func driver(_ volume: CSIVolume) async throws -> CSIDriverSettings {
        let settings: CSIDriverSettings
        do {
            settings = CSIDriverSettings(try await client.get(.csiDrivers, name: volume.driver))
        } catch let error as StatusError where error.isNotFound {
            settings = CSIDriverSettings(nil)
        }
        if let problem = settings.problem(volume) {
            throw CSIFailure(operation: "MountVolume.SetUp", volume: volume.specName, message: "\(Self.plugin): mounter.SetUpAt failed: \(problem)")
        }
        return settings
    }

    private func isPublished(_ target: String, isBlock: Bool) async throws -> Bool {
        if state.withLock({ $0.published.contains(target) }) { return true }
        let files = files
        return try await FileWork.run { isBlock ? try files.isDevice(target) : try files.isMounted(target) }
    }

    private func waitForAttachment(_ volume: CSIVolume, _ pod: Pod) async throws {
        let name = volume.uniqueName
        let (signals, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (number, isNews) = state.withLock { state in
            let before = state.use.inUse
            state.use.want(name, pod: pod.uid)
            state.next += 1
            state.waiters[state.next] = signal
            return (state.next, state.use.inUse != before)
        }
        defer { state.withLock { _ = $0.waiters.removeValue(forKey: number) } }
        if isNews { changed() }
        // Looked at once it is sure that a change will be told.
        signal.yield()
        let timer = Task {
            do { try await Task.sleep(for: Self.patience) } catch { return }  // It is attached.
            signal.finish()
        }
        defer { timer.cancel() }
        for await _ in signals where state.withLock({ $0.use.isReady(name) }) { return }
        try Task.checkCancellation()
        // The controller's events say why.
        throw CSIFailure(
            operation: volume.operation("WaitForAttach", "WaitForAttach"), volume: volume.specName,
            message: "volume is not attached according to the node's status",
            isEvent: false)
    }

    /// What the attacher has to tell the driver. Upstream: csiAttacher's waitForVolumeAttachment, getPublishContext.
    private func publishContext(_ volume: CSIVolume, _ id: String) async throws -> [String: String] {
        func failure(_ text: String) -> CSIFailure {
            CSIFailure(operation: volume.operation("WaitForAttach", "WaitForAttach"), volume: volume.specName, message: text)
        }
        let attachment: Object
        do { attachment = try await client.get(.volumeAttachments, name: id) } catch let error as StatusError {
            throw failure("volume \(volume.handle) has GET error for volume attachment \(id): \(error.message)")
        }
        guard !attachment.metadata.isBeingDeleted else { throw failure("volume attachment \(id) is being deleted") }
        let status = attachment["status"]
        guard status["attached"].bool == true else {
            throw failure(status["attachError"]["message"].string ?? "volume attachment \(id) is not attached")
        }
        return status["attachmentMetadata"].stringMap
    }

    /// Stages and publishes. The record of the pod is written first: whatever comes of the calls can then be undone.
    private func publish(
        _ mount: CSIMountCall, _ record: CSIVolumeRecord, _ context: [String: String], isKnown: Bool,
        events: @Sendable (String, String) -> Void
    ) async throws {
        let (files, volume) = (files, mount.volume)
        let plugin: CSIPlugin
        do { plugin = try plugins.plugin(volume.driver) } catch { throw mount.notRegistered(error) }
        let folder = files.folder(mount.pod.uid, volume.specName)
        if !isKnown {
            try await FileWork.run {
                try files.write(record, in: folder)
                if record.isBlock { try FileTree.makeParent(of: mount.target, mode: 0o750) }
            }
        }
        do {
            if !isKnown, !volume.isEphemeral { try await stage(mount, plugin, context) }
        } catch {
            if CSIPlugin.isFinal(error) || error is VolumeError { try await FileWork.run { try files.remove(folder, mount: mount.target) } }
            throw mount.failure(volume.operation("MountDevice", "SetUpDevice"), error)
        }
        do {
            // A volume that is there is published anew only where the driver asks for it.
            if !isKnown || mount.settings.requiresRepublish { try await mount.publish(plugin, context, isNew: !isKnown) }
        } catch {
            if !isKnown, volume.isEphemeral, CSIPlugin.isFinal(error) { try await FileWork.run { try files.remove(folder, mount: mount.target) } }
            throw mount.failure(volume.operation("SetUp", "MapPodDevice"), error)
        }
        if volume.isBlock {
            let link = files.map(mount.pod.uid, volume.specName)
            try await FileWork.run {
                try FileTree.makeParent(of: link, mode: 0o750)
                try FileTree.link(link, to: mount.target)
            }
        }
        do { try await mount.expand(plugin, nodeName: nodeName, events: events) } catch { throw mount.failure("MountVolume.NodeExpandVolume", error) }
    }

    private func stage(_ mount: CSIMountCall, _ plugin: CSIPlugin, _ context: [String: String]) async throws {
        let (files, volume) = (files, mount.volume)
        let record = CSIVolumeRecord(
            specName: volume.isBlock ? volume.specName : "", driver: volume.driver, handle: volume.handle, isBlock: volume.isBlock)
        let (folder, path) = (files.device(volume.driver, volume.handle), files.staging(record))
        let isNew = try await FileWork.run {
            let isNew = !FileTree.exists("\(folder)/\(CSIVolumeFiles.recordName)")
            try files.write(record, in: folder)
            try FileTree.makeDirectories(path, mode: 0o750)
            return isNew
        }
        state.withLock { $0.use.add(device: volume.uniqueName) }
        do { try await mount.stage(plugin, context, at: path) } catch {
            // Nobody else has it, and the driver surely did nothing.
            if isNew, CSIPlugin.isFinal(error) {
                try await FileWork.run { try files.remove(folder, mount: path) }
                state.withLock { $0.use.remove(device: volume.uniqueName) }
            }
            throw error
        }
    }

    // MARK: figures

    /// How long a driver may take to tell what a volume holds: somebody waits for the whole node's figures.
    private static let figuresTimeout = Duration.seconds(10)

    /// What a published volume holds; nil when the driver cannot tell. Throws `VolumeError`, `GRPCError`. Upstream: metricsCsi.GetMetrics.
    func figures(_ record: CSIVolumeRecord, at path: String, staging: String?) async throws -> VolumeFigures? {
        let plugin = try plugins.plugin(record.driver)
        guard plugin.capabilities.contains(.volumeStats) else { return nil }
        let staged = plugin.capabilities.contains(.stageUnstage) ? staging : nil
        let message = CSIMessages.stats(handle: record.handle, at: path, staged: staged)
        return try VolumeFigures(driver: try await plugin.call("NodeGetVolumeStats", message, timeout: Self.figuresTimeout))
    }

    /// How the volume of a pod is measured.
    func measure(_ volume: CSIVolume) -> MountedVolume.Measure {
        let record = CSIVolumeRecord(specName: volume.specName, driver: volume.driver, handle: volume.handle, isBlock: volume.isBlock)
        return .driver(record, staging: volume.isEphemeral ? nil : files.staging(record))
    }

    // MARK: end

    /// Ends all volumes of a pod; those that no other pod has leave the node. Throws what the drivers answer: then it is to be called again.
    func tearDown(_ uid: String) async throws {
        let files = files
        for record in try await FileWork.run({ try files.records(ofPod: uid) }) {
            try await gate.pass(record.uniqueName) {
                try await unpublish(record, uid)
                if !record.isEphemeral { try await unstage(record) }
            }
        }
        let isNews = state.withLock { state in
            let before = state.use.inUse
            state.use.forget(pod: uid)
            return state.use.inUse != before
        }
        if isNews { changed() }
    }

    private func unpublish(_ record: CSIVolumeRecord, _ uid: String) async throws {
        let (files, target) = (files, files.target(uid, record.specName, isBlock: record.isBlock))
        let plugin: CSIPlugin
        do { plugin = try plugins.plugin(record.driver) } catch {
            throw VolumeError("\(Self.plugin): Unmounter.TearDownAt failed to get CSI client: \(error)")
        }
        try await plugin.call("NodeUnpublishVolume", CSIMessages.unpublish(handle: record.handle, at: target))
        _ = state.withLock { $0.published.remove(target) }
        let folder = files.folder(uid, record.specName)
        try await FileWork.run {
            guard try !files.isMounted(target) else { throw VolumeError("\(target) is still mounted after NodeUnpublishVolume") }
            try files.remove(folder, mount: target)
            if record.isBlock {
                try FileTree.removeAll(files.map(uid, record.specName))
                try FileTree.removeParentIfEmpty(of: target)
            }
        }
    }

    /// Takes a volume off the node when no pod has it. The gate is the caller's.
    private func unstage(_ record: CSIVolumeRecord) async throws {
        let (files, name) = (files, record.uniqueName)
        let (folder, path) = (files.device(record.driver, record.handle), files.staging(record))
        let isUnused = try await FileWork.run {
            guard FileTree.exists("\(folder)/\(CSIVolumeFiles.recordName)") else { return false }
            return try !files.recordsOfPods().values.contains { $0.contains { $0.uniqueName == name } }
        }
        guard isUnused else { return }
        let plugin = try plugins.plugin(record.driver)
        if plugin.capabilities.contains(.stageUnstage) {
            try await plugin.call("NodeUnstageVolume", CSIMessages.unstage(handle: record.handle, at: path))
        }
        try await FileWork.run {
            guard try !files.isMounted(path) else { throw VolumeError("\(path) is still mounted after NodeUnstageVolume") }
            try files.remove(folder, mount: path)
        }
        state.withLock { $0.use.remove(device: name) }
        changed()
    }

    /// A driver can be called: its volumes that an agent left behind between the last pod's end and their own leave the node.
    func registered(_ plugin: CSIPlugin) async {
        let files = files
        do {
            for record in try await FileWork.run({ try files.recordsOfDevices() }) where record.driver == plugin.name {
                try await gate.pass(record.uniqueName) { try await unstage(record) }
            }
        } catch {
            logger.warning("cannot take a volume that nobody uses off the node", metadata: ["driver": "\(plugin.name)", "error": "\(error)"])
        }
    }
}
