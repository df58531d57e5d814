import HTTPTransport
import Logging
import Testing

@testable import AWSProtocol

/// One key, always the same; the clock stands where botocore signed the vectors.
struct FixedCredentials: AWSCredentialSource {
    static let accessKeyID = "AKIDEXAMPLE"
    static let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    static let now = AWSTimestamp.parseBasic("20261123T020000Z") ?? 0
    var token: String?
    var expiration: Double?

    func credential(accessKeyID: String) async -> AWSCredential? {
        guard accessKeyID == FixedCredentials.accessKeyID else { return nil }
        let caller = AWSCaller(
            account: "000000000000", arn: "arn:aws:iam::000000000000:user/x", principalARN: "arn:aws:iam::000000000000:user/x", userID: "AIDAX",
            accessKeyID: accessKeyID)
        return AWSCredential(
            accessKeyID: accessKeyID, secretAccessKey: FixedCredentials.secret, sessionToken: token, expiration: expiration, caller: caller)
    }
}

/// Answers what it was asked.
struct EchoService: AWSService {
    var signingNames: Set<String>
    var wireProtocol: AWSWireProtocol
    var isGlobal = true

    func takesUnsigned(_ request: AWSRequest) -> Bool { request.query.contains { $0.name == "Action" && $0.value == "Anybody" } }

    func handle(_ request: AWSRequest) async throws -> AWSResponse {
        switch request.head.path {
        case "/deny": throw AccessDenial(callerARN: request.caller.arn, action: "eks:CreateCluster", resource: "*", isExplicit: false)
        case "/crash": throw HTTPError.connectionClosed
        default: return .json(["caller": .string(request.caller.arn), "region": .string(request.region)])
        }
    }
}

let noConnection = ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2")

func endpoint(_ source: FixedCredentials = FixedCredentials(), now: Double = FixedCredentials.now) -> AWSEndpoint {
    let services: [any AWSService] = [
        EchoService(signingNames: ["eks"], wireProtocol: .restJSON, isGlobal: false),
        EchoService(signingNames: ["sts"], wireProtocol: .query(namespace: "urn:sts")),
        EchoService(signingNames: ["ec2"], wireProtocol: .ec2Query), EchoService(signingNames: ["logs"], wireProtocol: .json11),
    ]
    let verifier = SignatureVerifier(source: source, clock: AWSClock { now })
    return AWSEndpoint(services: services, regions: ["eu-central-1"], verifier: verifier, logger: Logger(label: "test"))
}

struct Answer {
    var status: Int
    var fields: HTTPFields
    var text: String

    init(_ response: HTTPResponse) {
        status = response.status
        fields = response.fields
        if case .bytes(let bytes) = response.body { text = String(decoding: bytes, as: UTF8.self) } else { text = "" }
    }
    var json: AWSJSON { (try? AWSJSON(parsing: Array(text.utf8))) ?? .null }
}

func send(
    _ endpoint: AWSEndpoint, _ method: String, _ target: String, host: String = "127.0.0.1:7443", fields: HTTPFields = [:], body: String = ""
) async -> Answer {
    let head = HTTPRequestHead(method: method, target: target, fields: fields, authority: host, connection: noConnection)
    let bytes = Array(body.utf8)
    nonisolated(unsafe) var sent = false
    let stream = HTTPBodyStream {
        defer { sent = true }
        return sent || bytes.isEmpty ? nil : bytes
    }
    return Answer(await endpoint.respond(to: head, body: stream))
}

