import ContainerRuntime
import HTTPTransport
import KubeAPI

/// Runs one probe or one lifecycle handler's action. Upstream: pkg/probe and lifecycle/handlers.go.
struct ProbeActions: Sendable {
    let runtime: any ContainerRuntime
    /// `kube-probe/1.36`.
    let userAgent: String
    /// What is read of an answer. Upstream: maxRespBodyLength, and exec's maxReadLength.
    static let answerLimit = 10 << 10

    /// Where to reach the container.
    struct Target: Sendable {
        var containerID: String
        var podIP: String
        var container: ContainerSpec
    }

    func probe(_ view: JSONView, _ target: Target, timeout: Duration) async -> ProbeOutcome {
        if let exec = view["exec"] { return await command(exec["command"].strings, target, timeout: timeout) }
        if let http = view["httpGet"] { return await httpGet(http, target, timeout: timeout) }
        if let tcp = view["tcpSocket"] { return await tcpSocket(tcp, target, timeout: timeout) }
        if let grpc = view["grpc"] { return await grpcHealth(grpc, target, timeout: timeout) }
        return .unknown("missing probe handler for \(target.container.name)")
    }

    private func command(_ command: [String], _ target: Target, timeout: Duration) async -> ProbeOutcome {
        do {
            let result = try await runtime.execSync(target.containerID, command: command, timeout: timeout)
            if result.exitCode == 0 { return .success }
            let text = String(decoding: (result.stdout + result.stderr).prefix(Self.answerLimit), as: UTF8.self)
            return .failure(text)
        } catch let error as RuntimeError where error.code == .deadlineExceeded {
            return .failure("command timed out: \"\(command.joined(separator: " "))\" timed out after \(goDuration(timeout.inSeconds))")
        } catch {
            return .unknown("\(error)")
        }
    }

