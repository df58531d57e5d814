internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The files that a machine's containerd and agent start from.
struct MachineFolder {
    let paths: MachinePaths
    /// The eyrie executable, run inside the machine as agent and as CNI plug-in.
    let executable: String

    /// Writes them; of an earlier run of the machine they are replaced. Pods have the addresses, or theirs come from the prefix. `bootstrap` are the
    /// agent's files by name. Throws `CommandError`.
    func prepare(podAddresses: [String], ipv6Prefix: String? = nil, registryMirrors: [String: String], bootstrap: [String: [UInt8]]) throws {
        for directory in [
            paths.directory, paths.containerdRoot, paths.kubelet, paths.podLogs, paths.cniConfiguration, paths.cniBinaries, paths.bootstrap,
            paths.registryHosts,
        ] { try SmallFile.makeDirectory(directory) }
        for (name, bytes) in bootstrap { try SmallFile.write("\(paths.bootstrap)/\(name)", bytes) }
        try SmallFile.write(paths.containerdConfiguration, Array(ContainerdConfiguration.toml(paths).utf8))
        try SmallFile.write(paths.cniList, Array(ContainerdConfiguration.cni(paths, addresses: podAddresses, ipv6Prefix: ipv6Prefix).utf8))
        for (registry, mirror) in registryMirrors {
            try SmallFile.makeDirectory("\(paths.registryHosts)/\(registry)", mode: 0o755)
            let hosts = ContainerdConfiguration.hosts(registry: registry, mirror: mirror)
            try SmallFile.write("\(paths.registryHosts)/\(registry)/hosts.toml", Array(hosts.utf8))
        }
        try SmallFile.write(paths.pauseImage, PauseImage.archive(name: MachinePaths.pauseImageName))
        // Of its last run.
        unlink(paths.prepared)
        for name in ["eyrie-cni", "loopback"] {
            let link = "\(paths.cniBinaries)/\(name)"
            unlink(link)
            guard symlink(executable, link) == 0 else { throw CommandError(arguments: ["symlink", link], code: -errno, output: "") }
        }
    }

    /// The programs a machine needs. Throws with the package to install.
    static func requirePrograms() throws(CommandError) {
        for (program, package) in [
            ("containerd", "containerd"), ("runc", "runc"), ("ctr", "containerd"), ("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux"),
        ] {
            guard Command.isInstalled(program) else {
                throw CommandError(arguments: [program], code: -ENOENT, output: "install it: apt-get install \(package)")
            }
        }
    }
}
