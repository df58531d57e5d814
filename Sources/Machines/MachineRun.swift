internal import CLinux
internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The process that becomes a machine: `eyrie machine-run DIRECTORY`, in a session of its own.
package struct MachineRun: Sendable, Equatable {
    /// The hidden subcommand's name.
    package static let command = "machine-run"
    /// The agent's subcommand, run inside.
    package static let agentCommand = "node"

    /// The network namespace of the process itself.
    static let ownNetworkNamespace = "/proc/self/ns/net"

    var instanceID: String
    var hostName: String
    /// The path of the network namespace to join.
    var networkNamespace: String
    /// The cgroup.procs files to join.
    var controlGroups: [String]

    init(instanceID: String, hostName: String, networkNamespace: String, controlGroups: [String]) {
        self.instanceID = instanceID
        self.hostName = hostName
        self.networkNamespace = networkNamespace
        self.controlGroups = controlGroups
    }

    /// The file the process starts from, a value to a line. Nil for one that is incomplete.
    init?(_ text: String) {
        let lines = text.split(separator: "\n").map(String.init)
        guard lines.count > 3 else { return nil }
        self.init(instanceID: lines[0], hostName: lines[1], networkNamespace: lines[2], controlGroups: Array(lines.dropFirst(3)))
    }

    /// Values hold no line breaks.
    var text: String { ([instanceID, hostName, networkNamespace] + controlGroups).joined(separator: "\n") + "\n" }

    /// Starts the process, and notes which it is. Throws `CommandError`.
    func start(_ paths: MachinePaths, executable: String) throws(CommandError) -> ProcessIdentity {
        try SmallFile.write(paths.configuration, Array(text.utf8))
        let pid = try Command.spawnSession([executable, Self.command, paths.directory], log: paths.log)
        guard let identity = ProcessIdentity(pid: pid) else {
            let log = String((SmallFile.readText(paths.log) ?? "").suffix(500))
            throw CommandError(arguments: [executable, Self.command], code: 1, output: log)
        }
        try SmallFile.write(paths.process, Array("{\"pid\":\(identity.pid),\"startTime\":\(identity.startTime)}".utf8))
        return identity
    }

    /// The process of a machine, found again; nil when it does not run.
    static func running(_ paths: MachinePaths) -> ProcessIdentity? {
        guard let record = SmallFile.readText(paths.process) else { return nil }
        let numbers = record.split(whereSeparator: { !$0.isNumber }).compactMap { Int64($0) }
        guard numbers.count == 2, let pid = Int32(exactly: numbers[0]) else { return nil }
        let identity = ProcessIdentity(pid: pid, startTime: numbers[1])
        return identity.isRunning ? identity : nil
    }

    /// The end of a machine's log, for whoever asks why it does not do what it should; empty when there is none.
    static func report(_ paths: MachinePaths) -> String {
        let lines = (SmallFile.readText(paths.log) ?? "").split(separator: "\n").suffix(reportedLines)
        return lines.map { $0.prefix(reportedLineLength) }.joined(separator: "; ")
    }

    /// Enough to see what goes on, short enough for a health issue.
    private static let reportedLines = 3
    private static let reportedLineLength = 300

    /// jemalloc's settings for a machine's agent, of which there are many, each with little to do: less is kept for the next burst than a service keeps. Who has set some
    /// has their own way.
    private static let memorySettings = "narenas:1,dirty_decay_ms:500,lg_tcache_max:10"

    /// Becomes the machine. Call it before the process has a second thread. Returns only when it could not, or when the machine ended.
    package static func main(directory: String, executable: String) -> Int32 {
        guard let run = MachineRun(SmallFile.readText("\(directory)/machine") ?? ""), let slash = directory.lastIndex(of: "/") else {
            printError("machine: \(directory)/machine is missing or incomplete")
            return 1
        }
        let paths = MachinePaths(machinesDirectory: String(directory[..<slash]), instanceID: run.instanceID)
        setenv("MALLOC_CONF", memorySettings, 0)
        let containerd = ["containerd", "--config", paths.containerdConfiguration, "--log-level", "warn"]
        let agent = [executable, agentCommand, "--directory", directory]
        let result = withArgv(run.controlGroups) { procs in
            withArgv(containerd) { containerdArguments in
                withArgv(agent) { agentArguments in
                    run.networkNamespace.withCString { namespace in
                        run.hostName.withCString { hostName in
                            paths.log.withCString { log in
                                var machine = clinux_machine(
                                    network_namespace: namespace, host_name: hostName, log_path: log, cgroup_procs: procs,
                                    containerd: containerdArguments,
                                    agent: agentArguments)
                                return clinux_machine_run(&machine)
                            }
                        }
                    }
                }
            }
        }
        if result < 0 { printError("machine: \(String(cString: strerror(-result)))") }
        return result == 0 ? 0 : 1
    }
}
