import AWSProtocol
import Certificates
import FoundationEssentials
import HTTPTransport
import Synchronization
import Testing

@testable import AWSServices

extension Account {
    /// Calls a JSON service.
    fileprivate func json(_ service: any AWSService, _ target: String, _ input: AWSJSON) async throws -> AWSJSON {
        let head = HTTPRequestHead(
            method: "POST", target: "/", fields: ["X-Amz-Target": target], authority: "x",
            connection: ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2"))
        let request = AWSRequest(
            head: head, service: "kms", region: "eu-central-1", requestID: "r", caller: try await caller(), query: [], body: input.encoded)
        let body = try await service.handle(request).body
        return body.isEmpty ? .object([:]) : try AWSJSON(parsing: body)
    }
}

@Suite struct KMSTests {
    @Test("a key is found by its id, its ARN and its alias, until the day of its deletion")
    func keys() async throws {
        let account = try await Account()
        let time = Mutex(1_795_399_200.0)
        let keys = try await KMSKeys(
            storage: account.storage, account: "000000000000", region: "eu-central-1", seal: try EnvelopeKey(EnvelopeKey.newKey()),
            clock: AWSClock { time.withLock { $0 } })
        let service = KMSService(keys: keys, identities: account.identities)
        func call(_ action: String, _ input: AWSJSON) async throws -> AWSJSON { try await account.json(service, "TrentService." + action, input) }
        func code(_ action: String, _ input: AWSJSON) async -> String {
            do {
                _ = try await call(action, input)
                return "none"
            } catch { return (error as? AWSError)?.code ?? "\(error)" }
        }
        let made = try await call("CreateKey", ["Description": "d", "Tags": [["TagKey": "a", "TagValue": "b"]]])["KeyMetadata"]
        let (id, arn) = (try #require(made?["KeyId"]), try #require(made?["Arn"]))
        _ = try await call("CreateAlias", ["AliasName": "alias/x", "TargetKeyId": id])
        #expect(await code("CreateAlias", ["AliasName": "alias/x", "TargetKeyId": id]) == "AlreadyExistsException")
        #expect(await code("CreateAlias", ["AliasName": "x", "TargetKeyId": id]) == "InvalidAliasNameException")
        for name in [id, arn, "alias/x", "arn:aws:kms:eu-central-1:000000000000:alias/x"] {
            #expect(try await call("DescribeKey", ["KeyId": name])["KeyMetadata"]?["Arn"] == arn)
        }
        #expect(await code("DescribeKey", ["KeyId": "alias/none"]) == "NotFoundException")
        #expect(await code("CreateKey", ["KeySpec": "RSA_2048"]) == "UnsupportedOperationException")
        #expect(await code("Sign", ["KeyId": id]) == "UnknownOperationException")
        #expect(await code("CreateKey", ["Policy": "{"]) == "MalformedPolicyDocumentException")
        _ = try await call("ScheduleKeyDeletion", ["KeyId": id, "PendingWindowInDays": 7])
        #expect(await code("DisableKey", ["KeyId": id]) == "KMSInvalidStateException")
        #expect(await keys.key("alias/x")?.state == "PendingDeletion")
        time.withLock { $0 += 7 * 86_400 }
        #expect(await keys.key("alias/x") == nil)
        _ = try await call("CreateKey", [:])
        #expect(try await call("ListAliases", [:])["Aliases"] == [])
    }

    @Test("the public parameters name images that are there")
    func parameters() async throws {
        let account = try await Account()
        let service = SSMService(authorizer: account.identities, region: "eu-central-1")
        let base = "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64/standard/recommended"
        let image = try await account.json(service, "AmazonSSM.GetParameter", ["Name": .string(base + "/image_id")])["Parameter"]
        let id = try #require(image?["Value"]?.stringValue)
        #expect(try await account.ec2("DescribeImages", ["ImageId.1": id]).contains("<imageId>\(id)</imageId>"))
        let several = try await account.json(service, "AmazonSSM.GetParameters", ["Names": [.string(base + "/release_version"), "/none"]])
        #expect(several["InvalidParameters"] == ["/none"] && several["Parameters"]?.arrayValue?.count == 1)
        let all = try await account.json(service, "AmazonSSM.GetParametersByPath", ["Path": .string(base)])
        #expect(all["Parameters"]?.arrayValue?.count == 3)
        await #expect(throws: AWSError.self) { try await account.json(service, "AmazonSSM.PutParameter", ["Name": "x"]) }
    }
}
