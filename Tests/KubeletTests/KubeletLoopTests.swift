import ContainerRuntime
import KubeAPI
import KubeClient
import Logging
import Synchronization
import Testing

@testable import Kubelet

/// A whole kubelet on a simulated runtime and an API server in memory.
struct KubeletLoopTests {
    func settings() -> KubeletConfiguration {
        var configuration = KubeletConfiguration(
            nodeName: "n1", nodeIP: "10.1.0.1", capacity: ["cpu": Quantity(4), "memory": Quantity(8 << 30), "pods": Quantity(100)],
            kubeletVersion: "v1.36.2-eyrie")
        configuration.managesCgroups = false
        configuration.managesPodFiles = false
        configuration.taints = [.init(key: "node.cloudprovider.kubernetes.io/uninitialized", value: "true", effect: "NoSchedule")]
        configuration.reserved = ["cpu": Quantity(milli: 100)]
        configuration.backOffInitial = .milliseconds(40)
        configuration.backOffLimit = .milliseconds(400)
        return configuration
    }

    func run(
        _ change: @Sendable (inout SimulatedRuntime.Configuration) -> Void = { _ in },
        node: (inout KubeletConfiguration) -> Void = { _ in },
        _ body: (FakeAPIServer, SimulatedRuntime) async throws -> Void
    ) async throws {
        try await runKubelet(change, node: node) { api, runtime, _ in try await body(api, runtime) }
    }

    func runKubelet(
        _ change: @Sendable (inout SimulatedRuntime.Configuration) -> Void = { _ in },
        node: (inout KubeletConfiguration) -> Void = { _ in },
        _ body: (FakeAPIServer, SimulatedRuntime, Kubelet) async throws -> Void
    ) async throws {
        var configuration = SimulatedRuntime.Configuration()
        change(&configuration)
        let runtime = SimulatedRuntime(configuration)
        let api = FakeAPIServer()
        var logger = Logger(label: "kubelet")
        logger.logLevel = .error
        var settings = settings()
        node(&settings)
        let kubelet = Kubelet(configuration: settings, client: api.client, runtime: runtime, logger: logger)
        let task = Task { try await kubelet.run() }
        defer { task.cancel() }
        try await body(api, runtime, kubelet)
        task.cancel()
        _ = await task.result
    }

