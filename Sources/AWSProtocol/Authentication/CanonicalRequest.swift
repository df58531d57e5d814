import Crypto

/// The form of a request that Signature Version 4 signs. Upstream: botocore.auth.SigV4Auth.canonical_request.
package struct CanonicalRequest: Sendable {
    package var method: String
    /// The path as it is on the wire, still percent-encoded.
    package var path: String
    /// Decoded pairs, without `X-Amz-Signature`.
    package var query: [(name: String, value: String)]
    /// Lower-case names with their values in order; only those in `signedHeaders` are read.
    package var headers: [(name: String, value: String)]
    package var signedHeaders: [String]
    /// The hexadecimal SHA-256 of the body, or `UNSIGNED-PAYLOAD`.
    package var payloadHash: String
    /// S3 signs the path as it is; every other service normalises it and encodes it once more.
    package var isS3: Bool

    package init(
        method: String, path: String, query: [(name: String, value: String)], headers: [(name: String, value: String)], signedHeaders: [String],
        payloadHash: String, isS3: Bool = false
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.signedHeaders = signedHeaders
        self.payloadHash = payloadHash
        self.isS3 = isS3
    }

    /// The six lines.
    package var text: String {
        var lines = method + "\n" + canonicalPath + "\n" + canonicalQuery + "\n"
        for name in signedHeaders {
            let values = headers.filter { $0.name == name }.map { CanonicalRequest.trimmed($0.value) }
            lines += name + ":" + values.joined(separator: ",") + "\n"
        }
        return lines + "\n" + signedHeaders.joined(separator: ";") + "\n" + payloadHash
    }

    /// Lower-case hexadecimal SHA-256 of `text`.
    package var hash: String { CanonicalRequest.hash(of: Array(text.utf8)) }

    /// Lower-case hexadecimal SHA-256 of some bytes, such as a body.
    package static func hash(of bytes: [UInt8]) -> String { Hexadecimal.encode(SHA256.hash(data: bytes)) }

    var canonicalPath: String {
        if isS3 { return path.isEmpty ? "/" : path }
        return PercentEncoding.encode(CanonicalRequest.normalized(path), keepingSlashes: true)
    }

    var canonicalQuery: String {
        var pairs: [(name: String, value: String)] = []
        for pair in query { pairs.append((PercentEncoding.encode(pair.name), PercentEncoding.encode(pair.value))) }
        pairs.sort { a, b in
            a.name == b.name ? a.value.utf8.lexicographicallyPrecedes(b.value.utf8) : a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
        }
        return pairs.map { $0.name + "=" + $0.value }.joined(separator: "&")
    }

    /// Leading and trailing white space removed, runs of it made one space.
    private static func trimmed(_ value: String) -> String {
        value.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\n" || $0 == "\r\n" }).joined(separator: " ")
    }

    /// Removes `.`, `..` and empty segments. Upstream: botocore.utils.normalize_url_path.
    private static func normalized(_ path: String) -> String {
        var kept: [Substring] = []
        for segment in path.split(separator: "/") where segment != "." {
            if segment == ".." { _ = kept.popLast() } else { kept.append(segment) }
        }
        return "/" + kept.joined(separator: "/") + (path.utf8.last == 0x2F && !kept.isEmpty ? "/" : "")
    }
}
