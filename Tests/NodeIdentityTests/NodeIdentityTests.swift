import AWSProtocol
import HTTPTransport
import Logging
import Synchronization
import Testing

@testable import NodeIdentity

/// A service that answers what it is told to, and remembers what it was asked.
final class FakeService: CloudTransport {
    struct Call: Sendable {
        var method: String
        var target: String
        var fields: HTTPFields
        var body: [UInt8]
    }
    private let answers: @Sendable (Call) -> (status: Int, body: [UInt8])
    private let log = Mutex<[Call]>([])
    var calls: [Call] { log.withLock { $0 } }

    init(_ answers: @escaping @Sendable (Call) -> (status: Int, body: [UInt8])) { self.answers = answers }

    func send(_ method: String, _ target: String, fields: HTTPFields, body: [UInt8]) async throws -> (status: Int, body: [UInt8]) {
        let call = Call(method: method, target: target, fields: fields, body: body)
        log.withLock { $0.append(call) }
        return answers(call)
    }

    /// One that has a node role, and gives pods credentials or `refusal`.
    static func eks(refusal: (status: Int, code: String)? = nil) -> FakeService {
        FakeService { call in
            switch call.target {
            case "/latest/meta-data/iam/security-credentials/": (200, Array("node".utf8))
            case "/latest/meta-data/iam/security-credentials/node":
                (
                    200,
                    AWSJSON.object([
                        "Code": "Success", "AccessKeyId": "ASIANODE", "SecretAccessKey": "s", "Token": "t", "Expiration": "2100-01-01T00:00:00Z",
                    ]).encoded
                )
            case "/clusters/demo/assume-role-for-pod-identity":
                if let refusal {
                    (refusal.status, AWSJSON.object(["__type": .string(refusal.code), "message": "no"]).encoded)
                } else {
                    (
                        200,
                        AWSJSON.object([
                            "credentials": ["accessKeyId": "ASIAPOD", "secretAccessKey": "s", "sessionToken": "t", "expiration": 4102444800],
                            "assumedRoleUser": ["arn": "arn:aws:sts::123456789012:assumed-role/app/x", "assumeRoleId": "AROA:x"],
                        ]).encoded
                    )
                }
            case "/latest/meta-data/instance-id": (200, Array("i-1".utf8))
            default: (404, [])
            }
        }
    }
}

private func request(_ method: String, _ target: String, from remote: String = "10.0.0.9", _ fields: HTTPFields = [:]) -> HTTPRequestHead {
    HTTPRequestHead(
        method: method, target: target, fields: fields, authority: "x",
        connection: ConnectionInfo(remoteAddress: "\(remote):40000", localAddress: "169.254.169.254:80"))
}

private func text(_ response: HTTPResponse) -> String {
    if case .bytes(let bytes) = response.body { String(decoding: bytes, as: UTF8.self) } else { "" }
}

private let cloud = NodeCloud(
    endpoint: "http://169.254.171.1:7443", region: "us-west-2", clusterName: "demo", nodeAddress: "10.0.0.5", podAddresses: ["10.0.0.9"])

@Suite struct InstanceMetadataTests {
    private let lifetime: HTTPFields = ["X-aws-ec2-metadata-token-ttl-seconds": "60"]

    @Test("a document needs a token, which is good until its time is over")
    func tokens() async {
        let now = Mutex(1_000.0)
        let endpoint = InstanceMetadataEndpoint(cloud, transport: FakeService.eks(), clock: AWSClock { now.withLock { $0 } })
        #expect(await endpoint.respond(to: request("GET", "/latest/meta-data/instance-id"), body: .empty).status == 401)
        let token = await endpoint.respond(to: request("PUT", "/latest/api/token", lifetime), body: .empty)
        #expect(token.status == 200 && token.fields["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"] == "60")
        let with: HTTPFields = ["X-aws-ec2-metadata-token": text(token)]
        let answer = await endpoint.respond(to: request("GET", "/latest/meta-data/instance-id", with), body: .empty)
        #expect(answer.status == 200 && text(answer) == "i-1")
        #expect(text(await endpoint.respond(to: request("GET", "/2021-07-15/meta-data/instance-id", with), body: .empty)) == "i-1")
        #expect(await endpoint.respond(to: request("GET", "/latest/none", with), body: .empty).status == 404)
        now.withLock { $0 = 1_061 }
        #expect(await endpoint.respond(to: request("GET", "/latest/meta-data/instance-id", with), body: .empty).status == 401)
        let forged: HTTPFields = ["X-aws-ec2-metadata-token": String(repeating: "A", count: 56)]
        #expect(await endpoint.respond(to: request("GET", "/latest/meta-data/instance-id", forged), body: .empty).status == 401)
    }

    @Test("a token's lifetime must be one, no proxy may stand between, and others than the node and its pods are refused")
    func refusals() async {
        let endpoint = InstanceMetadataEndpoint(cloud, transport: FakeService.eks())
        for value in ["", "0", "21601", "x"] {
            let head = request("PUT", "/latest/api/token", ["X-aws-ec2-metadata-token-ttl-seconds": value])
            #expect(await endpoint.respond(to: head, body: .empty).status == 400, "\(value)")
        }
        var proxied = lifetime
        proxied["X-Forwarded-For"] = "10.0.0.9"
        #expect(await endpoint.respond(to: request("PUT", "/latest/api/token", proxied), body: .empty).status == 403)
        #expect(await endpoint.respond(to: request("PUT", "/latest/api/token", from: "10.0.0.77", lifetime), body: .empty).status == 403)
        #expect(await endpoint.respond(to: request("GET", "/latest/api/token", lifetime), body: .empty).status == 405)
    }

