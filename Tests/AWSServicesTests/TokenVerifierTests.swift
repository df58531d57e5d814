import AWSProtocol
import Glibc
import Synchronization
import Testing

@testable import AWSServices

private let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
private let signingTime: Double = 1_795_399_200

private final class Keys: AWSCredentialSource {
    let isActive = Mutex(true)
    let arn: String
    init(arn: String = "arn:aws:iam::000000000000:user/x") { self.arn = arn }

    func credential(accessKeyID: String) async -> AWSCredential? {
        guard isActive.withLock({ $0 }), accessKeyID == "AKIDEXAMPLE" else { return nil }
        let caller = AWSCaller(account: "000000000000", arn: arn, principalARN: arn, userID: "AIDAX", accessKeyID: accessKeyID)
        return AWSCredential(accessKeyID: accessKeyID, secretAccessKey: secret, caller: caller)
    }
}

private func verifier(_ keys: Keys = Keys(), now: Double = signingTime) -> EKSTokenVerifier {
    EKSTokenVerifier(configuration: .init(endpointURLs: ["https://127.0.0.1:7443", "http://127.0.0.1:7480"]), source: keys, clock: AWSClock { now })
}

private func url(
    host: String = "sts.eu-central-1.amazonaws.com", cluster: String? = "demo", action: String = "GetCallerIdentity", expires: Int = 60,
    extra: [(name: String, value: String)] = []
) -> String {
    let signer = RequestSigner(accessKeyID: "AKIDEXAMPLE", secretAccessKey: secret, region: "eu-central-1", service: "sts")
    let headers = (cluster.map { [(name: "x-k8s-aws-id", value: $0)] } ?? []) + extra
    return "https://" + host
        + signer.presign(target: "/?Action=\(action)&Version=2011-06-15", host: host, headers: headers, expires: expires, time: signingTime)
}

private func token(_ url: String) -> String { "k8s-aws-v1." + Base64URL.encode(Array(url.utf8)) }

private func rule(_ token: String, now: Double = signingTime, cluster: String = "demo") async -> Int? {
    do {
        _ = try await verifier(now: now).verify(token, clusterName: cluster)
        return nil
    } catch {
        return error.rule
    }
}

@Suite struct TokenVerifierTests {
    @Test("the token of aws eks get-token is its signer's")
    func botocore() async throws {
        let signed =
            "https://sts.eu-central-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&"
            + "X-Amz-Credential=AKIDEXAMPLE%2F20261123%2Feu-central-1%2Fsts%2Faws4_request"
            + "&X-Amz-Date=20261123T020000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&"
            + "X-Amz-Signature=9ba7ead08a55ed1e1ce628367b6cc51d5846ad52ff966ce9628a7cfa5fd20385"
        let identity = try await verifier().verify(token(signed), clusterName: "demo")
        #expect(identity.canonicalARN == "arn:aws:iam::000000000000:user/x" && identity.accessKeyID == "AKIDEXAMPLE" && identity.userID == "AIDAX")
    }

    @Test("this service's own addresses are STS too, with their own scheme only")
    func ownEndpoint() async {
        #expect(await rule(token(url(host: "127.0.0.1:7443"))) == nil)
        #expect(await rule(token("http" + url(host: "127.0.0.1:7443").dropFirst(5))) == 4)
        #expect(await rule(token("http" + url(host: "127.0.0.1:7480").dropFirst(5))) == nil)
        #expect(await rule(token(url(host: "127.0.0.1:7444"))) == 5)
    }

