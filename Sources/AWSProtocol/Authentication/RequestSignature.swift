package import HTTPTransport

/// The signature a request carries, taken apart but not yet believed.
package struct RequestSignature: Sendable {
    package var accessKeyID: String
    package var scope: CredentialScope
    package var signedHeaders: [String]
    /// 32 bytes.
    package var signature: [UInt8]
    /// `20060102T150405Z`
    package var date: String
    /// Seconds since 1970.
    package var time: Double
    package var sessionToken: String?
    /// Seconds a presigned URL is valid; nil for the header form.
    package var expires: Int?

    package var isPresigned: Bool { expires != nil }

    /// Presigned URLs live a week at most. Upstream: Signature Version 4, "X-Amz-Expires".
    static let longestExpiry = 604_800

    /// Takes the signature from the `Authorization` header or the query. Nil when the request carries none. Throws
    /// `AuthenticationFailure.incomplete`.
    package static func parse(_ head: HTTPRequestHead, query: [(name: String, value: String)]) throws(AuthenticationFailure) -> RequestSignature? {
        if let authorization = head.fields["Authorization"] { return try parseHeader(authorization, head) }
        if query.contains(where: { $0.name == "X-Amz-Signature" || $0.name == "X-Amz-Credential" }) { return try parseQuery(query) }
        return nil
    }

    private static func parseHeader(_ authorization: String, _ head: HTTPRequestHead) throws(AuthenticationFailure) -> RequestSignature {
        let hashed = CanonicalRequest.hash(of: Array(authorization.utf8))
        let split = authorization.split(separator: " ", maxSplits: 1)
        guard split.first.map(String.init) == SigV4.algorithm else {
            throw .incomplete(
                "Unsupported AWS 'algorithm': Authorization must begin with '\(SigV4.algorithm)'. (Hashed with SHA-256) Authorization=\(hashed)")
        }
        var parts: [String: String] = [:]
        for piece in split.count > 1 ? split[1].split(separator: ",") : [] {
            let pair = piece.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else { continue }
            let name = String(pair[0].drop(while: { $0 == " " }))
            guard parts.updateValue(String(pair[1]).trimmedSpaces, forKey: name) == nil else {
                throw .incomplete("Authorization header has '\(name)' twice.")
            }
        }
        var complaints: [String] = []
        for name in ["Credential", "Signature", "SignedHeaders"] where (parts[name] ?? "").isEmpty {
            complaints.append("Authorization header requires '\(name)' parameter.")
        }
        let date = head.fields["X-Amz-Date"] ?? ""
        if date.isEmpty { complaints.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.") }
        guard complaints.isEmpty, let credential = parts["Credential"], let signature = parts["Signature"], let signedHeaders = parts["SignedHeaders"]
        else {
            throw .incomplete(complaints.joined(separator: " ") + " (Hashed with SHA-256) Authorization=\(hashed)")
        }
        return try RequestSignature(
            credential: credential, signature: signature, signedHeaders: signedHeaders, date: date, sessionToken: head.fields["X-Amz-Security-Token"],
            expires: nil)
    }

    private static func parseQuery(_ query: [(name: String, value: String)]) throws(AuthenticationFailure) -> RequestSignature {
        var parts: [String: String] = [:]
        for pair in query where pair.name.hasPrefix("X-Amz-") {
            guard parts.updateValue(pair.value, forKey: pair.name) == nil else { throw .incomplete("'\(pair.name)' must not be given twice.") }
        }
        let names = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"]
        let missing = names.filter { (parts[$0] ?? "").isEmpty }
        guard missing.isEmpty, let credential = parts["X-Amz-Credential"], let signature = parts["X-Amz-Signature"],
            let signedHeaders = parts["X-Amz-SignedHeaders"], let date = parts["X-Amz-Date"]
        else {
            throw .incomplete(
                "AWS query-string parameters must include " + missing.map { "'\($0)'" }.joined(separator: ", ")
                    + ". Re-examine the query-string parameters.")
        }
        guard parts["X-Amz-Algorithm"] == SigV4.algorithm else {
            throw .incomplete("Unsupported AWS 'algorithm': '\(parts["X-Amz-Algorithm"] ?? "")'.")
        }
        guard let expires = parts["X-Amz-Expires"].flatMap({ Int($0) }), (0...longestExpiry).contains(expires) else {
            throw .incomplete("X-Amz-Expires must be a number of seconds, 604800 (a week) at most.")
        }
        return try RequestSignature(
            credential: credential, signature: signature, signedHeaders: signedHeaders, date: date, sessionToken: parts["X-Amz-Security-Token"],
            expires: expires)
    }

    /// From the parameters as text; everything is checked for form, nothing for truth.
    package init(
        credential: String, signature: String, signedHeaders: String, date: String, sessionToken: String?, expires: Int?
    ) throws(AuthenticationFailure) {
        let parts = credential.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 5, !parts[0].isEmpty else {
            throw .incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '\(credential.prefix(128))'.")
        }
        guard parts[4] == CredentialScope.terminator else {
            throw .signatureMismatch(
                "Credential should be scoped with a valid terminator: '\(CredentialScope.terminator)', not '\(parts[4].prefix(64))'.")
        }
        guard let time = AWSTimestamp.parseBasic(date) else {
            throw .incomplete("Date must be in ISO-8601 'basic format'. Got '\(date.prefix(64))'. See http://en.wikipedia.org/wiki/ISO_8601")
        }
        guard date.hasPrefix(parts[1]), parts[1].utf8.count == 8 else {
            throw .signatureMismatch(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                    + "'\(parts[1].prefix(16))' != '\(date.prefix(8))', from '\(date)'."
            )
        }
        // Upper-case digits are not what any signer writes; AWS compares text, so they never match.
        guard signature.utf8.count == 64, !signature.utf8.contains(where: { (0x41...0x46).contains($0) }), let bytes = Hexadecimal.decode(signature)
        else {
            throw .signatureMismatch(nil)
        }
        let names = signedHeaders.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
        guard names.contains("host") else { throw .signatureMismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.") }
        guard names.allSatisfy({ !$0.isEmpty && $0 == $0.lowercased() }), Set(names).count == names.count else {
            throw .incomplete("SignedHeaders must be lower-case header names separated by semicolons.")
        }
        accessKeyID = String(parts[0])
        scope = CredentialScope(date: String(parts[1]), region: String(parts[2]), service: String(parts[3]))
        self.signedHeaders = names
        self.signature = bytes
        self.date = date
        self.time = time
        self.sessionToken = sessionToken
        self.expires = expires
    }
}

extension String {
    /// Without spaces at either end.
    var trimmedSpaces: String {
        // Hardly ever is there one, and looking for characters costs.
        guard utf8.first == 0x20 || utf8.last == 0x20 else { return self }
        let start = drop(while: { $0 == " " })
        return String(start.reversed().drop(while: { $0 == " " }).reversed())
    }
}
