import HTTPTransport
import KubeAPI

extension ResourceVerbs {
    /// Bytes of a kubelet's error text that are passed on. Upstream: GenericHttpResponseChecker's maxReadLength.
    private static var maximumErrorBytes: Int { 50_000 }
    /// How long a kubelet may take to answer the head of a request.
    private static var kubeletTimeout: Duration { .seconds(30) }

    /// `GET pods/NAME/log`. Upstream: core/pod/rest.LogREST with pod.LogLocation.
    func log() async throws -> APIResult {
        let pod = try existing()
        try validateLogOptions()
        let container = try Self.container(request.query["container"] ?? "", of: pod)
        guard let node = try node(of: pod) else { return .response(Responses.text("")) }
        var query = QueryParameters()
        for name in ["follow", "previous", "timestamps"] where request.query.flag(name) { query.items.append((name, "true")) }
        for name in ["sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream"] {
            if let value = request.query[name], !value.isEmpty { query.items.append((name, value)) }
        }
        let target = Self.kubeletPath(["containerLogs", info.namespace, info.name, container], query)
        let client = try connections().client(for: node)
        let response: HTTPClientResponse
        do { response = try await client.execute("GET", target, timeout: nil) } catch { throw Self.unreachable("GET", node, error) }
        guard (200...206).contains(response.status) else { throw try await refusal(response) }
        if let head = request.head, WebSocketHandshake.isWanted(head) { return .response(try WebSocketReader.response(head, response.body)) }
        return .response(
            HTTPResponse(
                status: 200, fields: ["Cache-Control": "no-cache, private", "Content-Type": "text/plain"],
                body: .stream { writer in for try await piece in response.body { try await writer.write(piece) } }))
    }

    /// `exec`, `attach` and `portforward`: the client's upgrade is asked of the kubelet, and when both have agreed their connections are joined.
    /// Nothing of what passes is looked at, so every stream protocol that kubelets speak works; the two that they do not speak are translated to SPDY. Upstream:
    /// proxy.UpgradeAwareHandler, proxy.NewTranslatingHandler.
    func stream() async throws -> APIResult {
        guard let head = request.head, head.isUpgrade else { throw StatusError.badRequest("Upgrade request required") }
        let pod = try existing()
        let query = try streamQuery()
        var path: [String]
        switch info.subresource {
        case "portforward": path = ["portForward", info.namespace, info.name]
        default: path = [info.subresource, info.namespace, info.name, try Self.container(request.query["container"] ?? "", of: pod)]
        }
        guard let node = try node(of: pod) else { throw StatusError.badRequest("pod \(info.name) does not have a host assigned") }
        try await admitConnect(options: streamOptions())
        path = path.filter { !$0.isEmpty }
        let target = Self.kubeletPath(path, query)
        if WebSocketHandshake.isWanted(head) {
            let offered = WebSocketHandshake.offered(head)
            if info.subresource == "portforward", offered.contains(PortForwardTunnel.webSocketProtocol) {
                return .response(try await tunnel(head, node: node, target: target))
            }
            if info.subresource != "portforward", offered.contains(StreamTranslation.webSocketProtocol) {
                return .response(try translate(head, node: node, target: target))
            }
        }
        return .response(try await upgrade(head, node: node, target: target))
    }

    /// exec and attach by WebSocket. The client is accepted first, as upstream does; what the kubelet says against it is the command's end.
    private func translate(_ head: HTTPRequestHead, node: Object, target: String) throws -> HTTPResponse {
        let translation = StreamTranslation(
            stdin: request.query.flag("stdin"), stdout: request.query.flag("stdout"), stderr: request.query.flag("stderr"),
            tty: request.query.flag("tty"))
        let client = try connections().client(for: node)
        return try WebSocketHandshake(head).accept(StreamTranslation.webSocketProtocol) { tunnel in
            await translation.run(tunnel) { try await Self.streams(client, node, target, StreamTranslation.streamProtocol) }
        }
    }