@Suite struct SignatureTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var method: String
        var target: String
        var host = "127.0.0.1:7443"
        var headers: [(String, String)] = []
        var scope = "eu-central-1/eks"
        var signedHeaders = "host;x-amz-date"
        var signature: String
        var body = ""
        var token: String?

        var fields: HTTPFields {
            var fields = HTTPFields(headers)
            fields["X-Amz-Date"] = "20261123T020000Z"
            if let token { fields["X-Amz-Security-Token"] = token }
            fields["Authorization"] =
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/\(scope)/aws4_request, SignedHeaders=\(signedHeaders), Signature=\(signature)"
            return fields
        }
    }

    /// Signed by botocore 1.43.
    static let vectors: [Vector] = [
        Vector(
            testDescription: "a plain GET", method: "GET", target: "/clusters",
            signature: "0e6151f3f8837fe441d7c84a8eb3373178233ffa815cf335511c98b44ebc56f4"),
        Vector(
            testDescription: "an ARN in the path", method: "GET", target: "/tags/arn%3Aaws%3Aeks%3Aeu-central-1%3A000000000000%3Acluster%2Fdemo",
            signature: "5f1ee3b6e819b5c361eaeb641f134bb32c32dcc1583a3276d514ceeb2f7454cc"),
        Vector(
            testDescription: "a query that is not sorted", method: "GET", target: "/clusters?maxResults=5&nextToken=a%2Bb%2F%3D&include=all",
            signature: "78e3aa36c323064c297d44965881a6c9efc704e9bdfab7e3970f4399708f73e9"),
        Vector(
            testDescription: "a JSON body", method: "POST", target: "/clusters", headers: [("Content-Type", "application/json")],
            signedHeaders: "content-type;host;x-amz-date", signature: "d9bb27f3099b108a81cdb9fcbc864aca60e73edba414a0f2c5ee72cc482c0af2",
            body: "{\"name\":\"d\u{e9}mo\"}"),
        Vector(
            testDescription: "a form with a session token", method: "POST", target: "/", host: "sts.amazonaws.com",
            headers: [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")], scope: "us-east-1/sts",
            signedHeaders: "content-type;host;x-amz-date;x-amz-security-token",
            signature: "46d052be6b6d6f4170612cde5e267fad241fa6866ae5de738f9382633fadcd31", body: "Action=GetCallerIdentity&Version=2011-06-15",
            token: "IQoJb3JpZ2lu/+=token"),
        Vector(
            testDescription: "spaces in a header, dots and empty parts in the path", method: "GET", target: "/clusters//a/../b/./c/",
            headers: [("X-Amz-Meta", "  a   b  c ")], signedHeaders: "host;x-amz-date;x-amz-meta",
            signature: "a4727a6159503277f8547eee934c56cdf6ed037d407df03b704a639ea61c0760"),
    ]

    @Test("what botocore signed is believed", arguments: vectors)
    func botocore(_ vector: Vector) async {
        let answer = await send(
            endpoint(FixedCredentials(token: vector.token)), vector.method, vector.target, host: vector.host, fields: vector.fields, body: vector.body
        )
        #expect(answer.status == 200, "\(answer.text)")
        #expect(answer.fields["x-amzn-RequestId"]?.count == 36)
    }

    @Test("what was changed after signing is refused", arguments: vectors)
    func tampered(_ vector: Vector) async {
        let target = endpoint(FixedCredentials(token: vector.token))
        let changes: [(String, String, HTTPFields, String)] = [
            ("PUT", vector.target, vector.fields, vector.body), (vector.method, vector.target + "x", vector.fields, vector.body),
            (vector.method, vector.target, vector.fields, vector.body + " "),
        ]
        for (method, path, fields, body) in changes {
            let answer = await send(target, method, path, host: vector.host, fields: fields, body: body)
            #expect(answer.status == 403)
        }
        let other = await send(target, vector.method, vector.target, host: "evil.example", fields: vector.fields, body: vector.body)
        #expect(other.status == 403)
    }

    @Test("the signer makes what the verifier believes, in both forms")
    func roundTrip() async {
        let signer = RequestSigner(accessKeyID: "AKIDEXAMPLE", secretAccessKey: FixedCredentials.secret, region: "eu-central-1", service: "eks")
        var fields: HTTPFields = ["Content-Type": "application/json", "X-Amz-Target": "x"]
        signer.sign(method: "POST", target: "/a%20b?z=1&a=%2F", host: "h:1", fields: &fields, body: Array("{}".utf8), time: FixedCredentials.now)
        #expect(await send(endpoint(), "POST", "/a%20b?z=1&a=%2F", host: "h:1", fields: fields, body: "{}").status == 200)
        let presigned = signer.presign(target: "/clusters?b=2", host: "h:1", expires: 60, time: FixedCredentials.now)
        #expect(await send(endpoint(), "GET", presigned, host: "h:1").status == 200)
        #expect(await send(endpoint(now: FixedCredentials.now + 61), "GET", presigned, host: "h:1").status == 403)
        let botocore =
            "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&"
            + "X-Amz-Credential=AKIDEXAMPLE%2F20261123%2Feu-central-1%2Fsts%2Faws4_request"
            + "&X-Amz-Date=20261123T020000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id"
            + "&X-Amz-Signature=9ba7ead08a55ed1e1ce628367b6cc51d5846ad52ff966ce9628a7cfa5fd20385"
        let sts = RequestSigner(accessKeyID: "AKIDEXAMPLE", secretAccessKey: FixedCredentials.secret, region: "eu-central-1", service: "sts")
        let ours = sts.presign(
            target: "/?Action=GetCallerIdentity&Version=2011-06-15", host: "sts.eu-central-1.amazonaws.com", headers: [("x-k8s-aws-id", "demo")],
            expires: 60,
            time: FixedCredentials.now)
        #expect(ours == botocore)
    }

    @Test(
        "a clock that is off by more than 15 minutes back or 5 forward is told so",
        arguments: [(901.0, false), (899, true), (-299, true), (-301, false)])
    func skew(_ seconds: Double, _ isTaken: Bool) async {
        let vector = SignatureTests.vectors[0]
        let answer = await send(endpoint(now: FixedCredentials.now + seconds), "GET", vector.target, fields: vector.fields)
        #expect((answer.status == 200) == isTaken)
        if !isTaken {
            #expect(
                answer.json["message"]?.stringValue?.hasPrefix(seconds > 0 ? "Signature expired: 2026" : "Signature not yet current: 2026") == true)
        }
    }

    @Test("an unsigned x-amz-target is refused")
    func unsignedTarget() async {
        var fields = SignatureTests.vectors[0].fields
        fields["X-Amz-Target"] = "Logs_20140328.CreateLogGroup"
        #expect(await send(endpoint(), "GET", "/clusters", fields: fields).status == 403)
    }

    @Test("temporary credentials need their token, and end")
    func sessions() async {
        let vector = SignatureTests.vectors[4]
        let without = await send(endpoint(FixedCredentials(token: "other")), "POST", "/", host: vector.host, fields: vector.fields, body: vector.body)
        #expect(without.text.contains("<Code>InvalidClientTokenId</Code>"))
        let ended = FixedCredentials(token: vector.token, expiration: FixedCredentials.now)
        let late = await send(endpoint(ended), "POST", "/", host: vector.host, fields: vector.fields, body: vector.body)
        #expect(late.text.contains("<Code>ExpiredToken</Code>"))
    }
}

