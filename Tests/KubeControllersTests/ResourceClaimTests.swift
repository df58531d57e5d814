import KubeAPI
import KubeClient
import Testing

@testable import KubeControllers

@Suite("Resource claims, and how long kubelets keep Secrets")
struct ResourceClaimTests {
    @Test("a template's claim is the pod's, with the template's labels and annotations and the pod's name for it")
    func claim() throws {
        let template = try object([
            "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate", "metadata": ["name": "t", "namespace": "default"],
            "spec": ["metadata": ["labels": ["a": "b"], "annotations": ["c": "d"]], "spec": ["devices": ["requests": [["name": "r"]]]]],
        ])
        let claim = ResourceClaimController.claim(of: template, named: "gpu", for: try pod("web"))
        #expect(claim[path: "metadata", "generateName"] == "web-gpu-")
        #expect(claim[path: "metadata", "labels"] == ["a": "b"])
        #expect(claim[path: "metadata", "annotations"] == ["c": "d", "resource.kubernetes.io/pod-claim-name": "gpu"])
        let owner = try Object(claim).metadata.controller
        #expect(owner?.kind == "Pod" && owner?.name == "web" && owner?.blockOwnerDeletion == true)
        #expect(claim[path: "spec", "devices", "requests"]?.array?.count == 1)
    }

    @Test("of long names both are kept in part")
    func prefix() {
        #expect(ResourceClaimController.prefix(pod: "a", claim: "b") == "a-b-")
        let long = ResourceClaimController.prefix(pod: String(repeating: "p", count: 200), claim: String(repeating: "c", count: 60))
        #expect(long.utf8.count <= 57 && long.contains("p-c"))
    }

    @Test("a pod is over when it ended, or was deleted before it had a node")
    func done() throws {
        #expect(ResourceClaimController.isDone(try pod("a", phase: "Succeeded")))
        #expect(!ResourceClaimController.isDone(try pod("a", phase: "Running")))
        #expect(ResourceClaimController.isDone(try pod("a", node: "", phase: "Pending", deleting: true)))
        #expect(!ResourceClaimController.isDone(try pod("a", node: "n", phase: "Running", deleting: true)))
    }

    @Test("sizes of clusters overlap: at a limit nothing goes back and forth")
    func steps() {
        #expect(NodeTTLController.step(0, nodes: 100) == 0 && NodeTTLController.step(0, nodes: 101) == 1)
        #expect(NodeTTLController.step(1, nodes: 90) == 1 && NodeTTLController.step(1, nodes: 89) == 0)
        #expect(NodeTTLController.step(0, nodes: 5000) == 4 && NodeTTLController.step(4, nodes: 0) == 0)
        #expect(NodeTTLController.steps.map(\.seconds) == [0, 15, 30, 60, 300])
    }
}
