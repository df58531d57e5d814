import ContainerRuntime
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Logging
import Testing

@testable import Kubelet

/// Pods in a real containerd. Needs root, containerd, runc and busybox-static.
@Suite(.serialized)
struct RealContainerTests {
    private func configuration(_ directory: String) -> KubeletConfiguration {
        var configuration = KubeletConfiguration(
            nodeName: "n1", nodeIP: "10.211.37.1",
            capacity: ["cpu": Quantity(2), "memory": Quantity(2 << 30), "pods": Quantity(20), "ephemeral-storage": Quantity(10 << 30)],
            kubeletVersion: "v1.36.2-eyrie")
        configuration.rootDirectory = directory + "/kubelet"
        configuration.podLogsDirectory = directory + "/pods"
        configuration.cgroupRoot = "/" + (directory.split(separator: "/").last.map(String.init) ?? "kubelet-test")
        configuration.backOffInitial = .milliseconds(200)
        // Whatever the disk of the machine that tests holds, this much of it is free.
        configuration.diskSize = 64 << 20
        return configuration
    }

    private func pod(_ name: String, _ spec: Value) -> Value {
        [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": .string(name), "namespace": "default", "uid": .string("uid-\(name)"), "labels": ["app": "web"], "generation": 1],
            "spec": FakeAPIServer.merge(["nodeName": "n1", "restartPolicy": "Always", "terminationGracePeriodSeconds": 2], spec),
            "status": ["phase": "Pending", "conditions": [["type": "PodScheduled", "status": "True"]]],
        ]
    }

    private func delete(_ api: FakeAPIServer, _ name: String, grace: Int64) throws {
        guard var value = api.get(.pods, "default", name) else { return }
        value[path: "metadata", "deletionTimestamp"] = .string(Timestamp.now.adding(seconds: grace).rfc3339)
        value[path: "metadata", "deletionGracePeriodSeconds"] = .int(grace)
        try api.put(.pods, value)
    }

    @Test("a pod of real containers runs, logs, answers commands, restarts when killed, outlives the agent and leaves nothing behind")
    func lifeCycle() async throws {
        if let obstacle = Containerd.obstacle {
            print("real containers are not tested: \(obstacle)")
            return
        }
        var logger = Logger(label: "kubelet")
        logger.logLevel = .warning
        let containerd = try await Containerd()
        do { try await lifeCycle(containerd, logger) } catch { Issue.record(error) }
        PodCgroups(mount: "/sys/fs/cgroup", root: configuration(containerd.directory).cgroupRoot).removeRoot()
        try await containerd.stop()
    }

    private func lifeCycle(_ containerd: Containerd, _ logger: Logger) async throws {
        let api = FakeAPIServer()
        let settings = configuration(containerd.directory)
        try api.put(.configMaps, ["metadata": ["name": "settings", "namespace": "default"], "data": ["colour": "green"]])
        try api.put(.secrets, ["metadata": ["name": "keys", "namespace": "default"], "data": ["password": "c2VzYW1lCg=="]])
        var spec: Value = try Value(
            json: """
                {"initContainers":[{"name":"setup","image":"busybox:test","command":["sh","-c","echo prepared > /work/file; echo \\"MOOD='calm'\\" > /work/env; mkdir -p /work/part"],
                   "volumeMounts":[{"name":"work","mountPath":"/work"}]}],
                 "containers":[{"name":"main","image":"busybox:test","imagePullPolicy":"IfNotPresent",
                   "command":["sh","-c","echo hello $(COLOUR) $POD $(MOOD); cat /work/file /etc/keys/password; trap 'exit 0' TERM; while true; do sleep 0.1; done"],
                   "env":[{"name":"COLOUR","valueFrom":{"configMapKeyRef":{"name":"settings","key":"colour"}}},
                          {"name":"MOOD","valueFrom":{"fileKeyRef":{"volumeName":"work","path":"env","key":"MOOD"}}},
                          {"name":"POD","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],
                   "resources":{"requests":{"cpu":"100m"},"limits":{"memory":"64Mi","cpu":"500m"}},
                   "volumeMounts":[{"name":"work","mountPath":"/work"},{"name":"keys","mountPath":"/etc/keys","readOnly":true},
                                   {"name":"work","mountPath":"/part","subPath":"part"},{"name":"token","mountPath":"/var/run/token"}]}],
                 "volumes":[{"name":"work","emptyDir":{}},{"name":"keys","secret":{"secretName":"keys"}},
                            {"name":"token","projected":{"sources":[{"serviceAccountToken":{"path":"token"}},
                               {"downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}}]}}]}
                """)
        spec["serviceAccountName"] = "default"
        try api.put(.pods, pod("web", spec))
        let kubelet = Kubelet(configuration: settings, client: api.client, runtime: containerd.runtime, logger: logger)
        var agent = Task { try await kubelet.run() }
        defer { agent.cancel() }
        func status(_ path: String...) -> Value? { api.get(.pods, "default", "web")?[path: ["status"] + path] }
        func container() -> Value? { status("containerStatuses")?.array?.first }
        let began = ContinuousClock.now
        let ready = await eventually(30) { status("conditions")?.array?.contains { $0["type"] == "Ready" && $0["status"] == "True" } ?? false }
        print("real pod ready in \(ContinuousClock.now - began)")
        try #require(
            ready,
            "status \(status()?.jsonString ?? "none"), events \(api.events("Failed") + api.events("FailedMount") + api.events("FailedCreatePodSandBox"))"
        )
        #expect(status("phase") == "Running")
        #expect(status("podIP")?.string?.hasPrefix("10.211.37.") == true)
        #expect(status("initContainerStatuses")?.array?.first?[path: "state", "terminated", "reason"] == "Completed")
        #expect(status("qosClass") == "Burstable")
        let id = container()?["containerID"]?.string ?? ""
        #expect(id.hasPrefix("containerd://"))
        let raw = String(id.dropFirst("containerd://".count))

