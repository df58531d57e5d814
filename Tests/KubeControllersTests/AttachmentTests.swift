import KubeAPI
import Testing

@testable import KubeControllers

private let unique = "kubernetes.io/csi/toy.example.com^vol-1"

private func volume(modes: Value = ["ReadWriteOnce"]) throws -> Object {
    try object([
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": ["name": "pv-1"],
        "spec": ["accessModes": modes, "csi": ["driver": "toy.example.com", "volumeHandle": "vol-1"]],
    ])
}

private func attachment(_ node: String, attached: Bool = true, deleting: Bool = false, name: String? = nil) throws -> Object {
    let own = CSINames.attachment(handle: "vol-1", driver: "toy.example.com", node: node)
    var metadata: Value = ["name": .string(name ?? own)]
    if deleting { metadata["deletionTimestamp"] = .string(epoch.rfc3339) }
    return try object([
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": metadata,
        "spec": ["nodeName": .string(node), "attacher": "toy.example.com", "source": ["persistentVolumeName": "pv-1"]],
        "status": ["attached": .bool(attached)],
    ])
}

private func machine(_ name: String, inUse: Bool = false, healthy: Bool = true, managed: Bool = true, taints: [Value] = []) throws -> AttachmentNode {
    var value = try node(name, ready: healthy ? "True" : "Unknown", taints: taints).value
    if managed { value[path: "metadata", "annotations", AttachmentNode.managedAnnotation] = "true" }
    if inUse { value[path: "status", "volumesInUse"] = [.string(unique)] }
    return AttachmentNode(try object(value))
}

private func user(_ name: String, _ node: String, namespace: String = "default", created: Timestamp = epoch) throws -> AttachmentUser? {
    var value = try pod(name, node: node, created: created).value
    value[path: "metadata", "namespace"] = .string(namespace)
    return AttachmentUser(try object(value))
}

private func plan(
    _ volume: Object, required: Bool = true, users: [AttachmentUser?] = [], held attachments: [Object] = [], _ nodes: [String: AttachmentNode],
    unneeded: [String: Double] = [:]
) -> AttachmentPlan {
    AttachmentPlan(
        volume: volume, isRequired: required, users: users.compactMap(\.self), attachments: attachments, nodes: nodes, unneeded: unneeded)
}

@Suite("Attaching volumes")
struct AttachmentTests {
    @Test("a volume is attached where a pod needs it, once, and only where the control plane attaches")
    func attach() throws {
        let nodes = ["n1": try machine("n1"), "other": try machine("other", managed: false)]
        #expect(plan(try volume(), users: [try user("a", "n1"), try user("b", "n1")], nodes).attach == ["n1"])
        #expect(plan(try volume(), users: [try user("a", "n1")], held: [try attachment("n1", attached: false)], nodes).attach.isEmpty)
        #expect(plan(try volume(), required: false, users: [try user("a", "n1")], nodes).attach.isEmpty)
        #expect(plan(try volume(), users: [try user("a", "other")], nodes).attach.isEmpty)
        #expect(plan(try volume(), users: [try user("a", "gone")], nodes).attach.isEmpty)
        #expect(plan(try object(["metadata": ["name": "v"], "spec": ["local": ["path": "/x"]]]), users: [try user("a", "n1")], nodes).attach.isEmpty)
    }

    @Test("pods without a node, ended ones and deleted ones whose containers have stopped need no volume")
    func users() throws {
        #expect(try user("a", "") == nil)
        #expect(AttachmentUser(try pod("a", phase: "Succeeded")) == nil)
        #expect(AttachmentUser(try pod("a")) != nil)
        var stopping = try pod("a", deleting: true).value
        #expect(AttachmentUser(try object(stopping)) != nil)
        stopping[path: "status", "containerStatuses"] = [["name": "c", "state": ["terminated": ["exitCode": 0]]]]
        #expect(AttachmentUser(try object(stopping)) == nil)
        stopping[path: "status", "containerStatuses"] = nil
        #expect(AttachmentUser(try object(stopping)) == nil)
    }

