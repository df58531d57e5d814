import AWSProtocol
import HTTPTransport
import Testing

@testable import AWSServices

/// A region with all services over memory, and calls as its administrator.
struct Account {
    let storage = MemoryRowStorage()
    let identities: IdentityStore
    let network: EC2Network
    let admin: AdministratorCredentials

    init(now: Double = 1_795_399_200) async throws {
        identities = try await IdentityStore(storage: storage, clock: AWSClock { now })
        network = try await EC2Network(storage: storage, account: "000000000000", region: "eu-central-1", clock: AWSClock { now })
        admin = try await identities.administratorCredentials()
    }

    func caller(_ accessKeyID: String? = nil) async throws -> AWSCaller {
        try #require(await identities.credential(accessKeyID: accessKeyID ?? admin.accessKeyID)).caller
    }

    /// Calls a query service with a form and returns the body.
    func call(_ service: String, _ action: String, _ parameters: [String: String] = [:], as caller: AWSCaller? = nil) async throws -> String {
        let form =
            (["Action=\(action)"]
            + parameters.sorted { $0.key < $1.key }.map { PercentEncoding.encode($0.key) + "=" + PercentEncoding.encode($0.value) })
            .joined(separator: "&")
        let head = HTTPRequestHead(
            method: "POST", target: "/", fields: [:], authority: "x",
            connection: ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2"))
        let actor: AWSCaller
        if let caller { actor = caller } else { actor = try await self.caller() }
        let request = AWSRequest(
            head: head, service: service, region: "eu-central-1", requestID: "r", caller: actor, query: [], body: Array(form.utf8))
        let response: AWSResponse
        switch service {
        case "iam": response = try await IAMService(identities: identities).handle(request)
        case "sts": response = try await STSService(identities: identities).handle(request)
        default: response = try await EC2Service(network: network, authorizer: identities).handle(request)
        }
        return String(decoding: response.body, as: UTF8.self)
    }

    func iam(_ action: String, _ parameters: [String: String] = [:], as caller: AWSCaller? = nil) async throws -> String {
        try await call("iam", action, parameters, as: caller)
    }
    func ec2(_ action: String, _ parameters: [String: String] = [:]) async throws -> String { try await call("ec2", action, parameters) }

    /// The code of the error an EC2 or IAM call ends with.
    func code(_ service: String, _ action: String, _ parameters: [String: String] = [:]) async throws -> String {
        do {
            return try await call(service, action, parameters)
        } catch let error as AWSError {
            return error.code
        }
    }
}

/// The text of the first element of this name.
func element(_ name: String, in xml: String) -> String? {
    guard let start = xml.firstRange(of: "<\(name)>"), let end = xml[start.upperBound...].firstRange(of: "</\(name)>") else { return nil }
    return String(xml[start.upperBound..<end.lowerBound])
}

let eksTrust = #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#

@Suite struct IAMTests {
    @Test("the administrator is made once, with a key that works, and is found again after a restart")
    func administrator() async throws {
        let account = try await Account()
        #expect(account.admin.accessKeyID.hasPrefix("AKIA") && account.admin.accessKeyID.count == 20 && account.admin.secretAccessKey.count == 40)
        let again = try await IdentityStore(storage: account.storage)
        #expect(try await again.administratorCredentials() == account.admin)
        let identity = try await account.call("sts", "GetCallerIdentity")
        #expect(element("Arn", in: identity) == "arn:aws:iam::000000000000:user/admin")
    }

