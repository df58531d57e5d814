import AWSProtocol
import Certificates
import FoundationEssentials
import HTTPTransport
import Synchronization
import Testing

@testable import AWSServices

/// One region's KMS, and callers of it.
private struct KeyService {
    let account: Account
    let keys: KMSKeys
    let time: TestTime

    /// A clock that tests move.
    final class TestTime: Sendable {
        let now = Mutex(1_795_399_200.0)
        func pass(days: Double) { now.withLock { $0 += days * 86_400 } }
    }

    init() async throws {
        account = try await Account()
        let time = TestTime()
        self.time = time
        keys = try await KMSKeys(
            storage: account.storage, account: "000000000000", region: "eu-central-1", seal: try EnvelopeKey(EnvelopeKey.newKey()),
            clock: AWSClock { time.now.withLock { $0 } })
    }

    func call(_ action: String, _ input: AWSJSON, as caller: AWSCaller? = nil) async throws -> AWSJSON {
        let head = HTTPRequestHead(
            method: "POST", target: "/", fields: ["X-Amz-Target": "TrentService.\(action)"], authority: "x",
            connection: ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2"))
        let known = try await account.caller()
        let request = AWSRequest(
            head: head, service: "kms", region: "eu-central-1", requestID: "r", caller: caller ?? known, query: [], body: input.encoded)
        let body = try await KMSService(keys: keys, identities: account.identities).handle(request).body
        return body.isEmpty ? .object([:]) : try AWSJSON(parsing: body)
    }

    func code(_ action: String, _ input: AWSJSON, as caller: AWSCaller? = nil) async -> String {
        do {
            _ = try await call(action, input, as: caller)
            return "none"
        } catch let error as AWSError { return error.code } catch is AccessDenial { return "AccessDenied" } catch { return "\(error)" }
    }

    func key(policy: String? = nil) async throws -> AWSJSON {
        let input: AWSJSON = .compact(["Policy": policy.map(AWSJSON.string)])
        return try #require(try await call("CreateKey", input)["KeyMetadata"]?["Arn"])
    }

    /// A user whom IAM lets nothing.
    func stranger(_ name: String) async throws -> AWSCaller {
        _ = try await account.iam("CreateUser", ["UserName": name])
        let arn = "arn:aws:iam::000000000000:user/\(name)"
        return AWSCaller(account: "000000000000", arn: arn, principalARN: arn, userID: "AIDA\(name)", accessKeyID: "AKIA\(name)")
    }
}

private func base64(_ text: String) -> AWSJSON { .string(Data(text.utf8).base64EncodedString()) }

@Suite struct KMSEncryptionTests {
    @Test("what was encrypted opens with its context alone, names its key itself, and survives rotations")
    func roundTrip() async throws {
        let kms = try await KeyService()
        let key = try await kms.key()
        let context: AWSJSON = ["b": "2", "a": "1"]
        let sealed = try await kms.call("Encrypt", ["KeyId": key, "Plaintext": base64("word"), "EncryptionContext": context])
        let blob = try #require(sealed["CiphertextBlob"])
        #expect(sealed["KeyId"] == key)
        let opened = try await kms.call("Decrypt", ["CiphertextBlob": blob, "EncryptionContext": ["a": "1", "b": "2"]])
        #expect(opened["Plaintext"] == base64("word") && opened["KeyId"] == key)
        #expect(await kms.code("Decrypt", ["CiphertextBlob": blob]) == "InvalidCiphertextException")
        #expect(await kms.code("Decrypt", ["CiphertextBlob": base64("nonsense")]) == "InvalidCiphertextException")
        #expect(await kms.code("Decrypt", ["CiphertextBlob": blob, "EncryptionContext": context, "KeyId": try kms.key()]) == "IncorrectKeyException")
        _ = try await kms.call("EnableKeyRotation", ["KeyId": key, "RotationPeriodInDays": 90])
        _ = try await kms.call("RotateKeyOnDemand", ["KeyId": key])
        kms.time.pass(days: 91)
        let later = try await kms.call("Encrypt", ["KeyId": key, "Plaintext": base64("anew")])["CiphertextBlob"]
        #expect(try await kms.call("Decrypt", ["CiphertextBlob": blob, "EncryptionContext": context])["Plaintext"] == base64("word"))
        let new = try await kms.call("Decrypt", ["CiphertextBlob": later ?? ""])
        #expect(new["Plaintext"] == base64("anew") && new["KeyMaterialId"] != opened["KeyMaterialId"])
        let count = await kms.keys.state.read { $0.keys.values.compactMap(\.material?.count).max() }
        #expect(count == 3, "the first, one on demand, one by the calendar")
    }

