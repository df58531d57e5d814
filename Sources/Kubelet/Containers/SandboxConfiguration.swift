import ContainerRuntime
import KubeAPI

/// Makes a pod's sandbox configuration: names, logs, DNS, cgroup, namespaces. Upstream: generatePodSandboxConfig.
struct SandboxConfiguration: Sendable {
    let configuration: KubeletConfiguration

    /// Directory of the pod's logs. Upstream: BuildPodLogsDirectory.
    func logDirectory(_ pod: Pod) -> String { "\(configuration.podLogsDirectory)/\(pod.namespace)_\(pod.name)_\(pod.uid)" }

    /// `resolver` is the text of the host's resolv.conf.
    func make(_ pod: Pod, attempt: UInt32, cgroupParent: String, resolver: String) -> PodSandboxConfig {
        var config = PodSandboxConfig(metadata: PodSandboxMetadata(name: pod.name, namespace: pod.namespace, uid: pod.uid, attempt: attempt))
        // A pod in the node's network bears the node's name.
        config.hostname = pod.hostNetwork ? "" : pod.hostname
        if !pod.hostNetwork, pod.spec["setHostnameAsFQDN"].bool == true {
            let domain = pod.hostDomain(clusterDomain: configuration.clusterDomain)
            if !domain.isEmpty { config.hostname = "\(pod.hostname).\(domain)" }
        }
        config.logDirectory = logDirectory(pod)
        config.dns = PodDNS.make(pod: pod, clusterDNS: configuration.clusterDNS, clusterDomain: configuration.clusterDomain, resolver: resolver)
        var labels = pod.metadata.labels
        labels[ContainerLabels.podName] = pod.name
        labels[ContainerLabels.podNamespace] = pod.namespace
        labels[ContainerLabels.podUID] = pod.uid
        config.labels = labels
        var annotations = pod.metadata.annotations
        annotations["kubernetes.io/config.source"] = "api"
        if let seen = pod.metadata.creationTimestamp { annotations["kubernetes.io/config.seen"] = seen.rfc3339 }
        config.annotations = annotations
        if !pod.hostNetwork {
            config.portMappings = pod.allContainers.flatMap(\.ports).compactMap { port in
                guard let hostPort = port["hostPort"].int.flatMap({ Int32(exactly: $0) }), hostPort > 0,
                    let containerPort = port["containerPort"].int.flatMap({ Int32(exactly: $0) })
                else { return nil }
                let transport: RuntimePortMapping.TransportProtocol =
                    port["protocol"].string == "UDP" ? .udp : port["protocol"].string == "SCTP" ? .sctp : .tcp
                return RuntimePortMapping(transport: transport, containerPort: containerPort, hostPort: hostPort, hostIP: port["hostIP"].string ?? "")
            }
        }
        config.cgroupParent = cgroupParent
        for entry in pod.securityContext["sysctls"].elements {
            if let name = entry["name"].string { config.sysctls[SysctlAdmission.dotted(name)] = entry["value"].string ?? "" }
        }
        config.namespaces = SecuritySettings.namespaces(pod)
        config.runAsUser = pod.securityContext["runAsUser"].int
        config.runAsGroup = config.runAsUser == nil ? nil : pod.securityContext["runAsGroup"].int
        config.supplementalGroups = SecuritySettings.supplementalGroups(pod)
        config.privileged = pod.allContainers.contains { $0.securityContext["privileged"].bool == true }
        config.seccomp = SecuritySettings.seccomp(
            SecuritySettings.profile(pod.securityContext["seccompProfile"]) ?? .runtimeDefault, rootDirectory: configuration.rootDirectory)
        return config
    }
}

/// A pod's resolv.conf by its dnsPolicy. Upstream: pkg/kubelet/network/dns.
enum PodDNS {
    /// What glibc reads at most, and upstream's limits on what pods may ask for.
    static let maximumServers = 3
    static let maximumSearches = 32
    static let maximumSearchBytes = 2048
    static let maximumSearchPathBytes = 253

    static func make(pod: Pod, clusterDNS: [String], clusterDomain: String, resolver: String) -> RuntimeDNSConfig {
        let host = parse(resolver)
        var config = host
        var policy = pod.spec["dnsPolicy"].string ?? "ClusterFirst"
        if policy == "ClusterFirst", pod.hostNetwork { policy = "Default" }
        switch policy {
        case "None": config = RuntimeDNSConfig()
        case "ClusterFirst", "ClusterFirstWithHostNet":
            // Without a cluster DNS the host's is used, as upstream falls back with a warning.
            if !clusterDNS.isEmpty {
                config.servers = clusterDNS
                config.searches = unique(["\(pod.namespace).svc.\(clusterDomain)", "svc.\(clusterDomain)", clusterDomain] + host.searches)
                config.options = ["ndots:5"]
            }
        default: break
        }
        if let extra = pod.spec["dnsConfig"] {
            config.servers = unique(config.servers + extra["nameservers"].strings)
            config.searches = unique(config.searches + extra["searches"].strings)
            for option in extra["options"].elements {
                guard let name = option["name"].string else { continue }
                config.options.removeAll { $0 == name || $0.hasPrefix(name + ":") }
                let value = option["value"].string ?? ""
                config.options.append(value.isEmpty ? name : "\(name):\(value)")
            }
        }
        config.servers = Array(config.servers.prefix(maximumServers))
        // Some resolvers abort at a longer path.
        config.searches = config.searches.prefix(maximumSearches).filter { $0.utf8.count <= maximumSearchPathBytes }
        while config.searches.joined(separator: " ").utf8.count > maximumSearchBytes { config.searches.removeLast() }
        return config
    }

    static func parse(_ text: String) -> RuntimeDNSConfig {
        var config = RuntimeDNSConfig()
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard let keyword = words.first, !keyword.hasPrefix("#"), !keyword.hasPrefix(";") else { continue }
            switch keyword {
            case "nameserver": if words.count > 1 { config.servers.append(words[1]) }
            case "search": config.searches = words.dropFirst().map { $0.hasSuffix(".") && $0.count > 1 ? String($0.dropLast()) : $0 }
            case "options": config.options = Array(words.dropFirst())
            default: break
            }
        }
        return config
    }

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }
}