    @Test("a role lives through its operations, with IAM's refusals")
    func roles() async throws {
        let account = try await Account()
        let policy = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
        let created = try await account.iam("CreateRole", ["RoleName": "r", "Path": "/p/", "AssumeRolePolicyDocument": eksTrust])
        let arn = try #require(element("Arn", in: created))
        #expect(arn == "arn:aws:iam::000000000000:role/p/r")
        #expect(PercentEncoding.decode(element("AssumeRolePolicyDocument", in: created) ?? "") == eksTrust)
        #expect(try await account.code("iam", "CreateRole", ["RoleName": "r", "AssumeRolePolicyDocument": eksTrust]) == "EntityAlreadyExists")
        #expect(try await account.code("iam", "AttachRolePolicy", ["RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/None"]) == "NoSuchEntity")
        _ = try await account.iam("AttachRolePolicy", ["RoleName": "r", "PolicyArn": policy])
        #expect(try await account.iam("ListAttachedRolePolicies", ["RoleName": "r"]).contains("<PolicyName>AmazonEKSClusterPolicy</PolicyName>"))
        #expect(try await account.code("iam", "DeleteRole", ["RoleName": "r"]) == "DeleteConflict")
        let facts = try #require(
            await account.identities.roleFacts(
                arn: arn, services: ["eks.amazonaws.com", "ec2.amazonaws.com"], actions: ["ec2:DescribeSubnets", "ec2:RunInstances"]))
        #expect(facts.trustedServices == ["eks.amazonaws.com"] && facts.allowedActions == ["ec2:DescribeSubnets"])
        #expect(await account.identities.roleFacts(arn: "arn:aws:iam::000000000000:role/r", services: [], actions: []) == nil)
        _ = try await account.iam("DetachRolePolicy", ["RoleName": "r", "PolicyArn": policy])
        _ = try await account.iam("DeleteRole", ["RoleName": "r"])
        #expect(try await account.code("iam", "GetRole", ["RoleName": "r"]) == "NoSuchEntity")
    }

