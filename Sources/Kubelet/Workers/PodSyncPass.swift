import ContainerRuntime
import KubeAPI
import KubeClient

/// Carries out one plan for a pod: kills, sandbox, volumes, containers in their order. Upstream: kuberuntime's SyncPod.
struct PodSyncPass: Sendable {
    let worker: PodWorker
    let services: PodServices
    let pod: Pod

    /// Returns whether anything was changed. Throws when the pod as a whole cannot go on; what a single container lacks is noted with the worker.
    func perform(_ runtime: PodRuntimeStatus) async throws -> Bool {
        let (backOff, failures) = await worker.planInputs()
        let actions = PodSync.plan(
            pod: pod, status: runtime, verdicts: services.prober.results(podUID: pod.uid).verdicts, backOff: backOff, now: services.now())
        for pause in actions.backingOff {
            let failure = StartFailure(
                reason: "CrashLoopBackOff",
                message: "back-off \(goDuration(pause.delay)) restarting failed container=\(pause.name) pod=\(pod.fullName)")
            if failures[pause.name] != failure {
                services.event(
                    pod, pod.container(named: pause.name), .warning, "BackOff",
                    "Back-off restarting failed container \(pause.name) in pod \(pod.fullName)")
                await worker.setFailure(pause.name, failure)
            }
            await worker.wake(after: pause.left)
        }
        if actions.isIdle {
            guard !pod.volumes.isEmpty else { return !actions.backingOff.isEmpty }
            if let left = await worker.untilVolumesAreDue() {
                await worker.wake(after: left.inSeconds)
            } else {
                _ = try await PodMounts(services: services, pod: pod).setUpVolumes(ips: runtime.ips, credentials: await credentials())
                await worker.volumesWereChecked(pod)
            }
            return !actions.backingOff.isEmpty
        }
        try await kill(actions, runtime)
        if !actions.killPod, actions.resize.isEmpty == false || actions.kill.contains(where: { $0.reason == .resize }) {
            await worker.resized(PodResizer(services: services, pod: pod).perform(actions.resize, runtime))
        }
        guard !actions.startsNothing else { return true }
        try await start(actions, runtime)
        return true
    }

