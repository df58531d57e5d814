import ContainerRuntime
import KubeAPI
import KubeClient
import Logging
import Synchronization
import Testing

@testable import Kubelet

/// Probes and resizes of running pods, through the whole agent.
extension KubeletLoopTests {
    /// Counts the commands it is asked to run, and fails those it is told to.
    private final class Commands: Sendable {
        private let state = Mutex<(counts: [String: Int], failing: Set<String>)>(([:], []))

        func count(_ command: String) -> Int { state.withLock { $0.counts[command] ?? 0 } }
        func fail(_ command: String) { state.withLock { _ = $0.failing.insert(command) } }
        func run(_ command: [String]) -> ExecResult {
            state.withLock { state in
                for word in command { state.counts[word, default: 0] += 1 }
                return ExecResult(stdout: [], stderr: [], exitCode: state.failing.isDisjoint(with: command) ? 0 : 1)
            }
        }
    }

    private func probed(_ name: String, failures: Int64) -> Value {
        func probe(_ command: String) -> Value {
            ["exec": ["command": [.string(command)]], "periodSeconds": 1, "failureThreshold": .int(failures)]
        }
        return pod(name, extra: ["startupProbe": probe("startup"), "readinessProbe": probe("ready"), "livenessProbe": probe("live")])
    }

    @Test("a pod that ends stays ready as long as its readiness probe says so, and is not asked whether it is alive")
    func readyToTheEnd() async throws {
        let commands = Commands()
        try await run({
            $0.standard.exec = { _, command in commands.run(command) }
            $0.standard.stopDelay = .seconds(600)
        }) { api, runtime in
            try api.put(.pods, probed("web", failures: 1))
            #expect(await eventually { isReady(api, "web") })
            try delete(api, "web", grace: 600)
            #expect(await eventually { await runtime.journal.contains { $0.hasPrefix("stopContainer main") } })
            let (ready, live) = (commands.count("ready"), commands.count("live"))
            #expect(await eventually { commands.count("ready") >= ready + 2 })
            #expect(isReady(api, "web") && main(api, "web")?["started"] == true)
            #expect(commands.count("live") <= live + 1)
            commands.fail("ready")
            #expect(await eventually { !isReady(api, "web") })
            #expect(await runtime.running(name: "main").count == 1 && phase(api, "web") == "Running")
        }
    }

    @Test("a new agent leaves a pod ready until its probes say otherwise, and does not wait for it to start again")
    func agentRestartsBesideProbes() async throws {
        let commands = Commands()
        var configuration = SimulatedRuntime.Configuration()
        configuration.standard.exec = { _, command in commands.run(command) }
        let runtime = SimulatedRuntime(configuration)
        let api = FakeAPIServer()
        var logger = Logger(label: "kubelet")
        logger.logLevel = .error
        let kubelet = Kubelet(configuration: settings(), client: api.client, runtime: runtime, logger: logger)
        var task = Task { try await kubelet.run() }
        try api.put(.pods, probed("web", failures: 5))
        #expect(await eventually { isReady(api, "web") })
        task.cancel()
        _ = await task.result
        commands.fail("ready")
        let (startup, ready) = (commands.count("startup"), commands.count("ready"))
        task = Task { try await kubelet.run() }
        #expect(await eventually { commands.count("ready") >= ready + 2 })
        #expect(isReady(api, "web") && main(api, "web")?["started"] == true)
        #expect(await eventually { !isReady(api, "web") })
        #expect(commands.count("startup") == startup && main(api, "web")?["restartCount"] == 0)
        task.cancel()
        _ = await task.result
    }

