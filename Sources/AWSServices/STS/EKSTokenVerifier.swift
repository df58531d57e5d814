package import AWSProtocol
import Synchronization

/// Who a cluster's token stands for. Upstream: aws-iam-authenticator token.Identity.
package struct EKSIdentity: Sendable, Equatable {
    /// As GetCallerIdentity says.
    package var arn: String
    /// With an assumed role made its IAM role: `arn:aws:iam::…:role/NAME`, without the role's path.
    package var canonicalARN: String
    /// The IAM user or role with its path, as access entries and the cluster's creator are recorded.
    package var principalARN: String
    package var accountID: String
    /// `AIDA…`, or `AROA…:session`.
    package var userID: String
    /// Empty when there is no session.
    package var sessionName: String
    package var accessKeyID: String
}

/// Why a token is refused. `rule` is the number of the first rule it breaks, 1 to 17.
package struct EKSTokenError: Error, Sendable, Equatable, CustomStringConvertible {
    package var rule: Int
    package var description: String
}

/// Verifies the bearer tokens of EKS: `k8s-aws-v1.` and a presigned STS GetCallerIdentity URL. STS is this process, so the signature is verified
/// here, on a request rebuilt from the whitelisted parts of the URL: nothing the bearer wrote is passed on.
///
/// Upstream: aws-iam-authenticator pkg/token tokenVerifier.Verify; the rules are taken in its order. Two are stricter: dates more than five minutes
/// in the future are refused, and no header may be signed that the rebuilt request does not have.
package final class EKSTokenVerifier: Sendable {
    package struct Configuration: Sendable {
        /// Whose STS endpoints are believed.
        package var partition: String
        /// This service's own addresses, `https://127.0.0.1:7443`: a client with `AWS_ENDPOINT_URL` presigns against them. Their scheme is taken as
        /// it is here.
        package var endpointURLs: [String]
        /// Verified tokens remembered; kubectl sends the same one for 14 minutes.
        package var cacheCapacity = 4_096

        package init(partition: String = "aws", endpointURLs: [String] = []) {
            self.partition = partition
            self.endpointURLs = endpointURLs
        }
    }

    static let prefix = "k8s-aws-v1."
    static let longestToken = 4_096
    /// Seconds after its date that a token is taken.
    static let lifetime: Double = 900
    static let clusterHeader = "x-k8s-aws-id"
    /// As STS spells them.
    private static let keys: Set<String> = [
        "Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    ]
    private static let allowedKeys = Set(keys.map { $0.lowercased() })

    private struct CacheKey: Hashable {
        var cluster: String
        var tokenHash: String
    }
    private struct CacheEntry {
        var identity: EKSIdentity
        var notAfter: Double
    }

    private let configuration: Configuration
    private let ownEndpoints: Set<String>
    private let source: any AWSCredentialSource
    private let verifier: SignatureVerifier
    private let clock: AWSClock
    private let cache = Mutex<[CacheKey: CacheEntry]>([:])

    package init(configuration: Configuration, source: any AWSCredentialSource, clock: AWSClock = .system) {
        self.configuration = configuration
        ownEndpoints = Set(configuration.endpointURLs.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 })
        self.source = source
        self.clock = clock
        verifier = SignatureVerifier(source: source, clock: clock)
    }

    /// Who `token` stands for at the cluster named `clusterName`. Throws the first rule it breaks.
    package func verify(_ token: String, clusterName: String) async throws(EKSTokenError) -> EKSIdentity {
        guard token.utf8.count <= EKSTokenVerifier.longestToken else { throw EKSTokenError(rule: 1, description: "token is too large") }
        let key = CacheKey(cluster: clusterName, tokenHash: CanonicalRequest.hash(of: Array(token.utf8)))
        if let known = cache.withLock({ $0[key] }), clock.now <= known.notAfter {
            // The key may have been deleted or switched off since.
            if await isStillGood(known.identity.accessKeyID) { return known.identity }
            cache.withLock { $0[key] = nil }
        }
        let request = try parse(token)
        let canonical = CanonicalRequest(
            method: "GET", path: "/", query: request.query,
            headers: [
                (name: "host", value: request.host), (name: EKSTokenVerifier.clusterHeader, value: clusterName),
                (name: "accept", value: "application/json"),
            ],
            signedHeaders: request.signature.signedHeaders, payloadHash: CanonicalRequest.hash(of: []))
        let caller: AWSCaller
        do {
            caller = try await verifier.verify(canonical, request.signature)
        } catch {
            throw EKSTokenError(
                rule: 16, description: "sts getCallerIdentity failed: \(AWSError(error, for: .query(namespace: STSService.namespace)))")
        }
        guard let canonicalARN = CanonicalPrincipal.canonicalize(caller.arn) else {
            throw EKSTokenError(rule: 17, description: "arn \(caller.arn) is not one of a user or role")
        }
        let identity = EKSIdentity(
            arn: caller.arn, canonicalARN: canonicalARN, principalARN: caller.principalARN, accountID: caller.account, userID: caller.userID,
            sessionName: caller.sessionName ?? "", accessKeyID: caller.accessKeyID)
        remember(key, CacheEntry(identity: identity, notAfter: request.signature.time + EKSTokenVerifier.lifetime))
        return identity
    }

    private func isStillGood(_ accessKeyID: String) async -> Bool {
        guard let credential = await source.credential(accessKeyID: accessKeyID) else { return false }
        return credential.expiration.map { clock.now < $0 } ?? true
    }

    private func remember(_ key: CacheKey, _ entry: CacheEntry) {
        let now = clock.now
        cache.withLock { cache in
            if cache.count >= configuration.cacheCapacity {
                cache = cache.filter { $0.value.notAfter >= now }
                if cache.count >= configuration.cacheCapacity { cache.removeAll(keepingCapacity: true) }
            }
            cache[key] = entry
        }
    }

    struct PresignedRequest {
        var host: String
        /// Without the signature.
        var query: [(name: String, value: String)]
        var signature: RequestSignature
    }

    /// Rules 2 to 13.
    func parse(_ token: String) throws(EKSTokenError) -> PresignedRequest {
        guard token.hasPrefix(EKSTokenVerifier.prefix) else {
            throw EKSTokenError(rule: 2, description: "token is missing expected \"k8s-aws-v1.\" prefix")
        }
        guard let bytes = Base64URL.decode(token.dropFirst(EKSTokenVerifier.prefix.count)), let text = String(validating: bytes, as: UTF8.self) else {
            throw EKSTokenError(rule: 3, description: "token is not base64 (URL alphabet, no padding)")
        }
        guard let url = SplitURL(text) else { throw EKSTokenError(rule: 4, description: "the pre-signed URL cannot be parsed") }
        let isOwn = ownEndpoints.contains("\(url.scheme)://\(url.authority)")
        guard isOwn || url.scheme == "https" else {
            throw EKSTokenError(rule: 4, description: "unexpected scheme \"\(url.scheme)\" in pre-signed URL")
        }
        guard isOwn || STSHosts.isEndpoint(url.authority, ofPartition: configuration.partition) else {
            throw EKSTokenError(rule: 5, description: "unexpected hostname \"\(url.authority)\" in pre-signed URL")
        }
        guard url.path == "/" else { throw EKSTokenError(rule: 6, description: "unexpected path in pre-signed URL") }
        guard let pairs = PercentEncoding.decodePairs(url.query) else { throw EKSTokenError(rule: 7, description: "malformed query parameter") }
        var parameters: [String: String] = [:]
        for pair in pairs where parameters.updateValue(pair.value, forKey: pair.name.lowercased()) != nil {
            throw EKSTokenError(rule: 8, description: "duplicate query parameter found: \"\(pair.name.lowercased())\"")
        }
        for name in parameters.keys.sorted() where !EKSTokenVerifier.allowedKeys.contains(name) {
            throw EKSTokenError(rule: 9, description: "non-whitelisted query parameter \"\(name)\"")
        }
        guard parameters["action"] == "GetCallerIdentity" else {
            throw EKSTokenError(rule: 10, description: "unexpected action parameter in pre-signed URL")
        }
        let signedHeaders = parameters["x-amz-signedheaders"] ?? ""
        let names = signedHeaders.split(separator: ";", omittingEmptySubsequences: false).map { $0.lowercased() }
        guard names.contains(EKSTokenVerifier.clusterHeader) else {
            throw EKSTokenError(rule: 11, description: "client did not sign the x-k8s-aws-id header in the pre-signed URL")
        }
        guard names.allSatisfy(["host", "accept", EKSTokenVerifier.clusterHeader].contains) else {
            throw EKSTokenError(rule: 11, description: "client signed a header that the request does not have")
        }
        guard let expires = Int(parameters["x-amz-expires"] ?? ""), (0...900).contains(expires) else {
            throw EKSTokenError(rule: 12, description: "invalid X-Amz-Expires parameter in pre-signed URL")
        }
        let signature = try signature(parameters, expires: expires)
        // STS tells names apart by case: with another spelling it would see no signature, and the one below is not made over the signature's own
        // name.
        for pair in pairs where !EKSTokenVerifier.keys.contains(pair.name) {
            throw EKSTokenError(rule: 16, description: "sts getCallerIdentity failed: unknown query parameter \"\(pair.name.prefix(64))\"")
        }
        return PresignedRequest(host: url.authority, query: pairs.filter { $0.name != "X-Amz-Signature" }, signature: signature)
    }

    /// Rule 13, and the form of what is signed.
    private func signature(_ parameters: [String: String], expires: Int) throws(EKSTokenError) -> RequestSignature {
        let date = parameters["x-amz-date"] ?? ""
        guard !date.isEmpty else { throw EKSTokenError(rule: 13, description: "X-Amz-Date parameter must be present in pre-signed URL") }
        guard let time = AWSTimestamp.parseBasic(date) else {
            throw EKSTokenError(rule: 13, description: "error parsing X-Amz-Date parameter into format 20060102T150405Z")
        }
        let now = clock.now
        guard now <= time + EKSTokenVerifier.lifetime else {
            throw EKSTokenError(rule: 13, description: "X-Amz-Date parameter is expired (15 minute expiration) \(date)")
        }
        guard time <= now + SignatureVerifier.futureTolerance else {
            throw EKSTokenError(rule: 13, description: "X-Amz-Date parameter is in the future: \(date)")
        }
        guard parameters["x-amz-algorithm"] == "AWS4-HMAC-SHA256" else {
            throw EKSTokenError(rule: 16, description: "unexpected algorithm in pre-signed URL")
        }
        guard parameters["version"].map({ $0 == "2011-06-15" }) ?? true else {
            throw EKSTokenError(rule: 16, description: "unexpected version of STS in pre-signed URL")
        }
        do {
            let signature = try RequestSignature(
                credential: parameters["x-amz-credential"] ?? "", signature: parameters["x-amz-signature"] ?? "",
                signedHeaders: parameters["x-amz-signedheaders"] ?? "", date: date, sessionToken: parameters["x-amz-security-token"], expires: expires
            )
            guard signature.scope.service == "sts", STSHosts.isRegion(signature.scope.region) else {
                throw EKSTokenError(rule: 16, description: "Credential should be scoped to correct service: 'sts'.")
            }
            return signature
        } catch let error as EKSTokenError {
            throw error
        } catch {
            throw EKSTokenError(rule: 16, description: "sts getCallerIdentity failed: \(error)")
        }
    }
}