    @Test(
        "documents that are no policies are refused",
        arguments: [
            "{", "{}", #"{"Statement":[]}"#, #"{"Version":"2011","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
            #"{"Statement":{"Effect":"Maybe","Action":"*","Resource":"*"}}"#, #"{"Statement":{"Effect":"Allow","Action":"nothing","Resource":"*"}}"#,
            #"{"Statement":{"Effect":"Allow","Action":"*"}}"#, #"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}}"#,
        ])
    func badPolicies(_ document: String) { #expect(throws: AWSError.self) { try PolicyDocument.checkIdentityPolicy(document) } }

    @Test("identity policies decide: a deny wins, wildcards and resources count, and nothing is allowed by default")
    func evaluation() async throws {
        let account = try await Account()
        _ = try await account.iam("CreateUser", ["UserName": "dev"])
        let key = try #require(element("AccessKeyId", in: try await account.iam("CreateAccessKey", ["UserName": "dev"])))
        let dev = try await account.caller(key)
        func isAllowed(_ action: String, _ resource: String) async -> Bool {
            do {
                try await account.identities.authorize(dev, action: action, resource: resource)
                return true
            } catch { return false }
        }
        let demo = "arn:aws:eks:eu-central-1:000000000000:cluster/demo"
        #expect(await !isAllowed("eks:DescribeCluster", demo))
        let policy = """
            {"Version":"2012-10-17","Statement":[
              {"Effect":"Allow","Action":["eks:Describe*","eks:list*"],"Resource":"arn:aws:eks:*:*:cluster/d?mo"},
              {"Effect":"Deny","Action":"eks:DescribeCluster","Resource":"*","Condition":{"StringEquals":{"aws:username":"other"}}},
              {"Effect":"Allow","NotAction":"iam:*","Resource":"arn:aws:ec2:*"},
              {"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}/*"},
              {"Effect":"Allow","Action":"sts:*","Resource":"*","Condition":{"NumericLessThan":{"x":"1"}}}]}
            """
        _ = try await account.iam("PutUserPolicy", ["UserName": "dev", "PolicyName": "p", "PolicyDocument": policy])
        #expect(await isAllowed("eks:DescribeCluster", demo))
        #expect(await isAllowed("eks:ListNodegroups", demo))
        #expect(await !isAllowed("eks:DeleteCluster", demo))
        #expect(await !isAllowed("eks:DescribeCluster", demo + "2"))
        #expect(await isAllowed("ec2:CreateVpc", "arn:aws:ec2:eu-central-1:000000000000:vpc/*"))
        #expect(await !isAllowed("iam:CreateUser", "arn:aws:ec2:x"))
        #expect(await isAllowed("s3:GetObject", "arn:aws:s3:::dev/a"))
        #expect(await !isAllowed("s3:GetObject", "arn:aws:s3:::other/a"))
        #expect(await !isAllowed("sts:AssumeRole", "*"))
        let deny = #"{"Statement":{"Effect":"Deny","Action":"eks:*","Resource":"*"}}"#
        _ = try await account.iam("PutUserPolicy", ["UserName": "dev", "PolicyName": "q", "PolicyDocument": deny])
        #expect(await !isAllowed("eks:DescribeCluster", demo))
        await #expect(throws: AccessDenial.self) { try await account.iam("ListRoles", as: dev) }
    }

    @Test("a role is assumed by whom it trusts, and its session carries its policies")
    func assumeRole() async throws {
        let account = try await Account()
        _ = try await account.iam("CreateUser", ["UserName": "dev"])
        let key = try #require(element("AccessKeyId", in: try await account.iam("CreateAccessKey", ["UserName": "dev"])))
        let dev = try await account.caller(key)
        let trust = #"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:user/dev"},"Action":"sts:AssumeRole"}}"#
        let created = try await account.iam("CreateRole", ["RoleName": "ops", "AssumeRolePolicyDocument": trust])
        _ = try await account.iam("AttachRolePolicy", ["RoleName": "ops", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"])
        let arn = try #require(element("Arn", in: created))
        let answer = try await account.call("sts", "AssumeRole", ["RoleArn": arn, "RoleSessionName": "me"], as: dev)
        let session = try #require(element("AccessKeyId", in: answer))
        let credential = try #require(await account.identities.credential(accessKeyID: session))
        #expect(credential.caller.arn == "arn:aws:sts::000000000000:assumed-role/ops/me" && credential.caller.principalARN == arn)
        #expect(credential.sessionToken == element("SessionToken", in: answer) && credential.expiration == 1_795_399_200 + 3_600)
        try await account.identities.authorize(credential.caller, action: "eks:CreateCluster", resource: "*")
        await #expect(throws: AccessDenial.self) {
            try await account.call("sts", "AssumeRole", ["RoleArn": arn, "RoleSessionName": "me"], as: try await account.caller())
        }
        await #expect(throws: AWSError.self) { try await account.call("sts", "AssumeRole", ["RoleArn": arn, "RoleSessionName": "a b"], as: dev) }
    }

    @Test("an access key that is inactive or deleted no longer works")
    func keys() async throws {
        let account = try await Account()
        _ = try await account.iam("CreateUser", ["UserName": "dev"])
        let key = try #require(element("AccessKeyId", in: try await account.iam("CreateAccessKey", ["UserName": "dev"])))
        _ = try await account.iam("UpdateAccessKey", ["UserName": "dev", "AccessKeyId": key, "Status": "Inactive"])
        let inactive = await account.identities.credential(accessKeyID: key)
        #expect(inactive == nil)
        #expect(try await account.code("iam", "DeleteUser", ["UserName": "dev"]) == "DeleteConflict")
        _ = try await account.iam("DeleteAccessKey", ["UserName": "dev", "AccessKeyId": key])
        _ = try await account.iam("DeleteUser", ["UserName": "dev"])
    }

    @Test("an operation that is not built says so") func unknown() async throws {
        #expect(try await account().code("iam", "CreateSAMLProvider") == "InvalidAction")
        #expect(try await account().code("ec2", "RunInstances") == "InvalidAction")
    }
    private func account() async throws -> Account { try await Account() }
}
