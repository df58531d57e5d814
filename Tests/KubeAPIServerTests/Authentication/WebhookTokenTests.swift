import HTTPTransport
import KubeAPI
import Synchronization
import Testing

@testable import KubeAPIServer

@Suite("Tokens judged by a webhook")
struct WebhookTokenTests {
    /// A service that knows the token `good`, for some audiences.
    private static func service(audiences: [String] = []) async throws -> WebhookServer {
        try await WebhookServer.start { _, body in
            guard let spec = try? JSONDocument(body).root["spec"] else { return HTTPResponse(status: 400) }
            if spec["token"].string == "broken" { return HTTPResponse(status: 500) }
            var status: Value = ["authenticated": .bool(spec["token"].string == "good")]
            status["user"] = ["username": "jane", "uid": "7", "groups": ["dev"], "extra": ["scopes": ["a", "b"]]]
            if !audiences.isEmpty { status["audiences"] = Value(audiences) }
            let review: Value = ["kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status]
            return HTTPResponse(status: 200, fields: ["Content-Type": "application/json"], body: .bytes(review.jsonBytes))
        }
    }

    private static func authenticator(_ service: WebhookServer, audiences: [String] = [], now: @escaping @Sendable () -> Timestamp = { .now }) throws
        -> WebhookTokenAuthenticator
    {
        let url = service.url("/").string ?? ""
        var configuration = WebhookTokenAuthenticator.Configuration(
            service: WebhookClientConfiguration(target: .url(url), rootsPEM: service.authority.certificatePEM))
        configuration.audiences = audiences
        return WebhookTokenAuthenticator(configuration, client: WebhookClient(resolver: ServiceResolver(reader: MemoryReader())), now: now)
    }

    @Test("a good token is whom the service names, others are nobody's, and a service that fails vouches for nobody")
    func answers() async throws {
        let service = try await Self.service()
        let authenticator = try Self.authenticator(service)
        let user = try #require(try await authenticator.authenticate(token: "good"))
        #expect(user.name == "jane" && user.uid == "7" && user.groups == ["dev"] && user.extra == ["scopes": ["a", "b"]])
        #expect(try await authenticator.authenticate(token: "bad") == nil)
        await #expect(throws: StatusError.unauthorized) { try await authenticator.authenticate(token: "broken") }
        let review = try JSONDocument(service.requests.first?.body ?? []).root
        #expect(review["kind"].string == "TokenReview" && review["apiVersion"].string == "authentication.k8s.io/v1")
        #expect(review["spec"]["token"].string == "good" && review["spec"]["audiences"] == nil)
        await service.stop()
        await #expect(throws: StatusError.unauthorized) { try await authenticator.authenticate(token: "unknown") }
    }

    @Test("answers are remembered for two minutes, refusals too; failures are not")
    func cache() async throws {
        let service = try await Self.service()
        let time = Mutex<Int64>(1_000)
        let authenticator = try Self.authenticator(service) { Timestamp(seconds: time.withLock { $0 }) }
        for _ in 0..<3 {
            #expect(try await authenticator.authenticate(token: "good")?.name == "jane")
            #expect(try await authenticator.authenticate(token: "bad") == nil)
            _ = try? await authenticator.authenticate(token: "broken")
        }
        #expect(service.requests.count == 5)
        guard case .user(let known) = try authenticator.authenticateNow(token: "good") else {
            Issue.record("a remembered token is not known at once")
            return
        }
        #expect(known.name == "jane")
        time.withLock { $0 = 1_121 }
        #expect(try await authenticator.authenticate(token: "good")?.name == "jane")
        #expect(service.requests.count == 6)
        await service.stop()
    }

    @Test("a token for other audiences is nobody's here")
    func audiences() async throws {
        for (answered, isGood) in [([], true), (["api"], true), (["other", "api"], true), (["other"], false)] as [([String], Bool)] {
            let service = try await Self.service(audiences: answered)
            let authenticator = try Self.authenticator(service, audiences: ["api"])
            #expect((try await authenticator.authenticate(token: "good") != nil) == isGood, "\(answered)")
            #expect(try JSONDocument(service.requests.first?.body ?? []).root["spec"]["audiences"].strings == ["api"])
            await service.stop()
        }
    }
}