    @Test("data keys, random bytes, and encrypting anew under another key")
    func dataKeys() async throws {
        let kms = try await KeyService()
        let (key, other) = (try await kms.key(), try await kms.key())
        let data = try await kms.call("GenerateDataKey", ["KeyId": key, "KeySpec": "AES_256"])
        let plain = try #require(data["Plaintext"])
        #expect(Data(base64Encoded: plain.stringValue ?? "")?.count == 32)
        #expect(try await kms.call("Decrypt", ["CiphertextBlob": data["CiphertextBlob"] ?? ""])["Plaintext"] == plain)
        #expect(try await kms.call("GenerateDataKeyWithoutPlaintext", ["KeyId": key, "NumberOfBytes": 7])["Plaintext"] == nil)
        #expect(await kms.code("GenerateDataKey", ["KeyId": key]) == "ValidationException")
        #expect(await kms.code("GenerateDataKey", ["KeyId": key, "KeySpec": "AES_256", "NumberOfBytes": 1]) == "ValidationException")
        let moved = try await kms.call("ReEncrypt", ["CiphertextBlob": data["CiphertextBlob"] ?? "", "DestinationKeyId": other])
        #expect(moved["SourceKeyId"] == key && moved["KeyId"] == other)
        #expect(try await kms.call("Decrypt", ["CiphertextBlob": moved["CiphertextBlob"] ?? ""])["Plaintext"] == plain)
        let random = try await kms.call("GenerateRandom", ["NumberOfBytes": 9])["Plaintext"]?.stringValue
        #expect(Data(base64Encoded: random ?? "")?.count == 9)
        #expect(await kms.code("GenerateRandom", ["NumberOfBytes": 2_000]) == "ValidationException")
        #expect(await kms.code("Encrypt", ["KeyId": key, "Plaintext": base64(String(repeating: "x", count: 4_097))]) == "ValidationException")
        #expect(await kms.code("Encrypt", ["KeyId": key, "Plaintext": base64("x"), "DryRun": true]) == "DryRunOperationException")
    }

    @Test("a key that is disabled or pending deletion does nothing")
    func states() async throws {
        let kms = try await KeyService()
        let key = try await kms.key()
        let blob = try #require(try await kms.call("Encrypt", ["KeyId": key, "Plaintext": base64("word")])["CiphertextBlob"])
        _ = try await kms.call("DisableKey", ["KeyId": key])
        #expect(await kms.code("Encrypt", ["KeyId": key, "Plaintext": base64("word")]) == "DisabledException")
        #expect(await kms.code("Decrypt", ["CiphertextBlob": blob]) == "DisabledException")
        _ = try await kms.call("ScheduleKeyDeletion", ["KeyId": key, "PendingWindowInDays": 7])
        #expect(await kms.code("Decrypt", ["CiphertextBlob": blob]) == "KMSInvalidStateException")
        _ = try await kms.call("CancelKeyDeletion", ["KeyId": key])
        _ = try await kms.call("EnableKey", ["KeyId": key])
        #expect(try await kms.call("Decrypt", ["CiphertextBlob": blob])["Plaintext"] == base64("word"))
        _ = try await kms.call("ScheduleKeyDeletion", ["KeyId": key, "PendingWindowInDays": 7])
        kms.time.pass(days: 8)
        #expect(await kms.code("Decrypt", ["CiphertextBlob": blob]) == "InvalidCiphertextException")
    }

