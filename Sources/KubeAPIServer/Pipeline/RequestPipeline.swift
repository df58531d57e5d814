import HTTPTransport
import KubeAPI

/// The way of one HTTP request through the server, in this order: path, authentication, audit, impersonation, deadline, priority and fairness,
/// authorisation, verb, encoding, metrics. Upstream: genericapiserver.DefaultBuildHandlerChain.
struct RequestPipeline: Sendable {
    /// Bytes of a request body. Upstream: MaxRequestBodyBytes.
    static let maximumBodyBytes = 3 * 1024 * 1024
    /// Bytes of path and query: what fits into the header limit of the listener is parsed, but no legitimate request is longer than this.
    static let maximumTargetBytes = 32 * 1024
    /// Seconds a client of a server that shuts down is told to wait. Upstream: genericfilters.WithRetryAfter.
    private static let shutdownRetryAfter = 5

    /// What clients are told of resources on their way out. Upstream: deprecation.WarningMessage of the types' lifecycle marks.
    static let deprecations: [GroupVersionResource: String] = [
        GroupVersionResource(group: "", version: "v1", resource: "endpoints"):
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        GroupVersionResource(group: "", version: "v1", resource: "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ]

    let server: APIServer
    let head: HTTPRequestHead

    /// What becomes known of a request on its way. Written by the one task that works on the request, read after it.
    final class Trace: @unchecked Sendable {
        var audit: AuditRecord?
        var isServed = false
        /// Bytes of a response that streams, where they are known before.
        var streamedBytes: Int?
        /// What the client is told when it asked for a deprecated version.
        var deprecation: String?
    }

    func respond(_ body: HTTPBodyStream) async -> HTTPResponse {
        guard head.target.utf8.count <= Self.maximumTargetBytes else { return Responses.text("414 URI Too Long\n", status: 414) }
        let started = ContinuousClock.now
        let query = QueryParameters(encoded: head.query)
        let trace = Trace()
        let auditID = Auditor.identifier(head)
        var info: RequestInfo?
        var response: HTTPResponse
        do {
            guard let parsed = try RequestInfo(method: head.method, rawPath: head.path, query: query) else {
                return Responses.text("404 page not found\n", status: 404)
            }
            info = parsed
            response = try await answer(parsed, query, body, auditID, trace)
        } catch let refused as FlowController.Refused {
            response = RequestGate.refusal(refused)
        } catch {
            let status = Responses.statusError(error)
            trace.audit?.failed(status)
            response = Responses.failure(status, accept: head.fields.all("Accept"))
        }
        return complete(response, info, query, auditID: auditID, started: started, trace)
    }

    /// What every answer gets on its way out: its audit's identifier, metrics, compression.
    func complete(
        _ answer: HTTPResponse, _ info: RequestInfo?, _ query: QueryParameters, auditID: String, started: ContinuousClock.Instant, _ trace: Trace
    ) -> HTTPResponse {
        var response = answer
        response.fields.add("Audit-Id", auditID)
        if head.method == "HEAD", case .bytes = response.body { response.body = .bytes([]) }
        let seen = info ?? RequestInfo(nonResource: String(head.path), method: head.method)
        var size = trace.streamedBytes
        if case .bytes(let bytes) = response.body { size = bytes.count }
        server.metrics.record(
            seen, code: response.status, duration: seen.isLongRunning ? nil : ContinuousClock.now - started, isServed: trace.isServed,
            isDryRun: query["dryRun"] == "All", bytes: size)
        if let warning = trace.deprecation {
            server.deprecated.record(
                seen.groupVersionResource, subresource: seen.subresource, userAgent: head.fields["User-Agent"] ?? "", warning: warning,
                now: server.configuration.now())
        }
        if let audit = trace.audit { finish(audit, &response) }
        Responses.compress(&response, acceptEncoding: head.fields["Accept-Encoding"])
        return response
    }

    /// The last events of a request: at once for a response at hand, at its end for one that streams.
    private func finish(_ audit: AuditRecord, _ response: inout HTTPResponse) {
        let code = response.status
        switch response.body {
        case .bytes(let bytes):
            audit.response(bytes, isJSON: response.fields["Content-Type"]?.hasPrefix(Responses.json) ?? false)
            audit.emit(.responseComplete, code: code)
        case .stream(let produce):
            audit.emit(.responseStarted, code: code)
            // Its end has to be seen.
            response.source = nil
            response.body = .stream { writer in
                defer { audit.emit(.responseComplete, code: code) }
                try await produce(writer)
            }
        case .upgrade(let run):
            audit.emit(.responseStarted, code: code)
            response.body = .upgrade { tunnel in
                await run(tunnel)
                audit.emit(.responseComplete, code: code)
            }
        }
    }

    private func answer(
        _ info: RequestInfo, _ query: QueryParameters, _ body: HTTPBodyStream, _ auditID: String, _ trace: Trace
    ) async throws -> HTTPResponse {
        // Probes of the process itself are answered whatever state it is in.
        if HealthEndpoints.paths.contains(info.path) { return health(info.path, query) }
        let running = try server.running()
        if server.isShuttingDown, !info.isExemptFromShutdown { return Self.shuttingDown }
        let requestor = try await authenticate(info, running, auditID, trace)
        guard let auditor = server.auditor, let audit = auditor.begin(id: auditID, head, info, user: requestor) else {
            return try await admit(info, query, body, requestor, running, trace)
        }
        trace.audit = audit
        audit.emit(.requestReceived, code: nil)
        return try await AuditTrail.$current.withValue(audit) { try await admit(info, query, body, requestor, running, trace) }
    }

    private func health(_ path: String, _ query: QueryParameters) -> HTTPResponse {
        do {
            return try server.running().health.respond(path: path, query: query) ?? Responses.text("404 page not found\n", status: 404)
        } catch {
            if path == "/livez" { return Responses.text("ok") }
            return Responses.text("[-]startup failed: reason withheld\n\(path.dropFirst()) check failed\n", status: 500)
        }
    }

    private static var shuttingDown: HTTPResponse {
        var response = Responses.text("The apiserver is shutting down, please try again later.\n", status: 429)
        response.fields.add("Retry-After", String(shutdownRetryAfter))
        // Leads HTTP/1 clients to a new connection, and so to another server if there is one.
        response.fields.add("Connection", "close")
        return response
    }

    /// The user of the request. A refusal is audited, too. Upstream: WithAuthentication with WithFailedAuthenticationAudit.
    private func authenticate(_ info: RequestInfo, _ running: APIServer.Running, _ auditID: String, _ trace: Trace) async throws -> UserInfo {
        do {
            let user = try await running.authentication.user(head, info)
            server.metrics.authenticated(.success)
            return user
        } catch {
            server.metrics.authenticated(head.fields["Authorization"] == nil ? .failure : .error)
            if let auditor = server.auditor, let audit = auditor.begin(id: auditID, head, info, user: nil) {
                trace.audit = audit
                audit.failed(
                    StatusError(code: 401, reason: "Unauthorized", message: "Authentication failed, attempted: \(attempted)", details: nil))
                audit.emit(.responseStarted, code: 401)
            }
            throw error
        }
    }

    /// Upstream: getAuthMethods.
    private var attempted: String {
        if let header = head.fields["Authorization"] { return header.lowercased().hasPrefix("bearer ") ? "bearer" : "unknown" }
        return head.connection.peerCertificates.isEmpty ? "no credentials" : "x509"
    }

    private func admit(
        _ info: RequestInfo, _ query: QueryParameters, _ body: HTTPBodyStream, _ requestor: UserInfo, _ running: APIServer.Running, _ trace: Trace
    ) async throws -> HTTPResponse {
        let impersonated = try await Impersonation.user(for: head, info: info, requestor: requestor, running.components)
        if let impersonated { trace.audit?.impersonating(impersonated.user, constraint: impersonated.constraint) }
        let user = impersonated?.user ?? requestor
        let deadline = info.isLongRunning ? nil : try RequestDeadline.of(query)
        let gate = RequestGate(server: server, running: running, info: info, user: user)
        let ticket = try await gate.enter(query)
        defer { gate.leave(ticket) }
        var response: HTTPResponse
        // Reads are answered from memory and wait for nothing: they need no clock.
        if let deadline, gate.isMutating {
            do {
                response = try await server.deadlines.run(within: deadline) { try await dispatch(info, query, body, gate, trace) }
            } catch is Deadlines.Exceeded {
                server.metrics.terminated(code: 504)
                throw Responses.timeout
            }
        } else {
            response = try await dispatch(info, query, body, gate, trace)
        }
        if let ticket, !ticket.schemaUID.isEmpty {
            response.fields.add("X-Kubernetes-Pf-Flowschema-Uid", ticket.schemaUID)
            response.fields.add("X-Kubernetes-Pf-Prioritylevel-Uid", ticket.levelUID)
        }
        return response
    }

    private func dispatch(
        _ info: RequestInfo, _ query: QueryParameters, _ body: HTTPBodyStream, _ gate: RequestGate, _ trace: Trace
    ) async throws -> HTTPResponse {
        let running = gate.running
        let user = gate.user
        do {
            try await gate.authorize()
            if let service = running.aggregator.remote(for: info) {
                trace.isServed = true
                return try await running.aggregator.proxy(service, head, body: head.isUpgrade ? nil : body, user: user)
            }
            if let answer = try await running.usage?.answer(info) {
                trace.isServed = true
                return Responses.object(answer.jsonBytes)
            }
            guard info.isResourceRequest else { return try nonResource(info, query, user, running) }
            guard let scope = running.environment.registry.scope(info.groupVersionResource) else { throw Responses.unknownResource }
            trace.isServed = true
            // What a proxied answer looks like is between client and backend.
            let form = try AcceptedForm.negotiate(
                info.subresource == "proxy" ? [] : head.fields.all("Accept"), endpoint: .init(scope.row, subresource: info.subresource),
                isWatch: info.verb == "watch")
            guard !info.verb.isEmpty || (info.subresource == "proxy" && head.method == "OPTIONS") else {
                throw StatusError.methodNotSupported(scope.resource, head.method.lowercased())
            }
            var request = APIRequest(info: info, user: user, query: query, head: head)
            if info.subresource == "proxy" {
                request.stream = head.isUpgrade ? nil : body
            } else if info.verb != "get", info.verb != "list", info.verb != "watch", !head.isUpgrade {
                request.body = try await body.collect(limit: Self.maximumBodyBytes)
                request.contentType = AcceptedForm.mediaType(head.fields["Content-Type"])
                try RequestContent.decode(&request, scope: scope)
                trace.audit?.request(request.body)
            }
            let encoder = ResponseEncoder(scope: scope, form: form, query: query, metrics: server.metrics, userAgent: head.fields["User-Agent"] ?? "")
            let verbs = ResourceVerbs(environment: running.environment, scope: scope, request: request)
            do {
                var response = try await verbs.perform()
                if let deprecation = scope.custom == nil ? Self.deprecations[scope.row.groupVersionResource] : scope.custom?.deprecation {
                    response.warnings.insert(deprecation, at: 0)
                    trace.deprecation = deprecation
                }
                // An audit may want the whole body.
                if trace.audit == nil, let streamed = encoder.streamed(response, acceptEncoding: head.fields["Accept-Encoding"]) {
                    trace.streamedBytes = streamed.bytes
                    return streamed.response
                }
                return try encoder.encode(response)
            } catch let error as StatusError where info.verb == "watch" && error.isExpired {
                // Once a watch was understood, its errors are events. Upstream: cacher.newErrWatcher.
                return encoder.failedWatch(error)
            }
        } catch {
            // Turned into a response here, so that headers and seats are handled in one place.
            let status = Responses.statusError(error)
            trace.audit?.failed(status)
            return Responses.failure(status, accept: head.fields.all("Accept"))
        }
    }

    private func nonResource(_ info: RequestInfo, _ query: QueryParameters, _ user: UserInfo, _ running: APIServer.Running) throws -> HTTPResponse {
        guard head.method == "GET" || head.method == "HEAD" || head.method == "POST" else {
            return Responses.text("405 method not allowed\n", status: 405)
        }
        if let response = running.health.respond(path: info.path, query: query) { return response }
        if info.path == "/metrics" { return MetricsPage.response(server, running) }
        if let text = FlowControlDump.text(info.path, query, running.flow) { return Responses.text(text) }
        let local = try running.discovery.document(path: info.path, accept: head.fields.all("Accept").joined(separator: ","))
        if let document = running.documents.document(info.path, local: local) {
            return try DocumentResponse.make(document, path: info.path, hash: query["hash"], head: head, now: server.configuration.now())
        }
        for responder in running.components.paths { if let response = responder.respond(to: head, path: info.path, user: user) { return response } }
        return Responses.text("404 page not found\n", status: 404)
    }
}

extension RequestInfo {
    /// A request that is on no resource.
    init(nonResource path: String, method: String) {
        self.path = path
        verb = method.lowercased()
    }

    /// Asked by whoever watches the server itself: answered to its end. Upstream: hasExemptPathPrefix.
    var isExemptFromShutdown: Bool {
        !isResourceRequest && ["/metrics", "/livez", "/readyz", "/healthz"].contains { path.hasPrefix($0) }
    }
}
