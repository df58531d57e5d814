import ArgumentParser
import Certificates
import ControlPlane
import ClusterLifecycle
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Logging
import Machines
import NodeIdentity
import Processes

/// `eyrie node join`: this host, or the network namespace that the command is started in, becomes a node of a cluster. Repeating it goes on where it
/// stopped; on a host that is a node already it starts what does not run.
struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "join", abstract: "Makes this host a node of a cluster, by an IAM role.")

    @Option(name: [.customLong("cluster"), .customShort("c")], help: "The cluster's name.") var cluster: String
    @Option(help: "The service's URL, https://HOST:PORT; $AWS_ENDPOINT_URL if left out.") var endpoint: String?
    @Option(help: "A file with the CA certificates in PEM by which the service is known; $AWS_CA_BUNDLE if left out.") var ca: String?
    @Option(help: "The service's region; $AWS_REGION, or us-west-2, if left out.") var region: String?
    @Option(
        name: .customLong("role-arn"),
        help: "The node's role, assumed with the AWS credentials of the environment; if left out, those are the node's own.")
    var roleARN: String?
    @Option(name: .customLong("pod-cidr"), help: "The range of this node's pods, of the cluster's remote pod networks and of no other node.")
    var podRange: String
    @Option(name: .customLong("node-ip"), help: "This host's address; the one it reaches the API server from, if left out.") var nodeIP: String?
    @Option(name: .customLong("node-name"), help: "The name of the role's session, which the node is called by; the host's name if left out.")
    var nodeName: String?
    @Option(help: "Labels of the node: KEY=VALUE,KEY=VALUE.") var labels = ""
    @Option(help: "Taints of the node: KEY=VALUE:EFFECT,KEY:EFFECT.") var taints = ""
    @Option(name: .customLong("max-pods"), help: "Pods that the node takes at most.") var maxPods = 110
    @Option(
        name: .customLong("registry-mirror"), help: "REGISTRY=URL of a mirror, such as docker.io=http://10.0.0.1:5000. May be repeated.")
    var mirrors: [String] = []
    @OptionGroup var data: NodeDirectoryOption

    func validate() throws {
        guard (1...JoinableCluster.mostPodAddresses).contains(maxPods) else {
            throw ValidationError("--max-pods takes 1 to \(JoinableCluster.mostPodAddresses)")
        }
        _ = try ServeCommand.parse(mirrors)
    }

    func run() async throws {
        LoggingSystem.bootstrap { label in
            var handler = LineLog(label)
            handler.logLevel = .error
            return handler
        }
        guard geteuid() == 0 else {
            throw CLIError(
                what: "A host is joined by root.", why: "Nodes are made of network interfaces, namespaces and control groups.",
                fix: "sudo -E \(Executable.path) node join --cluster \(cluster) …")
        }
        do { try await join() } catch let problem as JoinProblem { throw CLIError(problem) }
    }

    private func join() async throws {
        let (directory, progress) = (data.directory, Progress())
        do { try JoinedMachine.requirePrograms() } catch {
            throw CLIError(what: "This host lacks \(error.arguments.first ?? "a program").", why: "Nodes run it.", fix: error.output)
        }
        progress.header("Joining cluster \"\(cluster)\"")
        let node: JoinedNode
        if let joined = try JoinedNode.read(directory) {
            node = try await goOn(joined, directory, progress)
        } else {
            node = try await enrol(directory, progress)
        }
        try await NodeReadiness(machine: node.machine(directory), nodeName: node.nodeName).wait(progress)
        print("Node \(node.nodeName) is part of cluster \"\(node.cluster)\".\n")
        print("Look:      kubectl get node \(node.nodeName)")
        print("Leave:     eyrie node leave --data-dir \(directory.path)")
    }

    /// A host that is a node already goes on with what it has, without asking the service.
    private func goOn(_ node: JoinedNode, _ directory: DataDirectory, _ progress: Progress) async throws -> JoinedNode {
        guard node.cluster == cluster else {
            throw CLIError(
                what: "This host is node \(node.nodeName) of cluster \"\(node.cluster)\" already.", why: nil,
                fix: "eyrie node leave --data-dir \(directory.path)     or give this one another --data-dir, in a network namespace of its own")
        }
        let machine = node.machine(directory)
        if machine.process != nil {
            progress.done("Machine runs already", detail: node.nodeName)
            return node
        }
        guard let files = try? NodeBootstrapFiles(machine.paths), Self.isGood(files.certificates.client) else {
            progress.note("The certificate of the last time is over: the node asks for another.")
            return try await enrol(directory, progress)
        }
        try await machine.start(try node.configuration(HostSize()), bootstrap: [:])
        progress.done("Machine started again", detail: node.nodeName)
        return node
    }

    /// Whether a certificate lasts long enough for the agent to renew it. Files that cannot be read are none.
    private static func isGood(_ identity: TLSIdentity) -> Bool {
        guard let subject = try? CertificateSubject.read(pem: identity.certificateChainPEM) else { return false }
        return subject.notAfter > Timestamp.now.seconds + 60
    }

    private func enrol(_ directory: DataDirectory, _ progress: Progress) async throws -> JoinedNode {
        let (labels, taints) = (try JoinOptions.labels(labels), try JoinOptions.taints(taints))
        let environment = JoinEnvironment()
        let enrolment = NodeEnrolment(
            endpoint: try endpoint ?? environment.endpoint(), region: region ?? environment.region, rootsPEM: try environment.roots(ca))
        let keys = try await keys(enrolment, environment, progress)

        progress.waiting("Cluster: asking \(enrolment.endpoint)")
        let cluster = try await enrolment.describe(cluster, keys)
        progress.done("Cluster found", detail: "https://\(cluster.apiServerHost):\(cluster.apiServerPort)")
        let address: String
        if let nodeIP { address = nodeIP } else { address = try await HostAddress.source(towards: cluster.apiServerHost) }
        try cluster.check(nodeAddress: address)
        let addresses = try cluster.podAddresses(of: podRange)

        progress.waiting("Identity: asking the API server")
        let name = try await enrolment.nodeName(cluster, keys)
        progress.done("Known to the cluster", detail: "system:node:\(name)")
        progress.waiting("Certificates: waiting for approval")
        let certificates = try await enrolment.certificates(cluster, keys, nodeName: name, address: address)
        progress.done("Certificates issued", detail: address)

        let host = HostSize()
        let settings = NodeSettings(
            name: name, address: address, apiServerHost: cluster.apiServerHost, apiServerPort: cluster.apiServerPort,
            providerID: JoinOptions.providerID(region: enrolment.region, cluster: cluster.name, nodeName: name), vcpus: host.vcpus,
            memoryMiB: host.memoryMiB, maxPods: min(maxPods, addresses.count),
            kubeletVersion: ControlPlaneConfiguration.gitVersion(KubernetesVersions.named(cluster.version)?.patch ?? cluster.version),
            clusterDNS: [ClusterAddresses.dns(serviceCIDR: cluster.serviceCIDR)].compactMap { $0 },
            labels: labels.merging(JoinOptions.standardLabels(nodeName: name, architecture: HostSize.architecture)) { $1 },
            taints: taints.map { (key: $0.key, value: $0.value, effect: $0.effect) })
        let file = ClusterAuthorities.nodeCertificates(
            revision: "", authorities: cluster.authoritiesPEM, client: certificates.client, server: certificates.server, proxy: certificates.proxy)
        let node = JoinedNode(
            cluster: cluster.name, endpoint: enrolment.endpoint, region: enrolment.region, nodeName: name, podRange: podRange,
            clusterNetworks: cluster.nodeNetworks + cluster.podNetworks, mirrors: try ServeCommand.parse(mirrors))
        try SmallFile.makeDirectory(directory.path)
        // First: what is begun can then be left.
        try node.write(directory)
        try await node.machine(directory).start(
            try node.configuration(host), bootstrap: [NodeSettings.file: settings.value.jsonBytes, ClusterAuthorities.nodeFile: file.jsonBytes])
        progress.done("Machine started", detail: name)
        return node
    }

    private func keys(_ enrolment: NodeEnrolment, _ environment: JoinEnvironment, _ progress: Progress) async throws -> AWSKeys {
        let own: AWSKeys
        if let keys = environment.keys {
            own = keys
        } else if let keys = await InstanceKeys.read() {
            own = keys
        } else {
            throw JoinProblem(
                "There are no AWS credentials.", why: "The environment holds none, and no instance metadata service answers.",
                fix: "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…")
        }
        guard let roleARN else { return own }
        let session = nodeName ?? HostAddress.hostName
        try JoinOptions.check(nodeName: session)
        progress.waiting("Role: assuming \(roleARN)")
        let keys = try await enrolment.assume(roleARN, session: session, with: own)
        progress.done("Role assumed", detail: session)
        return keys
    }
}

/// The option that `eyrie node join` and `leave` share.
struct NodeDirectoryOption: ParsableArguments {
    @Option(name: .customLong("data-dir"), help: "Where the node keeps its data.") var path = "/var/lib/eyrie-node"

    func validate() throws {
        // What a script's unset variable becomes; it must not turn into the current directory.
        guard !path.isEmpty else { throw ValidationError("--data-dir takes a directory, not nothing") }
    }

    var directory: DataDirectory { DataDirectory(path) }
}
