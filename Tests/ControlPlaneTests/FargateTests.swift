import CloudControllers
import KubeAPI
import KubeClient
import Testing

@testable import ControlPlane

@Suite struct FargateTests {
    private func profiles(_ selectors: [String: [FargateProfiles.Selector]]) -> FargateProfiles { FargateProfiles(revision: 1, selectors: selectors) }

    @Test("a pod gets the profile it asks for if that matches, else the first by name of those that match")
    func selection() {
        let book = profiles([
            "zeta": [.init(namespace: "prod")], "beta": [.init(namespace: "dev"), .init(namespace: "prod")],
            "alpha": [.init(namespace: "prod", labels: ["team": "a"])],
        ])
        #expect(book.profile(namespace: "prod", labels: [:], asked: nil) == "beta")
        #expect(book.profile(namespace: "prod", labels: ["team": "a", "x": "y"], asked: nil) == "alpha")
        #expect(book.profile(namespace: "prod", labels: [:], asked: "zeta") == "zeta")
        #expect(book.profile(namespace: "prod", labels: [:], asked: "alpha") == nil)
        #expect(book.profile(namespace: "other", labels: [:], asked: nil) == nil)
    }

    @Test("wildcards stand in namespaces, label keys and label values")
    func wildcards() {
        let book = profiles(["p": [.init(namespace: "prod*", labels: ["tier-?": "*end"])]])
        #expect(book.profile(namespace: "production", labels: ["tier-1": "frontend"], asked: nil) == "p")
        #expect(book.profile(namespace: "prod", labels: ["tier-1": "end"], asked: nil) == "p")
        for (namespace, labels) in [("a-prod", ["tier-1": "end"]), ("prod", ["tier-12": "end"]), ("prod", ["tier-1": "ends"]), ("prod", [:])] {
            #expect(book.profile(namespace: namespace, labels: labels, asked: nil) == nil)
        }
    }

    @Test("an older set of profiles does not replace a newer one")
    func revisions() {
        let book = FargateBook()
        book.set(FargateProfiles(revision: 2, selectors: ["new": []]))
        book.set(FargateProfiles(revision: 1, selectors: ["old": []]))
        #expect(book.profiles.selectors.keys.sorted() == ["new"])
    }

    private static func pod(_ name: String, _ metadata: (String, Value)..., container: Value = ["name": "c", "image": "x"]) -> Value {
        var pod: Value = [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "namespace": "default"], "spec": ["containers": [container]],
        ]
        for (key, value) in metadata { pod[path: "metadata", key] = value }
        return pod
    }

    @Test("a pod that matches a profile is Fargate's: it is told of, bound, and refused when Fargate cannot run it") func controlPlane() async throws
    {
        let fixture = try await ControlPlaneTests.Fixture.start()
        let client = fixture.client
        fixture.fargate.set(profiles(["fp": [.init(namespace: "default", labels: ["run": "*"])]]))
        try await fixture.eventually("the default service account") {
            try await client.list(.serviceAccounts, namespace: "default").items.contains { $0.metadata.name == "default" }
        }
        let feed = await fixture.controlPlane.fargatePods()
        let matching: (String, Value) = ("labels", ["run": "x"])
        let made = try await client.create(.pods, Self.pod("good", matching))
        #expect(made.metadata.labels["eks.amazonaws.com/fargate-profile"] == "fp" && made["spec"]["schedulerName"].string == "fargate-scheduler")
        #expect(made["spec"]["priorityClassName"].string == "system-node-critical" && made["spec"]["priority"].int == 2_000_001_000)
        #expect(made.metadata.annotations["CapacityProvisioned"] == "0.25vCPU 0.5GB")
        #expect(made.metadata.annotations["Logging"] == "LoggingDisabled: LOGGING_CONFIGMAP_NOT_FOUND")
        let ec2 = try await client.create(
            .pods, Self.pod("ec2", matching, ("annotations", ["eks.amazonaws.com/compute-type": "ec2"])))
        #expect(ec2["spec"]["schedulerName"].string == "default-scheduler" && ec2.metadata.annotations["CapacityProvisioned"] == nil)
        #expect(try await client.create(.pods, Self.pod("other"))["spec"]["schedulerName"].string == "default-scheduler")

        let privileged: Value = ["name": "c", "image": "x", "securityContext": ["privileged": true]]
        try await client.create(.pods, Self.pod("bad", matching, container: privileged))
        let message = "Pod not supported on Fargate: invalid SecurityContext fields: Privileged"
        try await fixture.eventually("the refusal") {
            let condition = try await client.get(.pods, namespace: "default", name: "bad")["status"]["conditions"].elements.first
            return condition?["reason"].string == "POD_UNSUPPORTED_ON_FARGATE" && condition?["message"].string == message
        }
        try await fixture.eventually("its event") {
            try await client.list(.events, namespace: "default").items.contains {
                $0["message"].string == message && $0["reason"].string == "FailedScheduling"
                    && $0["source"]["component"].string == "fargate-scheduler"
            }
        }

        var iterator = feed.makeAsyncIterator()
        var good: FargatePod?
        while let pods = await iterator.next() {
            good = pods.first { $0.name == "good" }
            if good != nil, pods.first(where: { $0.name == "bad" })?.isWanted == false { break }
        }
        let pod = try #require(good)
        #expect(pod.isWanted && pod.profile == "fp" && pod.capacity == FargateCapacity(milliCPU: 250, memoryMiB: 512) && pod.nodeName == nil)
        for _ in 0..<2 { try await fixture.controlPlane.bind(pod, to: "fargate-ip-10-0-0-4") }
        #expect(try await client.get(.pods, namespace: "default", name: "good")["spec"]["nodeName"].string == "fargate-ip-10-0-0-4")
        while let pods = await iterator.next() { if pods.contains(where: { $0.nodeName == "fargate-ip-10-0-0-4" }) { break } }

        try await fixture.controlPlane.deletePods(ofFargateProfile: "fp")
        #expect(try await client.get(.pods, namespace: "default", name: "good").metadata.isBeingDeleted)
        try await fixture.eventually("the refused pod gone") {
            try await !client.list(.pods, namespace: "default").items.contains { $0.metadata.name == "bad" }
        }
        #expect(try await client.get(.pods, namespace: "default", name: "other").metadata.isBeingDeleted == false)
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    @Test("the role of a profile stands in aws-auth with its own user name") func roleMapping() async throws {
        let fixture = try await ControlPlaneTests.Fixture.start()
        let arn = "arn:aws:iam::000000000000:role/pods"
        try await fixture.controlPlane.mapNodeRole(arn, of: .fargate, isWanted: true)
        let text = try await fixture.client.get(.configMaps, namespace: "kube-system", name: "aws-auth")["data"]["mapRoles"].string ?? ""
        #expect(text.contains("system:node:{{SessionName}}") && text.contains("system:node-proxier") && text.contains(arn))
        try await fixture.controlPlane.mapNodeRole(arn, of: .fargate, isWanted: false)
        let rest = try await fixture.client.get(.configMaps, namespace: "kube-system", name: "aws-auth")["data"]["mapRoles"].string ?? ""
        #expect(!rest.contains(arn))
        await fixture.controlPlane.stop()
    }
}
