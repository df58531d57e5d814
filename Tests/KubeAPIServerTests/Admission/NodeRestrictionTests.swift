import KubeAPI
import Testing

@testable import KubeAPIServer

/// Runs one plug-in on an object; nil when it was let through, else the refusal's message.
func refusal(
    _ plugin: any AdmissionPlugin, _ operation: AdmissionAttributes.Operation, _ resource: GroupResource, _ json: String, old: String? = nil,
    subresource: String = "", namespace: String = "default", name: String = "", user: UserInfo
) async throws -> String? {
    let object = try Object(json: json)
    var attributes = AdmissionAttributes(
        operation: operation, user: user, resource: GroupVersionResource(group: resource.group, version: "v1", resource: resource.resource),
        kind: object.groupVersionKind, subresource: subresource, namespace: namespace, name: name.isEmpty ? object.metadata.name : name,
        object: operation == .delete ? .null : object.value, oldObject: try old.map { try Object(json: $0) }, dryRun: false)
    do {
        try await plugin.admit(&attributes)
        try await plugin.validate(attributes)
        return nil
    } catch let error as StatusError {
        return error.message
    }
}

@Suite("NodeRestriction")
struct NodeRestrictionTests {
    private let reader = MemoryReader()
    private let plugin: NodeRestriction
    private let node = UserInfo(name: "system:node:n1", groups: ["system:nodes"])

