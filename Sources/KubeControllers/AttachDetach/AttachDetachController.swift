import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Has volumes of CSI drivers attached to the nodes whose pods need them, by VolumeAttachments that the drivers' attachers carry out, and taken away
/// when their nodes have let go. Upstream: pkg/controller/volume/attachdetach with the attacher of pkg/volume/csi.
final class AttachDetachController: Controller {
    let name = "persistentvolume-attach-detach-controller"
    /// As upstream's events are signed.
    private static let component = "attachdetach-controller"
    /// Until an attachment that nobody carries out is told of. Upstream: csi's attach timeout.
    private static let patience = 120.0
    private static let volumeIndex = "attachments-volume"
    private static let nodeIndex = "attachments-node"

    private enum Key: Hashable, Sendable {
        case volume(String)
        case node(String)
    }

    private struct Memory {
        /// Since when attachments are not needed.
        var unneeded: [String: Timestamp] = [:]
        /// Since when attachments are waited for.
        var pending: [String: Timestamp] = [:]
        /// Attachments that are being taken away.
        var leaving: Set<String> = []
        /// Nodes, by volume, whose pods were told that another node has it.
        var told: [String: Set<String>] = [:]
    }

    private let environment: ControllerEnvironment
    private let pods: SharedInformer
    private let claims: SharedInformer
    private let volumes: SharedInformer
    private let nodes: SharedInformer
    private let attachments: SharedInformer
    private let drivers: SharedInformer
    private let queue: WorkQueue<Key>
    private let recorder: EventRecorder
    private let memory = Mutex(Memory())
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        pods = environment.informers.informer(for: .pods)
        claims = environment.informers.informer(for: .persistentVolumeClaims)
        volumes = environment.informers.informer(for: .persistentVolumes)
        nodes = environment.informers.informer(for: .nodes)
        attachments = environment.informers.informer(for: .volumeAttachments)
        drivers = environment.informers.informer(for: .csiDrivers)
        queue = environment.queue("attachdetach", of: Key.self, backoff: .init(first: .milliseconds(20), limit: .seconds(60)))
        recorder = environment.recorder(Self.component)
        pods.addIndex(ClaimProtectionController.usersIndex) { ClaimProtectionController.claims(of: $0) }
        NodeIndex.add(to: pods)
        attachments.addIndex(Self.volumeIndex) { [Self.volumeName($0)] }
        attachments.addIndex(Self.nodeIndex) { [Self.nodeName($0)] }
        followPods()
        followNodes()
        let (queue, volumeIndexer) = (queue, volumes.indexer)
        // Most volumes are no driver's.
        @Sendable func look(_ name: String) {
            if let volume = volumeIndexer.get(name), AttachmentPlan.uniqueName(volume) != nil { queue.add(.volume(name)) }
        }
        claims.addHandler(.any { look(ClaimBinding.volumeName($0)) })
        volumes.addHandler(.any { look($0.metadata.name) })
        drivers.addHandler(
            .any { driver in
                for volume in volumeIndexer.list() where volume["spec"]["csi"]["driver"].string == driver.metadata.name {
                    queue.add(.volume(volume.metadata.name))
                }
            })
        attachments.addHandler(
            InformerHandler(
                added: { [weak self] in self?.attachmentChanged(nil, $0) }, updated: { [weak self] in self?.attachmentChanged($0, $1) },
                deleted: { [weak self] in self?.attachmentGone($0) }))
    }

    private static func volumeName(_ attachment: Object) -> String { attachment["spec"]["source"]["persistentVolumeName"].string ?? "" }
    private static func nodeName(_ attachment: Object) -> String { attachment["spec"]["nodeName"].string ?? "" }

    // MARK: watching

    /// Has the volumes of a pod looked at.
    private var lookAtVolumes: @Sendable (_ pod: Object) -> Void {
        let (queue, claimIndexer, volumeIndexer) = (queue, claims.indexer, volumes.indexer)
        return { pod in
            for key in ClaimProtectionController.claims(of: pod) {
                guard let name = claimIndexer.get(key).map(ClaimBinding.volumeName), let volume = volumeIndexer.get(name),
                    AttachmentPlan.uniqueName(volume) != nil
                else { continue }
                queue.add(.volume(name))
            }
        }
    }

    private func followPods() {
        let look = lookAtVolumes
        pods.addHandler(
            InformerHandler(
                added: look, updated: { old, new in if (AttachmentUser(old) == nil) != (AttachmentUser(new) == nil) { look(new) } }, deleted: look))
    }

    private func followNodes() {
        let (queue, attachmentIndexer, podIndexer) = (queue, attachments.indexer, pods.indexer)
        let lookAtVolumes = lookAtVolumes
        @Sendable func look(_ node: Object) {
            let name = node.metadata.name
            for attachment in attachmentIndexer.byIndex(Self.nodeIndex, name) { queue.add(.volume(Self.volumeName(attachment))) }
            for pod in NodeIndex.pods(podIndexer, on: name) { lookAtVolumes(pod) }
        }
        nodes.addHandler(
            InformerHandler(
                added: { node in
                    queue.add(.node(node.metadata.name))
                    look(node)
                },
                updated: { old, new in
                    if old["status"]["volumesAttached"].value != new["status"]["volumesAttached"].value { queue.add(.node(new.metadata.name)) }
                    if AttachmentNode(old) != AttachmentNode(new) { look(new) }
                }, deleted: look))
    }

    private func attachmentChanged(_ old: Object?, _ new: Object) {
        queue.add(.volume(Self.volumeName(new)))
        queue.add(.node(Self.nodeName(new)))
        guard let old, !new.metadata.isBeingDeleted else { return }
        let (before, after) = (old["status"], new["status"])
        let volume = Self.volumeName(new)
        if after["attached"].bool == true, before["attached"].bool != true {
            tell(volume, on: Self.nodeName(new), .normal, "SuccessfulAttachVolume", "AttachVolume.Attach succeeded for volume \"\(volume)\" ")
        } else if let message = after["attachError"]["message"].string, before["attachError"].value != after["attachError"].value {
            tell(volume, on: Self.nodeName(new), .warning, "FailedAttachVolume", "AttachVolume.Attach failed for volume \"\(volume)\" : \(message)")
        }
    }

    private func attachmentGone(_ attachment: Object) {
        memory.withLock { memory in
            memory.leaving.remove(attachment.metadata.name)
            memory.unneeded[attachment.metadata.name] = nil
            memory.pending[attachment.metadata.name] = nil
        }
        queue.add(.volume(Self.volumeName(attachment)))
        queue.add(.node(Self.nodeName(attachment)))
    }

    func run() async throws {
        for informer in [pods, claims, volumes, nodes, attachments, drivers] { try await informer.waitForSync() }
        // What was told before the other caches were there was looked up in vain.
        for volume in volumes.indexer.list() where AttachmentPlan.uniqueName(volume) != nil { queue.add(.volume(volume.metadata.name)) }
        // One at a time: a node must not be told that a volume is attached while it is being taken away.
        await queue.run(workers: 1, logger: environment.logger) { key in
            switch key {
            case .volume(let name): try await self.syncVolume(name)
            case .node(let name): try await self.syncNode(name, without: nil)
            }
        }
    }

    private func users(of volume: Object) -> [AttachmentUser] {
        let reference = volume["spec"]["claimRef"]
        let key = "\(reference["namespace"].string ?? "")/\(reference["name"].string ?? "")"
        guard let claim = claims.indexer.get(key), ClaimBinding.volumeName(claim) == volume.metadata.name else { return [] }
        return pods.indexer.byIndex(ClaimProtectionController.usersIndex, key).compactMap { AttachmentUser($0) }
    }

    private func tell(_ volume: String, on node: String, _ type: EventRecorder.EventType, _ reason: String, _ message: String) {
        guard let volume = volumes.indexer.get(volume) else { return }
        for user in users(of: volume) where user.node == node { recorder.event(user.pod, type, reason: reason, message: message) }
    }

    // MARK: volumes

    private func syncVolume(_ name: String) async throws {
        guard let volume = volumes.indexer.get(name), AttachmentPlan.uniqueName(volume) != nil else { return }
        let driver = volume["spec"]["csi"]["driver"].string ?? ""
        let users = users(of: volume)
        let known = attachments.indexer.byIndex(Self.volumeIndex, name)
        let names = Set(users.map(\.node) + known.map(Self.nodeName))
        let found = names.compactMap { name in nodes.indexer.get(name).map { (name, AttachmentNode($0)) } }
        let now = environment.now()
        let plan = AttachmentPlan(
            volume: volume, isRequired: drivers.indexer.get(driver)?["spec"]["attachRequired"].bool ?? true, users: users, attachments: known,
            nodes: Dictionary(found) { first, _ in first },
            unneeded: memory.withLock { $0.unneeded.mapValues { now.timeInterval(since: $0) } })
        remember(plan, known, now, name)
        for blocked in plan.blocked where memory.withLock({ $0.told[name, default: []].insert(blocked.node).inserted }) {
            for (pod, message) in blocked.pods { recorder.event(pod, .warning, reason: "FailedAttachVolume", message: message) }
        }
        for node in plan.attach { try await attach(volume, driver, node) }
        for (attachment, node) in plan.detach {
            // The node hears of it first, so that its kubelet does not begin to use it.
            memory.withLock { _ = $0.leaving.insert(attachment) }
            try await syncNode(node, without: attachment)
            do { try await client.delete(.volumeAttachments, name: attachment) } catch let error as StatusError where error.isNotFound {}
        }
        watchPending(known, volume, driver, now)
    }

    private func remember(_ plan: AttachmentPlan, _ known: [Object], _ now: Timestamp, _ volume: String) {
        let blocked = Set(plan.blocked.map(\.node))
        memory.withLock { memory in
            for attachment in known {
                let isWaiting = plan.waiting.contains { $0.name == attachment.metadata.name }
                memory.unneeded[attachment.metadata.name] = isWaiting ? memory.unneeded[attachment.metadata.name] ?? now : nil
                if !plan.detach.contains(where: { $0.name == attachment.metadata.name }) { memory.leaving.remove(attachment.metadata.name) }
            }
            let told = memory.told[volume, default: []].intersection(blocked)
            memory.told[volume] = told.isEmpty ? nil : told
        }
        for forced in plan.waiting.compactMap(\.forceIn) { queue.addAfter(.volume(volume), .fromSeconds(forced)) }
    }

    private func attach(_ volume: Object, _ driver: String, _ node: String) async throws {
        let name = AttachmentPlan.attachmentName(volume, node: node)
        do {
            try await client.create(
                .volumeAttachments,
                [
                    "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": ["name": .string(name)],
                    "spec": [
                        "attacher": .string(driver), "nodeName": .string(node), "source": ["persistentVolumeName": .string(volume.metadata.name)],
                    ],
                ])
        } catch let error as StatusError where error.isAlreadyExists {
            // Made before: its event brings the volume here again.
        } catch {
            let text = (error as? StatusError)?.message ?? "\(error)"
            tell(
                volume.metadata.name, on: node, .warning, "FailedAttachVolume",
                "AttachVolume.Attach failed for volume \"\(volume.metadata.name)\" : \(text)")
            throw error
        }
        queue.addAfter(.volume(volume.metadata.name), .fromSeconds(Self.patience))
    }

    /// Tells of attachments that nobody carries out. Upstream: waitForVolumeAttachDetachStatus.
    private func watchPending(_ known: [Object], _ volume: Object, _ driver: String, _ now: Timestamp) {
        for attachment in known where !attachment.metadata.isBeingDeleted {
            let status = attachment["status"]
            let name = attachment.metadata.name
            guard status["attached"].bool != true, status["attachError"]["message"].string == nil else {
                memory.withLock { $0.pending[name] = nil }
                continue
            }
            let since = memory.withLock { $0.pending[name] } ?? attachment.metadata.creationTimestamp ?? now
            let left = Self.patience - now.timeInterval(since: since)
            memory.withLock { $0.pending[name] = left > 0 ? since : now }
            queue.addAfter(.volume(volume.metadata.name), .fromSeconds(left > 0 ? left : Self.patience))
            guard left <= 0 else { continue }
            let handle = volume["spec"]["csi"]["volumeHandle"].string ?? ""
            let text = "timed out waiting for external-attacher of \(driver) CSI driver to attach volume \(handle)"
            tell(
                volume.metadata.name, on: Self.nodeName(attachment), .warning, "FailedAttachVolume",
                "AttachVolume.Attach failed for volume \"\(volume.metadata.name)\" : \(text)")
        }
    }

    // MARK: nodes

    /// Writes a node's `status.volumesAttached`. Upstream: nodeStatusUpdater.UpdateNodeStatuses.
    /// - Parameter leaving: an attachment that the node is to lose now.
    private func syncNode(_ name: String, without leaving: String?) async throws {
        guard let node = nodes.indexer.get(name) else { return }
        let volumes = volumes.indexer
        var names = memory.withLock(\.leaving)
        if let leaving { names.insert(leaving) }
        let attached = AttachmentPlan.attached(
            attachments.indexer.byIndex(Self.nodeIndex, name), volumes: { volumes.get($0) }, leaving: names)
        let known = node["status"]["volumesAttached"].elements.compactMap { $0["name"].string }.sorted()
        // The cache may be behind what was written last: a node that is to lose something is written whatever it shows.
        guard attached != known || leaving != nil else { return }
        let list: Value = attached.isEmpty ? .null : .array(attached.map { ["name": .string($0), "devicePath": ""] })
        do {
            try await client.patch(.nodes, name: name, type: .strategicMerge, ["status": ["volumesAttached": list]], subresource: "status")
        } catch let error as StatusError where error.isNotFound {}
    }
}
