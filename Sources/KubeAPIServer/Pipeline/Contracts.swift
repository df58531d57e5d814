package import HTTPTransport
package import KubeAPI

/// Who a request is made by. Upstream: k8s.io/apiserver/pkg/authentication/user.Info.
package struct UserInfo: Sendable, Hashable {
    package var name: String
    package var uid: String
    package var groups: [String]
    package var extra: [String: [String]]
    /// Whether somebody else acts as this user: rights that come with credentials, as EKS's access policies do, are then not his.
    package var isImpersonated = false

    package init(name: String, uid: String = "", groups: [String] = [], extra: [String: [String]] = [:]) {
        self.name = name
        self.uid = uid
        self.groups = groups
        self.extra = extra
    }

    package static let anonymous = UserInfo(name: "system:anonymous", groups: ["system:unauthenticated"])
}

/// Finds out who makes a request. Upstream: authenticator.Request.
package protocol RequestAuthenticator: Sendable {
    /// Nil: these credentials are not of my kind, ask the next. Throws `StatusError.unauthorized` for credentials of its kind that are not valid.
    /// The pipeline adds `system:authenticated` to the groups.
    func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo?
    /// The same for who need not wait for others to tell.
    func authenticateNow(_ head: HTTPRequestHead) throws -> ImmediateAuthentication
}

extension RequestAuthenticator {
    package func authenticateNow(_ head: HTTPRequestHead) throws -> ImmediateAuthentication { .later }
}

/// Turns a bearer token into a user: EKS's `k8s-aws-v1.` tokens are brought in from outside through this. Upstream: authenticator.Token.
package protocol BearerTokenAuthenticator: Sendable {
    /// Nil: not a token of my kind. Throws `StatusError.unauthorized` for one of its kind that is not valid.
    func authenticate(token: String) async throws -> UserInfo?
    /// The same for who need not wait for others to tell.
    func authenticateNow(token: String) throws -> ImmediateAuthentication
}

extension BearerTokenAuthenticator {
    package func authenticateNow(token: String) throws -> ImmediateAuthentication { .later }
}

/// What a user wants to do. Upstream: authorizer.Attributes.
package struct AuthorizationAttributes: Sendable {
    package var user: UserInfo
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `impersonate`, …; the lower-case HTTP method for paths that
    /// are no resources.
    package var verb: String
    package var apiGroup: String
    package var apiVersion: String
    package var resource: String
    package var subresource: String
    package var namespace: String
    package var name: String
    /// False for `/healthz`, `/version`, `/apis`, …; then only `path` and `verb` count.
    package var isResourceRequest: Bool
    package var path: String
    /// The request's `fieldSelector` as it was sent: a node may list pods only by `spec.nodeName=ITSELF`. Empty: none.
    package var fieldSelector = ""
    /// The request's `labelSelector` as it was sent.
    package var labelSelector = ""

    package init(
        user: UserInfo, verb: String, apiGroup: String = "", apiVersion: String = "", resource: String = "", subresource: String = "",
        namespace: String = "",
        name: String = "", isResourceRequest: Bool = true, path: String = ""
    ) {
        self.user = user
        self.verb = verb
        self.apiGroup = apiGroup
        self.apiVersion = apiVersion
        self.resource = resource
        self.subresource = subresource
        self.namespace = namespace
        self.name = name
        self.isResourceRequest = isResourceRequest
        self.path = path
    }
}

/// Upstream: authorizer.Decision with its reason.
package enum AuthorizationDecision: Sendable, Equatable {
    case allow(reason: String)
    case deny(reason: String)
    case noOpinion(reason: String)
}

/// Decides whether a user may do something. Upstream: authorizer.Authorizer.
package protocol Authorizer: Sendable {
    /// Synchronous: authorisers decide from memory (caches kept by watch).
    func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision
}

/// Decides by asking somebody else. Asked only when no `Authorizer` has an opinion.
package protocol RemoteAuthorizer: Sendable {
    func authorize(_ attributes: AuthorizationAttributes) async throws -> AuthorizationDecision
}

/// Reads other objects while a request is decided: from the watch caches, consistent with everything acknowledged.
package protocol ObjectReader: Sendable {
    func get(_ resource: GroupResource, namespace: String, name: String) -> Object?
    /// All objects of a resource, of one namespace or of all (nil).
    func list(_ resource: GroupResource, namespace: String?) -> [Object]
    /// Calls `changed` with every later change, after the cache holds it: (old, new), new nil for a deletion. Must not block. The call is made on the
    /// store's writer.
    func observe(_ resource: GroupResource, _ changed: @escaping @Sendable (_ old: Object?, _ new: Object?) -> Void)
}

