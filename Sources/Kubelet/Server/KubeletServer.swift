import ContainerRuntime
import HTTPTransport
import KubeAPI
import KubeClient
import Logging
import Processes

/// The kubelet's own endpoint: logs, exec, attach, port-forward, pods, stats, health. Upstream: pkg/kubelet/server.
struct KubeletServer: HTTPResponder {
    let configuration: KubeletConfiguration.Server
    let nodeName: String
    let nodeConfiguration: KubeletConfiguration
    let runtime: any ContainerRuntime
    let pleg: PLEG
    let watcher: FileWatcher
    let authority: KubeletAuthority
    /// The pods of this node as the API server has them.
    let pods: Lister
    let logger: Logger
    /// Nil: pods have no volumes.
    var volumes: VolumeStatistics?

    private var statistics: NodeStatistics { NodeStatistics(configuration: nodeConfiguration, runtime: runtime, pods: pods, volumes: volumes) }

    /// Callers that may do everything here, by their certificates: the API server is not asked about itself. Upstream: the rights of
    /// system:kubelet-api-admin and of system:masters, by webhook.
    static let administrators = "system:masters"
    static let apiServerName = "kube-apiserver-kubelet-client"
    /// Upstream: user.AllAuthenticated.
    static let authenticated = "system:authenticated"

    /// A refusal in plain text, as the kubelet answers.
    struct Refusal: Error {
        var status: Int
        var text: String
    }

