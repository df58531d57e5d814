import ContainerRuntime
import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Registers the node, keeps its status and renews its lease. Upstream: kubelet_node_status.go, component-helpers' lease controller.
final class NodeAgent: Sendable {
    /// Images listed in the node's status. Upstream: NodeStatusMaxImages.
    static let maximumImages = 50
    /// Looks at the runtime until the node is ready; then as often as upstream's updateRuntimeUp.
    static let startingPeriod = Duration.milliseconds(200)
    static let healthPeriod = Duration.seconds(5)

    private let configuration: KubeletConfiguration
    private let client: KubeClient
    private let runtime: any ContainerRuntime
    private let version: RuntimeVersion
    private let port: Int
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    /// What plug-ins offer, beside what the node is configured with.
    private let devices: Mutex<DeviceManager?> = Mutex(nil)
    private let csi: Mutex<CSIVolumes?> = Mutex(nil)
    private let health = Mutex(NodeHealth(runtimeProblem: "not yet asked", networkProblem: "not yet asked"))

    init(
        configuration: KubeletConfiguration, client: KubeClient, runtime: any ContainerRuntime, version: RuntimeVersion, port: Int,
        now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) {
        self.configuration = configuration
        self.client = client
        self.runtime = runtime
        self.version = version
        self.port = port
        self.now = now
        self.logger = logger
    }

    /// Nil when pods can have networks.
    var networkProblem: String? { health.withLock { $0.runtimeProblem ?? $0.networkProblem } }