        let runtime = containerd.runtime
        let log = try await runtime.containerStatus(raw).logPath
        let text = await { () -> String in
            _ = await eventually { ((try? LogReader.tail(log, lines: 10)) ?? []).count > 30 }
            return String(decoding: (try? LogReader.tail(log, lines: 10)) ?? [], as: UTF8.self)
        }()
        #expect(text == "hello green web calm\nprepared\nsesame\n")
        let result = try await runtime.execSync(
            raw,
            command: ["sh", "-c", "cat /var/run/token/token /var/run/token/labels; echo; hostname; cat /etc/hosts; touch /part/x; ls /work/part"],
            timeout: .seconds(5))
        let output = String(decoding: result.stdout, as: UTF8.self)
        #expect(result.exitCode == 0)
        #expect(output.hasPrefix("a-tokenapp=\"web\"\nweb\n# Kubernetes-managed hosts file."))
        #expect(output.contains("\tweb\n") && output.hasSuffix("x\n"))
        let cgroup = try FileTree.list(
            PodCgroups(mount: "/sys/fs/cgroup", root: "").isUnified
                ? "/sys/fs/cgroup\(settings.cgroupRoot)/kubepods/burstable" : "/sys/fs/cgroup/memory\(settings.cgroupRoot)/kubepods/burstable")
        #expect(cgroup.contains("poduid-web"))

        try await serves(containerd, settings, api: api, container: raw)

        try await resizes(settings, api: api, runtime: runtime, container: raw)

        // A killed process comes back as another container with the same name.
        _ = try await runtime.execSync(raw, command: ["kill", "-9", "1"], timeout: .seconds(5))
        // A process cannot kill its own namespace's init: the runtime can.
        try await runtime.stopContainer(raw, timeout: 0)
        let restarted = await eventually(20) { container()?["restartCount"]?.int == 1 && container()?["ready"] == true }
        #expect(restarted, "\(container()?.jsonString ?? "none")")
        #expect(container()?[path: "lastState", "terminated", "exitCode"] == 137)
        let second = container()?["containerID"]?.string ?? ""
        #expect(second != id)

        // The agent starts anew and leaves what runs alone.
        agent.cancel()
        _ = await agent.result
        agent = Task { try await kubelet.run() }
        _ = await eventually(5) { api.requests.suffix(20).contains("update leases n1") }
        try await Task.sleep(for: .milliseconds(500))
        #expect(container()?["containerID"]?.string == second)
        #expect(container()?["restartCount"]?.int == 1)

        try delete(api, "web", grace: 2)
        let gone = await eventually(20) { api.get(.pods, "default", "web") == nil }
        #expect(gone)
        let clean = try await eventually(20) {
            let containers = try await runtime.containers(ContainerFilter())
            let sandboxes = try await runtime.podSandboxes(PodSandboxFilter())
            return try containers.isEmpty && sandboxes.isEmpty && FileTree.list(settings.rootDirectory + "/pods").isEmpty
                && FileTree.list(settings.podLogsDirectory).isEmpty
        }
        #expect(clean)
        #expect(try FileTree.mounts(below: settings.rootDirectory).isEmpty)
        agent.cancel()
        _ = await agent.result
    }
}

extension RealContainerTests {
    /// Other limits for the running container, up and down again: its cgroup and its pod's follow.
    private func resizes(_ settings: KubeletConfiguration, api: FakeAPIServer, runtime: CRIRuntime, container: String) async throws {
        func cgroup(_ v1: String, _ v2: String) -> Int64? {
            let pod = "\(settings.cgroupRoot)/kubepods/burstable/poduid-web"
            return HostFigures.number("/sys/fs/cgroup/\(v1.replacing("POD", with: pod))")
                ?? HostFigures.number("/sys/fs/cgroup\(v2.replacing("POD", with: pod))")
        }
        for (cpu, memory, quota, bytes) in [("800m", "96Mi", 80_000 as Int64, 96 << 20 as Int64), ("400m", "80Mi", 40_000, 80 << 20)] {
            var value = try #require(api.get(.pods, "default", "web"))
            var main = try #require(value[path: "spec", "containers"]?.array?.first)
            main["resources"] = ["requests": ["cpu": "200m"], "limits": ["cpu": .string(cpu), "memory": .string(memory)]]
            value[path: "spec", "containers"] = [main]
            value[path: "metadata", "generation"] = .int((value[path: "metadata", "generation"]?.int ?? 0) + 1)
            try api.put(.pods, value)
            let status = { api.get(.pods, "default", "web")?[path: "status", "containerStatuses"]?.array?.first }
            let done = await eventually(30) { status()?[path: "resources"] == main["resources"] && api.events("ResizeError").isEmpty }
            #expect(done, "\(status()?.jsonString ?? "none") \(api.events("ResizeError"))")
            let told = try await runtime.containerStatus(container)
            #expect(told.state == .running && told.resources?.cpuQuota == quota && told.resources?.memoryLimit == bytes)
            #expect(cgroup("memoryPOD/\(container)/memory.limit_in_bytes", "POD/\(container)/memory.max") == bytes)
            #expect([204, 8].contains(cgroup("cpuPOD/cpu.shares", "POD/cpu.weight")), "200m as shares, or as a weight")
        }
    }

