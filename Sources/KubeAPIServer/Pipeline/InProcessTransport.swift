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
        if info.name.isEmpty, ["list", "watch", "deletecollection"].contains(info.verb), let name = RequestInfo.nameSelected(query["fieldSelector"]) {
            info.name = name
        }
        let isMutating = !["get", "list", "watch"].contains(info.verb)
        var code = 200
        do {
            try Authorization.require(info.attributes(user), running.components.authorizers)
            let isExempt = user.groups.contains(PrivilegedGroupsAuthorizer.masters)
            if !info.isLongRunning {
                guard server.inFlight.enter(isMutating: isMutating, isExempt: isExempt) else { throw Responses.tooManyRequests }
            }
            defer { if !info.isLongRunning { server.inFlight.leave(isMutating: isMutating) } }
            guard let scope = running.environment.registry.scope(request.resource) else { throw Responses.unknownResource }
            let body = request.body ?? []
            guard body.count <= RequestPipeline.maximumBodyBytes else { throw Responses.tooLarge(RequestPipeline.maximumBodyBytes) }
            let verbs = ResourceVerbs(
                environment: running.environment, scope: scope,
                request: APIRequest(info: info, user: user, query: query, body: body, contentType: AcceptedForm.mediaType(request.contentType)))
            let result = try await verbs.perform().result
            server.metrics.record(info, code: code, duration: info.isLongRunning ? nil : ContinuousClock.now - started)
            return result
        } catch {
            code = Responses.statusError(error).code
            server.metrics.record(info, code: code, duration: info.isLongRunning ? nil : ContinuousClock.now - started)
            throw error is StatusError ? error : Responses.statusError(error)
        }
    }
}