    static func text(_ status: Int, _ text: String) -> HTTPResponse {
        HTTPResponse(status: status, fields: ["Content-Type": "text/plain; charset=utf-8"], body: .bytes(Array(text.utf8)))
    }

    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        if head.path == "/healthz" { return Self.text(200, "ok") }  // Tells nothing else: open to the load balancers' checks.
        do {
            try await admit(head)
            return try await route(head)
        } catch let refusal as Refusal {
            return Self.text(refusal.status, refusal.text)
        } catch let error as RuntimeError where error.code == .unimplemented {
            return Self.text(501, error.message)
        } catch {
            logger.debug("request failed", metadata: ["path": "\(head.path)", "error": "\(error)"])
            return Self.text(500, "\(error)")
        }
    }

    /// Whose the request is. Upstream: the kubelet's union of x509 and token webhook.
    private func caller(_ head: HTTPRequestHead) async throws -> (caller: KubeletCaller, byCertificate: Bool) {
        if let leaf = head.connection.peerCertificates.first, var caller = configuration.identify(leaf), !caller.name.isEmpty {
            if !caller.groups.contains(Self.authenticated) { caller.groups.append(Self.authenticated) }
            return (caller, true)
        }
        let unauthorized = Refusal(status: 401, text: "Unauthorized")
        guard let token = KubeletAuthority.token(head.fields) else { throw unauthorized }
        do {
            guard let caller = try await authority.caller(token: token) else { throw unauthorized }
            return (caller, false)
        } catch let refusal as Refusal { throw refusal } catch is KubeletAuthority.Busy { throw unauthorized } catch {
            logger.warning("cannot tell whose a request is", metadata: ["error": "\(error)"])
            throw unauthorized
        }
    }

    /// Refuses whom the API server does not know, and what it does not allow. Upstream: Server.InstallAuthFilter.
    private func admit(_ head: HTTPRequestHead) async throws {
        let (caller, byCertificate) = try await caller(head)
        if byCertificate, caller.groups.contains(Self.administrators) || caller.name == Self.apiServerName { return }
        let access = KubeletAccess(method: head.method, segments: Query.segments(head.path) ?? [], isUpgrade: head.isUpgrade)
        for subresource in access.subresources {
            do {
                if try await authority.allows(caller, access.verb, subresource) { return }
            } catch {
                logger.warning("cannot tell what a caller may do", metadata: ["user": "\(caller.name)", "error": "\(error)"])
                throw Refusal(status: 500, text: access.undecided(caller, subresource))
            }
        }
        throw Refusal(status: 403, text: access.forbidden(caller))
    }

    private func route(_ head: HTTPRequestHead) async throws -> HTTPResponse {
        guard let path = Query.segments(head.path) else { throw Refusal(status: 400, text: "malformed path") }
        let query = Query(head.query)
        switch (path.first ?? "", path.count) {
        case ("containerLogs", 4): return try await logs(namespace: path[1], pod: path[2], container: path[3], query)
        // With and without the pod's uid.
        case ("exec", 4), ("exec", 5): return try await exec(head, namespace: path[1], pod: path[2], container: path[path.count - 1], query)
        case ("attach", 4), ("attach", 5): return try await attach(head, namespace: path[1], pod: path[2], container: path[path.count - 1], query)
        case ("portForward", 3), ("portForward", 4): return try await portForward(head, namespace: path[1], pod: path[2], query)
        case ("run", 4), ("run", 5): return try await run(head, namespace: path[1], pod: path[2], container: path[path.count - 1], query)
        case ("pods", 1): return podList()
        case ("stats", 2) where path[1] == "summary":
            return try await statistics.summary(onlyCPUAndMemory: query.flag("only_cpu_and_memory"))
        case ("metrics", 2) where path[1] == "resource":
            return try await statistics.resourceMetrics()
        case ("metrics", 2) where path[1] == "cadvisor": return Self.metrics(try await statistics.containerMetrics())
        case ("metrics", 1): return await statistics.metrics()
        case ("configz", 1): return Self.json(["kubeletconfig": nodeConfiguration.configz])
        case ("runningpods", 1): return Self.json(try await runningPods())
        default: throw Refusal(status: 404, text: "404 page not found\n")
        }
    }

    private static func json(_ value: Value) -> HTTPResponse {
        HTTPResponse(status: 200, fields: ["Content-Type": "application/json"], body: .bytes(value.jsonBytes))
    }

    private static func metrics(_ text: String) -> HTTPResponse {
        HTTPResponse(status: 200, fields: ["Content-Type": "text/plain; version=0.0.4"], body: .bytes(Array(text.utf8)))
    }

    private func podList() -> HTTPResponse {
        Self.json(["kind": "PodList", "apiVersion": "v1", "metadata": [:], "items": .array(pods.list().map(\.value))])
    }

    /// The pods that the runtime runs, as far as it knows them. Upstream: getRunningPods, Pod.ToAPIPod.
    private func runningPods() async throws -> Value {
        let running = try await runtime.containers(ContainerFilter()).filter { $0.state == .running }
        let byPod = Dictionary(grouping: running) { $0.labels[ContainerLabels.podUID] ?? "" }.sorted { $0.key < $1.key }
        let items: [Value] = byPod.compactMap { uid, containers in
            guard !uid.isEmpty, let labels = containers.first?.labels else { return nil }
            let name = labels[ContainerLabels.podName] ?? ""
            let namespace = labels[ContainerLabels.podNamespace] ?? ""
            let specs: [Value] = containers.map { ["name": .string($0.name), "image": .string($0.imageRef), "resources": [:]] }
            return [
                "metadata": ["name": .string(name), "namespace": .string(namespace), "uid": .string(uid)], "spec": ["containers": .array(specs)],
                "status": [:],
            ]
        }
        return ["kind": "PodList", "apiVersion": "v1", "metadata": [:], "items": .array(items)]
    }

    private func find(_ namespace: String, _ name: String) throws -> Pod {
        guard let object = pods.get(namespace: namespace, name: name) else { throw Refusal(status: 404, text: "pod does not exist") }
        return Pod(shown: object)
    }

    /// The pod's newest container of a name, running or not; `previous` the one before.
    private func instance(_ pod: Pod, _ container: String, previous: Bool = false) async throws -> RuntimeContainerStatus? {
        let labels = [ContainerLabels.podUID: pod.uid, ContainerLabels.containerName: container]
        let listed = try await runtime.containers(ContainerFilter(labels: labels)).sorted { $0.createdAt > $1.createdAt }
        let chosen = previous ? listed.dropFirst().first { $0.state == .exited } ?? listed.first { $0.state == .exited } : listed.first
        guard let chosen else { return nil }
        return try await runtime.containerStatus(chosen.id)
    }

    // MARK: logs

    private func logs(namespace: String, pod name: String, container: String, _ query: Query) async throws -> HTTPResponse {
        var options = ContainerLogOptions()
        options.follow = query.flag("follow")
        options.previous = query.flag("previous")
        options.timestamps = query.flag("timestamps")
        options.stream = query["stream"] ?? "All"
        func number(_ name: String, from minimum: Int64) throws -> Int64? {
            guard let text = query[name] else { return nil }
            guard let number = Int64(text), number >= minimum else {
                throw Refusal(status: 400, text: "Invalid \(name) value \"\(text)\"")
            }
            return number
        }
        options.tailLines = try number("tailLines", from: 0)
        options.limitBytes = try number("limitBytes", from: 1)
        if let seconds = try number("sinceSeconds", from: 1) { options.since = Timestamp.now.adding(seconds: -seconds) }
        if let text = query["sinceTime"] {
            guard let time = Timestamp(rfc3339: text) else { throw Refusal(status: 400, text: "Invalid sinceTime value \"\(text)\"") }
            options.since = time
        }
        guard let object = pods.get(namespace: namespace, name: name) else { throw Refusal(status: 404, text: "pod \"\(name)\" not found\n") }
        let pod = Pod(shown: object)
        guard pod.container(named: container) != nil else {
            throw Refusal(status: 404, text: "container \"\(container)\" not found in pod \"\(name)\"\n")
        }
        guard let status = try await instance(pod, container, previous: options.previous) else {
            if options.previous {
                throw Refusal(status: 400, text: "previous terminated container \"\(container)\" in pod \"\(name)\" not found")
            }
            throw Refusal(status: 400, text: "container \"\(container)\" in pod \"\(name)\" is waiting to start: \(waitingReason(pod, container))")
        }
        if options.previous, status.state != .exited {
            throw Refusal(status: 400, text: "previous terminated container \"\(container)\" in pod \"\(name)\" not found")
        }
        let logPath = status.logPath
        // A container that was made but never ran may have no log yet.
        var canBeRead = try await FileWork.run { !logPath.isEmpty && FileTree.exists(logPath) }
        // One that is being rotated is not there for a moment.
        for _ in 0..<50 where !canBeRead && status.state == .running && !logPath.isEmpty {
            try await Task.sleep(for: .milliseconds(20))
            canBeRead = try await FileWork.run { FileTree.exists(logPath) }
        }
        guard canBeRead else { return Self.text(200, "") }
        if options.previous || status.state != .running { options.follow = false }
        let stream = ContainerLogStream(runtime: runtime, pleg: pleg, watcher: watcher, options: options)
        let id = status.id
        return HTTPResponse(
            status: 200, fields: ["Content-Type": "text/plain"], body: .stream { try await stream.send(path: logPath, containerID: id, to: $0) })
    }

    private func waitingReason(_ pod: Pod, _ container: String) -> String {
        let statuses = pod.status["containerStatuses"].elements + pod.status["initContainerStatuses"].elements
        let status = statuses.first { $0["name"].string == container }
        let waiting = status["state"]["waiting"]
        let reason = waiting["reason"].string ?? "ContainerCreating"
        // Upstream says more for image troubles.
        switch reason {
        case "ErrImagePull", "ImagePullBackOff": return "trying and failing to pull image"
        case "ErrImageNeverPull": return "image can't be pulled"
        default: return reason
        }
    }

    // MARK: streams

    private func running(_ namespace: String, _ pod: String, _ container: String) async throws -> RuntimeContainerStatus {
        let pod = try find(namespace, pod)
        guard pod.container(named: container) != nil || container.isEmpty else {
            throw Refusal(status: 404, text: "container not found (\"\(container)\")")
        }
        guard let status = try await instance(pod, container), status.state == .running else {
            throw Refusal(status: 404, text: "container not found (\"\(container)\")")
        }
        return status
    }

    private func streamOptions(_ query: Query) throws -> StreamOptions {
        let options = StreamOptions(
            stdin: query.flag("input", "stdin"), stdout: query.flag("output", "stdout"), stderr: query.flag("error", "stderr") && !query.flag("tty"),
            tty: query.flag("tty"))
        guard options.stdin || options.stdout || options.stderr else {
            throw Refusal(status: 400, text: "you must specify at least 1 of stdin, stdout, stderr")
        }
        return options
    }

    private func exec(_ head: HTTPRequestHead, namespace: String, pod: String, container: String, _ query: Query) async throws -> HTTPResponse {
        let options = try streamOptions(query)
        let command = query.all("command")
        guard !command.isEmpty else { throw Refusal(status: 400, text: "you must specify at least 1 command") }
        let status = try await running(namespace, pod, container)
        return try await StreamingProxy.splice(head) { try await runtime.execURL(status.id, command: command, options: options) }
    }

    private func attach(_ head: HTTPRequestHead, namespace: String, pod: String, container: String, _ query: Query) async throws -> HTTPResponse {
        let options = try streamOptions(query)
        let status = try await running(namespace, pod, container)
        return try await StreamingProxy.splice(head) { try await runtime.attachURL(status.id, options: options) }
    }

    private func portForward(_ head: HTTPRequestHead, namespace: String, pod: String, _ query: Query) async throws -> HTTPResponse {
        let pod = try find(namespace, pod)
        let sandbox = try await runtime.podSandboxes(PodSandboxFilter(labels: [ContainerLabels.podUID: pod.uid])).first { $0.isReady }
        guard let sandbox else { throw Refusal(status: 404, text: "pod is not running") }
        let ports = (query.all("port") + query.all("ports")).flatMap { $0.split(separator: ",") }.compactMap { Int32($0) }
        return try await StreamingProxy.splice(head) { try await runtime.portForwardURL(sandbox: sandbox.id, ports: ports) }
    }

    /// The old `run`: a command's output as the answer.
    private func run(_ head: HTTPRequestHead, namespace: String, pod: String, container: String, _ query: Query) async throws -> HTTPResponse {
        guard head.method == "POST" else { throw Refusal(status: 405, text: "405: Method Not Allowed") }
        let status = try await running(namespace, pod, container)
        let command = (query["cmd"] ?? "").split(separator: " ").map(String.init)
        let result = try await runtime.execSync(status.id, command: command, timeout: .zero)
        return HTTPResponse(status: 200, fields: ["Content-Type": "text/plain"], body: .bytes(result.stdout + result.stderr))
    }
}