/// One request under admission. Upstream: admission.Attributes.
package struct AdmissionAttributes: Sendable {
    package enum Operation: String, Sendable {
        case create = "CREATE"
        case update = "UPDATE"
        case delete = "DELETE"
        case connect = "CONNECT"
    }

    package var operation: Operation
    package var user: UserInfo
    package var resource: GroupVersionResource
    package var kind: GroupVersionKind
    package var subresource: String
    package var namespace: String
    package var name: String
    /// The object as it would be stored; mutating plug-ins change it. Null for deletions and connections.
    package var object: Value
    package var oldObject: Object?
    package var dryRun: Bool
    /// Warnings for the client (`Warning: 299` headers).
    package var warnings: [String] = []
    /// The request's verb, for plug-ins that show objects outside; nil where a plug-in is tested alone.
    package var context: (any AdmissionContext)?
    /// What mutating webhooks and policies of this request have done.
    package var reinvocation = Reinvocation()

    package init(
        operation: Operation, user: UserInfo, resource: GroupVersionResource, kind: GroupVersionKind, subresource: String, namespace: String,
        name: String,
        object: Value, oldObject: Object?, dryRun: Bool
    ) {
        self.operation = operation
        self.user = user
        self.resource = resource
        self.kind = kind
        self.subresource = subresource
        self.namespace = namespace
        self.name = name
        self.object = object
        self.oldObject = oldObject
        self.dryRun = dryRun
    }
}

/// One admission plug-in, in a folder's file of its upstream name. All `admit` run first, in order, then all `validate`. Throws `StatusError`.
package protocol AdmissionPlugin: Sendable {
    var name: String { get }
    func admit(_ attributes: inout AdmissionAttributes) async throws
    func validate(_ attributes: AdmissionAttributes) async throws
}

extension AdmissionPlugin {
    package func admit(_ attributes: inout AdmissionAttributes) async throws {}
    package func validate(_ attributes: AdmissionAttributes) async throws {}
}

/// What Kubernetes has code for per kind, beside the generic path. Upstream: rest.RESTCreateStrategy and rest.RESTUpdateStrategy.
/// The generic path itself does: metadata (uid, creationTimestamp, generateName, namespace), schema decoding, defaults, generation (+1 when anything
/// but metadata and status changed), the status split (status is dropped on create and kept on update for kinds with a status subresource).
package protocol ResourceStrategy: Sendable {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws
    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws
    /// Upstream's messages and field paths. Empty: valid.
    func validate(_ object: Object) -> [StatusError.Cause]
    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause]
    /// What is told to the client though the object is accepted; `old` nil: it is new. Upstream: WarningsOnCreate, WarningsOnUpdate.
    func warnings(_ object: Object, old: Object?) -> [String]
    /// What is told of a new object as it came, before prepareForCreate puts it in order. Upstream: warning.AddWarning inside of PrepareForCreate.
    func warningsBeforeCreate(_ object: Value) -> [String]
    /// Called when a create failed after prepareForCreate (gives back allocated addresses) or an object was deleted for good.
    func release(_ object: Object)
}

extension ResourceStrategy {
    package func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {}
    package func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {}
    package func validate(_ object: Object) -> [StatusError.Cause] { [] }
    package func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { [] }
    package func warnings(_ object: Object, old: Object?) -> [String] { [] }
    package func warningsBeforeCreate(_ object: Value) -> [String] { [] }
    package func release(_ object: Object) {}
}

/// Answers a resource that is never stored: TokenReview, SubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview,
/// LocalSubjectAccessReview, SelfSubjectReview. Gets the object as sent, already decoded, the namespace of the URL (empty for cluster-scoped
/// resources) and who asks; returns the object with its status. Upstream: the rest.Creater of each.
package typealias ReviewHandler = @Sendable (_ review: Object, _ namespace: String, _ user: UserInfo) async throws -> Value

/// Answers paths that are no resources: discovery, OpenAPI, the OIDC documents. Called after authentication and authorisation. Must not block.
package protocol PathResponder: Sendable {
    /// `path` is decoded, with no slash at its end (`/apis/apps/v1`). Nil: not a path of mine, ask the next; nobody's path is 404.
    func respond(to head: HTTPRequestHead, path: String, user: UserInfo) -> HTTPResponse?
}
