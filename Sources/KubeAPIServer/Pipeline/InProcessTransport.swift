import HTTPTransport
package import KubeAPI
package import KubeClient

/// A client in the server's own process: every filter, authorisation and admission as over the network, but objects instead of bytes on a wire.
/// Its user is given, as a client certificate would.
package struct InProcessTransport: KubeTransport {
    private let server: APIServer
    private let user: UserInfo

    package init(_ server: APIServer, user: UserInfo) {
        self.server = server
        var user = user
        if !user.groups.contains(UserInfo.allAuthenticated) { user.groups.append(UserInfo.allAuthenticated) }
        self.user = user
    }

    package func perform(_ request: KubeRequest) async throws -> Object {
        switch try await response(request) {
        case .object(let object, _): return object
        case .list(let list): return try Object(bytes: list.bytes)
        case .watch: throw StatusError.badRequest("a watch is opened with watch")
        case .response(let response):
            // Logs and proxies answer bytes, which are no object.
            throw StatusError(code: response.status, reason: "", message: "\(request.path) answers no object")
        }
    }

    package func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> {
        var request = request
        request.verb = .watch
        guard case .watch(let session) = try await response(request) else { throw StatusError.badRequest("\(request.path) cannot be watched") }
        let metrics = server.metrics
        return AsyncThrowingStream { continuation in
            metrics.watches(+1)
            let task = Task {
                do {
                    try await session.run { events in for event in events { continuation.yield(event) } }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
                metrics.watches(-1)
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    private func response(_ request: KubeRequest) async throws -> APIResult {
        let started = ContinuousClock.now
        let running = try server.running()
        var info = RequestInfo(
            verb: request.verb.rawValue, resource: request.resource, namespace: request.namespace ?? "", name: request.name ?? "",
            subresource: request.subresource ?? "")
        let query = QueryParameters(request.query)
        info.fieldSelector = query["fieldSelector"] ?? ""
        info.labelSelector = query["labelSelector"] ?? ""
        if info.name.isEmpty, ["list", "watch", "deletecollection"].contains(info.verb), let name = RequestInfo.nameSelected(query["fieldSelector"]) {
            info.name = name
        }
        let gate = RequestGate(server: server, running: running, info: info, user: user)
        let audit = server.auditor?.begin(id: RandomText.uuid(), nil, info, user: user, requestURI: Self.uri(request, query))
        audit?.emit(.requestReceived, code: nil)
        if let body = request.body { audit?.request(body) }
        do {
            let ticket = try await gate.enter(query)
            defer { gate.leave(ticket) }
            let result: APIResult
            if let audit {
                result = try await AuditTrail.$current.withValue(audit) { try await work(request, query, gate) }
            } else {
                result = try await work(request, query, gate)
            }
            server.metrics.record(info, code: 200, duration: info.isLongRunning ? nil : ContinuousClock.now - started)
            if let audit { Self.finish(audit, result, isLongRunning: info.isLongRunning) }
            return result
        } catch {
            let status = Self.statusError(error)
            server.metrics.record(info, code: status.code, duration: info.isLongRunning ? nil : ContinuousClock.now - started)
            audit?.failed(status)
            audit?.emit(.responseComplete, code: status.code)
            throw status
        }
    }

    private func work(_ request: KubeRequest, _ query: QueryParameters, _ gate: RequestGate) async throws -> APIResult {
        try await gate.authorize()
        let environment = gate.running.environment
        if let service = gate.running.aggregator.remote(for: gate.info) {
            let object = try await gate.running.aggregator.perform(
                service, request.method, Self.uri(request, query), body: request.body, user: user)
            return .object(object, status: 200)
        }
        if let answer = try await gate.running.usage?.answer(gate.info) { return .object(try Object(answer), status: 200) }
        guard let scope = environment.registry.scope(request.resource) else { throw Responses.unknownResource }
        let body = request.body ?? []
        guard body.count <= RequestPipeline.maximumBodyBytes else { throw Responses.tooLarge(RequestPipeline.maximumBodyBytes) }
        let verbs = ResourceVerbs(
            environment: environment, scope: scope,
            request: APIRequest(info: gate.info, user: user, query: query, body: body, contentType: AcceptedForm.mediaType(request.contentType)))
        return try await verbs.perform().result
    }

    private static func finish(_ audit: AuditRecord, _ result: APIResult, isLongRunning: Bool) {
        var code = 200
        switch result {
        case .object(let object, let status):
            code = status
            audit.response(object.bytes, isJSON: true)
        case .list(let list): if audit.verdict.level >= .requestResponse { audit.response(list.bytes, isJSON: true) }
        case .response(let response): code = response.status
        case .watch: break
        }
        // How long a watch of a controller goes on says nothing: its beginning is what is noted.
        audit.emit(isLongRunning ? .responseStarted : .responseComplete, code: code)
    }

    private static func uri(_ request: KubeRequest, _ query: QueryParameters) -> String {
        query.items.isEmpty ? request.path : "\(request.path)?\(query.encoded)"
    }

    private static func statusError(_ error: any Error) -> StatusError {
        guard let refused = error as? FlowController.Refused else { return Responses.statusError(error) }
        var status = Responses.tooManyRequests
        status.details = .init(retryAfterSeconds: refused.retryAfter)
        return status
    }
}
