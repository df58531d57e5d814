package import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The machine of a node that joins from outside: the same process tree as a managed node's, in the network namespace it is started in, with pods of
/// a range of its own. It outlives the command that starts it.
///
///     absent ──start──▶ running ──end──▶ absent
package struct JoinedMachine: Sendable {
    /// What the machine is made of.
    package struct Configuration: Sendable {
        package var hostName: String
        /// Thousandths of a processor.
        package var milliCPU: Int
        package var memoryMiB: Int
        /// The range of its pods, and the addresses of it that are given out.
        package var podRange: String
        package var podAddresses: [String]
        /// The ranges that know the pods' addresses: elsewhere pods come with the node's own.
        package var clusterNetworks: [String]
        /// Registry host to the mirror's base URL.
        package var registryMirrors: [String: String]

        package init(
            hostName: String, milliCPU: Int, memoryMiB: Int, podRange: String, podAddresses: [String], clusterNetworks: [String],
            registryMirrors: [String: String]
        ) {
            self.hostName = hostName
            self.milliCPU = milliCPU
            self.memoryMiB = memoryMiB
            self.podRange = podRange
            self.podAddresses = podAddresses
            self.clusterNetworks = clusterNetworks
            self.registryMirrors = registryMirrors
        }
    }

    package let paths: MachinePaths
    private let executable: String

    /// `directory` is absolute; the machine's own is in it, called `name`, which must be fit for a file.
    package init(directory: String, name: String, executable: String) {
        paths = MachinePaths(machinesDirectory: directory, instanceID: name)
        self.executable = executable
    }

    package var process: ProcessIdentity? { MachineRun.running(paths) }
    /// The end of its log.
    package var report: String { MachineRun.report(paths) }

    /// Throws `CommandError` with the package to install for a program that this host lacks.
    package static func requirePrograms() throws(CommandError) { try MachineFolder.requirePrograms() }

    /// Starts the machine that does not run. `bootstrap` are the agent's files by name. Throws `CommandError`.
    package func start(_ configuration: Configuration, bootstrap: [String: [UInt8]]) async throws {
        try MachineFolder(paths: paths, executable: executable).prepare(
            podAddresses: configuration.podAddresses, registryMirrors: configuration.registryMirrors, bootstrap: bootstrap)
        try await JoinedNetwork.create(podRange: configuration.podRange, clusterNetworks: configuration.clusterNetworks)
        let groups = try ControlGroups(path: paths.cgroup).create(milliCPU: configuration.milliCPU, memoryMiB: configuration.memoryMiB)
        let run = MachineRun(
            instanceID: paths.instanceID, hostName: configuration.hostName, networkNamespace: MachineRun.ownNetworkNamespace, controlGroups: groups)
        _ = try run.start(paths, executable: executable)
    }

    /// Ends the machine with everything in it and removes its traces. Repeating it is no error. Throws `CommandError`.
    package func end() async throws {
        if let process {
            process.kill()
            await process.waitForExit()
        }
        let groups = ControlGroups(path: paths.cgroup)
        await groups.end()
        try await groups.remove()
        try await JoinedNetwork.remove()
        try await Command.run(["rm", "-rf", "--one-file-system", paths.directory])
    }
}

/// What a node that joins from outside needs of the network namespace it is in: forwarding for its pods, the address of its DNS, and its own address
/// for what pods send to networks that do not know theirs. Every step may be repeated.
enum JoinedNetwork {
    private static let table = "eyrie-node"
    /// Upstream: NodeLocal DNSCache's address.
    private static let dnsAddress = "169.254.20.10"
    /// rp_filter is loosened because a pod's route is a /32 on its own interface.
    private static let settings = ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=2"]
    /// The tables that the node's service proxy, network policies and host ports leave behind.
    private static let agentTables = ["ip kube-proxy", "ip6 kube-proxy", "ip network-policies", "ip host-ports"]

    static func create(podRange: String, clusterNetworks: [String]) async throws {
        try await Command.run(
            ["ip", "-batch", "-"],
            input: """
                link set lo up
                address replace \(dnsAddress)/32 dev lo

                """)
        try await Command.run(["sysctl", "-qw"] + settings)
        try await Command.run(["nft", "-f", "-"], input: rules(podRange: podRange, clusterNetworks: clusterNetworks))
    }

    /// The table, made anew.
    static func rules(podRange: String, clusterNetworks: [String]) -> String {
        let known = Array(Set(clusterNetworks + [podRange])).sorted().joined(separator: ", ")
        return """
            add table ip \(table)
            delete table ip \(table)
            table ip \(table) {
                set known { type ipv4_addr; flags interval; auto-merge; elements = { \(known) } }
                chain postrouting {
                    type nat hook postrouting priority srcnat;
                    ip saddr \(podRange) ip daddr != @known oifname != "lo" fib daddr type != local masquerade
                }
            }

            """
    }

    static func remove() async throws {
        for table in ["ip \(table)"] + agentTables {
            do { try await Command.run(["nft", "delete", "table"] + table.split(separator: " ").map(String.init)) } catch let error as CommandError
                where error.output.contains("No such file")
            {}
        }
        do { try await Command.run(["ip", "address", "del", "\(dnsAddress)/32", "dev", "lo"]) } catch let error as CommandError
            where error.output.contains("Cannot assign requested address") || error.output.contains("Address not found")
        {}
    }
}
