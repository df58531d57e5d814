internal import CLinux
internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The process that becomes a machine: `eyrie machine-run DIRECTORY`, started by `LinuxMachines` in a session of its own.
package enum MachineRun {
    /// The hidden subcommand's name.
    package static let command = "machine-run"
    /// The agent's subcommand, run inside.
    package static let agentCommand = "node"

    /// The file the process starts from: host name, instance id and the cgroup files to join, one to a line. Values hold no line breaks.
    static func encode(_ machine: MachineConfiguration, _ cgroupProcs: [String]) -> String {
        ([machine.instanceID, machine.hostName] + cgroupProcs).joined(separator: "\n") + "\n"
    }

    /// Becomes the machine. Call it before the process has a second thread. Returns only when it could not, or when the machine ended.
    package static func main(directory: String, executable: String) -> Int32 {
        let lines = (SmallFile.readText("\(directory)/machine") ?? "").split(separator: "\n").map(String.init)
        guard lines.count > 2, let slash = directory.lastIndex(of: "/") else {
            printError("machine: \(directory)/machine is missing or incomplete")
            return 1
        }
        let paths = MachinePaths(machinesDirectory: String(directory[..<slash]), instanceID: lines[0])
        let containerd = ["containerd", "--config", paths.containerdConfiguration, "--log-level", "warn"]
        let agent = [executable, agentCommand, "--directory", directory]
        let result = withArgv(Array(lines.dropFirst(2))) { procs in
            withArgv(containerd) { containerdArguments in
                withArgv(agent) { agentArguments in
                    paths.networkNamespacePath.withCString { namespace in
                        lines[1].withCString { hostName in
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