    @Test("a volume leaves a node when no pod needs it and the node has let go; others' attachments stay")
    func detach() throws {
        let held = try attachment("n1")
        #expect(plan(try volume(), held: [held], ["n1": try machine("n1")]).detach.map(\.name) == [held.metadata.name])
        #expect(plan(try volume(), held: [held], [:]).detach.map(\.node) == ["n1"], "its node is gone")
        let using = plan(try volume(), held: [held], ["n1": try machine("n1", inUse: true)])
        #expect(using.detach.isEmpty && using.waiting.map(\.name) == [held.metadata.name] && using.waiting.first?.forceIn == nil)
        #expect(plan(try volume(), users: [try user("a", "n1")], held: [held], ["n1": try machine("n1")]).detach.isEmpty)
        #expect(plan(try volume(), held: [try attachment("n1", deleting: true)], ["n1": try machine("n1")]).detach.isEmpty)
        #expect(plan(try volume(), held: [try attachment("n1", name: "theirs")], ["n1": try machine("n1")]).detach.isEmpty)
    }

    @Test("a node that is not heard of loses its volumes after six minutes, one that is out of service at once")
    func force() throws {
        let held = try attachment("n1")
        let silent = ["n1": try machine("n1", inUse: true, healthy: false)]
        #expect(plan(try volume(), held: [held], silent, unneeded: [held.metadata.name: 100]).waiting.first?.forceIn == 260)
        #expect(plan(try volume(), held: [held], silent, unneeded: [held.metadata.name: 361]).detach.count == 1)
        let healthy = ["n1": try machine("n1", inUse: true)]
        #expect(plan(try volume(), held: [held], healthy, unneeded: [held.metadata.name: 361]).detach.isEmpty)
        let off = try machine("n1", inUse: true, taints: [["key": .string(AttachmentNode.outOfServiceTaint), "effect": "NoExecute"]])
        #expect(plan(try volume(), held: [held], ["n1": off]).detach.count == 1)
    }

    @Test("a volume of one node goes to no second one, and the pods there are told why")
    func multiAttach() throws {
        let nodes = ["n1": try machine("n1", inUse: true), "n2": try machine("n2")]
        let (first, second) = (try user("a", "n1"), try user("b", "n2", created: epoch.adding(seconds: 5)))
        let both = plan(try volume(), users: [second, first], nodes)
        #expect(both.attach == ["n1"], "the older pod has it")
        #expect(both.blocked.map(\.node) == ["n2"])
        #expect(
            both.blocked.first?.pods.map(\.message)
                == ["Multi-Attach error for volume \"pv-1\" Volume is already used by pod(s) a"])
        let foreign = try user("b", "n2", namespace: "theirs", created: epoch.adding(seconds: 5))
        #expect(
            plan(try volume(), users: [first, foreign], nodes).blocked.first?.pods.first?.message
                == "Multi-Attach error for volume \"pv-1\" Volume is already used by 1 pod(s) in different namespaces")
        #expect(
            plan(try volume(), users: [second], held: [try attachment("n1")], nodes).blocked.first?.pods.first?.message
                == "Multi-Attach error for volume \"pv-1\" Volume is already exclusively attached to one node and can't be attached to another")
        #expect(plan(try volume(modes: ["ReadWriteMany"]), users: [first, second], nodes).attach == ["n1", "n2"])
        // Being taken away is not gone.
        #expect(plan(try volume(), users: [second], held: [try attachment("n1", deleting: true)], nodes).attach.isEmpty)
        #expect(plan(try volume(), users: [second], held: [], nodes).attach == ["n2"])
    }

    @Test("a node is told of what is attached, not of what is on its way or leaving")
    func reported() throws {
        let pv = try volume()
        func attached(_ all: [Object], leaving: Set<String> = []) -> [String] {
            AttachmentPlan.attached(all, volumes: { $0 == "pv-1" ? pv : nil }, leaving: leaving)
        }
        let held = try attachment("n1")
        #expect(attached([held]) == [unique])
        #expect(attached([held], leaving: [held.metadata.name]).isEmpty)
        #expect(attached([try attachment("n1", attached: false)]).isEmpty)
        #expect(attached([try attachment("n1", deleting: true)]).isEmpty)
        #expect(attached([try attachment("n1", name: "theirs")]).isEmpty)
    }
}