    @Test("a failing liveness probe restarts the container; readiness follows its probe")
    func probes() async throws {
        try await run({
            $0.standard.exec = { _, command in ExecResult(stdout: [], stderr: Array("no".utf8), exitCode: command == ["live"] ? 1 : 0) }
        }) { api, _ in
            try api.put(
                .pods,
                pod(
                    "web",
                    extra: [
                        "livenessProbe": ["exec": ["command": ["live"]], "periodSeconds": 1, "failureThreshold": 1],
                        "readinessProbe": ["exec": ["command": ["ready"]], "periodSeconds": 1],
                    ]))
            #expect(await eventually { (main(api, "web")?["restartCount"]?.int ?? 0) >= 1 })
            #expect(await eventually { api.events("Killing").contains("Container main failed liveness probe, will be restarted") })
            #expect(await eventually { api.events("Unhealthy").contains("Liveness probe failed: no") })
        }
    }

    func sized(_ name: String, cpu: String, generation: Int64 = 1) -> Value {
        var value = pod(name, extra: ["resources": ["requests": ["cpu": .string(cpu)], "limits": ["cpu": .string(cpu)]]])
        value[path: "metadata", "generation"] = .int(generation)
        return value
    }

    func condition(_ api: FakeAPIServer, _ name: String, _ type: String) -> Value? {
        api.get(.pods, "default", name)?[path: "status", "conditions"]?.array?.first { $0["type"]?.string == type }
    }

    /// As the subresource does: only the spec changes.
    private func resize(_ api: FakeAPIServer, _ name: String, cpu: String) throws {
        var value = try #require(api.get(.pods, "default", name))
        let wished = sized(name, cpu: cpu)
        value["spec"] = wished["spec"]
        value[path: "metadata", "generation"] = .int((value[path: "metadata", "generation"]?.int ?? 0) + 1)
        try api.put(.pods, value)
    }

    @Test("a running container gets other resources without a restart; what has no room waits until another pod goes")
    func resizes() async throws {
        try await run { api, runtime in
            try api.put(.pods, sized("web", cpu: "500m"))
            try api.put(.pods, sized("other", cpu: "2"))
            #expect(await eventually { isReady(api, "web") && isReady(api, "other") })
            try resize(api, "web", cpu: "1")
            #expect(await eventually { main(api, "web")?[path: "resources", "limits", "cpu"] == "1" && !api.events("ResizeCompleted").isEmpty })
            #expect(await runtime.journal.contains("updateContainerResources main 1024 100000 0"))
            #expect(main(api, "web")?["restartCount"] == 0 && main(api, "web")?[path: "allocatedResources", "cpu"] == "1")
            #expect(await eventually { condition(api, "web", "PodResizeInProgress") == nil })

            try resize(api, "web", cpu: "3")
            #expect(await eventually { condition(api, "web", "PodResizePending")?["reason"] == "Deferred" })
            #expect(main(api, "web")?[path: "resources", "limits", "cpu"] == "1")
            try api.remove(.pods, "default", "other")
            #expect(await eventually { main(api, "web")?[path: "resources", "limits", "cpu"] == "3" })
            #expect(await eventually { condition(api, "web", "PodResizePending") == nil })
            try resize(api, "web", cpu: "30")
            #expect(await eventually { condition(api, "web", "PodResizePending")?["reason"] == "Infeasible" })
            #expect(await eventually { api.events("ResizeInfeasible").contains { $0.hasPrefix("Pod resize Infeasible: {\"containers\":[") } })
        }
    }

    @Test("a runtime that refuses a change is told of in the condition, and the container runs on")
    func resizeFails() async throws {
        try await run({ $0.standard.updateError = "cgroup is stubborn" }) { api, _ in
            try api.put(.pods, sized("web", cpu: "500m"))
            #expect(await eventually { isReady(api, "web") })
            try resize(api, "web", cpu: "1")
            #expect(await eventually { condition(api, "web", "PodResizeInProgress")?["message"] == "cgroup is stubborn" })
            #expect(condition(api, "web", "PodResizeInProgress")?["reason"] == "Error" && main(api, "web")?["restartCount"] == 0)
            #expect(main(api, "web")?[path: "resources", "limits", "cpu"] == "500m" && main(api, "web")?[path: "allocatedResources", "cpu"] == "1")
        }
    }
}