    @Test("each rule refuses what breaks it")
    func rules() async {
        let good = url()
        #expect(await rule(token(good)) == nil)
        #expect(await rule("k8s-aws-v1." + String(repeating: "a", count: 4_096)) == 1)
        #expect(await rule("k8s-aws-v2." + Base64URL.encode(Array(good.utf8))) == 2)
        #expect(await rule(token(good) + "==") == 3)
        #expect(await rule(token("not a url")) == 4)
        #expect(await rule(token("http" + good.dropFirst(5))) == 4)
        #expect(await rule(token(good + "#fragment")) == 4)
        #expect(await rule(token("https://user@" + good.dropFirst(8))) == 4)
        #expect(await rule(token(url(host: "sts.eu-central-1.amazonaws.com.evil.example"))) == 5)
        #expect(await rule(token(good.replacingFirst("/?", with: "/x?"))) == 6)
        #expect(await rule(token(good + "&x=%zz")) == 7)
        #expect(await rule(token(good + "&x-amz-credential=AKIAOTHER%2F20261123%2Feu-central-1%2Fsts%2Faws4_request")) == 8)
        #expect(await rule(token(good + "&ACTION=GetCallerIdentity")) == 8)
        #expect(await rule(token(good + "&DurationSeconds=1")) == 9)
        #expect(await rule(token(url(action: "AssumeRole"))) == 10)
        #expect(await rule(token(url(cluster: nil))) == 11)
        #expect(await rule(token(url(extra: [(name: "x-forged", value: "1")]))) == 11)
        #expect(await rule(token(url(expires: 901))) == 12)
        #expect(await rule(token(good.replacingFirst("X-Amz-Expires=60", with: "X-Amz-Expires=-1"))) == 12)
        #expect(await rule(token(good.replacingFirst("&X-Amz-Date=20261123T020000Z", with: ""))) == 13)
        #expect(await rule(token(good.replacingFirst("20261123T020000Z", with: "2026-11-23"))) == 13)
        #expect(await rule(token(good), now: signingTime + 901) == 13)
        #expect(await rule(token(good), now: signingTime + 899) == nil)
        #expect(await rule(token(good), now: signingTime - 301) == 13)
        #expect(await rule(token(good), cluster: "other") == 16)
        #expect(await rule(token(good.replacingFirst("Version=2011-06-15", with: "Version=2010-05-08"))) == 16)
        #expect(await rule(token(good.replacingFirst("%2Fsts%2F", with: "%2Feks%2F"))) == 16)
    }