    /// The request of an `httpGet`. Nil: the container has no such port.
    private func request(_ view: JSONView, _ target: Target) -> HTTPProbeRequest? {
        guard let port = target.container.port(view["port"]) else { return nil }
        let host = view["host"].string.flatMap { $0.isEmpty ? nil : $0 } ?? target.podIP
        var path = view["path"].string ?? "/"
        if !path.hasPrefix("/") { path = "/" + path }
        var fields: HTTPFields = [:]
        for header in view["httpHeaders"].elements { fields.add(header["name"].string ?? "", header["value"].string ?? "") }
        if fields["Host"] == nil { fields["Host"] = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
        if fields["User-Agent"] == nil { fields["User-Agent"] = userAgent }
        if fields["Accept"] == nil { fields["Accept"] = "*/*" }
        fields["Connection"] = "close"
        let isTLS = (view["scheme"].string ?? "HTTP").uppercased() == "HTTPS"
        return HTTPProbeRequest(host: host, port: port, path: path, fields: fields, isTLS: isTLS)
    }

    private func httpGet(_ view: JSONView, _ target: Target, timeout: Duration) async -> ProbeOutcome {
        guard let request = request(view, target) else { return .unknown("invalid port in httpGet probe") }
        do {
            let (status, text) = try await send(request, timeout: timeout)
            switch status {
            case 200..<300: return .success
            case 300..<400: return .warning("Probe terminated redirects, Response body: \(text)")
            default: return .failure("HTTP probe failed with statuscode: \(status)")
            }
        } catch {
            return .failure("\(error)")
        }
    }

    /// For lifecycle handlers: throws when the request could not be made or was refused.
    func httpHook(_ view: JSONView, _ target: Target) async throws {
        guard let request = request(view, target) else { throw ContainerConfigError("invalid port in httpGet handler") }
        let (status, _) = try await send(request, timeout: .seconds(60))
        guard (200..<400).contains(status) else { throw ContainerConfigError("HTTP request failed with statuscode: \(status)") }
    }

    /// Longer than any probe waits, and what clocks can add.
    private static let longestTimeout = Duration.seconds(1 << 31)

    /// Follows redirects to the same host, whatever its port and scheme; one to another host is the answer, with its text. Upstream: RedirectChecker.
    private func send(_ request: HTTPProbeRequest, timeout: Duration) async throws(HTTPProbeFailure) -> (status: Int, text: String) {
        let deadline = ContinuousClock.now + min(timeout, Self.longestTimeout)
        var next = request
        var last = request.url
        for _ in 0..<HTTPProbeRequest.limit {
            let (status, fields, text) = try await sendOnce(next, until: deadline)
            guard let location = HTTPProbeRequest.location(status, fields) else { return (status, text) }
            guard let followed = next.redirected(to: location) else {
                throw HTTPProbeFailure(url: next.url, text: "failed to parse Location header \(location.goQuoted)")
            }
            if followed.host != request.host { return (status, text) }
            (next, last) = (followed, location)
        }
        throw HTTPProbeFailure(url: last, text: "stopped after \(HTTPProbeRequest.limit) redirects")
    }

    /// One request and its answer; only a redirect's text is read.
    private func sendOnce(
        _ request: HTTPProbeRequest, until deadline: ContinuousClock.Instant
    ) async throws(HTTPProbeFailure) -> (Int, HTTPFields, String) {
        // A probe asks whether somebody answers, not who. Upstream: the prober's InsecureSkipVerify.
        let tls = request.isTLS ? HTTPClient.TLS(verifiesServer: false) : nil
        var configuration = HTTPClient.Configuration(address: .tcp(host: request.host, port: request.port), tls: tls)
        let timeout = max(.milliseconds(1), deadline - .now)
        configuration.connectTimeout = timeout
        do {
            let client = try HTTPClient(configuration: configuration)
            do {
                let response = try await client.execute("GET", request.path, fields: request.fields, timeout: timeout)
                let text = (300..<400).contains(response.status) ? try await Self.text(of: response.body, until: deadline) : ""
                await client.close()
                return (response.status, response.fields, text)
            } catch {
                await client.close()
                throw error
            }
        } catch {
            throw HTTPProbeFailure(url: request.url, text: Self.text(error))
        }
    }

    /// The beginning of a body, as far as events show it.
    private static func text(of body: HTTPBodyStream, until deadline: ContinuousClock.Instant) async throws -> String {
        try await withThrowingTaskGroup(of: String.self) { group in
            group.addTask {
                var bytes: [UInt8] = []
                for try await piece in body {
                    bytes += piece
                    if bytes.count >= answerLimit { break }
                }
                return String(decoding: bytes.prefix(answerLimit), as: UTF8.self)
            }
            group.addTask {
                try await Task.sleep(until: deadline)
                throw HTTPError.timeout("the body of a response")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? ""
        }
    }

    private func tcpSocket(_ view: JSONView, _ target: Target, timeout: Duration) async -> ProbeOutcome {
        guard let port = target.container.port(view["port"]) else { return .unknown("invalid port in tcpSocket probe") }
        let host = view["host"].string.flatMap { $0.isEmpty ? nil : $0 } ?? target.podIP
        do {
            var configuration = HTTPClient.Configuration(address: .tcp(host: host, port: port))
            configuration.connectTimeout = timeout
            let client = try HTTPClient(configuration: configuration)
            let tunnel = try await client.connect()
            await tunnel.close()
            await client.close()
            return .success
        } catch {
            return .failure("dial tcp \(HTTPAddress.tcp(host: host, port: port)): \(Self.text(error))")
        }
    }

    /// grpc.health.v1.Health/Check: the request has the service's name in field 1, the answer its status in field 1, 1 being SERVING.
    private func grpcHealth(_ view: JSONView, _ target: Target, timeout: Duration) async -> ProbeOutcome {
        guard let port = view["port"].int.flatMap({ Int(exactly: $0) }) else { return .unknown("invalid port in grpc probe") }
        let service = Array((view["service"].string ?? "").utf8).prefix(127)
        let message: [UInt8] = service.isEmpty ? [] : [0x0A, UInt8(service.count)] + service
        let channel = GRPCChannel(address: .tcp(host: target.podIP, port: port))
        defer { Task { await channel.close() } }
        do {
            let answer = try await channel.unary("/grpc.health.v1.Health/Check", message, timeout: timeout)
            if answer.count >= 2, answer[0] == 0x08, answer[1] == 1 { return .success }
            return .failure("service unhealthy (responded with \"NOT_SERVING\")")
        } catch let error as GRPCError where error.code == GRPCError.unimplemented {
            return .failure("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): \(error.message)")
        } catch {
            return .failure("error: health rpc probe failed: \(Self.text(error))")
        }
    }

    private static func text(_ error: any Error) -> String {
        switch error as? HTTPError {
        case .connectFailed(let text): text
        case .timeout: "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        case .connectionClosed: "EOF"
        default: "\(error)"
        }
    }
}
