import ContainerRuntime
import Glibc
import KubeAPI
import Logging
import Testing

@testable import Kubelet

/// Pods of a folder of manifests and their mirrors in the API.
struct StaticPodTests {
    private func manifest(_ image: String, name: String = "web") -> [UInt8] {
        Array(
            """
            apiVersion: v1
            kind: Pod
            metadata: {name: \(name), labels: {app: web}}
            spec:
              terminationGracePeriodSeconds: 1
              containers: [{name: main, image: "\(image)"}]

            """.utf8)
    }

    @Test("a manifest becomes a pod of this node, whose uid changes with what it says")
    func reads() throws {
        func pod(_ bytes: [UInt8]) throws -> Pod { try StaticPodFiles.pod(bytes, path: "/m/web.yaml", nodeName: "N1", now: Given.now) }
        let one = try pod(manifest("nginx:1"))
        #expect(one.key == "default/web-n1" && one.nodeName == "N1" && one.isStatic && PressureAdmission.isCritical(one))
        #expect(one.containers.first?.imagePullPolicy == "IfNotPresent" && one.uid.count == 32)
        #expect(try pod(manifest("nginx:1")).uid == one.uid && (try pod(manifest("nginx:2")).uid) != one.uid)
        for bad in ["", "kind: Service\napiVersion: v1\n", "kind: Pod\napiVersion: v1\nmetadata: {}\n", "{", "- a"] {
            #expect(throws: (any Error).self) { try pod(Array(bad.utf8)) }
        }
    }

    @Test("a folder's manifests run, have mirrors that come back when deleted, are replaced when they change, and end when they go")
    func runs() async throws {
        var template = Array("/tmp/static-pods-XXXXXX".utf8CString)
        #expect(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileTree.removeAll(folder) }
        try FileTree.write(folder + "/web.yaml", manifest("nginx:1"))
        try FileTree.write(folder + "/broken.yaml", Array("{".utf8))
        let (runtime, api) = (SimulatedRuntime(), FakeAPIServer())
        var settings = KubeletConfiguration(
            nodeName: "n1", nodeIP: "10.1.0.1", capacity: ["cpu": Quantity(4), "memory": Quantity(8 << 30), "pods": Quantity(9)], kubeletVersion: "v1"
        )
        (settings.managesCgroups, settings.managesPodFiles, settings.staticPodPath) = (false, false, folder)
        var logger = Logger(label: "kubelet")
        logger.logLevel = .critical
        // A mirror whose pod is gone is an orphan.
        try api.put(
            .pods,
            [
                "metadata": ["name": "old-n1", "namespace": "default", "uid": "m0", "annotations": ["kubernetes.io/config.mirror": "x"]],
                "spec": ["nodeName": "n1"],
            ])
        let kubelet = Kubelet(configuration: settings, client: api.client, runtime: runtime, logger: logger)
        let task = Task { try await kubelet.run() }
        func mirror() -> Value? { api.get(.pods, "default", "web-n1") }
        func phase() -> String? { mirror()?[path: "status", "phase"]?.string }
        #expect(await eventually { phase() == "Running" })
        #expect(await eventually { api.get(.pods, "default", "old-n1") == nil })
        #expect(mirror()?[path: "metadata", "ownerReferences"]?.array?.first?["kind"] == "Node")
        let first = mirror()?[path: "metadata", "annotations", "kubernetes.io/config.mirror"]?.string
        #expect(first?.count == 32)
        let started = await runtime.journal.filter { $0.hasPrefix("startContainer") }.count

        try api.remove(.pods, "default", "web-n1")
        #expect(await eventually { phase() == "Running" })
        #expect(await runtime.journal.filter { $0.hasPrefix("startContainer") }.count == started, "its mirror is not the pod")

        try FileTree.write(folder + "/web.yaml", manifest("nginx:2"))
        #expect(
            await eventually {
                mirror()?[path: "metadata", "annotations", "kubernetes.io/config.mirror"]?.string != first && phase() == "Running"
            })
        #expect(await eventually { await runtime.running(name: "main").count == 1 })
        unlink(folder + "/web.yaml")
        #expect(await eventually { mirror() == nil })
        #expect(try await eventually { try await runtime.podSandboxes(PodSandboxFilter()).isEmpty })
        task.cancel()
        _ = await task.result
    }
}
