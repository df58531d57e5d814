import HTTPTransport
import KubeAPI
import Synchronization

/// What is gathered about one request for its audit events. Upstream: audit.AuditContext with audit.Event.
final class AuditRecord: Sendable {
    private struct State {
        var impersonated: UserInfo?
        var impersonationConstraint = ""
        var objectName = ""
        var requestObject: [UInt8]?
        var responseObject: [UInt8]?
        var status: StatusError?
        /// In the order in which they came.
        var annotations: [(key: String, value: String)] = []
    }

    let id: String
    let verdict: AuditPolicy.Verdict
    private let auditor: Auditor
    private let requestURI: String
    private let info: RequestInfo
    private let user: UserInfo
    private let sources: [String]
    private let userAgent: String
    private let received: Timestamp
    private let state = Mutex(State())

    init(
        id: String, verdict: AuditPolicy.Verdict, auditor: Auditor, requestURI: String, info: RequestInfo, user: UserInfo, sources: [String],
        userAgent: String, received: Timestamp
    ) {
        self.id = id
        self.verdict = verdict
        self.auditor = auditor
        self.requestURI = requestURI
        self.info = info
        self.user = user
        self.sources = sources
        self.userAgent = userAgent
        self.received = received
    }

    /// The user the request is made as, if it is not who made it, and the verb of a constrained mode that allowed it. Upstream:
    /// audit.LogImpersonatedUser.
    func impersonating(_ user: UserInfo, constraint: String) {
        state.withLock {
            $0.impersonated = user
            $0.impersonationConstraint = constraint
        }
    }

    /// The first value of a key counts. Upstream: audit.AddAuditAnnotation.
    func annotate(_ key: String, _ value: String) {
        state.withLock { state in if !state.annotations.contains(where: { $0.key == key }) { state.annotations.append((key, value)) } }
    }

    /// The body of a request, at the levels that want it. What is no JSON is left out. Upstream: audit.LogRequestObject, LogRequestPatch.
    func request(_ body: [UInt8]) {
        guard info.isResourceRequest, !body.isEmpty else { return }
        if info.name.isEmpty, info.verb == "create", let object = try? Object(bytes: body) {  // No JSON: no name to tell.
            let name = object.metadata.name
            state.withLock { $0.objectName = name }
        }
        guard verdict.level >= .request, let json = stripped(body) else { return }
        state.withLock { $0.requestObject = json }
    }

    /// The body of a response. Upstream: audit.LogResponseObject.
    func response(_ body: [UInt8], isJSON: Bool) {
        guard verdict.level >= .requestResponse, info.isResourceRequest, isJSON, !body.isEmpty, let json = stripped(body) else { return }
        state.withLock { $0.responseObject = json }
    }

    /// The first failure that is told stays: what was tried to log in with says more than the 401 it leads to.
    func failed(_ error: StatusError) { state.withLock { if $0.status == nil { $0.status = error } } }

    /// Writes an event, unless the policy leaves its stage out. `code`: the response's, nil before there is one.
    func emit(_ stage: AuditStage, code: Int?) {
        guard !verdict.omitStages.contains(stage) else { return }
        auditor.accept(line(stage, code: code, at: auditor.now()))
    }

    /// The body as it is written down: JSON, without `managedFields` if the policy says so.
    private func stripped(_ body: [UInt8]) -> [UInt8]? {
        guard let document = try? JSONDocument(body) else { return nil }  // Of what is no JSON nothing is written.
        guard verdict.omitManagedFields else { return body }
        var tree = document.root.value
        tree[path: "metadata", "managedFields"] = nil
        if let items = tree["items"]?.array {
            tree["items"] = .array(
                items.map { item in
                    var item = item
                    item[path: "metadata", "managedFields"] = nil
                    return item
                })
        }
        return tree.jsonBytes
    }

    // MARK: The event on the wire

    /// One event of audit.k8s.io/v1 as a line of JSON, fields in upstream's order.
    private func line(_ stage: AuditStage, code: Int?, at time: Timestamp) -> [UInt8] {
        let state = state.withLock { $0 }
        var out: [UInt8] = []
        out.reserveCapacity(1024 + (state.requestObject?.count ?? 0) + (state.responseObject?.count ?? 0))
        out.append(contentsOf: "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"\(verdict.level.rawValue)\"".utf8)
        func text(_ key: String, _ value: String) {
            guard !value.isEmpty else { return }
            out.append(contentsOf: ",\"\(key)\":".utf8)
            Value.write(value, to: &out)
        }
        func raw(_ key: String, _ json: [UInt8]?) {
            guard let json else { return }
            out.append(contentsOf: ",\"\(key)\":".utf8)
            out.append(contentsOf: json)
        }
        text("auditID", id)
        text("stage", stage.rawValue)
        text("requestURI", requestURI)
        text("verb", info.verb)
        raw("user", AuthenticationReviews.value(user).jsonBytes)
        raw("impersonatedUser", state.impersonated.map { AuthenticationReviews.value($0).jsonBytes })
        if !state.impersonationConstraint.isEmpty {
            raw("authenticationMetadata", (["impersonationConstraint": .string(state.impersonationConstraint)] as Value).jsonBytes)
        }
        if !sources.isEmpty { raw("sourceIPs", Value(sources).jsonBytes) }
        text("userAgent", userAgent)
        if info.isResourceRequest { raw("objectRef", reference(state).jsonBytes) }
        raw("responseStatus", code.map { Self.status($0, state.status).jsonBytes })
        if stage != .requestReceived {
            raw("requestObject", state.requestObject)
            raw("responseObject", state.responseObject)
        }
        text("requestReceivedTimestamp", received.rfc3339Micro)
        text("stageTimestamp", time.rfc3339Micro)
        if !state.annotations.isEmpty {
            raw("annotations", Value.object(Members(state.annotations.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })).jsonBytes)
        }
        out.append(UInt8(ascii: "}"))
        out.append(0x0A)
        return out
    }

    /// Upstream: audit.ObjectReference.
    private func reference(_ state: State) -> Value {
        var reference: Value = ["resource": .string(info.resource)]
        let name = info.name.isEmpty ? state.objectName : info.name
        if !info.namespace.isEmpty { reference["namespace"] = .string(info.namespace) }
        if !name.isEmpty { reference["name"] = .string(name) }
        if !info.apiGroup.isEmpty { reference["apiGroup"] = .string(info.apiGroup) }
        reference["apiVersion"] = .string(info.apiVersion)
        if !info.subresource.isEmpty { reference["subresource"] = .string(info.subresource) }
        return reference
    }

    private static func status(_ code: Int, _ error: StatusError?) -> Value {
        var status: Value = ["metadata": [:]]
        if let error {
            status["status"] = "Failure"
            status["message"] = .string(error.message)
            if !error.reason.isEmpty { status["reason"] = .string(error.reason) }
            if let details = error.value["details"] { status["details"] = details }
        }
        status["code"] = .int(Int64(code))
        return status
    }
}

/// Notes made on the way of a request by whoever has something to say: authorisers, admission, webhooks. Upstream: audit.AddAuditAnnotation.
enum AuditTrail {
    /// The record of the request this task works on; nil when it is not audited.
    @TaskLocal static var current: AuditRecord?

    /// Costs next to nothing when nothing is audited.
    static func annotate(_ key: String, _ value: @autoclosure () -> String) { current?.annotate(key, value()) }
}