    /// The idea of upstream's TestSTSEndpoints, with a table of our own.
    @Test(
        "only STS hosts of the partition are believed",
        arguments: [
            ("sts.amazonaws.com", "aws", true), ("sts.us-east-1.amazonaws.com", "aws", true), ("sts.eu-central-1.amazonaws.com", "aws", true),
            ("sts-fips.us-east-1.amazonaws.com", "aws", true), ("sts.eu-west-3.api.aws", "aws", true), ("sts-fips.us-west-2.api.aws", "aws", true),
            ("sts.ap-southeast-7.amazonaws.com", "aws", true), ("sts.mx-central-1.amazonaws.com", "aws", true),
            ("sts.cn-north-1.amazonaws.com.cn", "aws-cn", true), ("sts.cn-northwest-1.api.amazonwebservices.com.cn", "aws-cn", true),
            ("sts.us-gov-west-1.amazonaws.com", "aws-us-gov", true), ("sts-fips.us-gov-east-1.amazonaws.com", "aws-us-gov", true),
            ("sts.us-iso-east-1.c2s.ic.gov", "aws-iso", true), ("sts.us-isob-east-1.sc2s.sgov.gov", "aws-iso-b", true),
            ("sts.eu-isoe-west-1.cloud.adc-e.uk", "aws-iso-e", true), ("sts.us-isof-south-1.csp.hci.ic.gov", "aws-iso-f", true),
            ("sts.eusc-de-east-1.amazonaws.eu", "aws-eusc", true),
            ("sts.amazonaws.com", "aws-cn", false), ("sts.amazonaws.com", "aws-us-gov", false), ("sts.amazonaws.com.cn", "aws-cn", false),
            ("sts.cn-north-1.amazonaws.com.cn", "aws", false), ("sts.cn-north-1.amazonaws.com", "aws", false),
            ("sts.us-gov-west-1.amazonaws.com", "aws", false),
            ("sts.us-east-1.amazonaws.com", "aws-us-gov", false), ("sts.us-east-1.amazonaws.com.cn", "aws-cn", false),
            ("sts.us-iso-east-1.c2s.ic.gov", "aws", false), ("sts.us-east-1.amazonaws.com:443", "aws", false),
            ("STS.us-east-1.amazonaws.com", "aws", false),
            ("sts.us-east-1.amazonaws.com.", "aws", false), ("sts..amazonaws.com", "aws", false), ("sts.-us.amazonaws.com", "aws", false),
            ("sts.us-.amazonaws.com", "aws", false), ("sts.a.b.amazonaws.com", "aws", false), ("xsts.us-east-1.amazonaws.com", "aws", false),
            ("sts.us-east-1.amazonaws.com.evil.example", "aws", false), ("evil.example", "aws", false), ("sts.us_east.amazonaws.com", "aws", false),
            ("sts.us-east-1.amazonaws.co", "aws", false), ("s3.us-east-1.amazonaws.com", "aws", false), ("", "aws", false),
            ("sts.amazonaws.com", "nowhere", false),
            ("sts.us%2deast.amazonaws.com", "aws", false), ("sts.us-east-1.api.aws", "aws-cn", false), ("sts-fips.amazonaws.com", "aws", false),
        ])
    func hosts(_ host: String, _ partition: String, _ isBelieved: Bool) { #expect(STSHosts.isEndpoint(host, ofPartition: partition) == isBelieved) }

    @Test(
        "ARNs are made canonical as upstream does",
        arguments: [
            ("arn:aws:iam::1:user/a/b", "arn:aws:iam::1:user/a/b"), ("arn:aws:sts::1:assumed-role/r/s", "arn:aws:iam::1:role/r"),
            ("arn:aws:sts::1:assumed-role/p/r/s", "arn:aws:iam::1:role/p/r"), ("arn:aws-cn:iam::1:role/r", "arn:aws-cn:iam::1:role/r"),
            ("arn:aws:sts::1:federated-user/f", "arn:aws:sts::1:federated-user/f"), ("arn:aws:iam::1:root", "arn:aws:iam::1:root"),
            ("arn:aws:iam::1:group/g", nil), ("arn:aws:ec2::1:instance/i", nil), ("arn:nowhere:iam::1:user/a", nil),
            ("arn:aws:sts::1:assumed-role/r", nil),
            ("x", nil),
        ] as [(String, String?)])
    func canonical(_ arn: String, _ expected: String?) { #expect(CanonicalPrincipal.canonicalize(arn) == expected) }

    @Test("a remembered token stops with its key and with its time")
    func cache() async throws {
        let keys = Keys()
        let now = Mutex(signingTime)
        let verifier = EKSTokenVerifier(configuration: .init(), source: keys, clock: AWSClock { now.withLock { $0 } })
        let bearer = token(url())
        for _ in 0..<3 { _ = try await verifier.verify(bearer, clusterName: "demo") }
        await #expect(throws: EKSTokenError.self) { try await verifier.verify(bearer, clusterName: "other") }
        keys.isActive.withLock { $0 = false }
        await #expect(throws: EKSTokenError.self) { try await verifier.verify(bearer, clusterName: "demo") }
        keys.isActive.withLock { $0 = true }
        _ = try await verifier.verify(bearer, clusterName: "demo")
        now.withLock { $0 = signingTime + 901 }
        await #expect(throws: EKSTokenError.self) { try await verifier.verify(bearer, clusterName: "demo") }
    }

    /// A million in CI, which sets EYRIE_THOROUGH; elsewhere as many as a minute of a debug build is enough for.
    @Test("of a hundred thousand tokens changed at random, in CI a million, none is accepted, and none crashes the verifier")
    func mutations() async {
        let workers: UInt64 = 4
        let count = getenv("EYRIE_THOROUGH") == nil ? 100_000 : 1_000_000
        let accepted = await withTaskGroup(of: Int.self) { group in
            for worker in 0..<workers { group.addTask { await Self.accepted(of: count / Int(workers), seed: 20_261_123 + worker) } }
            return await group.reduce(0, +)
        }
        #expect(accepted == 0)
    }

    /// How many tokens that are not the good one are taken for it.
    private static func accepted(of count: Int, seed: UInt64) async -> Int {
        var generator = SplitMix(seed: seed)
        let verifier = verifier()
        let good = Array(url().utf8)
        let inserts = ["&", "%", "=", "?", "#", "@", "\u{0}", "x-amz-date=", "&Action=GetCallerIdentity", "%00", "/", ".."].map { Array($0.utf8) }
        var accepted = 0
        for _ in 0..<count {
            var bytes = good
            for _ in 0...Int.random(in: 0..<3, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<5, using: &generator) {
                case 0: bytes[at] ^= UInt8(1 << Int.random(in: 0..<8, using: &generator))
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(contentsOf: inserts.randomElement(using: &generator) ?? [], at: at)
                case 3: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                default: bytes.insert(bytes[at], at: at)
                }
            }
            guard bytes != good else { continue }
            do {
                _ = try await verifier.verify("k8s-aws-v1." + Base64URL.encode(bytes), clusterName: "demo")
                // Another spelling of the same request is not another request: %2F and %2f, a stray `&`.
                if !isSameRequest(bytes, good) { accepted += 1 }
            } catch { continue }
        }
        return accepted
    }

    private static func isSameRequest(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        func normal(_ bytes: [UInt8]) -> [String] {
            let text = String(decoding: bytes, as: UTF8.self)
            let query = text.split(separator: "?", maxSplits: 1).last ?? ""
            return (PercentEncoding.decodePairs(query) ?? []).map { "\($0.name)=\($0.value)" }.sorted()
        }
        return normal(a) == normal(b)
    }
}

/// Random numbers that are the same in every run.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension String {
    func replacingFirst(_ needle: String, with text: String) -> String {
        guard let range = firstRange(of: needle) else { return self }
        return replacingCharacters(range, text)
    }
    private func replacingCharacters(_ range: Range<String.Index>, _ text: String) -> String {
        String(self[..<range.lowerBound]) + text + self[range.upperBound...]
    }
}
