import KubeAPI
import KubeClient
import Testing

@testable import ControlPlane

@Suite("Controllers that work over all resources follow CustomResourceDefinitions", .serialized)
struct CustomResourceControllersTests {
    private static let widgets = GroupVersionResource(group: "example.com", version: "v1", resource: "widgets")

    private static let definition: Value = [
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": ["name": "widgets.example.com"],
        "spec": [
            "group": "example.com", "scope": "Namespaced", "names": ["plural": "widgets", "kind": "Widget"],
            "versions": [
                [
                    "name": "v1", "served": true, "storage": true,
                    "schema": ["openAPIV3Schema": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]],
                ]
            ],
        ],
    ]

    private static func widget(_ name: String, _ namespace: String) -> Value {
        ["apiVersion": "example.com/v1", "kind": "Widget", "metadata": ["name": .string(name), "namespace": .string(namespace)]]
    }

    @Test("a custom resource's dependents go with it, and a namespace's custom resources go with the namespace")
    func collected() async throws {
        let fixture = try await ControlPlaneTests.Fixture.start()
        let client = fixture.client
        try await client.create(.customResourceDefinitions, Self.definition)
        try await fixture.eventually("established") {
            try await client.get(.customResourceDefinitions, name: "widgets.example.com")["status"]["conditions"].elements.contains {
                $0["type"].string == "Established" && $0["status"].string == "True"
            }
        }
        let owner = try await client.create(Self.widgets, Self.widget("owner", "default"))
        var child = Self.widget("child", "default")
        let reference = OwnerReference(apiVersion: "example.com/v1", kind: "Widget", name: "owner", uid: owner.metadata.uid)
        child[path: "metadata", "ownerReferences"] = .array([reference.value])
        try await client.create(Self.widgets, child)
        try await client.create(
            .configMaps,
            [
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": ["name": "owned", "namespace": "default", "ownerReferences": .array([reference.value])],
            ])
        try await client.delete(Self.widgets, namespace: "default", name: "owner")
        try await fixture.eventually("dependents are gone") {
            let widgets = try await client.list(Self.widgets, namespace: "default").items
            let maps = try await client.list(.configMaps, namespace: "default").items
            return widgets.isEmpty && !maps.contains { $0.metadata.name == "owned" }
        }
        try await client.create(.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "n"]])
        try await client.create(Self.widgets, Self.widget("inside", "n"))
        try await client.delete(.namespaces, name: "n")
        try await fixture.eventually("the namespace is gone") {
            try await !client.list(.namespaces).items.contains { $0.metadata.name == "n" }
        }
        #expect(try await client.list(Self.widgets).items.isEmpty)
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }
}