    private func kill(_ actions: PodActions, _ runtime: PodRuntimeStatus) async throws {
        let stopper = ContainerStopper(services: services, pod: pod)
        if actions.killPod {
            if actions.createSandbox, !runtime.sandboxes.isEmpty {
                services.event(pod, nil, .normal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
            }
            try await stopper.stopAll(runtime, grace: pod.terminationGracePeriodSeconds)
            for sandbox in runtime.sandboxes { try await services.runtime.stopPodSandbox(sandbox.id) }
            // In the new sandbox all begin again: what ended in the old one must not count. Upstream: purgeInitContainers.
            if actions.createSandbox {
                let inits = Set(pod.initContainers.map(\.name))
                try await worker.purge(runtime.containers.filter { inits.contains($0.name) })
            }
            return
        }
        for kill in actions.kill {
            guard let status = runtime.containers.first(where: { $0.id == kill.id }) else { continue }
            var grace = pod.terminationGracePeriodSeconds
            // A probe may set a grace of its own.
            let spec = pod.container(named: kill.name)
            if kill.reason == .livenessProbe, let own = spec?.livenessProbe["terminationGracePeriodSeconds"].int { grace = own }
            if kill.reason == .startupProbe, let own = spec?.startupProbe["terminationGracePeriodSeconds"].int { grace = own }
            try await stopper.stop(status, grace: grace, message: kill.message, podIP: runtime.ips.first ?? "")
        }
    }

    private func start(_ actions: PodActions, _ runtime: PodRuntimeStatus) async throws {
        let cgroupParent = services.configuration.managesCgroups ? services.cgroups.path(pod) : ""
        if services.configuration.managesCgroups {
            let (cgroups, pod) = (services.cgroups, pod)
            try await FileWork.run { try cgroups.make(pod) }
        }
        do { try await services.devices?.allocate(pod) } catch let rejection as PodRejection { return await worker.reject(rejection) }
        try refuseDevices()
        let credentials = await credentials()
        guard let volumes = try await volumes(for: actions, runtime, credentials: credentials) else { return }
        await worker.volumesWereChecked(pod)
        let attempt = actions.attempt
        let resolverPath = services.configuration.resolverConfiguration
        // A node without a resolv.conf gives its pods none.
        let resolver = (try? await FileWork.run { String(decoding: try FileTree.read(resolverPath), as: UTF8.self) }) ?? ""
        let sandboxConfig = SandboxConfiguration(configuration: services.configuration).make(
            pod, attempt: attempt, cgroupParent: cgroupParent, resolver: resolver)
        var ips = runtime.ips
        let sandboxID: String
        if actions.createSandbox {
            (sandboxID, ips) = try await createSandbox(sandboxConfig)
        } else {
            guard let id = actions.sandboxID else { return }
            sandboxID = id
        }
        try Task.checkCancellation()
        let starter = ContainerStarter(
            services: services, pod: pod, sandboxID: sandboxID, sandboxConfig: sandboxConfig, ips: ips, volumes: volumes,
            credentials: credentials, running: runtime.runningIDs)
        for name in actions.startEphemeral {
            guard let spec = pod.container(named: name) else { continue }
            _ = await start(spec, with: starter, runtime)
            try Task.checkCancellation()
        }
        for name in actions.startInit {
            guard let spec = pod.container(named: name) else { continue }
            // A container waits for those before it; a sidecar that fails holds nobody up that is started already.
            guard await start(spec, with: starter, runtime) || spec.isSidecar else { return }
            try Task.checkCancellation()
        }
        for name in actions.start {
            guard let spec = pod.container(named: name) else { continue }
            _ = await start(spec, with: starter, runtime)
            try Task.checkCancellation()
        }
    }

    /// No driver can register with a node: a pod that is here for devices has none to get, and must not run without. Upstream: DRA Manager's
    /// PrepareResources.
    private func refuseDevices() throws {
        guard !pod.spec["resourceClaims"].elements.isEmpty else { return }
        let text = "Failed to prepare dynamic resources: drivers of devices cannot register with this node"
        services.event(pod, nil, .warning, "FailedPrepareDynamicResources", text)
        throw ContainerConfigError(text)
    }

    /// No runtime that is spoken to here offers user namespaces: without one the pod would run as the node's root. Upstream: usernsManager.
    private static func noUserNamespaces(_ handler: String) -> ContainerConfigError {
        let who = handler.isEmpty ? "runtime does" : "RuntimeClass handler \(handler.goQuoted) does"
        return ContainerConfigError("can't set `spec.hostUsers: false`, \(who) not support user namespaces")
    }

    /// The pod's volumes; nil when the image of one is not to be had: the containers wait for it as for their own.
    private func volumes(for actions: PodActions, _ runtime: PodRuntimeStatus, credentials: PullCredentials) async throws -> [String: String]? {
        do {
            return try await PodMounts(services: services, pod: pod).setUpVolumes(ips: runtime.ips, credentials: credentials)
        } catch let failure as ImageFailure {
            for name in actions.startInit + (actions.start.isEmpty ? pod.containers.map(\.name) : actions.start) {
                await worker.setFailure(name, StartFailure(reason: failure.reason, message: failure.message))
            }
            await worker.wake(after: failure.retryAfter ?? ContainerStarter.retryPeriod)
            return nil
        }
    }

    private func createSandbox(_ config: PodSandboxConfig) async throws -> (String, [String]) {
        var config = config
        if services.configuration.managesPodFiles {
            let directory = config.logDirectory
            try await FileWork.run { try FileTree.makeDirectories(directory) }
        }
        do {
            // The handler of the pod's class, which may have gone since the pod was admitted. Upstream: runtimeClassManager.LookupRuntimeHandler.
            if let name = pod.spec["runtimeClassName"].string, !name.isEmpty {
                config.runtimeHandler = try await services.objects.runtimeClass(name: name)["handler"].string ?? ""
            }
            if pod.spec["hostUsers"].bool == false { throw Self.noUserNamespaces(config.runtimeHandler) }
            let sandbox = config
            let id = try await services.starts.pass(.sandbox) { try await services.runtime.runPodSandbox(sandbox) }
            await services.pleg.note(id, podUID: pod.uid)
            return (id, try await services.runtime.podSandboxStatus(id).ips)
        } catch {
            try Task.checkCancellation()
            let text = (error as? StatusError)?.message ?? "\(error)"
            services.event(pod, nil, .warning, "FailedCreatePodSandBox", "Failed to create pod sandbox: \(text)")
            throw error
        }
    }

    /// Returns whether the container runs now.
    private func start(_ spec: ContainerSpec, with starter: ContainerStarter, _ runtime: PodRuntimeStatus) async -> Bool {
        let last = runtime.latest(spec.name)
        if let ended = runtime.containers.first(where: { $0.name == spec.name && $0.state == .exited }) {
            await worker.tookBackOffStep(PodSync.backOffKey(pod, spec), finishedAt: Timestamp(microseconds: ended.finishedAt / 1000))
        }
        let restartCount = await restartCount(spec, last)
        do {
            let id = try await starter.start(spec, restartCount: restartCount)
            await worker.setFailure(spec.name, nil)
            services.logger.debug("container started", metadata: ["pod": "\(pod.key)", "container": "\(spec.name)", "id": "\(id)"])
            return true
        } catch let failure as ContainerStarter.Failure {
            await worker.setFailure(spec.name, failure.failure)
            await worker.wake(after: failure.retryAfter)
            if let id = failure.containerID { await end(id, spec) }
        } catch {
            // Cancelled: the pod's stage has changed.
        }
        return false
    }

    private func end(_ id: String, _ spec: ContainerSpec) async {
        do {
            let status = try await services.runtime.containerStatus(id)
            try await ContainerStopper(services: services, pod: pod).stop(
                status, grace: pod.terminationGracePeriodSeconds, message: "FailedPostStartHook", podIP: "")
        } catch {
            services.logger.warning("cannot end a container whose postStart failed", metadata: ["pod": "\(pod.key)", "error": "\(error)"])
        }
    }

    /// Upstream: the restart count goes on from the last instance, or from the logs when none is left.
    private func restartCount(_ spec: ContainerSpec, _ last: RuntimeContainerStatus?) async -> Int64 {
        if let last { return (Int64(last.annotations[ContainerLabels.restartCount] ?? "") ?? Int64(last.attempt)) &+ 1 }
        guard services.configuration.managesPodFiles else { return 0 }
        let directory = SandboxConfiguration(configuration: services.configuration).logDirectory(pod) + "/" + spec.name
        let names = (try? await FileWork.run { try FileTree.list(directory) }) ?? []  // No folder: the first start.
        let numbers = names.compactMap { name in name.split(separator: ".").first.flatMap { Int64($0) } }
        return numbers.max().map { $0 &+ 1 } ?? 0
    }

    private func credentials() async -> PullCredentials {
        var credentials = PullCredentials()
        for reference in pod.spec["imagePullSecrets"].elements {
            guard let name = reference["name"].string, !name.isEmpty else { continue }
            do { credentials.add(secret: try await services.objects.secret(namespace: pod.namespace, name: name)) } catch {
                services.event(
                    pod, nil, .warning, "FailedToRetrieveImagePullSecret",
                    "Unable to retrieve some image pull secrets (\(name)); attempting to pull the image may not succeed.")
            }
        }
        return credentials
    }
}