    init() throws {
        plugin = NodeRestriction(reader: reader)
        try reader.set(.nodes, #"{"kind":"Node","metadata":{"name":"n1","uid":"u1"}}"#)
        try reader.set(.pods, podJSON("mine", node: "n1", uid: "p1"))
        try reader.set(.pods, podJSON("theirs", node: "n2", uid: "p2"))
    }

    private func check(
        _ operation: AdmissionAttributes.Operation, _ resource: GroupResource, _ json: String, old: String? = nil, subresource: String = "",
        namespace: String = "default", name: String = ""
    ) async throws -> String? {
        try await refusal(plugin, operation, resource, json, old: old, subresource: subresource, namespace: namespace, name: name, user: node)
    }

    private func mirror(
        annotated: Bool = true, node: String = "n1", owner: String? = #"{"apiVersion":"v1","kind":"Node","name":"n1","uid":"u1","controller":true}"#,
        spec: String = ""
    ) -> String {
        """
        {"kind":"Pod","metadata":{"name":"m","namespace":"default"\(annotated ? #","annotations":{"kubernetes.io/config.mirror":"x"}"# : "")
        \(owner.map { #","ownerReferences":[\#($0)]"# } ?? "")},"spec":{"nodeName":"\(node)","containers":[{"name":"c","image":"i"}]\(spec)}}
        """
    }

    @Test("a node makes mirror pods of its own, owned by itself and naming nothing, and no other pods")
    func mirrorPods() async throws {
        #expect(try await check(.create, .pods, mirror()) == nil)
        let refused: [(String, String)] = [
            (mirror(annotated: false), "can only create mirror pods"),
            (mirror(node: "n2"), "can only create pods with spec.nodeName set to itself"),
            (mirror(owner: nil), "can only create pods with an owner reference set to itself"),
            (mirror(owner: #"{"apiVersion":"v1","kind":"Node","name":"n2","uid":"u2","controller":true}"#), "an owner reference set to itself"),
            (mirror(owner: #"{"apiVersion":"v1","kind":"Node","name":"n1","uid":"u1"}"#), "a controller owner reference set to itself"),
            (
                mirror(owner: #"{"apiVersion":"v1","kind":"Node","name":"n1","uid":"u1","controller":true,"blockOwnerDeletion":true}"#),
                "blockOwnerDeletion"
            ),
            (mirror(owner: #"{"apiVersion":"v1","kind":"Node","name":"n1","uid":"other","controller":true}"#), "UID mismatch"),
            (mirror(spec: #","serviceAccountName":"admin""#), "reference a service account"),
            (mirror(spec: #","volumes":[{"name":"a","secret":{"secretName":"x"}}]"#), "reference secrets"),
            (mirror(spec: #","volumes":[{"name":"a","configMap":{"name":"x"}}]"#), "reference configmaps"),
            (mirror(spec: #","volumes":[{"name":"a","persistentVolumeClaim":{"claimName":"x"}}]"#), "reference persistentvolumeclaims"),
            (
                mirror(spec: #","volumes":[{"name":"a","projected":{"sources":[{"serviceAccountToken":{"path":"t"}}]}}]"#),
                "reference a service account"
            ),
            (mirror(spec: #","resourceClaims":[{"name":"a","resourceClaimName":"x"}]"#), "reference resourceclaims"),
        ]
        for (json, message) in refused {
            let got = try await check(.create, .pods, json)
            #expect(got?.contains(message) == true, "\(got ?? "let through"): \(json)")
        }
    }

    @Test("a node deletes, evicts and reports on its own pods only")
    func ownPods() async throws {
        let mine = podJSON("mine", node: "n1", uid: "p1")
        let theirs = podJSON("theirs", node: "n2", uid: "p2")
        #expect(try await check(.delete, .pods, mine, old: mine) == nil)
        #expect(try await check(.delete, .pods, theirs, old: theirs)?.contains("can only delete pods with spec.nodeName set to itself") == true)
        #expect(try await check(.update, .pods, mine, old: mine)?.contains("unexpected operation") == true)
        #expect(try await check(.update, .pods, mine, old: mine, subresource: "status") == nil)
        #expect(try await check(.update, .pods, theirs, old: theirs, subresource: "status")?.contains("can only update pod status") == true)
        let relabelled = mine.replacing("\"uid\":", with: #""labels":{"app":"web"},"uid":"#)
        #expect(
            try await check(.update, .pods, relabelled, old: mine, subresource: "status")?.contains("cannot update labels through pod status") == true
        )
        #expect(try await check(.create, .pods, #"{"kind":"Eviction","metadata":{"name":"mine"}}"#, subresource: "eviction") == nil)
        let other = try await check(.create, .pods, #"{"kind":"Eviction","metadata":{"name":"theirs"}}"#, subresource: "eviction")
        #expect(other?.contains("can only evict pods with spec.nodeName set to itself") == true)
        #expect(
            try await check(.create, .pods, "{}", subresource: "binding", name: "mine")?.contains("only 'status' and 'eviction' are allowed") == true)
    }

    private func nodeJSON(_ labels: String = "{}", taints: String = "[]", owners: String = "[]", name: String = "n1") -> String {
        #"{"kind":"Node","metadata":{"name":"\#(name)","labels":\#(labels),"ownerReferences":\#(owners)},"spec":{"taints":\#(taints)}}"#
    }

    @Test("a node writes its own Node only, without restricted labels, taints or owners")
    func ownNode() async throws {
        #expect(
            try await check(
                .create, .nodes, nodeJSON(#"{"kubernetes.io/hostname":"n1","eks.amazonaws.com/nodegroup":"ng","node.kubernetes.io/x":"y"}"#),
                namespace: "") == nil)
        let labels = #"{"node-restriction.kubernetes.io/a":"b","node-role.kubernetes.io/master":"","kubernetes.io/x":"y"}"#
        #expect(
            try await check(.create, .nodes, nodeJSON(labels), namespace: "")
                == "nodes \"n1\" is forbidden: is not allowed to set the following labels: kubernetes.io/x, node-restriction.kubernetes.io/a, "
                + "node-role.kubernetes.io/master")
        #expect(
            try await check(.create, .nodes, nodeJSON(name: "n2"), namespace: "")?.contains(#"node "n1" is not allowed to modify node "n2""#) == true)
        #expect(try await check(.update, .nodes, nodeJSON(#"{"a":"b"}"#), old: nodeJSON(), namespace: "") == nil)
        let restricted = try await check(.update, .nodes, nodeJSON(), old: nodeJSON(#"{"node-restriction.kubernetes.io/a":"b"}"#), namespace: "")
        #expect(restricted?.contains("is not allowed to modify labels: node-restriction.kubernetes.io/a") == true)
        let tainted = try await check(.update, .nodes, nodeJSON(), old: nodeJSON(taints: #"[{"key":"a","effect":"NoSchedule"}]"#), namespace: "")
        #expect(tainted?.contains("is not allowed to modify taints") == true)
        let owned = try await check(.update, .nodes, nodeJSON(owners: #"[{"kind":"X","name":"y","uid":"z"}]"#), old: nodeJSON(), namespace: "")
        #expect(owned?.contains("is not allowed to modify ownerReferences") == true)
        #expect(try await check(.create, .nodes, nodeJSON(owners: #"[{"kind":"X","name":"y","uid":"z"}]"#), namespace: "") != nil)
    }

    @Test("a node asks for tokens only of its own pods, bound to them, for audiences they ask for")
    func tokens() async throws {
        func ask(_ spec: String) async throws -> String? {
            try await check(.create, .serviceAccounts, #"{"kind":"TokenRequest","spec":\#(spec)}"#, subresource: "token", name: "runner")
        }
        func bound(_ pod: String, _ uid: String, _ audiences: String = "[]") -> String {
            #"{"audiences":\#(audiences),"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"\#(pod)","uid":"\#(uid)"}}"#
        }
        #expect(try await ask(bound("mine", "p1")) == nil)
        #expect(try await ask(bound("mine", "p1", #"["vault"]"#)) == nil)
        #expect(try await ask(bound("mine", "p1", #"["elsewhere"]"#))?.contains("not found in pod spec volume") == true)
        #expect(try await ask(bound("mine", "p1", #"["vault",""]"#)) != nil)
        #expect(try await ask(bound("mine", "other"))?.contains("does not match the UID in record") == true)
        #expect(try await ask(bound("mine", ""))?.contains("without a uid") == true)
        #expect(try await ask(bound("theirs", "p2"))?.contains("bound to a pod scheduled on a different node") == true)
        #expect(try await ask("{}")?.contains("not bound to a pod") == true)
    }

    @Test("a node renews its own lease only")
    func leases() async throws {
        func lease(_ name: String) -> String { #"{"kind":"Lease","metadata":{"name":"\#(name)"}}"# }
        #expect(try await check(.create, .leases, lease("n1"), namespace: "kube-node-lease") == nil)
        #expect(try await check(.create, .leases, lease("n2"), namespace: "kube-node-lease") != nil)
        #expect(try await check(.update, .leases, lease("n1"), old: lease("n1"), namespace: "kube-system") != nil)
    }

    @Test("users who are no nodes are none of its business, a node without a name is refused")
    func identity() async throws {
        #expect(try await refusal(plugin, .create, .nodes, nodeJSON(name: "n9"), user: UserInfo(name: "ann")) == nil)
        let nameless = UserInfo(name: "system:node:", groups: ["system:nodes"])
        #expect(try await refusal(plugin, .create, .nodes, nodeJSON(), user: nameless)?.contains("could not determine node identity") == true)
    }
}
