import KubeAPI
import KubeStorage
import Synchronization

/// What the verbs need of the server, beside the scope of the resource. Built once, when the caches are loaded.
final class VerbEnvironment: Sendable {
    let registry: ResourceRegistry
    let schema: SchemaTable
    let admission: [any AdmissionPlugin]
    let admissionMetrics: AdmissionMetrics
    let reviews: [GroupResource: ReviewHandler]
    let tokenIssuer: ServiceAccountTokenIssuer?
    let kubelets: KubeletConnections?
    /// Pods, services' endpoints and other ports of nodes.
    let proxies: ProxyConnections
    /// Whether a user may do something, for verbs that ask more than the pipeline has (deleting on eviction, proxying).
    let authorizers: [any Authorizer]
    let now: @Sendable () -> Timestamp
    /// Whether writes are noted in `metadata.managedFields`, those of controllers and kubelets as those of clients. Server-side apply needs it.
    let tracksFieldOwnership: Bool

    init(
        registry: ResourceRegistry, schema: SchemaTable, admission: [any AdmissionPlugin], reviews: [GroupResource: ReviewHandler],
        tokenIssuer: ServiceAccountTokenIssuer?, kubelets: KubeletConnections?,
        proxies: ProxyConnections = ProxyConnections(policy: ProxyAddressPolicy()), authorizers: [any Authorizer],
        now: @escaping @Sendable () -> Timestamp, tracksFieldOwnership: Bool = true
    ) {
        self.registry = registry
        self.schema = schema
        self.admission = admission
        admissionMetrics = AdmissionMetrics(admission)
        self.reviews = reviews
        self.tokenIssuer = tokenIssuer
        self.kubelets = kubelets
        self.proxies = proxies
        self.authorizers = authorizers
        self.now = now
        self.tracksFieldOwnership = tracksFieldOwnership
    }
}

/// Warnings gathered while a request is worked on. Upstream: warning.AddWarning.
final class WarningList: Sendable {
    /// Bytes of all warnings together; more are dropped, as upstream truncates them.
    static let maximumBytes = 4 * 1024
    private let texts = Mutex<[String]>([])

    func add(_ more: [String]) {
        guard !more.isEmpty else { return }
        texts.withLock { texts in
            var size = texts.reduce(0) { $0 + $1.utf8.count }
            for text in more where !texts.contains(text) && size + text.utf8.count <= Self.maximumBytes {
                texts.append(text)
                size += text.utf8.count
            }
        }
    }
    var all: [String] { texts.withLock { $0 } }
}

/// The verbs of one request on one resource; each verb is in a file of its own. Upstream: endpoints/handlers over registry/generic.
struct ResourceVerbs: Sendable {
    let environment: VerbEnvironment
    let scope: RequestScope
    let request: APIRequest
    let warnings = WarningList()

    var row: ResourceRow { scope.row }
    var info: RequestInfo { request.info }
    var reader: any ObjectReader { environment.registry }

    func perform() async throws -> APIResponse {
        APIResponse(result: try await result(), warnings: warnings.all)
    }

    private func result() async throws -> APIResult {
        try checkScope()
        if !info.subresource.isEmpty { return try await subresource() }
        if let custom = scope.custom, custom.isTerminating {
            if info.verb == "create" { throw custom.refusal(of: "create") }
        } else if !row.supports(info.verb) {
            throw StatusError.methodNotSupported(scope.resource, info.verb)
        }
        switch info.verb {
        case "get": return .object(scope.external(try await presentObject()), status: 200)
        case "list": return .list(try await list())
        case "watch": return .watch(try watch())
        case "create": return try await create()
        case "update": return try await update(subresource: "")
        case "patch": return try await patch(subresource: "")
        case "delete": return try await delete()
        case "deletecollection": return try await deleteCollection()
        default: throw StatusError.methodNotSupported(scope.resource, info.verb)
        }
    }

