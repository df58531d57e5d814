import ArgumentParser
import Certificates
import ClusterDNS
import ContainerRuntime
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Kubelet
import Logging
import Machines
import NodeIdentity
import Processes
import VPCCNI

/// `eyrie node`: this host as a node of a cluster, and the agent inside machines.
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Joins this host to a cluster as a node, and has it leave.",
        subcommands: [JoinCommand.self, LeaveCommand.self, NodeAgentCommand.self], defaultSubcommand: NodeAgentCommand.self)
}

/// The agent inside a machine: the kubelet of its node. Started by the machine's init as `eyrie node --directory`, and again when it ends.
struct NodeAgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Runs the node agent inside a machine. The machine's init starts it.", shouldDisplay: false)

    @Option(help: "The machine's directory.") var directory: String?

    func run() async throws {
        guard let directory else { throw CleanExit.helpRequest(NodeCommand.self) }
        LoggingSystem.bootstrap(LineLog.init)
        guard let slash = directory.lastIndex(of: "/") else { throw CLIError(what: "--directory must be absolute.", why: nil, fix: nil) }
        let paths = MachinePaths(machinesDirectory: String(directory[..<slash]), instanceID: String(directory[directory.index(after: slash)...]))
        var bootstrap = try NodeBootstrapFiles(paths)
        let runtime = try await Self.connect(MachinePaths.containerdSocket, pauseImage: paths.pauseImage)
        if bootstrap.isWarm { bootstrap = try await Self.filesOfService(paths) }
        let transport = try bootstrap.transport(bootstrap.certificates.client, userAgent: "kubelet")
        let network = try NodeNetwork(bootstrap)
        var configuration = bootstrap.kubelet(paths)
        await KubeletFolder.prepare(paths, &configuration)
        let kubelet = Kubelet(
            configuration: configuration, client: KubeClient(transport: transport), runtime: runtime, services: network?.services,
            logger: Logger(label: "eyrie.kubelet"))
        let keeper = NodeCertificateKeeper(paths, bootstrap, kubelet: kubelet, transport: transport, proxyTransport: network?.transport)
        let cloud = try CloudEndpoints(bootstrap.cloud(paths), client: KubeClient(transport: transport))
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let network { group.addTask { await network.run() } }
            if let cloud { group.addTask { await cloud.run() } }
            group.addTask { try await keeper.run() }
            group.addTask { try await kubelet.run() }
            group.addTask {
                // From the machine's init alone, when the machine is to end. Any other end of this process leaves the pods as they are.
                await Signals.wait(for: [SIGUSR1])
                if !Task.isCancelled { await kubelet.shutDown() }
            }
            // The others run until they are cancelled: the first to end is the kubelet, by itself, by an error or by a shutdown.
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Says that the machine is ready to join, and waits for the files with which it does. Throws when they cannot be read or watched.
    private static func filesOfService(_ paths: MachinePaths) async throws -> NodeBootstrapFiles {
        let watcher = try FileWatcher()
        // It tells nothing when it is gone.
        defer { withExtendedLifetime(watcher) {} }
        let changes = watcher.changes(of: [paths.bootstrap])
        try SmallFile.write(paths.prepared, [])
        // They may have come before the watch began.
        let first = try NodeBootstrapFiles(paths)
        guard first.isWarm else { return first }
        for await _ in changes {
            let files = try NodeBootstrapFiles(paths)
            if !files.isWarm { return files }
        }
        throw CancellationError()
    }

    /// Waits for containerd, which starts at the same time as this agent, and sees to it that the sandbox image is there.
    private static func connect(_ socket: String, pauseImage: String) async throws -> CRIRuntime {
        let logger = Logger(label: "eyrie.node")
        var delay = Duration.milliseconds(20)
        while true {
            do {
                let runtime = CRIRuntime(socket: socket, logger: logger)
                _ = try await runtime.version()
                if try await runtime.imageStatus(MachinePaths.pauseImageName) == nil {
                    try await Command.run(["ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", pauseImage])
                }
                return runtime
            } catch {
                if delay > .seconds(1) { logger.warning("containerd does not answer yet: \(error)") }
                try await Task.sleep(for: delay)
                delay = min(delay * 2, .seconds(2))
            }
        }
    }
}

/// The files with which the control plane sends a machine to its cluster: `node.json` and the certificates.
struct NodeBootstrapFiles {
    let root: JSONView
    /// Those that the node has asked for itself.
    let rotated: RotatedCertificates
    /// The latest.
    let certificates: NodeCertificates

