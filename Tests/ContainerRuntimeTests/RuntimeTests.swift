import CRIProtocol
import FoundationEssentials
import Testing

@testable import ContainerRuntime

struct RuntimeTests {
    private func sandboxConfig(_ name: String) -> PodSandboxConfig {
        var config = PodSandboxConfig(metadata: PodSandboxMetadata(name: name, namespace: "default", uid: "u-\(name)"))
        config.labels = ["app": name]
        return config
    }

    @Test("a simulated container passes through its life, and its events tell")
    func simulatedLife() async throws {
        var configuration = SimulatedRuntime.Configuration()
        configuration.standard.exitsAfter = .milliseconds(20)
        configuration.standard.exitCode = 3
        let runtime = SimulatedRuntime(configuration)
        var events = runtime.events().makeAsyncIterator()
        #expect(await events.next() == .resynchronize)
        let sandbox = try await runtime.runPodSandbox(sandboxConfig("web"))
        #expect(await events.next() == .started(id: sandbox))
        #expect(try await runtime.podSandboxStatus(sandbox).ips.count == 1)
        await #expect(throws: RuntimeError(.notFound, "image \"i:1\" not found")) {
            try await runtime.createContainer(
                sandbox: sandbox, config: ContainerConfig(name: "a", attempt: 0, image: "i:1"), sandboxConfig: sandboxConfig("web"))
        }
        let image = try await runtime.pullImage("i:1", credentials: nil, sandboxConfig: nil)
        let id = try await runtime.createContainer(
            sandbox: sandbox, config: ContainerConfig(name: "a", attempt: 0, image: image), sandboxConfig: sandboxConfig("web"))
        try await runtime.startContainer(id)
        #expect(await events.next() == .started(id: id))
        #expect(await events.next() == .exited(id: id))
        let status = try await runtime.containerStatus(id)
        #expect(status.state == .exited && status.exitCode == 3 && status.reason == "Error")
        try await runtime.removePodSandbox(sandbox)
        #expect(try await runtime.containers(ContainerFilter()).isEmpty)
    }

    @Test("a container that does not obey is killed when its grace is over")
    func simulatedStop() async throws {
        var configuration = SimulatedRuntime.Configuration()
        configuration.images = ["i"]
        configuration.standard.stopDelay = .seconds(60)
        let runtime = SimulatedRuntime(configuration)
        let sandbox = try await runtime.runPodSandbox(sandboxConfig("web"))
        let id = try await runtime.createContainer(
            sandbox: sandbox, config: ContainerConfig(name: "a", attempt: 0, image: "i"), sandboxConfig: sandboxConfig("web"))
        try await runtime.startContainer(id)
        try await runtime.stopContainer(id, timeout: 0)
        #expect(try await runtime.containerStatus(id).exitCode == 137)
    }

    @Test("lists are narrowed by labels")
    func filters() async throws {
        let runtime = SimulatedRuntime()
        _ = try await runtime.runPodSandbox(sandboxConfig("a"))
        let b = try await runtime.runPodSandbox(sandboxConfig("b"))
        #expect(try await runtime.podSandboxes(PodSandboxFilter(labels: ["app": "b"])).map(\.id) == [b])
    }

    @Test("containerd's events become the runtime's; the end of an exec session does not")
    func events() throws {
        func envelope(_ topic: String, _ bytes: [UInt8]) -> Containerd_Services_Events_V1_Envelope {
            var envelope = Containerd_Services_Events_V1_Envelope()
            envelope.topic = topic
            envelope.event.value = Data(bytes)
            return envelope
        }
        var exit = Containerd_Services_Events_V1_TaskExit()
        exit.containerID = "c1"
        exit.id = "c1"
        #expect(try CRIRuntime.event(of: envelope("/tasks/exit", exit.serializedBytes())) == .exited(id: "c1"))
        exit.id = "exec-1"
        #expect(try CRIRuntime.event(of: envelope("/tasks/exit", exit.serializedBytes())) == nil)
        #expect(try CRIRuntime.event(of: envelope("/images/create", [])) == nil)
    }

    @Test("a container's configuration goes to the CRI's message whole")
    func messages() {
        var config = ContainerConfig(name: "a", attempt: 2, image: "sha256:1")
        config.userSpecifiedImage = "nginx"
        config.environment = [("X", "ü")]
        config.mounts = [ContainerMount(containerPath: "/a", hostPath: "/b", readOnly: true, propagation: .bidirectional)]
        config.resources = LinuxResources(cpuPeriod: 100_000, cpuQuota: 50_000, cpuShares: 512, memoryLimit: 1 << 20, oomScoreAdj: -997)
        config.resources.memorySwapLimit = 2 << 20
        config.resources.hugePages = ["2MB": 4 << 20]
        config.security.runAsUser = 0
        config.security.seccomp = .localhost("p.json")
        config.security.addCapabilities = ["NET_ADMIN"]
        let message = config.message
        #expect(message.metadata.attempt == 2 && message.image.userSpecifiedImage == "nginx")
        #expect(message.envs.map(\.value) == [Data("ü".utf8)] && message.mounts[0].propagation == .propagationBidirectional)
        #expect(message.linux.resources.memoryLimitInBytes == 1 << 20 && message.linux.securityContext.hasRunAsUser)
        #expect(message.linux.resources.hugepageLimits.map(\.pageSize) == ["2MB"] && LinuxResources(message.linux.resources) == config.resources)
        #expect(message.linux.securityContext.seccomp.localhostRef == "p.json")
        #expect(!message.linux.securityContext.hasRunAsGroup)
    }
}