    /// A path must have the form its resource has: cluster-scoped resources are in no namespace, and objects of others are in one. (CVE-2019-11247)
    func checkScope() throws {
        let isNamespaceItself = row.group.isEmpty && row.resource == "namespaces"
        if row.namespaced {
            let needsNamespace = !["list", "watch", "deletecollection"].contains(info.verb)
            if info.namespace.isEmpty, needsNamespace {
                if info.verb == "create", info.name.isEmpty { throw StatusError.methodNotSupported(scope.resource, info.verb) }
                throw Responses.unknownResource
            }
            if info.namespace.isEmpty, info.verb == "deletecollection" { throw StatusError.methodNotSupported(scope.resource, info.verb) }
        } else if !info.namespace.isEmpty, !isNamespaceItself {
            throw Responses.unknownResource
        }
        // A collection is created in; only what has a name is changed.
        let isMisplaced = info.verb == "create" ? !info.name.isEmpty : info.name.isEmpty && (info.verb == "update" || info.verb == "patch")
        if info.subresource.isEmpty, isMisplaced { throw StatusError.methodNotSupported(scope.resource, info.verb) }
        if !info.rest.isEmpty, info.subresource != "proxy" { throw Responses.unknownResource }
    }

    /// The object's own namespace: a namespace is in none, though its path makes it seem so.
    var objectNamespace: String { row.namespaced ? info.namespace : "" }

    func existing() throws -> Object {
        guard let object = scope.storage.get(namespace: objectNamespace, name: info.name) else {
            throw StatusError.notFound(scope.resource, info.name)
        }
        return object
    }

    /// The object of the URL as verbs work with it. Throws 404, and what a conversion webhook fails with.
    func presentObject() async throws -> Object {
        let object = try existing()
        return scope.custom == nil ? object : try await scope.shown(object)
    }

    func dryRun() throws -> Bool { try DryRun.read(request.query.all("dryRun")) }

    /// Upstream: metav1.FieldValidation of the options; the server warns when the client does not say.
    func fieldValidation() throws -> FieldValidation {
        guard let text = request.query["fieldValidation"], !text.isEmpty else { return .warn }
        guard let known = FieldValidation(rawValue: text) else {
            throw StatusError.badRequest(
                "fieldValidation: Unsupported value: \(text.goQuoted): supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"")
        }
        return known
    }

    /// Throws 415 for bodies of a format that is not known: the known ones were turned into JSON. Upstream: negotiation.NegotiateInputSerializer.
    func requireJSON() throws {
        guard request.contentType == Responses.json else { throw AcceptedForm.unsupportedMediaType(AcceptedForm.offered) }
    }

    func admissionAttributes(
        _ operation: AdmissionAttributes.Operation, _ object: Value, old: Object?, name: String, subresource: String? = nil,
        kind: GroupVersionKind? = nil,
        dryRun: Bool
    ) -> AdmissionAttributes {
        var attributes = AdmissionAttributes(
            operation: operation, user: request.user, resource: row.groupVersionResource, kind: kind ?? row.groupVersionKind,
            subresource: subresource ?? info.subresource,
            namespace: row.namespaced ? info.namespace : row.resource == "namespaces" && row.group.isEmpty ? name : "",
            name: name, object: object, oldObject: old, dryRun: dryRun)
        attributes.context = self
        return attributes
    }

    /// All mutating plug-ins, in order.
    func admit(_ attributes: inout AdmissionAttributes) async throws {
        try await admitOnce(&attributes)
        guard attributes.reinvocation.isWanted else { return }
        // Once more, on what webhooks and policies have made of it. Upstream: admission.reinvoker.
        attributes.reinvocation.isSecondRound = true
        try await admitOnce(&attributes)
    }

    private func admitOnce(_ attributes: inout AdmissionAttributes) async throws {
        try await environment.admissionMetrics.run(environment.admission, attributes.operation, .admit) { try await $0.admit(&attributes) }
    }

    /// All validating plug-ins, in order, on the object as it will be stored.
    func validateAdmission(_ attributes: AdmissionAttributes) async throws {
        try await environment.admissionMetrics.run(environment.admission, attributes.operation, .validate) { try await $0.validate(attributes) }
        warnings.add(attributes.warnings)
    }

    /// A store's refusal as the client sees it.
    func statusError(_ error: StoreError, name: String) -> StatusError {
        switch error {
        case .alreadyExists: .alreadyExists(scope.resource, name)
        case .notFound: .notFound(scope.resource, name)
        case .conflict: .staleResourceVersion(scope.resource, name)
        case .unavailable(let why): .serviceUnavailable("storage is unavailable: \(why)")
        case .closed: .serviceUnavailable("the API server is shutting down")
        }
    }
}
