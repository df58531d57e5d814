import ArgumentParser
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Processes

/// `eyrie up`: the service, a cluster, nodes and a kubeconfig in one command. Repeating it continues where it stopped.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Starts the service and a cluster with nodes, and merges the kubeconfig.")

    @Argument(help: "The cluster's name.") var name = "dev"
    @OptionGroup var data: DataDirectoryOption
    @Option(help: "Nodes of the default node group.") var nodes = 1
    @Option(help: "The Kubernetes version; the newest if left out.") var version: String?
    @Option(help: "HOST:PORT for the service when it is started; where it listened last, or \(ServeCommand.defaultListen), if left out.")
    var listen: String?
    @Option(name: .customLong("registry-mirror"), help: "REGISTRY=URL of a mirror for the nodes, given to the service when it is started.")
    var mirrors: [String] = []
    @Option(help: "Seconds to wait for the nodes.") var wait = 120
    @Flag(name: .customLong("no-switch-context"), help: "Leave kubectl's current context as it is.") var keepsContext = false

    func validate() throws {
        guard (0...100).contains(nodes) else { throw ValidationError("--nodes takes 0 to 100") }
        // Upstream: eks ClusterName. Told before a service is started for nothing.
        let isSound = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D || byte == 0x5F
        }
        guard isSound, (1...100).contains(name.utf8.count), !name.hasPrefix("-"), !name.hasPrefix("_") else {
            throw ValidationError("A cluster's name has up to 100 letters, digits, - and _, beginning with a letter or digit; not \"\(name)\"")
        }
    }

    func run() async throws {
        let directory = data.directory
        let progress = Progress()
        progress.header("Starting cluster \"\(name)\"")
        let endpoint = try await startService(directory, progress)
        progress.done("Service running", detail: endpoint)
        let client = try ServiceClient(directory)
        do {
            let defaults = try await Defaults.ensure(client)
            let cluster = try await createCluster(client, defaults, progress)
            progress.done("Control plane ready", detail: cluster["endpoint"].string ?? "")
            if nodes > 0 {
                try await createNodegroup(client, defaults, progress)
                try await waitForNodes(cluster, directory, progress)
                progress.done("Nodes Ready", detail: "\(nodes)")
            }
            try await Kubeconfig(cluster: cluster, directory: directory).merge(switchContext: !keepsContext, progress)
            await client.close()
        } catch {
            await client.close()
            throw error
        }
        progress.header("Cluster \"\(name)\" is ACTIVE.\n")
        progress.header("Try it:    kubectl get nodes")
        progress.header("AWS CLI:   eval \"$(\(Executable.path) env --data-dir \(directory.path))\" && aws eks describe-cluster --name \(name)")
        progress.header("Stop:      \(Executable.path) down --data-dir \(directory.path)")
    }

    private func startService(_ directory: DataDirectory, _ progress: Progress) async throws -> String {
        if let service = directory.service(), service.process.isRunning {
            if !mirrors.isEmpty { progress.note("The service runs already: --registry-mirror counts when it is started, after \"eyrie down\".") }
            return service.endpoint
        }
        guard geteuid() == 0 else {
            throw CLIError(
                what: "The service must be run as root.", why: "Clusters and nodes are made of network interfaces, namespaces and control groups.",
                fix: "sudo \(Executable.path) up \(name)")
        }
        progress.waiting("Starting the service")
        try SmallFile.makeDirectory(directory.path)
        var arguments = [Executable.path, "serve", "--data-dir", directory.path]
        if let listen { arguments += ["--listen", listen] }
        for mirror in mirrors { arguments += ["--registry-mirror", mirror] }
        let pid = try Command.spawnSession(arguments, log: directory.log)
        let identity = ProcessIdentity(pid: pid)
        for _ in 0..<600 {
            if let service = directory.service(), service.process.pid == pid, service.process.isRunning { return service.endpoint }
            guard let identity, identity.isRunning else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        let log = (SmallFile.readText(directory.log) ?? "").split(separator: "\n").suffix(5).joined(separator: "\n        ")
        throw CLIError(what: "The service did not start.", why: log, fix: arguments.joined(separator: " "))
    }

    private func createCluster(_ client: ServiceClient, _ defaults: Defaults, _ progress: Progress) async throws -> JSONView {
        let path = "/clusters/\(name)"
        try await removeFailed(client, path, "cluster", failed: "FAILED", progress)
        do {
            var request: Value = [
                "name": .string(name), "roleArn": .string(defaults.clusterRole), "resourcesVpcConfig": ["subnetIds": Value(defaults.subnets)],
                // As AWS's console does: `eyrie access` works on entries.
                "accessConfig": ["authenticationMode": "API_AND_CONFIG_MAP"],
            ]
            if let version { request["version"] = .string(version) }
            _ = try await client.eks("POST", "/clusters", request)
        } catch let refused as ServiceClient.Refused where refused.code == "ResourceInUseException" {}  // It is there: go on with it.
        let cluster = try await poll("Control plane", progress, seconds: 60) {
            let cluster = try await client.eks("GET", path)["cluster"]
            switch cluster["status"].string {
            case "ACTIVE": return .done(cluster)
            case "FAILED": return .failed(cluster["health"]["issues"].elements.first?["message"].string ?? "no reason was given")
            case let status: return .waiting(status ?? "")
            }
        }
        if let version, let served = cluster["version"].string, served != version {
            progress.note("The cluster is there with Kubernetes \(served): --version \(version) counts for a new one.")
        }
        return cluster
    }

    private func createNodegroup(_ client: ServiceClient, _ defaults: Defaults, _ progress: Progress) async throws {
        let group = "default"
        let path = "/clusters/\(name)/node-groups/\(group)"
        try await removeFailed(client, path, "nodegroup", failed: "CREATE_FAILED", progress)
        let size: Value = ["minSize": 1, "maxSize": .int(Int64(max(nodes, 5))), "desiredSize": .int(Int64(nodes))]
        do {
            _ = try await client.eks(
                "POST", "/clusters/\(name)/node-groups",
                ["nodegroupName": .string(group), "nodeRole": .string(defaults.nodeRole), "subnets": Value(defaults.subnets), "scalingConfig": size])
        } catch let refused as ServiceClient.Refused where refused.code == "ResourceInUseException" {
            let present = try await client.eks("GET", path)["nodegroup"]["scalingConfig"]["desiredSize"].int
            if present != Int64(nodes) { _ = try await client.eks("POST", "\(path)/update-config", ["scalingConfig": size]) }
        }
        _ = try await poll("Nodes", progress, seconds: wait) {
            let answer = try await client.eks("GET", path)["nodegroup"]
            switch answer["status"].string {
            case "ACTIVE": return .done(answer)
            case "CREATE_FAILED": return .failed(answer["health"]["issues"].elements.first?["message"].string ?? "no reason was given")
            case let status: return .waiting(answer["health"]["issues"].elements.first?["message"].string ?? status ?? "")
            }
        }
    }

    /// What failed before is made anew: its cause may be mended by now.
    private func removeFailed(_ client: ServiceClient, _ path: String, _ member: String, failed: String, _ progress: Progress) async throws {
        do {
            guard try await client.eks("GET", path)[member]["status"].string == failed else { return }
            progress.note("The \(member) failed before and is made anew.")
            _ = try await client.eks("DELETE", path)
            _ = try await poll("Removal of the failed \(member)", progress, seconds: wait) {
                _ = try await client.eks("GET", path)
                return .waiting("DELETING")
            }
        } catch let refused as ServiceClient.Refused where refused.code == "ResourceNotFoundException" {}
    }

    /// Waits until as many nodes as asked for are Ready: after a restart the node group is ACTIVE before its machines run again.
    private func waitForNodes(_ cluster: JSONView, _ directory: DataDirectory, _ progress: Progress) async throws {
        guard let service = directory.service(), let credentials = directory.credentials(),
            let endpoint = cluster["endpoint"].string?.split(separator: "/").last, let colon = endpoint.lastIndex(of: ":"),
            let port = Int(endpoint[endpoint.index(after: colon)...])
        else { throw CLIError.notServed(directory) }
        let authority = String(decoding: Base64.decode(cluster["certificateAuthority"]["data"].string ?? ""), as: UTF8.self)
        let transport = try NetworkTransport(
            .init(
                address: .tcp(host: String(endpoint[..<colon]), port: port), certificateAuthorityPEM: authority,
                credentials: .bearerToken { TokenCommand.token(credentials, service, cluster: self.name) }))
        let kubernetes = KubeClient(transport: transport)
        defer { Task { await transport.close() } }
        _ = try await poll("Nodes", progress, seconds: wait) {
            let ready = try await kubernetes.list(.nodes).items.filter { node in
                node["status"]["conditions"].elements.contains { $0["type"].string == "Ready" && $0["status"].string == "True" }
            }
            return ready.count >= self.nodes ? .done(cluster) : .waiting("\(ready.count) of \(self.nodes) Ready")
        }
    }

    private enum Look {
        case done(JSONView?)
        case waiting(String)
        case failed(String)
    }

    /// Asks until it is done, has failed, or the time is up. What was begun goes on in the service.
    private func poll(_ what: String, _ progress: Progress, seconds: Int, _ look: () async throws -> Look) async throws -> JSONView {
        let start = Timestamp.now
        var last = ""
        while Timestamp.now.timeInterval(since: start) < Double(seconds) {
            switch try await look() {
            case .done(let view?): return view
            case .done(nil): throw CLIError(what: "\(what): the service answered without the object.", why: nil, fix: nil)
            case .failed(let why):
                throw CLIError(what: "\(what) could not be made.", why: why, fix: "mend the cause, then run the same command again")
            case .waiting(let state):
                last = state
                progress.waiting("\(what): \(state)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw CLIError(
            what: "\(what) not ready after \(seconds) s (\(last)).", why: "The service keeps trying.",
            fix: "run the same command again to go on waiting")
    }
}
