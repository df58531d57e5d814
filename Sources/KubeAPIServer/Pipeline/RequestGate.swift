import HTTPTransport
import KubeAPI

/// What every request passes after its user is known, by whichever transport it came: priority and fairness, then authorisation, with notes for the
/// audit.
struct RequestGate: Sendable {
    let server: APIServer
    let running: APIServer.Running
    let info: RequestInfo
    let user: UserInfo

    /// Verbs that change nothing. Upstream: genericfilters.nonMutatingRequestVerbs.
    static let readVerbs: Set<String> = ["get", "list", "watch", "head", "options"]

    var isMutating: Bool { !Self.readVerbs.contains(info.verb) }
    /// Long-running requests are not held up; of watches only the beginning is. Upstream: WithPriorityAndFairness.
    var isFlowControlled: Bool { !info.isLongRunning || info.verb == "watch" }

    func seats(_ query: QueryParameters) -> Int {
        WorkEstimate.seats(info, query) { running.environment.registry.count(of: info.groupResource) }
    }

    /// A place to work, waited for if need be; nil for requests that need none. To be given back with `leave`. Throws `FlowController.Refused`.
    func enter(_ query: QueryParameters) async throws -> FlowController.Ticket? {
        guard isFlowControlled else { return nil }
        let ticket = try await running.flow.enter(user, info, seats: seats(query))
        if !info.isLongRunning { server.metrics.inFlight(+1, isMutating: isMutating) }
        return ticket
    }

    /// The same without waiting: nil when it would have to, or be refused.
    func enterNow(_ query: QueryParameters) -> FlowController.Ticket? {
        guard isFlowControlled, let ticket = running.flow.enterNow(user, info, seats: seats(query)) else { return nil }
        if !info.isLongRunning { server.metrics.inFlight(+1, isMutating: isMutating) }
        return ticket
    }

    func leave(_ ticket: FlowController.Ticket?) {
        guard let ticket else { return }
        if !info.isLongRunning { server.metrics.inFlight(-1, isMutating: isMutating) }
        running.flow.leave(ticket)
    }

    /// Throws upstream's 403 unless the user may. Upstream: endpoints/filters.WithAuthorization.
    func authorize() async throws {
        let attributes = info.attributes(user)
        var decision = Authorization.decide(attributes, running.components.authorizers)
        if case .noOpinion(let reason) = decision, !running.components.remoteAuthorizers.isEmpty {
            decision = try await Authorization.decide(attributes, remote: running.components.remoteAuthorizers, reason: reason)
        }
        switch decision {
        case .allow(let reason):
            AuditTrail.annotate("authorization.k8s.io/decision", "allow")
            AuditTrail.annotate("authorization.k8s.io/reason", reason)
        case .deny(let reason), .noOpinion(let reason):
            AuditTrail.annotate("authorization.k8s.io/decision", "forbid")
            AuditTrail.annotate("authorization.k8s.io/reason", reason)
            throw Authorization.forbidden(attributes, reason: reason)
        }
    }

    /// The refusal of an overloaded server, in upstream's words and with its headers: no Status but a text.
    static func refusal(_ refused: FlowController.Refused) -> HTTPResponse {
        var response = Responses.text("Too many requests, please try again later.\n", status: 429)
        response.fields.add("Retry-After", String(refused.retryAfter))
        response.fields.add("X-Kubernetes-Pf-Flowschema-Uid", refused.schemaUID)
        response.fields.add("X-Kubernetes-Pf-Prioritylevel-Uid", refused.levelUID)
        return response
    }
}