    /// port-forward by WebSocket. A kubelet's refusal is the answer.
    private func tunnel(_ head: HTTPRequestHead, node: Object, target: String) async throws -> HTTPResponse {
        let handshake = try WebSocketHandshake(head)
        let kubelet: ByteTunnel
        do {
            kubelet = try await Self.streams(try connections().client(for: node), node, target, PortForwardTunnel.streamProtocol)
        } catch HTTPError.upgradeRefused(let status, let body) {
            return try Self.refused(node, status, body)
        }
        return handshake.accept(PortForwardTunnel.webSocketProtocol) { await PortForwardTunnel.run($0, kubelet) }
    }

    /// A connection of SPDY streams to the kubelet. Throws `HTTPError.upgradeRefused`, and `StatusError` when it cannot be reached.
    private static func streams(_ client: HTTPClient, _ node: Object, _ target: String, _ streamProtocol: String) async throws -> ByteTunnel {
        let fields: HTTPFields = ["Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": streamProtocol]
        do { return try await client.upgrade("POST", target, fields: fields).1 } catch let error as HTTPError {
            if case .upgradeRefused = error { throw error }
            throw unreachable("POST", node, error)
        }
    }

    /// Asks the kubelet for the client's upgrade. A refusal goes back as it is, and its connection is closed, never used again (CVE-2018-1002105);
    /// redirects are refusals too (CVE-2020-8559).
    private func upgrade(_ head: HTTPRequestHead, node: Object, target: String) async throws -> HTTPResponse {
        let client = try connections().client(for: node)
        var fields = HTTPFields()
        for (name, value) in head.fields.fields where Self.isStreamField(name) { fields.add(name, value) }
        do {
            let (answer, tunnel) = try await client.upgrade(head.method, target, fields: fields)
            return HTTPResponse(status: 101, fields: answer, body: .upgrade { client in await ByteTunnel.splice(client, tunnel) })
        } catch HTTPError.upgradeRefused(let status, let body) {
            return try Self.refused(node, status, body)
        } catch let error as HTTPError {
            throw Self.unreachable(head.method, node, error)
        }
    }

    /// A kubelet's refusal as the client's answer. Throws 500 for a redirect.
    private static func refused(_ node: Object, _ status: Int, _ body: [UInt8]) throws -> HTTPResponse {
        if (300...399).contains(status) {
            throw StatusError.internalError("the kubelet of node \(node.metadata.name.goQuoted) answered with a redirect, which is not followed")
        }
        return HTTPResponse(status: status, fields: ["Content-Type": "text/plain; charset=utf-8"], body: .bytes(body))
    }

    /// What of the client's request is the kubelet's business: the upgrade and its protocols, never credentials.
    private static func isStreamField(_ name: String) -> Bool {
        let lower = name.lowercased()
        return lower == "upgrade" || lower == "connection" || lower.hasPrefix("x-stream-protocol-version") || lower.hasPrefix("sec-websocket-")
    }

    // MARK: Finding the container and the node

    /// The container meant, the only one when none is named. Upstream: pod.validateContainer.
    static func container(_ name: String, of pod: Object) throws -> String {
        func names(_ field: String) -> [String] { pod["spec"][field].elements.compactMap { $0["name"].string } }
        let containers = names("containers")
        let podName = pod.metadata.name
        if name.isEmpty {
            if let only = containers.first, containers.count == 1 { return only }
            guard !containers.isEmpty else { throw StatusError.badRequest("a container name must be specified for pod \(podName)") }
            var message = "a container name must be specified for pod \(podName), choose one of: [\(containers.joined(separator: " "))]"
            let initial = names("initContainers")
            if !initial.isEmpty { message += " or one of the init containers: [\(initial.joined(separator: " "))]" }
            let ephemeral = names("ephemeralContainers")
            if !ephemeral.isEmpty { message += " or one of the ephemeral containers: [\(ephemeral.joined(separator: " "))]" }
            throw StatusError.badRequest(message)
        }
        guard (containers + names("initContainers") + names("ephemeralContainers")).contains(name) else {
            throw StatusError.badRequest("container \(name) is not valid for pod \(podName)")
        }
        return name
    }

    /// The node a pod is on, nil when it is on none yet.
    private func node(of pod: Object) throws -> Object? {
        guard let name = pod["spec"]["nodeName"].string, !name.isEmpty else { return nil }
        guard let node = reader.get(.nodes, namespace: "", name: name) else { throw StatusError.notFound(.nodes, name) }
        return node
    }

    func connections() throws -> KubeletConnections {
        guard let kubelets = environment.kubelets else { throw StatusError.notImplemented("reaching kubelets without a client certificate") }
        return kubelets
    }