    @Test("pods of an IPv6 cluster are known by the ranges of their addresses")
    func ranges() {
        var six = cloud
        six.isInPodRange = { $0.hasPrefix("2001:db8::") || $0.hasPrefix("169.254.172.") }
        for remote in ["[2001:db8::7]", "169.254.172.9"] { #expect(six.origin(of: request("GET", "/", from: remote)) == .pod) }
        #expect(six.origin(of: request("GET", "/", from: "10.0.0.5")) == .node)
        for remote in ["[2001:db9::7]", "169.254.1.1"] { #expect(six.origin(of: request("GET", "/", from: remote)) == nil) }
    }

    @Test("with a hop limit of one the node itself gets tokens, its pods do not", arguments: [("10.0.0.5", 200), ("10.0.0.9", 403)])
    func hops(_ address: String, _ status: Int) async {
        var near = cloud
        near.metadataHopLimit = 1
        let endpoint = InstanceMetadataEndpoint(near, transport: FakeService.eks())
        #expect(await endpoint.respond(to: request("PUT", "/latest/api/token", from: address, lifetime), body: .empty).status == status)
    }

    @Test("where tokens are optional version 1 is answered, but no wrong token; a service that is disabled answers nothing")
    func options() async {
        var open = cloud
        open.requiresMetadataTokens = false
        open.metadataHopLimit = 1
        let endpoint = InstanceMetadataEndpoint(open, transport: FakeService.eks())
        let answer = await endpoint.respond(to: request("GET", "/latest/meta-data/instance-id", from: "10.0.0.9"), body: .empty)
        #expect(answer.status == 200 && answer.fields["X-aws-ec2-metadata-token-ttl-seconds"] == nil)
        let wrong: HTTPFields = ["X-aws-ec2-metadata-token": "x"]
        #expect(await endpoint.respond(to: request("GET", "/latest/meta-data/instance-id", wrong), body: .empty).status == 401)
        open.isMetadataEnabled = false
        let disabled = InstanceMetadataEndpoint(open, transport: FakeService.eks())
        #expect(await disabled.respond(to: request("GET", "/latest/meta-data/instance-id"), body: .empty).status == 403)
    }
}

@Suite struct PodIdentityAgentTests {
    private func agent(_ service: FakeService) -> PodIdentityAgent {
        PodIdentityAgent(
            cloud, transport: service, credentials: NodeCredentials(transport: service),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    @Test("a pod's token is exchanged with the node role's signature, and the answer has the form SDKs read")
    func exchange() async throws {
        let service = FakeService.eks()
        let agent = agent(service)
        let answer = await agent.respond(to: request("GET", "/v1/credentials", ["Authorization": "a.b.c"]), body: .empty)
        #expect(answer.status == 200)
        let document = try AWSJSON(parsing: Array(text(answer).utf8))
        #expect(
            document == [
                "AccessKeyId": "ASIAPOD", "SecretAccessKey": "s", "Token": "t", "AccountId": "123456789012", "Expiration": "2100-01-01T00:00:00Z",
            ])
        let call = try #require(service.calls.last)
        #expect(call.method == "POST" && String(decoding: call.body, as: UTF8.self) == #"{"token":"a.b.c"}"#)
        #expect(call.fields["Authorization"]?.contains("Credential=ASIANODE/") == true)
        #expect(call.fields["Authorization"]?.contains("/us-west-2/eks-auth/aws4_request") == true)
        _ = await agent.respond(to: request("GET", "/v1/credentials", ["Authorization": "a.b.c"]), body: .empty)
        #expect(service.calls.count == 4, "the node's credentials are kept")
    }

    @Test("what is no token is refused here; what EKS Auth refuses is passed on in its words")
    func refusals() async {
        let service = FakeService.eks(refusal: (404, "ResourceNotFoundException"))
        let agent = agent(service)
        for (token, status) in [("", 400), ("abc", 400), ("a b.c.d", 400), (String(repeating: "a.", count: 20_000), 400), ("a.b.c", 404)] {
            let answer = await agent.respond(to: request("GET", "/v1/credentials", ["Authorization": token]), body: .empty)
            #expect(answer.status == status)
        }
        let answer = await agent.respond(to: request("GET", "/v1/credentials", ["Authorization": "a.b.c"]), body: .empty)
        #expect(text(answer) == "(ResourceNotFoundException): no, fault: client\n")
        #expect(await agent.respond(to: request("GET", "/v1/credentials", from: "10.0.0.77", ["Authorization": "a.b.c"]), body: .empty).status == 403)
        #expect(await agent.respond(to: request("GET", "/v2/credentials"), body: .empty).status == 404)
        #expect(await agent.respond(to: request("POST", "/v1/credentials"), body: .empty).status == 405)
    }

    @Test("node credentials that were ended early are asked for once more")
    func stale() async {
        let service = FakeService.eks(refusal: (403, "UnrecognizedClientException"))
        let answer = await agent(service).respond(to: request("GET", "/v1/credentials", ["Authorization": "a.b.c"]), body: .empty)
        #expect(answer.status == 403 && service.calls.count { $0.method == "POST" } == 2)
    }
}
