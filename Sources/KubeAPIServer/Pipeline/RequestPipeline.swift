import HTTPTransport
import KubeAPI

/// The way of one HTTP request through the server, in this order: path, limits, authentication, impersonation, authorisation, verb, encoding, audit.
/// Upstream: genericapiserver.DefaultBuildHandlerChain.
struct RequestPipeline: Sendable {
    /// Requests that are not long-running must be done by then. Upstream: --request-timeout.
    static let timeout = Duration.seconds(60)
    /// Bytes of a request body. Upstream: MaxRequestBodyBytes.
    static let maximumBodyBytes = 3 * 1024 * 1024
    /// Paths whose probes need no credentials. Upstream: what system:public-info-viewer lets unauthenticated users see.
    private static let anonymousPaths: Set<String> = ["/healthz", "/livez", "/readyz", "/version", "/version/"]

    /// What clients are told of resources on their way out. Upstream: deprecation.WarningMessage of the types' lifecycle marks.
    private static let deprecations: [GroupVersionResource: String] = [
        GroupVersionResource(group: "", version: "v1", resource: "endpoints"):
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        GroupVersionResource(group: "", version: "v1", resource: "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ]

    let server: APIServer
    let head: HTTPRequestHead

    /// Who a request turned out to be by, for the audit.
    private final class Actor: @unchecked Sendable {
        // Written by the one task that works on the request, read after it.
        var user: UserInfo?
        var requestor: UserInfo?
    }

    func respond(_ body: HTTPBodyStream) async -> HTTPResponse {
        let started = ContinuousClock.now
        let query = QueryParameters(encoded: head.query)
        let actor = Actor()
        var info: RequestInfo?
        var response: HTTPResponse
        do {
            guard let parsed = try RequestInfo(method: head.method, rawPath: head.path, query: query) else {
                return Responses.text("404 page not found\n", status: 404)
            }
            info = parsed
            response = try await answer(parsed, query, body, actor)
        } catch {
            response = failure(error)
        }
        if head.method == "HEAD", case .bytes = response.body { response.body = .bytes([]) }
        let seen = info ?? RequestInfo(nonResource: String(head.path), method: head.method)
        server.metrics.record(seen, code: response.status, duration: seen.isLongRunning ? nil : ContinuousClock.now - started)
        if let audit = server.configuration.audit {
            audit(
                AuditEvent(
                    time: server.configuration.now(), method: head.method, target: head.target, verb: seen.verb, user: actor.user?.name ?? "",
                    impersonator: actor.requestor == actor.user ? nil : actor.requestor?.name, sourceAddress: head.connection.remoteAddress,
                    userAgent: head.fields["User-Agent"] ?? "", code: response.status))
        }
        return response
    }

    private func failure(_ error: any Error) -> HTTPResponse {
        Responses.failure(Responses.statusError(error))
    }

    private func answer(_ info: RequestInfo, _ query: QueryParameters, _ body: HTTPBodyStream, _ actor: Actor) async throws -> HTTPResponse {
        // Probes of the process itself are answered whatever state it is in.
        if HealthEndpoints.paths.contains(info.path) { return health(info.path, query) }
        let running = try server.running()
        let requestor = try await authenticate(info, running)
        actor.requestor = requestor
        let user = try Impersonation.user(for: head, requestor: requestor, authorizers: running.components.authorizers)
        actor.user = user

        let isMutating = !["get", "list", "watch", "head", "options"].contains(info.verb)
        guard !info.isLongRunning else { return try await dispatch(info, query, body, user, running) }
        guard server.inFlight.enter(isMutating: isMutating, isExempt: user.groups.contains(PrivilegedGroupsAuthorizer.masters)) else {
            throw Responses.tooManyRequests
        }
        defer { server.inFlight.leave(isMutating: isMutating) }
        guard isMutating else { return try await dispatch(info, query, body, user, running) }
        return try await withTimeout { try await dispatch(info, query, body, user, running) }
    }

    private func health(_ path: String, _ query: QueryParameters) -> HTTPResponse {
        do {
            return try server.running().health.respond(path: path, query: query) ?? Responses.text("404 page not found\n", status: 404)
        } catch {
            if path == "/livez" { return Responses.text("ok") }
            return Responses.text("[-]startup failed: reason withheld\n\(path.dropFirst()) check failed\n", status: 500)
        }
    }

    /// The user of the request. Throws 401 for credentials nobody vouches for, and for none at all, except on the few public paths.
    private func authenticate(_ info: RequestInfo, _ running: APIServer.Running) async throws -> UserInfo {
        var refused = false
        for authenticator in running.components.authenticators {
            do {
                guard var user = try await authenticator.authenticate(head) else { continue }
                if !user.groups.contains(UserInfo.allAuthenticated), user.name != UserInfo.anonymous.name {
                    user.groups.append(UserInfo.allAuthenticated)
                }
                return user
            } catch is StatusError {
                refused = true
            }
        }
        guard !refused, head.fields["Authorization"] == nil, !info.isResourceRequest, Self.anonymousPaths.contains(info.path) else {
            throw StatusError.unauthorized
        }
        return .anonymous
    }

    private func dispatch(
        _ info: RequestInfo, _ query: QueryParameters, _ body: HTTPBodyStream, _ user: UserInfo, _ running: APIServer.Running
    ) async throws -> HTTPResponse {
        try Authorization.require(info.attributes(user), running.components.authorizers)
        guard info.isResourceRequest else { return try nonResource(info, query, user, running) }
        let form = try AcceptedForm.negotiate(head.fields.all("Accept"))
        guard let scope = running.environment.registry.scope(info.groupVersionResource) else { throw Responses.unknownResource }
        guard !info.verb.isEmpty else { throw StatusError.methodNotSupported(scope.resource, head.method.lowercased()) }
        var request = APIRequest(info: info, user: user, query: query, head: head)
        if info.verb != "get", info.verb != "list", info.verb != "watch", !head.isUpgrade {
            request.body = try await body.collect(limit: Self.maximumBodyBytes)
            request.contentType = AcceptedForm.mediaType(head.fields["Content-Type"])
            if request.contentType == ProtobufDecoder.mediaType, info.subresource != "proxy" {
                if !request.body.isEmpty { request.body = try ProtobufDecoder.decode(request.body).jsonBytes }
                request.contentType = Responses.json
            }
        }
        let encoder = ResponseEncoder(scope: scope, form: form, query: query, metrics: server.metrics)
        do {
            var response = try await ResourceVerbs(environment: running.environment, scope: scope, request: request).perform()
            if let deprecation = Self.deprecations[scope.row.groupVersionResource] { response.warnings.insert(deprecation, at: 0) }
            return try encoder.encode(response)
        } catch let error as StatusError where info.verb == "watch" && error.isExpired {
            // Once a watch was understood, its errors are events. Upstream: cacher.newErrWatcher.
            return encoder.failedWatch(error)
        }
    }

    private func nonResource(_ info: RequestInfo, _ query: QueryParameters, _ user: UserInfo, _ running: APIServer.Running) throws -> HTTPResponse {
        guard head.method == "GET" || head.method == "HEAD" || head.method == "POST" else {
            return Responses.text("405 method not allowed\n", status: 405)
        }
        if let response = running.health.respond(path: info.path, query: query) { return response }
        switch info.path {
        case "/metrics":
            return Responses.text(server.metrics.text(inFlight: server.inFlight.current, revision: running.store.revision))
        default: break
        }
        if let (contentType, bytes, etag) = try running.discovery.document(path: info.path, accept: head.fields.all("Accept").joined(separator: ","))
        {
            let fields: HTTPFields = ["Cache-Control": "public", "Content-Type": contentType, "ETag": etag, "Vary": "Accept"]
            if head.fields["If-None-Match"] == etag { return HTTPResponse(status: 304, fields: fields) }
            return HTTPResponse(status: 200, fields: fields, body: .bytes(bytes))
        }
        for responder in running.components.paths { if let response = responder.respond(to: head, path: info.path, user: user) { return response } }
        return Responses.text("404 page not found\n", status: 404)
    }

    /// Upstream: genericfilters.WithTimeoutForNonLongRunningRequests.
    private func withTimeout(_ work: @escaping @Sendable () async throws -> HTTPResponse) async throws -> HTTPResponse {
        try await withThrowingTaskGroup(of: HTTPResponse?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                // Cancelled as soon as the work is done.
                try await Task.sleep(for: Self.timeout)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let response = first else { throw Responses.timeout }
            return response
        }
    }
}

extension RequestInfo {
    /// A request that is on no resource.
    init(nonResource path: String, method: String) {
        self.path = path
        verb = method.lowercased()
    }
}