    private func validateLogOptions() throws {
        let kind = GroupVersionKind(group: "", version: "v1", kind: "PodLogOptions")
        var causes: [StatusError.Cause] = []
        func check(_ field: String, minimum: Int64, _ message: String) throws {
            if let value = try request.query.integer(field), value < minimum {
                causes.append(MetadataValidation.invalid(field, .int(value), message))
            }
        }
        try check("tailLines", minimum: 0, "must be greater than or equal to 0")
        try check("limitBytes", minimum: 1, "must be greater than 0")
        try check("sinceSeconds", minimum: 1, "must be greater than 0")
        if request.query["sinceSeconds"] != nil, request.query["sinceTime"] != nil {
            causes.append(
                .init(reason: "FieldValueForbidden", message: "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified", field: ""))
        }
        guard causes.isEmpty else { throw StatusError.invalid(kind, info.name, causes) }
    }

    /// PodExecOptions, PodAttachOptions or PodPortForwardOptions, as admission sees them.
    private func streamOptions() -> Value {
        if info.subresource == "portforward" {
            let ports = request.query.all("ports").flatMap { $0.split(separator: ",") }.compactMap { Int64($0) }
            return ports.isEmpty ? [:] : ["ports": .array(ports.map { .int($0) })]
        }
        var options: Value = [:]
        for name in ["stdin", "stdout", "stderr", "tty"] where request.query.flag(name) { options[name] = true }
        if let container = request.query["container"] { options["container"] = .string(container) }
        if info.subresource == "exec" { options["command"] = Value(request.query.all("command")) }
        return options
    }

    /// The kubelet's names of exec's and attach's parameters. Upstream: pod.streamParams.
    private func streamQuery() throws -> QueryParameters {
        var query = QueryParameters()
        if info.subresource == "portforward" {
            for port in request.query.all("ports") { query.items.append(("port", port)) }
            return query
        }
        for (name, kubelets) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] where request.query.flag(name) {
            query.items.append((kubelets, "1"))
        }
        if info.subresource == "exec" {
            let command = request.query.all("command")
            guard !command.isEmpty else {
                throw StatusError.invalid(
                    GroupVersionKind(group: "", version: "v1", kind: "PodExecOptions"), "", [MetadataValidation.required("command", "")])
            }
            for word in command { query.items.append(("command", word)) }
        }
        if query.items.first(where: { ["input", "output", "error"].contains($0.name) }) == nil {
            throw StatusError.badRequest("you must specify at least one of stdin, stdout, stderr")
        }
        return query
    }

    private static func kubeletPath(_ segments: [String], _ query: QueryParameters) -> String {
        let path = "/" + segments.map(PercentEncoding.encode).joined(separator: "/")
        return query.items.isEmpty ? path : "\(path)?\(query.encoded)"
    }

    private static func unreachable(_ method: String, _ node: Object, _ error: any Error) -> StatusError {
        if let status = error as? StatusError { return status }
        return .internalError("\(method) to the kubelet of node \(node.metadata.name.goQuoted): \(error)")
    }

    /// A kubelet's error as the client sees it. Upstream: GenericHttpResponseChecker.Check.
    private func refusal(_ response: HTTPClientResponse) async throws -> StatusError {
        var text: [UInt8] = []
        for try await piece in response.body {
            text.append(contentsOf: piece.prefix(Self.maximumErrorBytes - text.count))
            if text.count >= Self.maximumErrorBytes { break }
        }
        let message = String(decoding: text, as: UTF8.self).trimmed
        switch response.status {
        case 500: return .internalError(message)
        case 400: return .badRequest(message)
        case 404:
            return StatusError(
                code: 404, reason: "NotFound", message: "the server could not find the requested resource ( pods/log \(info.name))",
                details: .init(name: info.name, kind: "pods/log", causes: [.init(reason: "UnexpectedServerResponse", message: message, field: "")]))
        default:
            return StatusError(
                code: response.status, reason: "InternalError",
                message: "an error on the server (\(message.goQuoted)) has prevented the request from succeeding",
                details: .init(name: info.name, kind: "pods/log", causes: [.init(reason: "UnexpectedServerResponse", message: message, field: "")]))
        }
    }
}
