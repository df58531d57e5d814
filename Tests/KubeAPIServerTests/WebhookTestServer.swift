import Certificates
import HTTPTransport
import KubeAPI
import KubeClient
import Synchronization
import Testing

@testable import KubeAPIServer

/// A TLS server that answers webhooks' reviews, or whatever a test has it answer.
final class WebhookServer: HTTPResponder {
    typealias Answer = @Sendable (_ head: HTTPRequestHead, _ body: [UInt8]) async -> HTTPResponse

    let authority: CertificateAuthority
    private let answer: Answer
    private let seen = Mutex<[(path: String, body: [UInt8])]>([])
    private let listener = Mutex<HTTPServer?>(nil)

    /// The paths and bodies of all requests so far.
    var requests: [(path: String, body: [UInt8])] { seen.withLock { $0 } }
    var port: Int { listener.withLock { $0?.port ?? 0 } }
    var caBundle: Value { .string(Base64.encode(Array(authority.certificatePEM.utf8))) }
    func url(_ path: String) -> Value { .string("https://127.0.0.1:\(port)\(path)") }

    private init(_ authority: CertificateAuthority, _ answer: @escaping Answer) {
        self.authority = authority
        self.answer = answer
    }

    static func start(names: [String] = ["localhost"], host: String = "127.0.0.1", _ answer: @escaping Answer) async throws -> WebhookServer {
        let validity = CertificateValidity(now: Timestamp.now.seconds, seconds: 3600)
        let authority = try CertificateAuthority(commonName: "webhooks", validity: validity)
        let leaf = try authority.issue(
            LeafRequest(commonName: "webhook", dnsNames: names, ipAddresses: [host], usage: .server, validity: validity))
        let server = WebhookServer(authority, answer)
        let identity = TLSIdentity(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
        let listener = try await HTTPServer.start(.init(address: .tcp(host: host, port: 0), tls: .init(identity: identity)), responder: server)
        server.listener.withLock { $0 = listener }
        return server
    }

    /// Answers each path's reviews: the closure gets the request of the review and gives the response, whose uid is filled in.
    static func reviews(_ answer: @escaping @Sendable (_ path: String, _ request: JSONView) -> Value) async throws -> WebhookServer {
        try await start { head, body in
            guard let review = try? JSONDocument(body).root else { return HTTPResponse(status: 400) }
            var response = answer(String(head.path), review["request"] ?? review)
            if response["uid"] == nil { response["uid"] = review["request"]["uid"].value }
            let answered: Value = ["kind": "AdmissionReview", "apiVersion": review["apiVersion"].value ?? .null, "response": response]
            return HTTPResponse(status: 200, fields: ["Content-Type": "application/json"], body: .bytes(answered.jsonBytes))
        }
    }

    func stop() async { await listener.withLock { $0 }?.stop(grace: .zero) }

    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        let bytes = (try? await body.collect(limit: 1 << 22)) ?? []
        seen.withLock { $0.append((String(head.path), bytes)) }
        return await answer(head, bytes)
    }
}

extension TestServer {
    /// An API server with webhook admission and the strategies of webhook configurations.
    static func withWebhooks() async throws -> TestServer {
        try await TestServer { configuration in
            configuration.components = { reader in
                let client = WebhookClient(resolver: ServiceResolver(reader: reader))
                let dispatcher = WebhookDispatcher(client: client, catalog: AdmissionCatalog(reader: reader), authorizers: [AllowEverything()])
                let resource = { GroupResource(group: "admissionregistration.k8s.io", resource: $0) }
                return APIServer.Components(
                    authenticators: [TestAuthenticator()], authorizers: [AllowEverything()],
                    admission: [
                        NamespaceLifecycle(reader: reader), MutatingAdmissionWebhook(reader: reader, dispatcher: dispatcher),
                        ValidatingAdmissionWebhook(reader: reader, dispatcher: dispatcher),
                    ],
                    strategies: [
                        resource("mutatingwebhookconfigurations"): WebhookConfigurationStrategy(isMutating: true),
                        resource("validatingwebhookconfigurations"): WebhookConfigurationStrategy(isMutating: false),
                        .pods: PodStrategy(),
                    ])
            }
        }
    }

    /// Makes a configuration of one webhook.
    func configure(
        _ kind: String, _ server: WebhookServer, path: String, name: String = "hook", operations: [String] = ["CREATE"],
        resources: [String] = ["configmaps"], groups: [String] = [""], versions: [String] = ["v1"], _ change: (inout Value) -> Void = { _ in }
    ) async throws {
        var hook: Value = [
            "name": .string("\(name).example.com"), "clientConfig": ["url": server.url(path), "caBundle": server.caBundle],
            "rules": [["operations": Value(operations), "apiGroups": Value(groups), "apiVersions": Value(versions), "resources": Value(resources)]],
            "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 10,
        ]
        change(&hook)
        let configuration: Value = [
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": .string("\(kind)WebhookConfiguration"), "metadata": ["name": .string(name)],
            "webhooks": [hook],
        ]
        try await create("admissionregistration.k8s.io/v1/\(kind.lowercased())webhookconfigurations", configuration, namespace: nil)
    }

    func makeNamespace(_ name: String = "default", labels: [String: String] = [:]) async throws {
        try await create(
            "namespaces", ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(name), "labels": Value(labels)]], namespace: nil)
    }
}

/// A JSON patch as a webhook sends it.
func patchResponse(_ operations: Value...) -> Value {
    ["allowed": true, "patchType": "JSONPatch", "patch": .string(Base64.encode(Value.array(operations).jsonBytes))]
}
