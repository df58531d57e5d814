import KubeAPI
import KubeClient
import SimulatedNodes
import Testing

@testable import ControlPlane

/// A whole control plane with nodes that are records.
@Suite struct SimulatedFleetTests {
    private static func node(_ number: Int) -> SimulatedNode {
        SimulatedNode(
            name: "sim-\(number)", address: "100.64.0.\(number)", providerID: "aws:///eu-1a/i-\(number)", vcpus: 2, memoryMiB: 4096, maxPods: 17,
            labels: ["kubernetes.io/hostname": "sim-\(number)"], taints: [], kubeletVersion: "v1.36.2")
    }

    private static func template(_ labels: Value, _ annotations: Value = [:], policy: Value = "Always") -> Value {
        [
            "metadata": ["labels": labels, "annotations": annotations],
            "spec": ["restartPolicy": policy, "containers": [["name": "c", "image": "nginx:1.15"]]],
        ]
    }

    @Test("a Deployment's pods run and go, a Job's succeed as annotated, and nobody reads logs of them") func life() async throws {
        let fixture = try await ControlPlaneTests.Fixture.start()
        let client = fixture.client
        fixture.fleet.set((1...20).map(Self.node), ofGroup: "ng")
        try await fixture.eventually("twenty Ready nodes that take pods") {
            let nodes = try await client.list(.nodes).items
            return nodes.count == 20 && nodes.allSatisfy { $0["spec"]["taints"].elements.isEmpty }
        }
        try await fixture.eventually("a lease of each") { try await client.list(.leases, namespace: "kube-node-lease").items.count == 20 }
        try await client.create(
            .deployments,
            [
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web", "namespace": "default"],
                "spec": ["replicas": 40, "selector": ["matchLabels": ["app": "web"]], "template": Self.template(["app": "web"])],
            ])
        try await fixture.eventually("forty available pods") {
            try await client.get(.deployments, namespace: "default", name: "web")["status"]["availableReplicas"].int == 40
        }
        let pods = try await client.list(.pods, namespace: "default", options: ListOptions(labelSelector: "app=web")).items
        #expect(Set(pods.compactMap { $0["status"]["podIP"].string }).count == 40)
        try await client.create(
            .jobs,
            [
                "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": "sum", "namespace": "default"],
                "spec": [
                    "completions": 3, "parallelism": 3,
                    "template": Self.template(["app": "sum"], ["eyrie.dev/simulated-run-seconds": "1"], policy: "Never"),
                ],
            ])
        try await fixture.eventually("a complete Job") {
            try await client.get(.jobs, namespace: "default", name: "sum")["status"]["succeeded"].int == 3
        }
        let name = try #require(pods.first?.metadata.name)
        await #expect {
            try await client.get(.pods, namespace: "default", name: name, subresource: "log")
        } throws: { error in
            (error as? StatusError)?.code == 501 && (error as? StatusError)?.message.contains("is simulated") ?? false
        }
        try await client.patch(.deployments, namespace: "default", name: "web", type: .merge, ["spec": ["replicas": 0]])
        try await fixture.eventually("no pods") {
            try await client.list(.pods, namespace: "default", options: ListOptions(labelSelector: "app=web")).items.isEmpty
        }
        await fixture.controlPlane.stop()
    }
}
