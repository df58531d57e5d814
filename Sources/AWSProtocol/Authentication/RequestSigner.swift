package import HTTPTransport

/// Signs requests, for the command line and for tests. Upstream: botocore.auth.SigV4Auth and SigV4QueryAuth.
package struct RequestSigner: Sendable {
    package var accessKeyID: String
    package var secretAccessKey: String
    package var sessionToken: String?
    package var region: String
    package var service: String

    package init(accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil, region: String, service: String) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.region = region
        self.service = service
    }

    /// Adds `X-Amz-Date`, `X-Amz-Security-Token` and `Authorization` to `fields`. `host` is the authority as it will be sent, `time` in seconds
    /// since 1970.
    package func sign(method: String, target: String, host: String, fields: inout HTTPFields, body: [UInt8], time: Double) {
        let date = AWSTimestamp.basic(time)
        fields["X-Amz-Date"] = date
        if let sessionToken { fields["X-Amz-Security-Token"] = sessionToken }
        var headers = fields.fields.map { (name: $0.name.lowercased(), value: $0.value) }.filter { $0.name != "host" && $0.name != "authorization" }
        headers.append((name: "host", value: host))
        let signed = Set(headers.map(\.name)).filter { $0 == "host" || $0 == "content-type" || $0.hasPrefix("x-amz-") }.sorted()
        let (path, query) = RequestSigner.split(target)
        let canonical = CanonicalRequest(
            method: method, path: path, query: query, headers: headers, signedHeaders: signed, payloadHash: CanonicalRequest.hash(of: body),
            isS3: service == "s3")
        let scope = CredentialScope(date: String(date.prefix(8)), region: region, service: service)
        fields["Authorization"] =
            "\(SigV4.algorithm) Credential=\(accessKeyID)/\(scope.text), SignedHeaders=\(signed.joined(separator: ";")), "
            + "Signature=\(signature(canonical, scope, date))"
    }

    /// The target of a presigned GET or POST with an empty body. `headers` are signed with `host` and must be sent by whoever uses it.
    package func presign(
        method: String = "GET", target: String, host: String, headers: [(name: String, value: String)] = [], expires: Int, time: Double
    ) -> String {
        let date = AWSTimestamp.basic(time)
        let scope = CredentialScope(date: String(date.prefix(8)), region: region, service: service)
        var all = headers.map { (name: $0.name.lowercased(), value: $0.value) }
        all.append((name: "host", value: host))
        let signed = Set(all.map(\.name)).sorted()
        let (path, given) = RequestSigner.split(target)
        var query = given
        query.append(("X-Amz-Algorithm", SigV4.algorithm))
        query.append(("X-Amz-Credential", "\(accessKeyID)/\(scope.text)"))
        query.append(("X-Amz-Date", date))
        query.append(("X-Amz-Expires", String(expires)))
        query.append(("X-Amz-SignedHeaders", signed.joined(separator: ";")))
        if let sessionToken { query.append(("X-Amz-Security-Token", sessionToken)) }
        let canonical = CanonicalRequest(
            method: method, path: path, query: query, headers: all, signedHeaders: signed, payloadHash: CanonicalRequest.hash(of: []),
            isS3: service == "s3")
        let encoded = query.map { PercentEncoding.encode($0.name) + "=" + PercentEncoding.encode($0.value) }.joined(separator: "&")
        return path + "?" + encoded + "&X-Amz-Signature=" + signature(canonical, scope, date)
    }

    private func signature(_ canonical: CanonicalRequest, _ scope: CredentialScope, _ date: String) -> String {
        let text = SigV4.stringToSign(date: date, scope: scope, canonicalHash: canonical.hash)
        return Hexadecimal.encode(SigV4.signature(of: text, key: SigV4.derivedKey(secret: secretAccessKey, scope: scope)))
    }

    private static func split(_ target: String) -> (path: String, query: [(name: String, value: String)]) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = parts.count > 1 ? PercentEncoding.decodePairs(parts[1]) ?? [] : []
        return (parts.first.map(String.init) ?? "/", query)
    }
}