@Suite struct ErrorShapeTests {
    private func signed(_ service: String, key: String = "AKIDEXAMPLE", secret: String = FixedCredentials.secret, path: String = "/") -> HTTPFields {
        let signer = RequestSigner(accessKeyID: key, secretAccessKey: secret, region: "eu-central-1", service: service)
        var fields: HTTPFields = [:]
        signer.sign(method: "GET", target: path, host: "127.0.0.1:7443", fields: &fields, body: [], time: FixedCredentials.now)
        return fields
    }

    @Test("each family refuses unknown keys and wrong signatures in its own words")
    func families() async {
        let eks = await send(endpoint(), "GET", "/", fields: signed("eks", key: "AKIANOBODY"))
        #expect(eks.status == 403 && eks.fields["x-amzn-ErrorType"] == "UnrecognizedClientException")
        #expect(eks.json["message"] == "The security token included in the request is invalid.")
        let eksWrong = await send(endpoint(), "GET", "/", fields: signed("eks", secret: "x"))
        #expect(eksWrong.fields["x-amzn-ErrorType"] == "InvalidSignatureException")
        let sts = await send(endpoint(), "GET", "/", fields: signed("sts", key: "AKIANOBODY"))
        #expect(sts.text.hasPrefix("<ErrorResponse xmlns=\"urn:sts\"><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>"))
        #expect(await send(endpoint(), "GET", "/", fields: signed("sts", secret: "x")).text.contains("<Code>SignatureDoesNotMatch</Code>"))
        let ec2 = await send(endpoint(), "GET", "/", fields: signed("ec2", secret: "x"))
        #expect(ec2.status == 401 && ec2.text.contains("<Response><Errors><Error><Code>AuthFailure</Code>"))
        let logs = await send(endpoint(), "GET", "/", fields: signed("logs", key: "AKIANOBODY"))
        #expect(logs.status == 400 && logs.json["__type"] == "UnrecognizedClientException")
    }