/// A URL in four parts; what has a user, a fragment, spaces or control characters is none.
private struct SplitURL {
    var scheme: String
    var authority: String
    var path: String
    var query: String

    init?(_ text: String) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x23 && $0 != 0x5C }) else { return nil }
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let rest = text[text.index(after: colon)...]
        guard rest.hasPrefix("//") else { return nil }
        let afterSlashes = rest.dropFirst(2)
        let authorityEnd = afterSlashes.firstIndex { $0 == "/" || $0 == "?" } ?? afterSlashes.endIndex
        let tail = afterSlashes[authorityEnd...]
        let pathEnd = tail.firstIndex(of: "?") ?? tail.endIndex
        scheme = String(text[..<colon])
        authority = String(afterSlashes[..<authorityEnd])
        path = String(tail[..<pathEnd])
        query = pathEnd < tail.endIndex ? String(tail[tail.index(after: pathEnd)...]) : ""
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
    }
}

/// Principals' ARNs made comparable. Upstream: aws-iam-authenticator pkg/arn.Canonicalize.
package enum CanonicalPrincipal {
    /// `arn:aws:sts::A:assumed-role/NAME/SESSION` becomes `arn:aws:iam::A:role/NAME`; users, roles, federated users and root stay. Nil for anything
    /// else.
    package static func canonicalize(_ text: String) -> String? {
        guard var arn = ARN(text), ARN.partitions.contains(arn.partition) else { return nil }
        let parts = arn.resourceParts
        switch (arn.service, parts.first) {
        case ("sts", "federated-user"): return text
        case ("sts", "assumed-role"):
            guard parts.count >= 3, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
            arn.service = "iam"
            arn.resource = "role/" + parts.dropFirst().dropLast().joined(separator: "/")
            return arn.description
        case ("iam", "role"), ("iam", "user"): return parts.count >= 2 ? text : nil
        case ("iam", "root"): return parts.count == 1 ? text : nil
        default: return nil
        }
    }
}
