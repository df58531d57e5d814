import AWSProtocol
import Crypto
import HTTPTransport
import Testing

@testable import AWSServices

private let issuer = "https://oidc.example.com/id/ABC"
private let now = 1_795_399_200.0

/// An issuer with one key.
private struct Issuer: WebIdentityKeySource {
    let key = P256.Signing.PrivateKey()

    func keySet(ofIssuer url: String) async -> [UInt8]? {
        guard url == issuer else { return nil }
        let point = Array(key.publicKey.rawRepresentation)
        let entry: AWSJSON = [
            "kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": .string(Base64URL.encode(Array(point.prefix(32)))),
            "y": .string(Base64URL.encode(Array(point.suffix(32)))),
        ]
        return AWSJSON.object(["keys": .array([entry])]).encoded
    }

    func token(_ changes: [String: AWSJSON] = [:], header: AWSJSON = ["alg": "ES256", "kid": "k1"]) throws -> String {
        let claims: [String: AWSJSON] = [
            "iss": .string(issuer), "aud": ["sts.amazonaws.com"], "sub": "system:serviceaccount:default:app", "iat": .integer(Int(now)),
            "exp": .integer(Int(now) + 600),
        ]
        let text = Base64URL.encode(header.encoded) + "." + Base64URL.encode(AWSJSON.object(claims.merging(changes) { $1 }).encoded)
        return text + "." + Base64URL.encode(Array(try key.signature(for: Array(text.utf8)).rawRepresentation))
    }
}

private struct WebIdentityAccount {
    let account: Account
    let issuer = Issuer()
    let roleARN: String