    /// Runs until cancelled. `registered` is called once the node's object exists.
    func run(registered: @escaping @Sendable () async -> Void) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepHealth() }
            group.addTask {
                await self.register()
                await registered()
                await withDiscardingTaskGroup { group in
                    group.addTask { await self.keepStatus() }
                    group.addTask { await self.keepLease() }
                }
            }
        }
    }

    private func pause(_ duration: Duration) async -> Bool {
        do { try await Task.sleep(for: duration) } catch { return false }  // Cancelled.
        return true
    }

    // MARK: health

    private let healthChanged = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    /// Tells the API server of the devices that plug-ins offer, from now on.
    func offer(_ devices: DeviceManager) { self.devices.withLock { $0 = devices } }
    /// Tells the API server of the attachable volumes in use, from now on.
    func offer(_ csi: CSIVolumes) { self.csi.withLock { $0 = csi } }
    /// Devices or volumes in use are others now.
    func statusChanged() { healthChanged.continuation.yield() }

    /// Takes over what the node is short of.
    func setPressures(_ pressures: Set<NodePressure>) {
        health.withLock { $0.pressures = pressures }
        healthChanged.continuation.yield()
    }

    /// Tells the API server that the node goes.
    func shutdownBegan() {
        health.withLock { $0.isShuttingDown = true }
        healthChanged.continuation.yield()
    }

    var pressures: Set<NodePressure> { health.withLock(\.pressures) }

    /// Looks at the runtime until cancelled.
    private func keepHealth() async {
        repeat {
            let (runtimeProblem, networkProblem) = await problems()
            let changed = health.withLock { health in
                let changed = health.runtimeProblem != runtimeProblem || health.networkProblem != networkProblem
                (health.runtimeProblem, health.networkProblem) = (runtimeProblem, networkProblem)
                return changed
            }
            if changed { healthChanged.continuation.yield() }
        } while await pause(networkProblem == nil ? Self.healthPeriod : Self.startingPeriod)
        healthChanged.continuation.finish()
    }

    private func problems() async -> (String?, String?) {
        do { return NodeHealth.problems(of: try await runtime.status()) } catch { return ("\(error)", nil) }
    }

    // MARK: registration

    private var labels: [String: String] {
        var labels = configuration.labels
        labels["kubernetes.io/hostname"] = configuration.hostname.isEmpty ? configuration.nodeName : configuration.hostname
        labels["kubernetes.io/os"] = "linux"
        labels["beta.kubernetes.io/os"] = "linux"
        for (key, value) in HostFigures.nodeInfo(nodeName: configuration.nodeName) where key == "architecture" {
            labels["kubernetes.io/arch"] = value.string ?? ""
            labels["beta.kubernetes.io/arch"] = value.string ?? ""
        }
        return labels
    }

    private func register() async {
        var delay = Duration.milliseconds(100)
        while !Task.isCancelled {
            do {
                try await tryRegister()
                return
            } catch {
                logger.info("cannot register the node yet", metadata: ["node": "\(configuration.nodeName)", "error": "\(error)"])
            }
            guard await pause(delay) else { return }
            // Upstream: from 100 ms doubling to 7 s.
            delay = min(delay * 2, .seconds(7))
        }
    }

    private func tryRegister() async throws {
        var spec: Value = [:]
        if !configuration.providerID.isEmpty { spec["providerID"] = .string(configuration.providerID) }
        if !configuration.taints.isEmpty {
            spec["taints"] = .array(
                configuration.taints.map { taint in
                    var value: Value = ["key": .string(taint.key), "effect": .string(taint.effect)]
                    if !taint.value.isEmpty { value["value"] = .string(taint.value) }
                    return value
                })
        }
        let node: Value = [
            "apiVersion": "v1", "kind": "Node",
            "metadata": [
                "name": .string(configuration.nodeName), "labels": Value(labels),
                "annotations": ["volumes.kubernetes.io/controller-managed-attach-detach": "true"],
            ],
            "spec": spec, "status": await status(old: nil),
        ]
        do {
            try await client.create(.nodes, node)
        } catch let error as StatusError where error.isAlreadyExists {
            // An agent that was started again: labels it brings are set, others stay. Taints are not put back once they were taken away.
            let existing = try await client.get(.nodes, name: configuration.nodeName)
            let have = existing.metadata.labels
            let missing = labels.filter { have[$0.key] != $0.value }
            var change: Value = [:]
            if !missing.isEmpty { change[path: "metadata", "labels"] = Value(missing) }
            if !configuration.providerID.isEmpty, (existing["spec"]["providerID"].string ?? "").isEmpty {
                change[path: "spec", "providerID"] = .string(configuration.providerID)
            }
            if change.object?.isEmpty == false { try await client.patch(.nodes, name: configuration.nodeName, type: .strategicMerge, change) }
            try await writeStatus()
        }
    }

    // MARK: status

    private func keepStatus() async {
        var reported = ContinuousClock.now
        await withDiscardingTaskGroup { group in
            let (ticks, tick) = AsyncStream<Bool>.makeStream(bufferingPolicy: .bufferingNewest(1))
            group.addTask { for await _ in self.healthChanged.stream { tick.yield(true) } }
            group.addTask {
                while await self.pause(self.configuration.nodeStatusCheckPeriod) { tick.yield(false) }
                tick.finish()
            }
            // Registration wrote a status that may be older than the first look.
            tick.yield(true)
            for await isChange in ticks {
                let due = ContinuousClock.now - reported >= configuration.nodeStatusReportPeriod
                guard isChange || due else { continue }
                do {
                    try await writeStatus()
                    reported = .now
                } catch {
                    logger.warning("cannot write the node's status", metadata: ["error": "\(error)"])
                    group.addTask { if await self.pause(.seconds(1)) { tick.yield(true) } }
                }
            }
        }
    }

    private func writeStatus() async throws {
        let old = try await client.get(.nodes, name: configuration.nodeName)
        let status = await status(old: old)
        try await client.patch(.nodes, name: configuration.nodeName, type: .strategicMerge, ["status": status], subresource: "status")
    }

    private func status(old: Object?) async -> Value {
        let time = now()
        let devices = devices.withLock { $0 }
        var addresses: [Value] = [["type": "InternalIP", "address": .string(configuration.nodeIP)]]
        addresses.append(["type": "Hostname", "address": .string(configuration.hostname.isEmpty ? configuration.nodeName : configuration.hostname)])
        var info: Value = [:]
        for (key, value) in HostFigures.nodeInfo(nodeName: configuration.nodeName) { info[key] = value }
        info["containerRuntimeVersion"] = .string("\(version.name)://\(version.version)")
        info["kubeletVersion"] = .string(configuration.kubeletVersion)
        info["kubeProxyVersion"] = ""
        var status: Value = [
            "capacity": Self.value(configuration.capacity.merging(devices?.capacity ?? [:]) { own, _ in own }),
            "allocatable": Self.value(configuration.allocatable.merging(devices?.allocatable ?? [:]) { own, _ in own }),
            "conditions": .array(NodeConditions.conditions(health.withLock { $0 }, old: old?["status"]["conditions"].elements ?? [], now: time)),
            "daemonEndpoints": ["kubeletEndpoint": ["Port": .int(Int64(port))]], "nodeInfo": info,
        ]
        let inUse = csi.withLock { $0 }?.inUse ?? []
        if !inUse.isEmpty || old?["status"]["volumesInUse"].strings.isEmpty == false { status["volumesInUse"] = Value(inUse) }
        // A cloud controller's addresses are not taken back.
        if old?["status"]["addresses"].elements.isEmpty ?? true { status["addresses"] = .array(addresses) }
        do {
            let images = try await runtime.images().sorted { $0.size > $1.size }.prefix(Self.maximumImages)
            let listed = images.map { image -> Value in ["names": Value(image.digests + image.tags), "sizeBytes": .int(Int64(clamping: image.size))] }
            status["images"] = .array(listed)
        } catch {
            logger.debug("cannot list images", metadata: ["error": "\(error)"])
        }
        return status
    }

    private static func value(_ list: ResourceList) -> Value {
        .object(Members(list.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value.description)) }))
    }

    // MARK: lease

    private static let leaseNamespace = "kube-node-lease"

    /// Renews the lease at a quarter of its duration. Upstream: renewInterval 0.25, retries with back-off from 200 ms to 7 s.
    private func keepLease() async {
        let period = Duration.milliseconds(configuration.leaseDurationSeconds * 250)
        var retry = Duration.milliseconds(200)
        var known: Object?
        while !Task.isCancelled {
            do {
                known = try await renewLease(known)
                retry = .milliseconds(200)
                guard await pause(period) else { return }
            } catch {
                known = nil
                logger.info("cannot renew the node's lease", metadata: ["error": "\(error)"])
                guard await pause(retry) else { return }
                retry = min(retry * 2, .seconds(7))
            }
        }
    }

    private func renewLease(_ known: Object?) async throws -> Object {
        let name = configuration.nodeName
        var lease: Value
        if let known {
            lease = known.value
        } else {
            do { lease = try await client.get(.leases, namespace: Self.leaseNamespace, name: name).value } catch let error as StatusError
                where error.isNotFound
            {
                return try await client.create(.leases, namespace: Self.leaseNamespace, try await newLease())
            }
        }
        lease[path: "spec", "holderIdentity"] = .string(name)
        lease[path: "spec", "leaseDurationSeconds"] = .int(configuration.leaseDurationSeconds)
        lease[path: "spec", "renewTime"] = .string(now().rfc3339Micro)
        return try await client.update(.leases, lease)
    }

    private func newLease() async throws -> Value {
        let name = configuration.nodeName
        let uid = try await client.get(.nodes, name: name).metadata.uid
        return [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": [
                "name": .string(name), "namespace": .string(Self.leaseNamespace),
                "ownerReferences": [["apiVersion": "v1", "kind": "Node", "name": .string(name), "uid": .string(uid)]],
            ],
            "spec": [
                "holderIdentity": .string(name), "leaseDurationSeconds": .int(configuration.leaseDurationSeconds),
                "renewTime": .string(now().rfc3339Micro),
            ],
        ]
    }
}
