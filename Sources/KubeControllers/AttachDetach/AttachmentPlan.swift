import KubeAPI

/// What of a node counts for the volumes attached to it. Upstream: attachdetach's desired state of the world and nodeIsHealthy.
struct AttachmentNode: Sendable, Equatable {
    /// Upstream: util.ControllerManagedAttachAnnotation.
    static let managedAnnotation = "volumes.kubernetes.io/controller-managed-attach-detach"
    /// Upstream: v1.TaintNodeOutOfService.
    static let outOfServiceTaint = "node.kubernetes.io/out-of-service"

    /// Whether the control plane attaches its volumes.
    var isManaged: Bool
    /// Volumes that its kubelet has, by their unique names.
    var inUse: Set<String>
    var isHealthy: Bool
    /// It was said to be off, and to stay so.
    var isOutOfService: Bool

    init(_ node: Object) {
        isManaged = node.metadata.annotations[Self.managedAnnotation] == "true"
        inUse = Set(node["status"]["volumesInUse"].strings)
        isHealthy = node["status"]["conditions"].elements.contains { $0["type"].string == "Ready" && $0["status"].string == "True" }
        isOutOfService = node["spec"]["taints"].elements.contains { $0["key"].string == Self.outOfServiceTaint }
    }
}

/// A pod that needs a volume on a node.
struct AttachmentUser: Sendable {
    var pod: Object
    var node: String

    /// Nil: the pod needs no volume, having no node yet or nothing running any more. Upstream: util.IsPodTerminated.
    init?(_ pod: Object) {
        let view = PodView(pod)
        guard !view.nodeName.isEmpty, !view.isTerminal else { return nil }
        if pod.metadata.isBeingDeleted {
            let isRunning = view.status["containerStatuses"].elements.contains {
                $0["state"]["terminated"].isAbsent && $0["state"]["waiting"].isAbsent
            }
            guard isRunning else { return nil }
        }
        (self.pod, node) = (pod, view.nodeName)
    }

    /// Sorts pods by when they were made.
    var age: (Int64, String) { (pod.metadata.creationTimestamp?.microseconds ?? 0, pod.metadata.key) }
}

extension Optional<JSONView> {
    /// Not there, or null.
    fileprivate var isAbsent: Bool { map(\.isNull) ?? true }
}

/// Where a volume of a driver is to be attached, and from where it is to be taken: pure. Upstream: attachdetach/reconciler.
struct AttachmentPlan: Sendable {
    /// After this a node that is not healthy has its volumes taken away, used or not. Upstream: maxWaitForUnmountDuration.
    static let forceAfter = 360.0

    /// A node that a volume cannot go to, because another has it.
    struct Blocked: Sendable {
        var node: String
        /// Each with what it is told.
        var pods: [(pod: Object, message: String)]
    }

    /// Nodes, and names of attachments.
    var attach: [String] = []
    var detach: [(name: String, node: String)] = []
    /// Attachments that nobody needs but their node has in use still, with seconds until they may be taken by force; nil: only when the node lets go.
    var waiting: [(name: String, forceIn: Double?)] = []
    var blocked: [Blocked] = []

    /// The volume as nodes' statuses name it; nil: it is no driver's.
    static func uniqueName(_ volume: Object) -> String? {
        let source = volume["spec"]["csi"]
        guard let driver = source["driver"].string, let handle = source["volumeHandle"].string else { return nil }
        return CSINames.unique(driver: driver, handle: handle)
    }

    /// The name of the volume's attachment to a node.
    static func attachmentName(_ volume: Object, node: String) -> String {
        let source = volume["spec"]["csi"]
        return CSINames.attachment(handle: source["volumeHandle"].string ?? "", driver: source["driver"].string ?? "", node: node)
    }

    /// - Parameters:
    ///   - isRequired: whether the driver attaches at all. Upstream: CSIDriver.spec.attachRequired.
    ///   - attachments: all of the volume; those that others made under other names are theirs.
    ///   - nodes: those that exist.
    ///   - unneeded: for how many seconds attachments were not needed, by name.
    init(
        volume: Object, isRequired: Bool, users: [AttachmentUser], attachments: [Object], nodes: [String: AttachmentNode], unneeded: [String: Double]
    ) {
        guard let unique = Self.uniqueName(volume) else { return }
        let users = users.filter { isRequired && nodes[$0.node]?.isManaged ?? false }
        let wanted = Set(users.map(\.node))
        var holders: Set<String> = []
        for attachment in attachments {
            let node = attachment["spec"]["nodeName"].string ?? ""
            let name = attachment.metadata.name
            guard name == Self.attachmentName(volume, node: node) else { continue }
            holders.insert(node)
            guard !wanted.contains(node), !attachment.metadata.isBeingDeleted else { continue }
            if let holder = nodes[node], holder.inUse.contains(unique), !holder.isOutOfService {
                let left = Self.forceAfter - (unneeded[name] ?? 0)
                if holder.isHealthy || left > 0 {
                    waiting.append((name, holder.isHealthy ? nil : left))
                    continue
                }
            }
            detach.append((name, node))
        }
        let isShared = CSINames.allowsManyNodes(volume)
        // The pod that was there first has it.
        let order = users.sorted { $0.age < $1.age }
        var seen: Set<String> = []
        for node in order.map(\.node) where !holders.contains(node) && seen.insert(node).inserted {
            let others = holders.union(attach)
            if isShared || others.isEmpty {
                attach.append(node)
            } else {
                blocked.append(Self.blocked(volume, node: node, users: users, others: others))
            }
        }
    }

    /// Each pod is told of pods in its own namespace by name. Upstream: reportMultiAttachError.
    private static func blocked(_ volume: Object, node: String, users: [AttachmentUser], others: Set<String>) -> Blocked {
        let holders = users.filter { others.contains($0.node) }
        let pods = users.filter { $0.node == node }.map { user in
            let namespace = user.pod.metadata.namespace
            let local = holders.filter { $0.pod.metadata.namespace == namespace }.map(\.pod.metadata.name).sorted()
            let foreign = holders.count - local.count
            var text: String
            if holders.isEmpty {
                text = "Volume is already exclusively attached to one node and can't be attached to another"
            } else if local.isEmpty {
                text = "Volume is already used by \(foreign) pod(s) in different namespaces"
            } else {
                text = "Volume is already used by pod(s) \(local.joined(separator: ", "))"
                if foreign > 0 { text += " and \(foreign) pod(s) in different namespaces" }
            }
            return (pod: user.pod, message: "Multi-Attach error for volume \"\(volume.metadata.name)\" \(text)")
        }
        return Blocked(node: node, pods: pods)
    }

    /// A node's `status.volumesAttached`: what kubelets wait for. Upstream: GetVolumesToReportAttached.
    /// - Parameters:
    ///   - attachments: those of the node.
    ///   - leaving: names of those that are about to be taken away.
    static func attached(_ attachments: [Object], volumes: (String) -> Object?, leaving: Set<String>) -> [String] {
        let names = attachments.compactMap { attachment -> String? in
            guard attachment["status"]["attached"].bool == true, !attachment.metadata.isBeingDeleted, !leaving.contains(attachment.metadata.name),
                let volume = volumes(attachment["spec"]["source"]["persistentVolumeName"].string ?? ""),
                attachment.metadata.name == attachmentName(volume, node: attachment["spec"]["nodeName"].string ?? "")
            else { return nil }
            return uniqueName(volume)
        }
        return Set(names).sorted()
    }
}
