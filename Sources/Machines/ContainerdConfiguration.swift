#if canImport(Glibc)
    internal import Glibc
#endif

/// containerd's configuration inside a machine.
enum ContainerdConfiguration {
    /// `config.toml`, version 2, read by containerd 1.6 and later.
    static func toml(_ paths: MachinePaths) -> String {
        """
        version = 2
        root = "\(paths.containerdRoot)"
        state = "/run/containerd"
        oom_score = 0
        [grpc]
          address = "\(MachinePaths.containerdSocket)"
        [plugins."io.containerd.grpc.v1.cri"]
          sandbox_image = "\(MachinePaths.pauseImageName)"
          restrict_oom_score_adj = \(!hasResourceCapability)
          stream_server_address = "127.0.0.1"
          stream_server_port = "0"
          [plugins."io.containerd.grpc.v1.cri".cni]
            bin_dir = "\(paths.cniBinaries)"
            conf_dir = "\(paths.cniConfiguration)"
          [plugins."io.containerd.grpc.v1.cri".containerd]
            snapshotter = "overlayfs"
            [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
              runtime_type = "io.containerd.runc.v2"
              [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
                SystemdCgroup = false
          [plugins."io.containerd.grpc.v1.cri".registry]
            config_path = "\(paths.registryHosts)"

        """
    }

    /// A registry's `hosts.toml`: the mirror first, then the registry itself.
    static func hosts(registry: String, mirror: String) -> String {
        """
        server = "https://\(registry == "docker.io" ? "registry-1.docker.io" : registry)"
        [host."\(mirror)"]
          capabilities = ["pull", "resolve"]

        """
    }

    /// The CNI configuration list: the addresses of pods, or the IPv6 range that theirs come from.
    static func cni(_ paths: MachinePaths, addresses: [String], ipv6Prefix: String? = nil) -> String {
        let list = addresses.map { "\"\($0)\"" }.joined(separator: ",")
        let range = ipv6Prefix.map { ",\"ipv6Prefix\":\"\($0)\"" } ?? ""
        return """
            {"cniVersion":"0.4.0","name":"eyrie-vpc","plugins":[{"type":"eyrie-cni","capabilities":{"portMappings":true,"bandwidth":true},"state":"\(paths.addressPool)","addresses":[\(list)]\(range)}]}

            """
    }

    /// Whether processes here may lower their OOM score: without CAP_SYS_RESOURCE runc cannot set a sandbox's negative score and fails.
    static var hasResourceCapability: Bool {
        let capSysResource: UInt64 = 24
        guard let status = MachineFiles.text("/proc/self/status"), let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }),
            let mask = UInt64(line.dropFirst("CapEff:".count).drop { $0 == "\t" || $0 == " " }, radix: 16)
        else { return false }
        return mask >> capSysResource & 1 == 1
    }
}