    /// Logs, followed to the container's end, and a command over WebSocket, through the kubelet's server.
    private func serves(_ containerd: Containerd, _ settings: KubeletConfiguration, api: FakeAPIServer, container: String) async throws {
        let server = try KubeletServer.test(containerd.runtime, pods: [try #require(api.get(.pods, "default", "web"))], node: settings)
        let metrics = try await KubeletServer.text(of: await server.ask("/metrics/cadvisor")).split(separator: "\n")
        func values(_ name: String, _ label: String) -> [Double] {
            metrics.filter { $0.hasPrefix(name + "{") && $0.contains(label) }.compactMap { line in
                line.split(separator: " ").last.flatMap { Double($0) }
            }
        }
        let main = "container=\"main\",id=\"/kubepods/burstable/poduid-web/\(container)\""
        #expect(values("container_spec_memory_limit_bytes", main) == [Double(64 << 20)] && values("container_spec_cpu_quota", main) == [50_000])
        for name in ["container_memory_usage_bytes", "container_memory_working_set_bytes", "container_cpu_usage_seconds_total"] {
            for label in [main, "id=\"/\"", "id=\"/kubepods/burstable/poduid-web\""] {
                let found = values(name, label)
                #expect(found.count == 1 && found.allSatisfy { $0 > 0 }, "\(name) \(label)")
            }
        }
        #expect(values("container_network_transmit_bytes_total", "pod=\"web\",interface=\"eth0\"").count == 1)
        #expect(try await KubeletServer.text(of: await server.ask("/containerLogs/default/web/main?tailLines=2")) == "prepared\nsesame\n")
        let followed = Written()
        let response = await server.ask("/containerLogs/default/web/main?follow=true&timestamps=true")
        guard case .stream(let send) = response.body else { throw HTTPError.connectionClosed }
        let following = Task { try await send(followed.writer) }
        #expect(await eventually { followed.text.contains("Z sesame\n") })
        // A line that is written while the log is followed.
        _ = try await containerd.runtime.execSync(container, command: ["sh", "-c", "echo later > /proc/1/fd/1"], timeout: .seconds(5))
        #expect(await eventually { followed.text.hasSuffix("Z later\n") })
        // And one that is written after the log's file is another.
        let log = try await containerd.runtime.containerStatus(container).logPath
        let rotator = ContainerLogRotator(
            policy: LogPolicy(), directory: containerd.directory + "/pods", runtime: containerd.runtime, logger: Logger(label: "logs"))
        try await rotator.rotate(container, log)
        #expect(try ContainerLogFiles.rotated(log).count == 1)
        _ = try await containerd.runtime.execSync(container, command: ["sh", "-c", "echo rotated > /proc/1/fd/1"], timeout: .seconds(5))
        #expect(await eventually { followed.text.hasSuffix("Z rotated\n") })
        following.cancel()

        let fields: HTTPFields = [
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol": "v4.channel.k8s.io",
        ]
        let exec = await server.ask("/exec/default/web/main?command=echo&command=out&output=1&error=1", fields: fields)
        guard exec.status == 101, case .upgrade(let take) = exec.body else {
            Issue.record("exec answered \(exec.status): \(try await KubeletServer.text(of: exec))")
            return
        }
        #expect(exec.fields["Sec-WebSocket-Protocol"] == "v4.channel.k8s.io")
        let written = Written()
        let client = ByteTunnel(
            read: {
                // The client says nothing, and stays until it is closed.
                _ = await eventually { written.text.contains("\"status\":\"Success\"") }
                return nil
            }, write: { try await written.writer.write($0) }, finishWriting: {}, close: {})
        await take(client)
        // A binary frame: FIN and opcode 2, length, channel 1, text.
        #expect(written.text.contains("\u{1}out\n"))
        #expect(written.text.contains("\"status\":\"Success\""))
    }
}

extension PodCgroups {
    /// Removes the whole tree of a test.
    func removeRoot() {
        for hierarchy in isUnified ? [mount] : Self.controllers.map({ "\(mount)/\($0)" }) {
            for path in ["/kubepods/burstable", "/kubepods/besteffort", "/kubepods", ""] { rmdir(hierarchy + root + path) }
        }
    }
}