    @Test("unsigned requests are answered in the form of the service they seem to be for")
    func unsigned() async {
        let eks = await send(endpoint(), "GET", "/clusters")
        #expect(eks.status == 403 && eks.fields["x-amzn-ErrorType"] == "MissingAuthenticationTokenException")
        let sts = await send(endpoint(), "GET", "/?Action=GetCallerIdentity&Version=2011-06-15")
        #expect(sts.text.contains("<Code>MissingAuthenticationToken</Code>"))
        let anybody = await send(endpoint(), "GET", "/?Action=Anybody&Version=2011-06-15")
        #expect(anybody.status == 200 && anybody.json["caller"] == "anonymous")
        let form: HTTPFields = ["Content-Type": "application/x-www-form-urlencoded"]
        let ec2 = await send(endpoint(), "POST", "/", fields: form, body: "Action=DescribeVpcs&Version=2016-11-15")
        #expect(ec2.text.contains("<Response><Errors><Error><Code>MissingAuthenticationToken</Code>"))
    }

    @Test("an Authorization header that lacks parts says which")
    func incomplete() async {
        let answer = await send(
            endpoint(), "GET", "/clusters", fields: ["Authorization": "AWS4-HMAC-SHA256 Credential=a/b/c/d/e", "X-Amz-Date": "x"])
        #expect(answer.fields["x-amzn-ErrorType"] == "IncompleteSignatureException")
        #expect(
            answer.json["message"]?.stringValue?.hasPrefix(
                "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders'") == true)
        #expect(!answer.text.contains("a/b/c/d/e"))
    }

    @Test("another region or service of the scope is refused")
    func scope() async {
        let signer = RequestSigner(accessKeyID: "AKIDEXAMPLE", secretAccessKey: FixedCredentials.secret, region: "us-west-2", service: "eks")
        var fields: HTTPFields = [:]
        signer.sign(method: "GET", target: "/clusters", host: "127.0.0.1:7443", fields: &fields, body: [], time: FixedCredentials.now)
        let region = await send(endpoint(), "GET", "/clusters", fields: fields)
        #expect(region.json["message"]?.stringValue?.contains("Credential should be scoped to a valid region") == true)
        let service = await send(endpoint(), "GET", "/clusters", fields: signed("dynamodb", path: "/clusters"))
        #expect(service.json["message"]?.stringValue?.contains("Credential should be scoped to correct service") == true)
    }

    @Test("denials and failures have each family's code; failures tell nothing but the request's id")
    func inside() async {
        let denied = await send(endpoint(), "GET", "/deny", fields: signed("eks", path: "/deny"))
        #expect(denied.status == 403 && denied.fields["x-amzn-ErrorType"] == "AccessDeniedException")
        #expect(
            denied.json["message"]?.stringValue?.hasPrefix(
                "User: arn:aws:iam::000000000000:user/x is not authorized to perform: eks:CreateCluster on resource: *") == true)
        let deniedEC2 = await send(endpoint(), "GET", "/deny", fields: signed("ec2", path: "/deny"))
        #expect(deniedEC2.text.contains("<Code>UnauthorizedOperation</Code>"))
        let crash = await send(endpoint(), "GET", "/crash", fields: signed("eks", path: "/crash"))
        #expect(crash.status == 500 && crash.text.contains(crash.fields["x-amzn-RequestId"] ?? "-") && !crash.text.contains("connectionClosed"))
    }

    @Test("a body over the limit is refused")
    func bodyLimit() async {
        let answer = await send(
            endpoint(), "POST", "/clusters", fields: signed("eks"), body: String(repeating: "x", count: AWSEndpoint.bodyLimit + 1))
        #expect(answer.status == 413)
    }
}