    init(_ paths: MachinePaths) throws {
        root = try JSONDocument(Self.read("node.json", paths)).root
        rotated = RotatedCertificates(directory: "\(paths.kubelet)/pki")
        certificates = rotated.merged(into: try NodeCertificates(paths))
    }

    /// Throws `CLIError` for a file that is missing.
    static func read(_ name: String, _ paths: MachinePaths) throws -> [UInt8] {
        guard let bytes = SmallFile.read("\(paths.bootstrap)/\(name)") else {
            throw CLIError(
                what: "The machine's bootstrap file \(name) is missing.", why: "The service writes it before it starts the machine.", fix: nil)
        }
        return bytes
    }

    var nodeName: String { root["nodeName"].string ?? "" }
    /// Whether the machine is to be ready to join, and not to do so: it stands in a warm pool.
    var isWarm: Bool { root["isWarm"].bool ?? false }

    /// The way to the API server as one of the machine's identities. Throws for an identity that cannot be used.
    func transport(_ identity: TLSIdentity, userAgent: String) throws -> NetworkTransport {
        try transport(.clientCertificate(identity), userAgent: userAgent)
    }

    func transport(_ credentials: NetworkTransport.Credentials, userAgent: String) throws -> NetworkTransport {
        let address = HTTPAddress.tcp(host: root["apiServerHost"].string ?? "", port: Int(root["apiServerPort"].int ?? 443))
        return try NetworkTransport(
            .init(
                address: address, certificateAuthorityPEM: certificates.authorities, credentials: credentials, userAgent: userAgent))
    }

    /// What the agent answers for the cloud with; nil where the service told nothing of it.
    func cloud(_ paths: MachinePaths) -> NodeCloud? {
        guard let cloud = root["cloud"], let endpoint = cloud["endpoint"].string, let region = cloud["region"].string,
            let cluster = cloud["clusterName"].string
        else { return nil }
        // The CNI plug-in's own list. A file that cannot be read leaves pods without credentials, and nobody else with them.
        let plugins = SmallFile.read(paths.cniList).flatMap { try? JSONDocument($0).root["plugins"].elements }
        let addresses = plugins.map { plugins in plugins.flatMap { $0["addresses"].strings } } ?? []
        // A machine made before there were IPv6 clusters was told one address.
        let nodeAddress = root["nodeIPv4"].string ?? root["nodeIP"].string ?? ""
        var answers = NodeCloud(
            endpoint: endpoint, region: region, clusterName: cluster, nodeAddress: nodeAddress, podAddresses: Set(addresses))
        if let prefix = plugins?.compactMap({ $0["ipv6Prefix"].string }).first {
            let ranges = [prefix, Plugin.egressRange].compactMap { IPRange($0) }
            answers.isIPv6 = true
            answers.isInPodRange = { text in IPAddress(text).map { address in ranges.contains { $0.contains(address) } } ?? false }
        }
        if let metadata = cloud["metadata"] {
            answers.isMetadataEnabled = metadata["isEnabled"].bool ?? true
            answers.requiresMetadataTokens = metadata["requiresTokens"].bool ?? true
            answers.metadataHopLimit = Int(metadata["hopLimit"].int ?? 2)
        }
        return answers
    }