    func pod(_ name: String, image: String = "nginx:1", policy: String = "Always", extra: Value = [:]) -> Value {
        let container = FakeAPIServer.merge(["name": "main", "image": .string(image), "imagePullPolicy": "IfNotPresent"], extra)
        return [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "namespace": "default", "uid": .string("uid-\(name)")],
            "spec": ["nodeName": "n1", "restartPolicy": .string(policy), "terminationGracePeriodSeconds": 1, "containers": [container]],
            "status": ["phase": "Pending", "conditions": [["type": "PodScheduled", "status": "True"]]],
        ]
    }

    func phase(_ api: FakeAPIServer, _ name: String) -> String? { api.get(.pods, "default", name)?[path: "status", "phase"]?.string }
    func main(_ api: FakeAPIServer, _ name: String) -> Value? {
        api.get(.pods, "default", name)?[path: "status", "containerStatuses"]?.array?.first
    }
    func isReady(_ api: FakeAPIServer, _ name: String) -> Bool {
        api.get(.pods, "default", name)?[path: "status", "conditions"]?.array?.contains { $0["type"] == "Ready" && $0["status"] == "True" } ?? false
    }

    @Test("the node registers with its taints, becomes Ready and holds its lease")
    func node() async throws {
        try await run { api, _ in
            #expect(
                await eventually {
                    api.get(.nodes, nil, "n1")?[path: "status", "conditions"]?.array?.contains {
                        $0["type"] == "Ready" && $0["status"] == "True" && $0["reason"] == "KubeletReady"
                    } ?? false
                })
            let node = api.get(.nodes, nil, "n1")
            #expect(node?[path: "spec", "taints"]?.array?.first?["key"] == "node.cloudprovider.kubernetes.io/uninitialized")
            #expect(node?[path: "status", "allocatable", "cpu"] == "3900m" && node?[path: "metadata", "labels", "kubernetes.io/hostname"] == "n1")
            #expect(node?[path: "status", "nodeInfo", "kubeletVersion"] == "v1.36.2-eyrie")
            #expect(await eventually { api.get(.leases, "kube-node-lease", "n1") != nil })
        }
    }

    @Test("a node without a network is not Ready and says why; pods wait")
    func noNetwork() async throws {
        try await run({ $0.networkReady = false }) { api, runtime in
            try api.put(.pods, pod("web"))
            #expect(
                await eventually {
                    api.get(.nodes, nil, "n1")?[path: "status", "conditions"]?.array?.contains {
                        $0["type"] == "Ready" && $0["status"] == "False"
                            && $0["message"]?.string
                                == "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
                    } ?? false
                })
            #expect(await runtime.journal.isEmpty)
            await runtime.configure { $0.networkReady = true }
            #expect(await eventually { isReady(api, "web") })
        }
    }

    @Test("a pod is pulled, started and reported Ready, with the events of its way")
    func starts() async throws {
        try await run { api, runtime in
            try api.put(.pods, pod("web"))
            #expect(await eventually { isReady(api, "web") })
            #expect(phase(api, "web") == "Running")
            #expect(main(api, "web")?["containerID"]?.string?.hasPrefix("simulated://") == true)
            #expect(
                await runtime.journal == [
                    "runPodSandbox web", "pullImage docker.io/library/nginx:1", "createContainer main", "startContainer main",
                ])
            #expect(await eventually { api.events("Started") == ["Container started"] })
            #expect(api.events("Pulling") == ["Pulling image \"nginx:1\""])
        }
    }

    @Test("a crashing container is restarted at once, then waits in CrashLoopBackOff")
    func crashes() async throws {
        try await run({
            $0.standard.exitsAfter = .milliseconds(10)
            $0.standard.exitCode = 7
        }) { api, _ in
            try api.put(.pods, pod("web"))
            #expect(
                await eventually {
                    let status = main(api, "web")
                    return status?[path: "state", "waiting", "reason"] == "CrashLoopBackOff" && (status?["restartCount"]?.int ?? 0) >= 2
                })
            #expect(main(api, "web")?[path: "lastState", "terminated", "exitCode"] == 7)
            #expect(
                await eventually { api.events("BackOff").contains { $0.hasPrefix("Back-off restarting failed container main in pod web_default") } })
        }
    }

    @Test("a killed container comes back with its restart counted")
    func restart() async throws {
        try await run { api, runtime in
            try api.put(.pods, pod("web"))
            #expect(await eventually { isReady(api, "web") })
            let id = try #require(await runtime.running(name: "main").first)
            await runtime.exit(container: id, code: 137, reason: "OOMKilled")
            #expect(await eventually { main(api, "web")?["restartCount"] == 1 && isReady(api, "web") })
            #expect(main(api, "web")?[path: "lastState", "terminated", "reason"] == "OOMKilled")
        }
    }

    @Test("a pod whose sandbox fails gets a new one")
    func sandboxFails() async throws {
        try await run { api, runtime in
            try api.put(.pods, pod("web"))
            #expect(await eventually { isReady(api, "web") })
            let sandbox = try #require(try await runtime.podSandboxes(PodSandboxFilter()).first)
            await runtime.failSandbox(sandbox.id)
            #expect(await eventually { main(api, "web")?["restartCount"] == 1 && isReady(api, "web") })
            #expect(try await runtime.podSandboxes(PodSandboxFilter()).filter(\.isReady).map(\.metadata.attempt) == [1])
        }
    }

    @Test("a pod whose sandbox fails goes through all its init containers again before its containers start")
    func sandboxFailsWithInit() async throws {
        try await run({
            $0.scripts["docker.io/library/setup:1"] = {
                var script = SimulatedRuntime.Script()
                script.exitsAfter = .milliseconds(10)
                return script
            }()
        }) { api, runtime in
            var value = pod("web")
            value[path: "spec", "initContainers"] = .array(
                ["first", "second"].map { ["name": .string($0), "image": "setup:1", "imagePullPolicy": "IfNotPresent"] })
            try api.put(.pods, value)
            #expect(await eventually { isReady(api, "web") })
            let sandbox = try #require(try await runtime.podSandboxes(PodSandboxFilter()).first)
            await runtime.failSandbox(sandbox.id)
            #expect(await eventually { main(api, "web")?["restartCount"] == 1 && isReady(api, "web") })
            let starts = await runtime.journal.filter { $0.hasPrefix("startContainer") || $0.hasPrefix("runPodSandbox") }
            let round = ["runPodSandbox web", "startContainer first", "startContainer second", "startContainer main"]
            #expect(starts == round + round)
        }
    }

    @Test("an init container that an agent made and did not start is started by the next, and the first is removed")
    func initWasMadeOnly() async throws {
        let runtime = SimulatedRuntime()
        let api = FakeAPIServer()
        let image = "docker.io/library/nginx:1"
        let metadata = PodSandboxMetadata(name: "web", namespace: "default", uid: "uid-web", attempt: 0)
        var sandbox = PodSandboxConfig(metadata: metadata)
        sandbox.labels = [ContainerLabels.podUID: "uid-web"]
        sandbox.namespaces.network = .pod
        _ = try await runtime.pullImage(image, credentials: nil, sandboxConfig: nil)
        let id = try await runtime.runPodSandbox(sandbox)
        var config = ContainerConfig(name: "side", attempt: 0, image: image)
        config.labels = sandbox.labels
        let made = try await runtime.createContainer(sandbox: id, config: config, sandboxConfig: sandbox)
        var value = pod("web")
        value[path: "spec", "initContainers"] = [
            ["name": "side", "image": "nginx:1", "imagePullPolicy": "IfNotPresent", "restartPolicy": "Always"]
        ]
        try api.put(.pods, value)

        var logger = Logger(label: "kubelet")
        logger.logLevel = .error
        let kubelet = Kubelet(configuration: settings(), client: api.client, runtime: runtime, logger: logger)
        let task = Task { try await kubelet.run() }
        #expect(await eventually { isReady(api, "web") })
        #expect(try await eventually { try await runtime.containers(ContainerFilter(id: made)).isEmpty })
        #expect(await runtime.running(name: "side").count == 1)
        task.cancel()
        _ = await task.result
    }

    @Test("a pod is not looked at again for its own status: ErrImagePull stays until something else happens")
    func ownStatus() async throws {
        try await run({ $0.standard.pullError = "not found" }, node: { ($0.backOffInitial, $0.backOffLimit) = (.seconds(60), .seconds(60)) }) {
            api, _ in
            try api.put(.pods, pod("web", image: "nope:1"))
            func reason(_ name: String = "web") -> String? { main(api, name)?[path: "state", "waiting", "reason"]?.string }
            #expect(await eventually { reason() == "ErrImagePull" })
            // Changes come in order: with this pod's, the status above has come back.
            try api.put(.pods, pod("later", image: "nope:2"))
            #expect(await eventually { reason("later") == "ErrImagePull" })
            #expect(reason() == "ErrImagePull")
            var value = try #require(api.get(.pods, "default", "web"))
            value[path: "metadata", "annotations"] = ["look": "again"]
            try api.put(.pods, value)
            #expect(await eventually { reason() == "ImagePullBackOff" })
        }
    }

    @Test("an image that cannot be pulled is ErrImagePull, then ImagePullBackOff")
    func pullFails() async throws {
        try await run({ $0.standard.pullError = "failed to resolve reference: not found" }) { api, _ in
            try api.put(.pods, pod("web", image: "nope:1"))
            // Between two back-offs it is ErrImagePull again.
            #expect(
                await eventually {
                    let waiting = main(api, "web")?[path: "state", "waiting"]
                    return waiting?["reason"]?.string == "ImagePullBackOff"
                        && waiting?["message"]?.string?.hasPrefix("Back-off pulling image \"nope:1\": ErrImagePull: ") == true
                })
            #expect(phase(api, "web") == "Pending")
            #expect(await eventually { api.events("Failed").contains("Error: ErrImagePull") })
        }
    }

    @Test("a pod whose time is over before its image was there is Failed, and its container has not started")
    func deadlineWhilePulling() async throws {
        try await run({ $0.standard.pullError = "failed to resolve reference: not found" }) { api, _ in
            var value = pod("web", image: "nope:1")
            value[path: "spec", "activeDeadlineSeconds"] = 2
            try api.put(.pods, value)
            #expect(await eventually { main(api, "web")?[path: "state", "waiting", "reason"]?.string?.contains("ImagePull") ?? false })
            #expect(await eventually { main(api, "web")?[path: "state", "terminated", "reason"] == "ContainerStatusUnknown" })
            #expect(phase(api, "web") == "Failed" && main(api, "web")?[path: "state", "terminated", "exitCode"] == 137)
            #expect(api.get(.pods, "default", "web")?[path: "status", "reason"] == "DeadlineExceeded")
        }
    }

    @Test("a pod that runs to its end is Succeeded or Failed, and stays so")
    func runsToEnd() async throws {
        try await run({
            $0.standard.exitsAfter = .milliseconds(10)
            $0.scripts["docker.io/library/bad:1"] = {
                var script = SimulatedRuntime.Script()
                script.exitsAfter = .milliseconds(10)
                script.exitCode = 2
                return script
            }()
        }) { api, runtime in
            try api.put(.pods, pod("good", policy: "Never"))
            try api.put(.pods, pod("bad", image: "bad:1", policy: "Never"))
            #expect(await eventually { phase(api, "good") == "Succeeded" && phase(api, "bad") == "Failed" })
            #expect(try await eventually { try await runtime.podSandboxes(PodSandboxFilter()).allSatisfy { !$0.isReady } })
            #expect(main(api, "bad")?[path: "state", "terminated", "reason"] == "Error")
        }
    }

    @Test("a deleted pod is stopped in its grace, reported, removed from the API and from the runtime")
    func deletion() async throws {
        try await run { api, runtime in
            try api.put(.pods, pod("web"))
            #expect(await eventually { isReady(api, "web") })
            try delete(api, "web", grace: 3)
            #expect(await eventually { api.get(.pods, "default", "web") == nil })
            #expect(await runtime.journal.contains("stopContainer main 3"))
            #expect(try await eventually { try await runtime.podSandboxes(PodSandboxFilter()).isEmpty })
            #expect(api.requests.contains("delete pods web"))
        }
    }

    func delete(_ api: FakeAPIServer, _ name: String, grace: Int64) throws {
        var value = try #require(api.get(.pods, "default", name))
        value[path: "metadata", "deletionTimestamp"] = .string(Timestamp.now.adding(seconds: grace).rfc3339)
        value[path: "metadata", "deletionGracePeriodSeconds"] = .int(grace)
        try api.put(.pods, value)
    }

    @Test("a sidecar's preStop runs as soon as the pod is to end; the sidecar itself ends after the containers it serves")
    func sidecarEnds() async throws {
        let commands = Mutex<[String]>([])
        try await run({
            $0.standard.exec = { _, command in
                commands.withLock { $0 += command }
                return ExecResult(stdout: [], stderr: [], exitCode: 0)
            }
        }) { api, runtime in
            var value = pod("web", extra: ["lifecycle": ["preStop": ["sleep": ["seconds": 2]]]])
            value[path: "spec", "initContainers"] = [
                [
                    "name": "side", "image": "nginx:1", "imagePullPolicy": "IfNotPresent", "restartPolicy": "Always",
                    "lifecycle": ["preStop": ["exec": ["command": ["farewell"]]]],
                ]
            ]
            try api.put(.pods, value)
            #expect(await eventually { isReady(api, "web") })
            try delete(api, "web", grace: 20)
            #expect(await eventually { commands.withLock { $0 == ["farewell"] } })
            #expect(await !runtime.journal.contains { $0.hasPrefix("stopContainer") }, "the main container is in its preStop")
            #expect(await eventually { api.get(.pods, "default", "web") == nil })
            let stops = await runtime.journal.filter { $0.hasPrefix("stopContainer") }.compactMap { $0.split(separator: " ").dropFirst().first }
            #expect(stops == ["main", "side"])
            #expect(commands.withLock { $0 } == ["farewell"])
        }
    }

    @Test("a pod that runs to its end ends its sidecars before it is over")
    func sidecarOfJob() async throws {
        try await run({
            $0.scripts["docker.io/library/work:1"] = {
                var script = SimulatedRuntime.Script()
                script.exitsAfter = .milliseconds(50)
                return script
            }()
            $0.standard.stopDelay = .seconds(1)
        }) { api, runtime in
            var value = pod("job", image: "work:1", policy: "Never")
            value[path: "spec", "initContainers"] = [
                ["name": "side", "image": "nginx:1", "imagePullPolicy": "IfNotPresent", "restartPolicy": "Always"]
            ]
            try api.put(.pods, value)
            #expect(await eventually { await runtime.journal.contains { $0.hasPrefix("stopContainer side") } })
            #expect(phase(api, "job") != "Succeeded")
            #expect(await eventually { phase(api, "job") == "Succeeded" })
            #expect(await runtime.running(name: "side").isEmpty)
        }
    }

    @Test("a container has two seconds to end, even where the grace is less")
    func minimumGrace() async throws {
        try await run { api, runtime in
            try api.put(.pods, pod("web"))
            #expect(await eventually { isReady(api, "web") })
            try delete(api, "web", grace: 1)
            #expect(await eventually { api.get(.pods, "default", "web") == nil })
            #expect(await runtime.journal.contains("stopContainer main 2"))
        }
    }

    @Test("a pod removed by force is stopped, and one made anew with its name runs")
    func forcedDeletion() async throws {
        try await run { api, runtime in
            try api.put(.pods, pod("web"))
            #expect(await eventually { isReady(api, "web") })
            try api.remove(.pods, "default", "web")
            var next = pod("web")
            next[path: "metadata", "uid"] = "uid-second"
            try api.put(.pods, next)
            #expect(await eventually { isReady(api, "web") })
            #expect(try await eventually { try await runtime.podSandboxes(PodSandboxFilter()).map(\.metadata.uid) == ["uid-second"] })
        }
    }

    @Test("a new agent finds running containers again and restarts nothing, and ends what the API server does not have")
    func agentRestarts() async throws {
        let runtime = SimulatedRuntime()
        let api = FakeAPIServer()
        var logger = Logger(label: "kubelet")
        logger.logLevel = .error
        let kubelet = Kubelet(configuration: settings(), client: api.client, runtime: runtime, logger: logger)
        var task = Task { try await kubelet.run() }
        try api.put(.pods, pod("stays"))
        try api.put(.pods, pod("goes"))
        #expect(await eventually { isReady(api, "stays") && isReady(api, "goes") })
        task.cancel()
        _ = await task.result
        let before = main(api, "stays")?["containerID"]
        try api.remove(.pods, "default", "goes")
        task = Task { try await kubelet.run() }
        #expect(try await eventually { try await runtime.podSandboxes(PodSandboxFilter()).map(\.metadata.name) == ["stays"] })
        #expect(main(api, "stays")?["containerID"] == before && main(api, "stays")?["restartCount"] == 0 && isReady(api, "stays"))
        task.cancel()
        _ = await task.result
    }

    @Test("a pod that the node has no room for is Failed at once, and nothing of it is made")
    func outOfResources() async throws {
        try await run { api, runtime in
            try api.put(.pods, sized("big", cpu: "8"))
            #expect(await eventually { phase(api, "big") == "Failed" })
            let status = api.get(.pods, "default", "big")?["status"]
            #expect(status?["reason"] == "OutOfcpu" && status?["containerStatuses"] == nil)
            #expect(status?["message"] == "Pod was rejected: Node didn't have enough resource: cpu, requested: 8000, used: 0, capacity: 3900")
            #expect(await runtime.journal.isEmpty)
        }
    }

    private func nodeCondition(_ api: FakeAPIServer, _ type: String) -> String? {
        api.get(.nodes, nil, "n1")?[path: "status", "conditions"]?.array?.first { $0["type"]?.string == type }?["status"]?.string
    }

    @Test("a node short of memory evicts one pod after the other until it is not, says so, and takes no new best-effort pods")
    func evicts() async throws {
        let available = Mutex<Int64>(1 << 30)
        try await run(node: { settings in
            settings.evictionPeriod = .milliseconds(10)
            settings.eviction.transitionPeriod = 4
            settings.observe = {
                [
                    .memoryAvailable: SignalObservation(
                        available: Quantity(available.withLock(\.self), .binarySI), capacity: Quantity(8 << 30, .binarySI))
                ]
            }
        }) { api, _ in
            var important = pod("important")
            important[path: "spec", "priority"] = 1000
            try api.put(.pods, important)
            try api.put(.pods, pod("plain"))
            #expect(await eventually { isReady(api, "plain") && isReady(api, "important") })
            available.withLock { $0 = 50 << 20 }
            #expect(await eventually { nodeCondition(api, "MemoryPressure") == "True" })
            #expect(await eventually { phase(api, "plain") == "Failed" })
            available.withLock { $0 = 1 << 30 }
            let status = api.get(.pods, "default", "plain")?["status"]
            #expect(status?["reason"] == "Evicted")
            let message = try #require(status?["message"]?.string)
            #expect(message.hasPrefix("The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container main was using "))
            #expect(condition(api, "plain", "DisruptionTarget")?["reason"] == "TerminationByKubelet")
            #expect(await eventually { api.events("EvictionThresholdMet").contains("Attempting to reclaim memory") })
            try api.put(.pods, pod("late"))
            #expect(await eventually { phase(api, "late") == "Failed" })
            #expect(api.get(.pods, "default", "late")?[path: "status", "message"] == "Pod was rejected: The node had condition: [MemoryPressure]. ")
            #expect(await eventually { nodeCondition(api, "MemoryPressure") == "False" })
            try api.put(.pods, pod("later"))
            #expect(await eventually { isReady(api, "later") })
        }
    }

    /// What the pod `filling` has of a disk.
    private final class Disk: Sendable {
        let runtime = Mutex<SimulatedRuntime?>(nil)

        var isFull: Bool {
            get async {
                guard let runtime = runtime.withLock(\.self) else { return false }
                let containers = (try? await runtime.containers(ContainerFilter())) ?? []  // It answers always.
                return containers.contains { $0.labels[ContainerLabels.podName] == "filling" }
            }
        }
    }

    @Test("an evicted pod leaves nothing on the disk, whose filling it was, so that no other has to go; its status stays")
    func evictedFromDisk() async throws {
        // The disk is full as long as there is anything of one pod's containers, running or not.
        let disk = Disk()
        try await run(node: { settings in
            settings.evictionPeriod = .milliseconds(10)
            settings.eviction.transitionPeriod = 1
            settings.observe = {
                let free: Int64 = await disk.isFull ? 0 : 80 << 30
                return [.nodeFsAvailable: SignalObservation(available: Quantity(free, .binarySI), capacity: Quantity(100 << 30, .binarySI))]
            }
        }) { api, runtime in
            try api.put(.pods, pod("other"))
            var filling = pod("filling")
            filling[path: "spec", "priority"] = -1
            try api.put(.pods, filling)
            #expect(await eventually { isReady(api, "other") && isReady(api, "filling") })
            disk.runtime.withLock { $0 = runtime }
            #expect(await eventually { nodeCondition(api, "DiskPressure") == "True" })
            #expect(await eventually { phase(api, "filling") == "Failed" })
            #expect(await eventually { nodeCondition(api, "DiskPressure") == "False" })
            #expect(isReady(api, "other") && phase(api, "other") == "Running")
            let status = api.get(.pods, "default", "filling")?["status"]
            #expect(status?["reason"] == "Evicted" && status?["containerStatuses"]?.array?.first?[path: "state", "terminated"] != nil)
        }
    }

    @Test("a pod of a class that is gone waits and says so")
    func runtimeClass() async throws {
        try await run { api, runtime in
            var classed = pod("classed")
            classed[path: "spec", "runtimeClassName"] = "gone"
            try api.put(.pods, classed)
            #expect(
                await eventually {
                    api.events("FailedCreatePodSandBox").contains { $0.hasSuffix("runtimeclasses.node.k8s.io \"gone\" not found") }
                })
            #expect(await runtime.journal.isEmpty && phase(api, "classed") == "Pending")
            try api.put(.runtimeClasses, ["metadata": ["name": "gone"], "handler": "special"])
            #expect(await eventually { isReady(api, "classed") })
            #expect(await runtime.journal.first == "runPodSandbox classed special")
        }
    }

    @Test("a pod that wants user namespaces does not run without them")
    func userNamespaces() async throws {
        try await run { api, runtime in
            var separate = pod("separate")
            separate[path: "spec", "hostUsers"] = false
            try api.put(.pods, separate)
            #expect(
                await eventually {
                    api.events("FailedCreatePodSandBox").contains {
                        $0.hasSuffix("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
                    }
                })
            #expect(await runtime.journal.isEmpty)
        }
    }

    @Test("a node that shuts down says so, ends its pods and takes no more")
    func shutdown() async throws {
        let periods = [ShutdownPeriod(priority: 0, seconds: 20), ShutdownPeriod(priority: 2_000_000_000, seconds: 20)]
        try await runKubelet(node: { $0.shutdownPeriods = periods }) { api, runtime, kubelet in
            var important = pod("important")
            important[path: "spec", "priority"] = 2_000_000_000
            try api.put(.pods, important)
            try api.put(.pods, pod("plain"))
            #expect(await eventually { isReady(api, "plain") && isReady(api, "important") })
            await kubelet.shutDown()
            for name in ["plain", "important"] {
                let status = api.get(.pods, "default", name)?["status"]
                #expect(status?["phase"] == "Failed" && status?["reason"] == "Terminated")
                #expect(status?["message"] == "Pod was terminated in response to imminent node shutdown.")
                #expect(condition(api, name, "DisruptionTarget")?["reason"] == "TerminationByKubelet")
            }
            let stops = await runtime.journal.filter { $0.hasPrefix("stopContainer") }
            #expect(stops.count == 2)
            #expect(
                await eventually {
                    api.get(.nodes, nil, "n1")?[path: "status", "conditions"]?.array?.contains {
                        $0["type"] == "Ready" && $0["status"] == "False" && $0["reason"] == "KubeletNotReady"
                            && $0["message"] == "node is shutting down"
                    } ?? false
                })
            try api.put(.pods, pod("late"))
            #expect(await eventually { phase(api, "late") == "Failed" })
            let late = api.get(.pods, "default", "late")?["status"]
            #expect(late?["reason"] == "NodeShutdown" && late?["message"] == "Pod was rejected: Pod was rejected as the node is shutting down.")
            #expect(await eventually { api.events("NodeShutdown").contains("Shutdown manager detected shutdown event") })
        }
    }

    @Test("a node without a time for its pods ends at once, and they go on")
    func noShutdown() async throws {
        try await runKubelet { api, runtime, kubelet in
            try api.put(.pods, pod("web"))
            #expect(await eventually { isReady(api, "web") })
            await kubelet.shutDown()
            #expect(await runtime.journal.allSatisfy { !$0.hasPrefix("stopContainer") } && isReady(api, "web"))
        }
    }

    @Test("a hundred pods start on one node")
    func many() async throws {
        try await run { api, _ in
            for number in 0..<100 { try api.put(.pods, pod("p\(number)")) }
            #expect(await eventually(20) { (0..<100).allSatisfy { isReady(api, "p\($0)") } })
        }
    }
}
