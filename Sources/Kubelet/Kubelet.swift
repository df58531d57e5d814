package import ContainerRuntime
package import HTTPTransport
import KubeAPI
package import KubeClient
package import Logging
import Processes

/// The node agent: registers the node, runs the pods that are bound to it, tells the API server how they are, and serves logs and commands.
/// Upstream: pkg/kubelet.Kubelet.
package struct Kubelet: Sendable {
    private let configuration: KubeletConfiguration
    private let client: KubeClient
    private let runtime: any ContainerRuntime
    private let services: SharedInformer?
    private let listener: KubeletListener?
    private let shutdown: NodeShutdown
    private let logger: Logger

    /// `services`: the Services that pods' variables name, from an informer that the caller runs; nil: one of the kubelet's own.
    package init(
        configuration: KubeletConfiguration, client: KubeClient, runtime: any ContainerRuntime, services: SharedInformer? = nil, logger: Logger
    ) {
        self.configuration = configuration
        self.client = client
        self.runtime = runtime
        self.services = services
        self.logger = logger
        listener = configuration.server.map(KubeletListener.init)
        shutdown = NodeShutdown(configuration.shutdownPeriods)
    }

    /// Goes on serving with another certificate, and believing callers by other CAs. Throws for certificates that cannot be used, and goes on as before.
    /// Upstream: pkg/kubelet/certificate's server certificate manager, dynamiccertificates.DynamicFileCAContent.
    package func renew(serving identity: TLSIdentity, clientCAPEM: String) throws { try listener?.renew(identity, clientCAPEM: clientCAPEM) }

    /// Ends the pods, as the node itself is about to end, and takes no new ones; returns when they have ended, or their time is over. The caller ends the
    /// run then. Upstream: nodeshutdown.Manager.
    package func shutDown() async { await shutdown.perform() }

    /// Runs until the task is cancelled; containers are left running, and found again by the next run. Throws when the runtime cannot be reached for
    /// `startTimeout`, or the server's port is taken.
    package func run(startTimeout: Duration = .seconds(60)) async throws {
        let now: @Sendable () -> Timestamp = { .now }
        let version = try await waitForRuntime(startTimeout)
        let cgroups = PodCgroups(configuration)
        var memory = HostMemory()
        if configuration.managesCgroups {
            let podMemory = configuration.podMemory
            do { try await FileWork.run { try cgroups.makeRoot(memory: podMemory) } } catch {
                // Pods that outlived a larger reservation may use more just now.
                logger.warning("cannot set what all pods may use", metadata: ["error": "\(error)"])
            }
            let configuration = configuration
            memory = try await FileWork.run { try HostMemory.read(cgroups, configuration) }
        }
        if configuration.managesPodFiles {
            let configuration = configuration
            try await FileWork.run {
                try FileTree.makeDirectories(configuration.rootDirectory, mode: 0o750)
                try FileTree.makeDirectories(configuration.rootDirectory + "/pods", mode: 0o750)
                try FileTree.makeDirectories(configuration.podLogsDirectory)
                if let folder = configuration.staticPodPath { try FileTree.makeDirectories(folder, mode: 0o700) }
            }
        }
        let informers = InformerFactory(client: client, logger: logger)
        let watcher = try FileWatcher()
        let podInformer = informers.informer(for: .pods, fieldSelector: "spec.nodeName=\(configuration.nodeName)")
        let serviceInformer = services ?? informers.informer(for: .services)
        let recorder = EventRecorder(client: client, component: "kubelet", host: configuration.nodeName, logger: logger)
        let pleg = PLEG(runtime: runtime, relistPeriod: configuration.relistPeriod, logger: logger)
        let statuses = PodStatusWriter(client: client, pods: podInformer.lister, logger: logger)
        let node = NodeAgent(
            configuration: configuration, client: client, runtime: runtime, version: version, port: configuration.server?.port ?? 10250, now: now,
            logger: logger)
        let devices = configuration.devicePluginPath.map { folder in
            DeviceManager(folder: folder, logger: logger) { node.statusChanged() }
        }
        if let devices {
            node.offer(devices)
            devices.recover(try await runtime.containers(ContainerFilter()))
        }
        let tokens = PodTokens(client: client, now: now)
        let drivers = try await drivers(informers, tokens, node, watcher)
        let (wakes, wake) = AsyncStream<String>.makeStream()
        let (rooms, room) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        // Only the newest list counts, and removing what it shows may take as long as a container's grace.
        let (present, seen) = AsyncStream<Set<String>>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let actions = ProbeActions(runtime: runtime, userAgent: "kube-probe/1.36")
        let (probes, probed) = AsyncStream<String>.makeStream()
        let prober = Prober(actions: actions, recorder: recorder) { probed.yield($0) }
        let volumeStatistics = VolumeStatistics(csi: drivers?.volumes)
        let logs =
            configuration.managesPodFiles
            ? ContainerLogRotator(policy: configuration.logs, directory: configuration.podLogsDirectory, runtime: runtime, now: now, logger: logger)
            : nil
        let services = PodServices(
            configuration: configuration, runtime: runtime, runtimeName: version.name, recorder: recorder,
            images: ImagePuller(
                runtime: runtime, backOff: BackOff(initial: configuration.backOffInitial.inSeconds, limit: configuration.backOffLimit.inSeconds),
                now: now),
            prober: prober, probeActions: actions,
            volumes: PodVolumes(
                rootDirectory: configuration.rootDirectory, mounts: configuration.mountsFilesystems, hasSwap: memory.swap.capacity > 0,
                memory: configuration.allocatable["memory"]?.value,
                nodeName: configuration.nodeName),
            cgroups: cgroups, memory: memory,
            allocations: PodAllocations(allocatable: configuration.allocatable), shutdown: shutdown, devices: devices, csi: drivers?.volumes,
            growth: ClaimGrowth(client: client), volumeStatistics: volumeStatistics, roomChanged: { room.yield() },
            objects: CachedObjects(client: client),
            tokens: tokens, services: serviceInformer.lister, statuses: statuses, pleg: pleg, logs: logs,
            pressures: { node.pressures }, networkProblem: { node.networkProblem }, now: now, logger: logger)
        let workers = PodWorkers(services: services)
        let images = ImageCollector(runtime: runtime, kept: configuration.keptImages, logger: logger)
        // Changes reach the workers in the order the informer told them.
        let (changes, change) = AsyncStream<PodChange>.makeStream()
        podInformer.addHandler(
            InformerHandler(
                added: { change.yield(.current($0)) },
                updated: { old, new in
                    // A pod deleted and made anew while the watch was away.
                    if old.metadata.uid != new.metadata.uid { change.yield(.gone(old)) }
                    change.yield(.current(new))
                },
                deleted: { change.yield(.gone($0)) }))
        let statics = configuration.staticPodPath.map { folder in
            StaticPods(
                files: StaticPodFiles(folder: folder, nodeName: configuration.nodeName, logger: logger), watcher: watcher, client: client,
                mirrors: podInformer.lister, workers: workers, logger: logger)
        }
        try await startServer(pods: podInformer.lister, pleg: pleg, watcher: watcher, volumes: volumeStatistics)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await informers.run() }
            group.addTask { await recorder.run() }
            group.addTask { await statuses.run() }
            group.addTask {
                await node.run {
                    recorder.event(regarding: nodeReference, .normal, reason: "Starting", message: "Starting kubelet.")
                    drivers?.nodeIsThere()
                }
            }
            group.addTask { await workers.run() }
            group.addTask { await shutdown.run(workers, services, node: nodeReference) { node.shutdownBegan() } }
            if let statics { group.addTask { await statics.run() } }
            if let devices { group.addTask { await devices.run() } }
            if let drivers {
                group.addTask { await drivers.run() }
                group.addTask {
                    for await _ in drivers.arrivals {
                        await workers.wakeAll()
                        // Pods that are gone may have volumes still.
                        await pleg.relist(changed: { wake.yield($0) }, present: { seen.yield($0) })
                    }
                }
            }
            if configuration.managesPodFiles { group.addTask { await images.run() } }
            if let logs { group.addTask { await logs.run() } }
            if let observe = observation(services) {
                let evictions = EvictionManager(
                    policy: configuration.eviction, services: services, workers: workers, images: images, node: nodeReference, observe: observe
                ) { node.setPressures($0) }
                group.addTask { await evictions.run() }
            }
            group.addTask {
                do {
                    try await informers.waitForSync()
                    try await serviceInformer.waitForSync()
                } catch { return }  // Cancelled.
                // They have their workers before anything can be called an orphan.
                await statics?.load()
                // Services too: a pod's variables name those that exist when it starts.
                for await one in changes {
                    switch one {
                    case .current(let object) where object.isMirrorPod:
                        statics?.mirrorChanged(object)
                        statuses.changedInAPI(uid: object.staticUID ?? "")
                    case .gone(let object) where object.isMirrorPod: statics?.mirrorChanged(object)
                    case .current(let object):
                        await workers.update(object)
                        statuses.changedInAPI(uid: object.metadata.uid)
                    case .gone(let object): await workers.remove(object)
                    case .synced:
                        // Every pod the API server has now has its worker: the rest are orphans.
                        await workers.sourcesAreReady()
                        statics?.mirrorsAreKnown()
                        await pleg.relist(changed: { wake.yield($0) }, present: { seen.yield($0) })
                    }
                }
            }
            group.addTask {
                do { try await podInformer.waitForSync() } catch { return }  // Cancelled.
                change.yield(.synced)
            }
            group.addTask { for await uid in wakes { await workers.wake(uid) } }
            group.addTask { for await uid in probes { await workers.probed(uid) } }
            group.addTask { for await _ in rooms { await workers.roomChanged() } }
            group.addTask { await pleg.run(changed: { wake.yield($0) }, present: { seen.yield($0) }) }
            group.addTask { for await uids in present { await workers.cleanUp(present: uids) } }
            await group.waitForAll()
        }
        prober.stopAll()
        await listener?.stop()
    }

    /// How the node is looked at for evictions; nil: not at all.
    private func observation(_ services: PodServices) -> (@Sendable () async -> NodeObservations)? {
        if let observe = configuration.observe { return observe }
        guard configuration.managesPodFiles else { return nil }
        let host = HostObservations(configuration: configuration, runtime: runtime, cgroups: services.cgroups)
        return { await host.read() }
    }

    /// CSI drivers and their volumes; nil: none can register here.
    private func drivers(
        _ informers: InformerFactory, _ tokens: any TokenSource, _ node: NodeAgent, _ watcher: FileWatcher
    ) async throws -> CSIDrivers? {
        guard let folder = configuration.pluginRegistryPath, configuration.managesPodFiles else { return nil }
        let drivers = CSIDrivers(folder: folder, configuration: configuration, client: client, tokens: tokens, watcher: watcher, logger: logger) {
            node.statusChanged()
        }
        try await drivers.volumes.recover()
        node.offer(drivers.volumes)
        let volumes = drivers.volumes
        informers.informer(for: .nodes, fieldSelector: "metadata.name=\(configuration.nodeName)").addHandler(.any { volumes.nodeChanged($0) })
        return drivers
    }

    private enum PodChange: Sendable {
        case current(Object)
        case gone(Object)
        case synced
    }

    private var nodeReference: ObjectReference {
        // Upstream's events about a node bear its name as uid.
        ObjectReference(apiVersion: "v1", kind: "Node", name: configuration.nodeName, uid: configuration.nodeName)
    }

    private func waitForRuntime(_ timeout: Duration) async throws -> RuntimeVersion {
        let deadline = ContinuousClock.now + timeout
        while true {
            do { return try await runtime.version() } catch {
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private func startServer(pods: Lister, pleg: PLEG, watcher: FileWatcher, volumes: VolumeStatistics) async throws {
        guard let server = configuration.server, let listener else { return }
        let responder = KubeletServer(
            configuration: server, nodeName: configuration.nodeName, nodeConfiguration: configuration, runtime: runtime, pleg: pleg,
            watcher: watcher, authority: KubeletAuthority(client: client, nodeName: configuration.nodeName), pods: pods, logger: logger,
            volumes: volumes)
        try await listener.start(responder)
    }
}