    /// The kubelet's configuration for this machine.
    func kubelet(_ paths: MachinePaths) -> KubeletConfiguration {
        func quantity(_ text: String) -> Quantity { (try? Quantity(text)) ?? .zero }  // Integers with a suffix always parse.
        let memory = root["memoryMiB"].int ?? 0
        var configuration = KubeletConfiguration(
            nodeName: nodeName, nodeIP: root["nodeIP"].string ?? "",
            capacity: [
                "cpu": quantity("\(root["vcpus"].int ?? 1)"), "memory": quantity("\(memory)Mi"), "pods": quantity("\(root["maxPods"].int ?? 17)"),
                "ephemeral-storage": quantity("\(Self.diskBytes(paths.directory))"),
            ],
            kubeletVersion: root["kubeletVersion"].string ?? "")
        configuration.labels = root["labels"].stringMap
        configuration.taints = root["taints"].elements.map {
            .init(key: $0["key"].string ?? "", value: $0["value"].string ?? "", effect: $0["effect"].string ?? "")
        }
        configuration.capacity.merge(HugePages.capacity()) { own, _ in own }
        configuration.providerID = root["providerID"].string ?? ""
        let kept = Self.reserved(vcpus: root["vcpus"].int ?? 1, maxPods: root["maxPods"].int ?? 17)
        let forKubernetes = kept.merging(Self.quantities(root["kubeReserved"])) { $1 }
        configuration.reserved = forKubernetes.merging(Self.quantities(root["systemReserved"]), uniquingKeysWith: +)
        let kubelet = root["kubelet"]
        configuration.podPidsLimit = kubelet["podPidsLimit"].int ?? -1
        if let size = kubelet["containerLogMaxSize"].quantity { configuration.logs.maximumBytes = size.value }
        if let files = kubelet["containerLogMaxFiles"].int { configuration.logs.maximumFiles = Int(clamping: files) }
        configuration.swapBehavior = kubelet["memorySwap"]["swapBehavior"].string.flatMap(SwapBehavior.init) ?? .none
        configuration.singleProcessOOMKill = kubelet["singleProcessOOMKill"].bool
        configuration.failSwapOn = kubelet["failSwapOn"].bool ?? false
        configuration.shutdownPeriods = kubelet["shutdownGracePeriodByPodPriority"].elements.map {
            ShutdownPeriod(priority: $0["priority"].int ?? 0, seconds: $0["shutdownGracePeriodSeconds"].int ?? 0)
        }
        configuration.eviction = root["hasEvictions"].bool == false ? EvictionPolicy(thresholds: []) : EvictionPolicy(Self.eviction(kubelet))
        // The volume that a node group's nodes have, where the host's filesystem is larger.
        configuration.diskSize = Self.diskSize
        configuration.keptImages = [MachinePaths.pauseImageName]
        configuration.imageVolumes = SnapshotMounts(socket: MachinePaths.containerdSocket).imageVolumes
        configuration.clusterDNS = root["clusterDNS"].strings
        configuration.resolverConfiguration = ClusterDNS.hostResolverPath
        configuration.rootDirectory = paths.kubelet
        configuration.podLogsDirectory = paths.podLogs
        configuration.staticPodPath = paths.manifests
        configuration.cgroupRoot = paths.cgroup
        var server = KubeletConfiguration.Server(identity: certificates.server, clientCAPEM: certificates.authorities) { der in
            // A certificate that cannot be read names nobody: refused.
            (try? CertificateSubject.read(der: der)).map { KubeletCaller(name: $0.commonName, groups: $0.organizations) }
        }
        // All addresses of both families.
        if configuration.nodeIP.contains(":") { server.address = "::" }
        configuration.server = server
        return configuration
    }

    /// What EKS keeps back on a node: cpu in steps by the count of processors, memory 255 MiB and 11 MiB for each pod.
    /// Upstream: amazon-eks-ami, kubelet's kube-reserved.
    private static func reserved(vcpus: Int64, maxPods: Int64) -> ResourceList {
        // Tenths of a percent of each processor: 6 % of the first, 1 % of the second, 0.5 % of the next two, 0.25 % of the others; of 1000
        // millicores.
        let millicores = 60 + (vcpus > 1 ? 10 : 0) + min(max(vcpus - 2, 0), 2) * 5 + max(vcpus - 4, 0) * 5 / 2
        var list: ResourceList = [:]
        list["cpu"] = try? Quantity("\(millicores)m")  // Integers with a suffix always parse.
        list["memory"] = try? Quantity("\(255 + 11 * maxPods)Mi")
        return list
    }

    /// Quantities by resource, as they are named; one that is none is left out.
    private static func quantities(_ list: JSONView?) -> ResourceList { list.stringMap.compactMapValues { try? Quantity($0) } }

    private static func eviction(_ kubelet: JSONView?) -> EvictionSettings {
        var settings = EvictionSettings()
        settings.hard = kubelet["evictionHard"].stringMap
        settings.soft = kubelet["evictionSoft"].stringMap
        settings.softGrace = Dictionary(
            (kubelet["evictionSoftGracePeriod"]?.members.map { $0 } ?? []).compactMap { signal, seconds in seconds.double.map { (signal, $0) } }
        ) { $1 }
        settings.minimumReclaim = kubelet["evictionMinimumReclaim"].stringMap
        settings.transitionPeriod = kubelet["evictionPressureTransitionPeriod"]?.double
        settings.maximumPodGrace = kubelet["evictionMaxPodGracePeriod"].int
        return settings
    }

    /// Upstream: the default diskSize of managed node groups, 20 GiB.
    private static let diskSize: Int64 = 20 << 30

    private static func diskBytes(_ path: String) -> Int64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return 0 }
        return Int64(clamping: UInt64(status.f_blocks).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }
}