    @Test("a key's policy lets in whom it names, leaves the rest to IAM, and denies for good")
    func policies() async throws {
        let kms = try await KeyService()
        let (ours, theirs) = (try await kms.stranger("ours"), try await kms.stranger("theirs"))
        func policy(_ statements: String) -> String { #"{"Version":"2012-10-17","Statement":[\#(statements)]}"# }
        let root = #"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"kms:*","Resource":"*"}"#
        let named = #"{"Effect":"Allow","Principal":{"AWS":"\#(ours.arn)"},"Action":"kms:Encrypt","Resource":"*"}"#
        let denied = #"{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}"#
        let asked =
            #"{"Effect":"Allow","Principal":{"AWS":"\#(theirs.arn)"},"Action":"kms:Encrypt","Resource":"*","#
            + #""Condition":{"StringEquals":{"kms:EncryptionContext:team":"a"}}}"#
        let key = try await kms.key(policy: policy([root, named, denied, asked].joined(separator: ",")))
        let input: AWSJSON = ["KeyId": key, "Plaintext": base64("word")]
        let blob = try await kms.call("Encrypt", input, as: ours)["CiphertextBlob"]
        #expect(await kms.code("Encrypt", input, as: theirs) == "AccessDenied")
        let withContext: AWSJSON = ["KeyId": key, "Plaintext": base64("word"), "EncryptionContext": ["team": "a"]]
        #expect(await kms.code("Encrypt", withContext, as: theirs) == "none")
        #expect(await kms.code("DescribeKey", ["KeyId": key], as: theirs) == "AccessDenied")
        #expect(await kms.code("Encrypt", input) == "none", "IAM lets the administrator, and the policy leaves it to IAM")
        #expect(await kms.code("Decrypt", ["CiphertextBlob": blob ?? ""]) == "AccessDenied")
        let closed = try await kms.key(policy: policy(named))
        #expect(await kms.code("Encrypt", ["KeyId": closed, "Plaintext": base64("word")]) == "AccessDenied", "nothing is left to IAM")
    }

    @Test("a grant lets its grantee do its operations within its constraints, until it is revoked or retired")
    func grants() async throws {
        let kms = try await KeyService()
        let (key, grantee) = (try await kms.key(), try await kms.stranger("app"))
        let wanted: AWSJSON = [
            "KeyId": key, "GranteePrincipal": .string(grantee.arn), "Operations": ["Encrypt", "Decrypt"], "Name": "one",
            "RetiringPrincipal": .string(grantee.arn), "Constraints": ["EncryptionContextSubset": ["team": "a"]],
        ]
        let input: AWSJSON = ["KeyId": key, "Plaintext": base64("word"), "EncryptionContext": ["team": "a", "more": "b"]]
        #expect(await kms.code("Encrypt", input, as: grantee) == "AccessDenied")
        let grant = try #require(try await kms.call("CreateGrant", wanted)["GrantId"])
        #expect(try await kms.call("CreateGrant", wanted)["GrantId"] == grant, "the same again")
        #expect(await kms.code("Encrypt", input, as: grantee) == "none")
        #expect(await kms.code("Encrypt", ["KeyId": key, "Plaintext": base64("word")], as: grantee) == "AccessDenied", "another context")
        #expect(await kms.code("GenerateDataKey", ["KeyId": key, "KeySpec": "AES_256"], as: grantee) == "AccessDenied")
        #expect(await kms.code("CreateGrant", wanted, as: grantee) == "AccessDenied")
        #expect(await kms.code("CreateGrant", ["KeyId": key, "GranteePrincipal": "me", "Operations": ["Encrypt"]]) == "InvalidArnException")
        #expect(
            await kms.code("CreateGrant", ["KeyId": key, "GranteePrincipal": .string(grantee.arn), "Operations": ["CreateGrant"]])
                == "ValidationException")
        let listed = try await kms.call("ListGrants", ["KeyId": key])["Grants"]?.arrayValue
        #expect(listed?.count == 1 && listed?.first?["Operations"] == ["Decrypt", "Encrypt"] && listed?.first?["Name"] == "one")
        #expect(try await kms.call("ListRetirableGrants", ["RetiringPrincipal": .string(grantee.arn)])["Grants"]?.arrayValue?.count == 1)
        _ = try await kms.call("RetireGrant", ["KeyId": key, "GrantId": grant], as: grantee)
        #expect(await kms.code("Encrypt", input, as: grantee) == "AccessDenied")
        let next = try #require(try await kms.call("CreateGrant", wanted)["GrantId"])
        _ = try await kms.call("RevokeGrant", ["KeyId": key, "GrantId": next])
        #expect(await kms.code("RevokeGrant", ["KeyId": key, "GrantId": next]) == "NotFoundException")
    }

    @Test("the secrets of keys are not in the records in plain, and open with the service's key alone")
    func sealed() async throws {
        let kms = try await KeyService()
        let key = try await kms.key()
        let blob = try await kms.call("Encrypt", ["KeyId": key, "Plaintext": base64("word")])["CiphertextBlob"]
        let other = try await KMSKeys(
            storage: kms.account.storage, account: "000000000000", region: "eu-central-1", seal: try EnvelopeKey(EnvelopeKey.newKey()),
            clock: kms.keys.clock)
        let record = try #require(await other.state.read { $0.keys.values.first })
        let ciphertext = try #require(KMSCiphertext(Array(Data(base64Encoded: blob?.stringValue ?? "") ?? Data())))
        #expect(throws: EnvelopeKey.Failure.self) { try other.decrypt(ciphertext, with: record, context: [:]) }
        #expect(try kms.keys.decrypt(ciphertext, with: record, context: [:]) == Array("word".utf8))
    }
}
