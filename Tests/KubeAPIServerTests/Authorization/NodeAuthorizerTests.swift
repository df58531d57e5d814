import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Node authoriser")
struct NodeAuthorizerTests {
    private let reader = MemoryReader()
    private let authorizer: NodeAuthorizer
    private let node = UserInfo(name: "system:node:n1", groups: ["system:nodes"])

    init() throws {
        authorizer = NodeAuthorizer(reader: reader)
        try reader.set(.pods, podJSON("p1", node: "n1"))
        try reader.set(.pods, podJSON("p2", namespace: "other", node: "n2"))
        try reader.set(
            .persistentVolumes,
            """
            {"kind":"PersistentVolume","metadata":{"name":"pv1"},"spec":{"claimRef":{"namespace":"default","name":"claim"},
            "csi":{"driver":"d","nodeStageSecretRef":{"namespace":"storage","name":"stage"}}}}
            """)
        try reader.set(.volumeAttachments, #"{"kind":"VolumeAttachment","metadata":{"name":"va1"},"spec":{"nodeName":"n1"}}"#)
    }

    private func ask(
        _ verb: String, _ resource: GroupResource, _ namespace: String = "", _ name: String = "", subresource: String = "", fields: String = "",
        user: UserInfo? = nil
    ) -> Bool {
        var attributes = AuthorizationAttributes(
            user: user ?? node, verb: verb, apiGroup: resource.group, resource: resource.resource, subresource: subresource, namespace: namespace,
            name: name)
        attributes.fieldSelector = fields
        return allows(authorizer.authorize(attributes))
    }

    @Test("a node reads what its own pods name, one object at a time, and nothing of other nodes' pods")
    func references() {
        for name in ["pull", "env-secret", "files"] { #expect(ask("get", .secrets, "default", name), "\(name)") }
        for name in ["from", "settings", "projected"] { #expect(ask("watch", .configMaps, "default", name), "\(name)") }
        #expect(!ask("get", .secrets, "other", "files"))
        #expect(!ask("get", .secrets, "default", "elsewhere"))
        #expect(!ask("list", .secrets, "default"))
        #expect(!ask("update", .secrets, "default", "files"))
        #expect(ask("get", .persistentVolumeClaims, "default", "claim"))
        #expect(!ask("get", .persistentVolumeClaims, "other", "claim"))
        #expect(ask("get", .persistentVolumes, "", "pv1"))
        #expect(ask("get", .secrets, "storage", "stage"))
        #expect(ask("get", .volumeAttachments, "", "va1"))
        #expect(ask("create", .serviceAccounts, "default", "runner", subresource: "token"))
        #expect(!ask("create", .serviceAccounts, "default", "admin", subresource: "token"))
    }

    @Test("pods that were there before are known, however many")
    func manyPresent() throws {
        let reader = MemoryReader()
        let count = 2 * ObjectFollower.share + 7
        for number in 0..<count {
            let node = number.isMultiple(of: 3) ? "" : #""nodeName":"n\#(number % 3)","#
            try reader.set(
                .pods,
                """
                {"kind":"Pod","metadata":{"name":"p\(number)","namespace":"default"},
                "spec":{\(node)"volumes":[{"name":"v","secret":{"secretName":"s\(number)"}}]}}
                """)
        }
        let graph = NodeGraph(reader: reader)
        for number in 0..<count {
            let secret = NodeGraph.Reference(kind: .secret, namespace: "default", name: "s\(number)")
            let nodes = ["n1", "n2"].filter { graph.hasPath($0, secret) }
            #expect(nodes == (number.isMultiple(of: 3) ? [] : ["n\(number % 3)"]), "p\(number)")
        }
    }

    @Test("what a pod gave goes with the pod, and moves with it")
    func lifecycle() throws {
        reader.remove(.pods, "default/p1")
        #expect(!ask("get", .secrets, "default", "files"))
        #expect(!ask("get", .secrets, "storage", "stage"))
        try reader.set(.pods, podJSON("p3", node: "n2"))
        #expect(!ask("get", .secrets, "default", "files"))
        #expect(ask("get", .secrets, "default", "files", user: UserInfo(name: "system:node:n2", groups: ["system:nodes"])))
    }

    @Test("a mirror pod, which the node wrote itself, gives it nothing")
    func mirrorPods() throws {
        let json = podJSON("m", namespace: "kube-system", node: "n1").replacing(
            "\"uid\"", with: #""annotations":{"kubernetes.io/config.mirror":"x"},"uid""#)
        try reader.set(.pods, json)
        #expect(!ask("get", .secrets, "kube-system", "files"))
        #expect(ask("get", .pods, "kube-system", "m"))
    }

    @Test("nodes, pods, leases and CSI nodes are the node's own alone")
    func ownObjects() {
        #expect(ask("get", .nodes, "", "n1"))
        #expect(!ask("get", .nodes, "", "n2"))
        #expect(ask("list", .nodes, fields: "metadata.name=n1"))
        #expect(!ask("list", .nodes))
        #expect(ask("patch", .nodes, "", "n1", subresource: "status"))
        #expect(!ask("delete", .nodes, "", "n1"))
        #expect(ask("get", .pods, "default", "p1"))
        #expect(!ask("get", .pods, "other", "p2"))
        #expect(ask("watch", .pods, fields: "spec.nodeName=n1"))
        #expect(ask("list", .pods, fields: "status.phase!=Failed,spec.nodeName==n1"))
        #expect(!ask("list", .pods, fields: "spec.nodeName=n2"))
        #expect(!ask("list", .pods, fields: "spec.nodeName!=n1"))
        #expect(!ask("list", .pods))
        #expect(!ask("create", .pods, "default", "p1", subresource: "exec"))
        #expect(ask("update", .leases, "kube-node-lease", "n1"))
        #expect(!ask("update", .leases, "kube-node-lease", "n2"))
        #expect(!ask("get", .leases, "kube-system", "n1"))
        #expect(ask("create", .csiNodes))
        #expect(!ask("get", .csiNodes, "", "n2"))
    }

    @Test("a node lists services and reports events, and reads no roles")
    func rules() {
        #expect(ask("list", .services))
        #expect(ask("create", GroupResource(group: "", resource: "events"), "default"))
        #expect(!ask("list", .clusterRoles))
        #expect(!ask("list", .secrets))
    }

    @Test("only a member of system:nodes with a node's name is a node")
    func identity() {
        #expect(!ask("list", .services, user: UserInfo(name: "system:node:n1")))
        #expect(!ask("list", .services, user: UserInfo(name: "n1", groups: ["system:nodes"])))
        #expect(!ask("get", .nodes, "", "", user: UserInfo(name: "system:node:", groups: ["system:nodes"])))
    }
}
