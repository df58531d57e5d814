internal import CLinux
internal import Crypto
internal import Logging
internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// Files as this module reads them.
enum MachineFiles {
    static func text(_ path: String) -> String? { SmallFile.readText(path) }

}

/// The machines of this host: each a set of Linux namespaces and a cgroup with its own containerd and node agent.
///
///     absent ──start──▶ running ──exit of its init, or terminate──▶ absent
///
/// A machine is a process tree of its own session: it outlives this service. After a restart `recover` finds it again by its process id and start
/// time.
package actor LinuxMachines {
    package struct Configuration: Sendable {
        /// Where machines keep their directories.
        package var directory: String
        /// The eyrie executable, run inside the machine as agent and as CNI plug-in.
        package var executable: String
        package init(directory: String, executable: String) {
            self.directory = directory
            self.executable = executable
        }
    }

    private let configuration: Configuration
    private let networks: VPCNetworks
    /// Makes security groups filter what a machine that starts will send and receive.
    private let filter: @Sendable () async throws -> Void
    private var processes: [String: ProcessIdentity] = [:]
    private var watchers: [String: Task<Void, Never>] = [:]
    /// Machines a `start` or `terminate` is at work on: calls for one machine follow one another.
    private var busy: [String: Task<Void, any Error>] = [:]
    /// Made when it is first needed.
    private var watcher: FileWatcher?
    private let exitStream: AsyncStream<String>
    private let exitContinuation: AsyncStream<String>.Continuation
    private let logger = Logger(label: "eyrie.machines")

    /// `filter` is called before each machine starts, when its VPC stands.
    package init(_ configuration: Configuration, networks: VPCNetworks, filter: @escaping @Sendable () async throws -> Void = {}) {
        self.configuration = configuration
        self.networks = networks
        self.filter = filter
        (exitStream, exitContinuation) = AsyncStream.makeStream(of: String.self)
    }

    /// Ids of machines whose process tree ended, by crash or by `terminate`. One consumer.
    package nonisolated var exits: AsyncStream<String> { exitStream }

    package var running: Set<String> { Set(processes.filter(\.value.isRunning).keys) }

    /// Ends all machines, also those found only as directories. Throws `CommandError`.
    package func terminateAll() async throws {
        let ids = SmallFile.names(configuration.directory).filter { $0.hasPrefix("i-") }
        // Together: each may take its pods' time.
        await withDiscardingTaskGroup { group in for id in ids { group.addTask { await self.shutDown(id) } } }
        for id in ids { try await terminate(id) }
    }

    /// The paths of one machine.
    package nonisolated func paths(_ instanceID: String) -> MachinePaths {
        MachinePaths(machinesDirectory: configuration.directory, instanceID: instanceID)
    }

    /// Finds the machines that still run from an earlier life of the service.
    package func recover() {
        for id in SmallFile.names(configuration.directory) where id.hasPrefix("i-") {
            let paths = paths(id)
            if let identity = MachineRun.running(paths) { adopt(id, identity) }
        }
    }

    /// Starts a machine that does not run yet: its network, its cgroup, its files, its init. `bootstrap` are the agent's files by name. Repeating
    /// it is no error.
    /// Throws `CommandError` with what failed and why.
    package func start(_ machine: MachineConfiguration, bootstrap: [String: [UInt8]]) async throws {
        try await exclusively(machine.instanceID) { try await self.startNow(machine, bootstrap) }
    }

    /// Replaces files that a running machine's agent started from, each in one step: the agent follows them. Nothing to do when it does not run. Throws
    /// `CommandError`.
    package func renew(_ instanceID: String, bootstrap: [String: [UInt8]]) async throws {
        try await exclusively(instanceID) { try await self.renewNow(instanceID, bootstrap) }
    }

    /// Whether a machine that waits to join its cluster has everything ready within `patience`, but for that. Throws `CommandError` when nothing can be
    /// watched.
    package func isPrepared(_ instanceID: String, patience: Duration) async throws -> Bool {
        let watcher = try self.watcher ?? FileWatcher()
        self.watcher = watcher
        let paths = paths(instanceID)
        let changes = watcher.changes(of: [paths.directory])
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                // It may have been so before the watch began.
                if SmallFile.read(paths.prepared) != nil { return true }
                for await _ in changes where SmallFile.read(paths.prepared) != nil { return true }
                return false
            }
            group.addTask {
                do { try await Task.sleep(for: patience) } catch { return false }  // The other was first.
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }

    /// Ends a machine with everything in it and removes its traces. Repeating it is no error.
    package func terminate(_ instanceID: String) async throws {
        try await exclusively(instanceID) { try await self.terminateNow(instanceID) }
    }

    /// Ends a machine with everything in it and keeps its files: it may be started again. Repeating it is no error.
    package func halt(_ instanceID: String) async throws {
        try await exclusively(instanceID) { try await self.haltNow(instanceID) }
    }

    private func exclusively(_ id: String, _ body: @escaping @Sendable () async throws -> Void) async throws {
        let before = busy[id]
        let task = Task {
            _ = await before?.result
            try await body()
        }
        busy[id] = task
        defer { if busy[id] == task { busy[id] = nil } }
        try await task.value
    }

    private func startNow(_ machine: MachineConfiguration, _ bootstrap: [String: [UInt8]]) async throws {
        let paths = paths(machine.instanceID)
        if let process = processes[machine.instanceID], process.isRunning { return }
        try MachineFolder.requirePrograms()
        try MachineFolder(paths: paths, executable: configuration.executable).prepare(
            podAddresses: machine.podAddresses, ipv6Prefix: machine.network.ipv6?.podPrefix, registryMirrors: machine.registryMirrors,
            bootstrap: bootstrap)
        let network = VPCNetwork(
            vpcID: machine.network.vpcID, cidr: machine.network.vpcCIDR, ipv6CIDRs: machine.network.ipv6?.vpcCIDRs ?? [])
        try await networks.use(network, by: machine.instanceID)
        try await filter()
        try await network.add(address: machine.network.gateway, prefixLength: machine.network.prefixLength)
        try await network.connect(machine, paths)
        let procs = try ControlGroups(path: paths.cgroup).create(milliCPU: machine.milliCPU, memoryMiB: machine.memoryMiB)
        try SmallFile.write(paths.shutdownGrace, Array(String(machine.shutdownGrace).utf8))
        let run = MachineRun(
            instanceID: machine.instanceID, hostName: machine.hostName, networkNamespace: paths.networkNamespacePath, controlGroups: procs)
        let identity = try run.start(paths, executable: configuration.executable)
        adopt(machine.instanceID, identity)
        logger.info("machine started", metadata: ["instance": "\(machine.instanceID)", "pid": "\(identity.pid)"])
    }

    private func renewNow(_ id: String, _ bootstrap: [String: [UInt8]]) throws {
        guard let process = processes[id], process.isRunning else { return }
        for (name, bytes) in bootstrap { try SmallFile.write("\(paths(id).bootstrap)/\(name)", bytes) }
    }

    private func terminateNow(_ id: String) async throws {
        try await haltNow(id)
        try await Command.run(["rm", "-rf", "--one-file-system", paths(id).directory])
        try await networks.release(by: id)
        logger.info("machine terminated", metadata: ["instance": "\(id)"])
    }

    private func haltNow(_ id: String) async throws {
        let paths = paths(id)
        watchers[id]?.cancel()
        if let process = processes[id] {
            await shutDown(id)
            process.kill()
            await process.waitForExit()
        }
        processes[id] = nil
        let groups = ControlGroups(path: paths.cgroup)
        await groups.end()
        try await VPCNetwork.disconnect(paths)
        try await groups.remove()
    }

    /// Has the machine's agent end its pods and the machine itself, where the machine has a time for that; no longer than that time. Upstream: systemd's
    /// inhibitor locks, which the kubelet holds.
    private func shutDown(_ id: String) async {
        guard let process = processes[id], process.isRunning, let grace = Self.shutdownGrace(SmallFile.readText(paths(id).shutdownGrace)) else {
            return
        }
        await process.end(within: grace)
    }

    /// What the file of a machine allows, and the agent's own time beyond it; nil when it is not asked.
    static func shutdownGrace(_ text: String?) -> Duration? {
        guard let seconds = text.flatMap({ Int64($0.filter(\.isNumber)) }), seconds > 0, seconds <= longestShutdown else { return nil }
        return .seconds(seconds) + agentTime
    }

    /// A day: nobody waits longer for a node.
    private static let longestShutdown: Int64 = 86_400
    /// To take pods' volumes down and tell the API server.
    private static let agentTime = Duration.seconds(5)

    private func adopt(_ id: String, _ identity: ProcessIdentity) {
        processes[id] = identity
        watchers[id]?.cancel()
        watchers[id] = Task { [weak self, exitContinuation] in
            await identity.waitForExit()
            guard !Task.isCancelled else { return }
            await self?.ended(id, identity)
            exitContinuation.yield(id)
        }
    }

    private func ended(_ id: String, _ identity: ProcessIdentity) {
        guard processes[id] == identity else { return }
        processes[id] = nil
        logger.warning("machine ended", metadata: ["instance": "\(id)"])
    }

    /// The end of a machine's log, for whoever asks why it does not do what it should; empty when there is none.
    package nonisolated func report(_ instanceID: String) -> String { MachineRun.report(paths(instanceID)) }
}