    init(subject: String = "system:serviceaccount:default:*", clientID: String = "sts.amazonaws.com") async throws {
        account = try await Account()
        let provider = try await account.iam(
            "CreateOpenIDConnectProvider", ["Url": "https://oidc.example.com/id/ABC", "ClientIDList.member.1": clientID])
        let arn = try #require(element("OpenIDConnectProviderArn", in: provider))
        let trust = """
            {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"\(arn)"},"Action":"sts:AssumeRoleWithWebIdentity",
            "Condition":{"StringLike":{"oidc.example.com/id/ABC:sub":"\(subject)"},"StringEquals":{"oidc.example.com/id/ABC:aud":"sts.amazonaws.com"}}}]}
            """
        roleARN = try #require(element("Arn", in: try await account.iam("CreateRole", ["RoleName": "irsa", "AssumeRolePolicyDocument": trust])))
        _ = try await account.iam("AttachRolePolicy", ["RoleName": "irsa", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"])
    }

    func assume(_ token: String, _ more: [String: String] = [:]) async throws -> String {
        let parameters = ["RoleArn": roleARN, "RoleSessionName": "pod", "WebIdentityToken": token].merging(more) { $1 }
        let form = (["Action=AssumeRoleWithWebIdentity"] + parameters.map { "\($0.key)=\(PercentEncoding.encode($0.value))" }).joined(separator: "&")
        let head = HTTPRequestHead(
            method: "POST", target: "/", fields: [:], authority: "x",
            connection: ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2"))
        let request = AWSRequest(
            head: head, service: "sts", region: "eu-central-1", requestID: "r", caller: .anonymous, query: [], body: Array(form.utf8))
        let service = STSService(identities: account.identities, keys: issuer)
        #expect(service.takesUnsigned(request))
        return String(decoding: try await service.handle(request).body, as: UTF8.self)
    }

    func code(_ token: String) async throws -> String {
        do { return try await assume(token) } catch let error as AWSError { return error.code }
    }
}

@Suite struct STSTests {
    @Test("a pod's token becomes its role's session")
    func webIdentity() async throws {
        let world = try await WebIdentityAccount()
        let answer = try await world.assume(try world.issuer.token())
        #expect(element("SubjectFromWebIdentityToken", in: answer) == "system:serviceaccount:default:app")
        #expect(
            element("Arn", in: answer) == "arn:aws:sts::000000000000:assumed-role/irsa/pod" && element("Audience", in: answer) == "sts.amazonaws.com")
        let key = try #require(element("AccessKeyId", in: answer))
        let credential = try #require(await world.account.identities.credential(accessKeyID: key))
        try await world.account.identities.authorize(credential.caller, action: "s3:GetObject", resource: "*")
    }

    @Test("tokens that are not right are refused, each with its code")
    func refusals() async throws {
        let world = try await WebIdentityAccount()
        #expect(try await world.code("a.b.c") == "InvalidIdentityToken")
        #expect(try await world.code(try Issuer().token()) == "InvalidIdentityToken")
        #expect(try await world.code(try world.issuer.token(["exp": .integer(Int(now) - 61)])) == "ExpiredTokenException")
        #expect(try await world.code(try world.issuer.token(["nbf": .integer(Int(now) + 600)])) == "InvalidIdentityToken")
        #expect(try await world.code(try world.issuer.token(["aud": "other"])) == "InvalidIdentityToken")
        #expect(try await world.code(try world.issuer.token(["iss": "https://elsewhere"])) == "InvalidIdentityToken")
        #expect(try await world.code(try world.issuer.token(["sub": "system:serviceaccount:kube-system:app"])) == "AccessDenied")
        #expect(try await world.code(try world.issuer.token(header: ["alg": "none"])) == "InvalidIdentityToken")
        #expect(try await world.code(try world.issuer.token(header: ["alg": "HS256", "kid": "k1"])) == "InvalidIdentityToken")
        #expect(try await world.code(try world.issuer.token(header: ["alg": "ES256", "kid": "k2"])) == "InvalidIdentityToken")
        let other = try await WebIdentityAccount(clientID: "other")
        #expect(try await other.code(try other.issuer.token()) == "InvalidIdentityToken")
    }

    @Test("an issuer's keys that cannot be had are told")
    func noKeys() async throws {
        let world = try await WebIdentityAccount()
        let token = try world.issuer.token()
        await #expect(throws: AWSError.self) { try await WebIdentityVerifier(identities: world.account.identities, keys: nil).verify(token) }
    }

    @Test("a session may do no more than its session policies, and carries its tags")
    func sessionPolicies() async throws {
        let account = try await Account()
        let trust = """
            {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},
            "Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEqualsIfExists":{"sts:ExternalId":"x"}}}]}
            """
        let role = try #require(element("Arn", in: try await account.iam("CreateRole", ["RoleName": "r", "AssumeRolePolicyDocument": trust])))
        _ = try await account.iam("AttachRolePolicy", ["RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"])
        let answer = try await account.call(
            "sts", "AssumeRole",
            [
                "RoleArn": role, "RoleSessionName": "me", "ExternalId": "x", "Tags.member.1.Key": "team", "Tags.member.1.Value": "a",
                "TransitiveTagKeys.member.1": "team",
                "Policy": #"{"Statement":{"Effect":"Allow","Action":["eks:*","sts:*"],"Resource":"*"}}"#,
            ])
        let caller = try await account.caller(element("AccessKeyId", in: answer))
        try await account.identities.authorize(caller, action: "eks:ListClusters", resource: "*")
        await #expect(throws: AccessDenial.self) { try await account.identities.authorize(caller, action: "ec2:DescribeVpcs", resource: "*") }
        let chained = try await account.call("sts", "AssumeRole", ["RoleArn": role, "RoleSessionName": "two"], as: caller)
        let key = try #require(element("AccessKeyId", in: chained))
        #expect(await account.identities.state.read { $0.sessions[key]?.attributes?.tags } == ["team": "a"])
        func code(_ parameters: [String: String], as caller: AWSCaller?) async throws -> String {
            do { return try await account.call("sts", "AssumeRole", parameters, as: caller) } catch let error as AWSError {
                return error.code
            } catch is AccessDenial { return "AccessDenied" }
        }
        #expect(try await code(["RoleArn": role, "RoleSessionName": "me", "ExternalId": "y"], as: nil) == "AccessDenied")
        #expect(try await code(["RoleArn": role, "RoleSessionName": "me", "DurationSeconds": "3601"], as: nil) == "ValidationError")
        #expect(try await code(["RoleArn": role, "RoleSessionName": "me", "Tags.member.1.Key": "team"], as: caller) == "ValidationError")
        #expect(try await code(["RoleArn": role, "RoleSessionName": "me", "Policy": "{"], as: nil) == "MalformedPolicyDocument")
    }

    @Test("a service gets a session of a role that trusts it, with tags only where they are allowed")
    func services() async throws {
        let account = try await Account()
        let trust = #"{"Statement":{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}}"#
        let role = try #require(element("Arn", in: try await account.iam("CreateRole", ["RoleName": "r", "AssumeRolePolicyDocument": trust])))
        let plain = try #require(element("Arn", in: try await account.iam("CreateRole", ["RoleName": "p", "AssumeRolePolicyDocument": eksTrust])))
        func session(_ arn: String, _ service: String, tags: [String: String] = [:]) async throws -> RoleCredentials {
            var asked = ServiceSession(roleARN: arn, service: service, sessionName: "s", duration: 3_600, sourceARN: "arn:aws:eks:::cluster/c")
            asked.tags = tags
            return try await account.identities.credentials(for: asked)
        }
        let credentials = try await session(role, "pods.eks.amazonaws.com", tags: ["kubernetes-namespace": "n"])
        #expect(credentials.assumedRoleARN == "arn:aws:sts::000000000000:assumed-role/r/s")
        await #expect(throws: AccessDenial.self) { try await session(plain, "pods.eks.amazonaws.com") }
        await #expect(throws: AccessDenial.self) { try await session(plain, "eks.amazonaws.com", tags: ["a": "b"]) }
    }

    @Test("a user's session is the user's, and begins no further one")
    func sessionToken() async throws {
        let account = try await Account()
        let answer = try await account.call("sts", "GetSessionToken", ["DurationSeconds": "900"])
        let caller = try await account.caller(element("AccessKeyId", in: answer))
        #expect(caller.arn == "arn:aws:iam::000000000000:user/admin")
        await #expect(throws: AWSError.self) { try await account.call("sts", "GetSessionToken", [:], as: caller) }
        await #expect(throws: AWSError.self) { try await account.iam("ListRoles", as: caller) }
        #expect(try await account.call("sts", "GetCallerIdentity", as: caller).contains("user/admin"))
        #expect(try await account.code("sts", "GetSessionToken", ["DurationSeconds": "1"]) == "ValidationError")
        #expect(
            element("Account", in: try await account.call("sts", "GetAccessKeyInfo", ["AccessKeyId": account.admin.accessKeyID])) == "000000000000")
        #expect(try await account.code("sts", "DecodeAuthorizationMessage", ["EncodedMessage": "x"]) == "InvalidAuthorizationMessageException")
    }

    @Test("providers live through their operations")
    func providers() async throws {
        let account = try await Account()
        let print = String(repeating: "AB", count: 20)
        let arn = try #require(
            element(
                "OpenIDConnectProviderArn",
                in: try await account.iam(
                    "CreateOpenIDConnectProvider", ["Url": issuer + "/", "ClientIDList.member.1": "a", "ThumbprintList.member.1": print])))
        #expect(arn == "arn:aws:iam::000000000000:oidc-provider/oidc.example.com/id/ABC")
        #expect(try await account.code("iam", "CreateOpenIDConnectProvider", ["Url": issuer]) == "EntityAlreadyExists")
        #expect(try await account.code("iam", "CreateOpenIDConnectProvider", ["Url": "http://x"]) == "ValidationError")
        _ = try await account.iam("AddClientIDToOpenIDConnectProvider", ["OpenIDConnectProviderArn": arn, "ClientID": "b"])
        _ = try await account.iam("RemoveClientIDFromOpenIDConnectProvider", ["OpenIDConnectProviderArn": arn, "ClientID": "a"])
        let got = try await account.iam("GetOpenIDConnectProvider", ["OpenIDConnectProviderArn": arn])
        #expect(got.contains("<ClientIDList><member>b</member></ClientIDList>") && got.contains(print.lowercased()))
        _ = try await account.iam("DeleteOpenIDConnectProvider", ["OpenIDConnectProviderArn": arn])
        #expect(try await account.code("iam", "GetOpenIDConnectProvider", ["OpenIDConnectProviderArn": arn]) == "NoSuchEntity")
    }
}
