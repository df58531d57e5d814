import AWSProtocol
import AWSServices
import Crypto
import HTTPTransport
import KubeAPI

/// What reads requests and credentials before anybody is known.
extension FuzzTarget {
    static let requests = [
        FuzzTarget(name: "target", run: target), FuzzTarget(name: "jwt", run: jsonWebToken), FuzzTarget(name: "ekstoken", run: eksToken),
        FuzzTarget(name: "sigv4", run: signature), FuzzTarget(name: "awsjson", run: awsJSON), FuzzTarget(name: "arn", run: arn),
        FuzzTarget(name: "websocket", run: webSocket), FuzzTarget(name: "spdy", run: spdy),
    ]

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// Path and query of a request to an API server; the first byte chooses the method.
    private static func target(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let methods = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "FROB"]
        let target = text(Array(bytes.dropFirst()))
        let path = target.prefix { $0 != "?" }
        let query = QueryParameters(encoded: target.dropFirst(path.count + 1))
        guard let info = (try? RequestInfo(method: methods[Int(first) % methods.count], rawPath: path, query: query)) ?? nil else { return }
        for part in [info.namespace, info.resource, info.subresource, info.apiGroup, info.apiVersion] {
            require(!part.contains("/") && part != ".." && part != "." && !part.utf8.contains(0), "a segment leaves its place: \(target)")
        }
        require(!info.name.contains("/") && info.name != "..", "a name leaves its place: \(target)")
        require(!info.isResourceRequest || !info.resource.isEmpty, "a request for no resource: \(target)")
        let again = QueryParameters(encoded: query.encoded[...])
        require(again.items.map { $0.name + "=" + $0.value } == query.items.map { $0.name + "=" + $0.value }, "the query changes: \(target)")
    }

    /// A client's messages: the first byte says where their bytes are cut, which must not matter.
    private static func webSocket(_ bytes: [UInt8]) {
        guard let size = bytes.first else { return }
        func events(_ size: Int) -> [WebSocketDecoder.Event]? {
            var decoder = WebSocketDecoder()
            var found: [WebSocketDecoder.Event] = []
            for start in stride(from: 1, to: bytes.count, by: size) where found.last != .closing {
                guard let more = try? decoder.feed(Array(bytes[start..<min(bytes.count, start + size)])) else { return nil }
                found += more
            }
            return found
        }
        require(events(Int(size) + 1) == events(bytes.count), "messages depend on where their bytes are cut")
    }

    /// A kubelet's streams, as above. What is data comes in pieces.
    private static func spdy(_ bytes: [UInt8]) {
        guard let size = bytes.first else { return }
        func events(_ size: Int) -> (data: [UInt32: [UInt8]], others: [SPDYDecoder.Event])? {
            var decoder = SPDYDecoder()
            var found: (data: [UInt32: [UInt8]], others: [SPDYDecoder.Event]) = ([:], [])
            for start in stride(from: 1, to: bytes.count, by: size) {
                guard let more = try? decoder.feed(Array(bytes[start..<min(bytes.count, start + size)])) else { return nil }
                for event in more {
                    if case .data(let stream, let piece, let isLast) = event {
                        if !piece.isEmpty { found.data[stream, default: []] += piece }
                        if isLast { found.others.append(.data(stream: stream, [], isLast: true)) }
                    } else {
                        found.others.append(event)
                    }
                }
            }
            return found
        }
        let (cut, whole) = (events(Int(size) + 1), events(bytes.count))
        require(cut?.data == whole?.data && cut?.others == whole?.others, "streams depend on where their bytes are cut")
    }

    private static func jsonWebToken(_ bytes: [UInt8]) {
        guard let token = JSONWebToken.read(text(bytes)) else { return }
        _ = token.claims["kubernetes.io"]["pod"]["uid"].string
        require(!JSONWebToken.verify(token, with: P256.Signing.PublicKey()), "a token without a signature is believed")
    }

    /// The moment at which the corpus' tokens were made.
    private static let reading = TokenReading(now: 1_795_399_200)

    /// A token's URL, which is encoded here, so that mutations reach what is in it.
    private static func eksToken(_ bytes: [UInt8]) {
        _ = reading.canonicalRequest(of: text(bytes), cluster: "demo")
        guard let request = reading.canonicalRequest(of: "k8s-aws-v1." + Base64URL.encode(bytes), cluster: "demo") else { return }
        require(request.text.split(separator: "\n", omittingEmptySubsequences: false).count >= 6, "a canonical request lacks lines")
        require(request.query.count { $0.name == "Action" } == 1, "an action is missing or stands twice: \(text(bytes))")
        require(request.signedHeaders.contains("x-k8s-aws-id"), "the cluster is not signed: \(text(bytes))")
    }

    /// A request to the AWS endpoint: its target, then its Authorization, parted by a zero byte.
    private static func signature(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        let target = text(Array(parts.first ?? []))
        var fields: HTTPFields = ["X-Amz-Date": "20261123T020000Z"]
        if parts.count == 2 { fields["Authorization"] = text(Array(parts[1])) }
        let head = HTTPRequestHead(
            method: "GET", target: target, fields: fields, authority: "x", connection: ConnectionInfo(remoteAddress: "", localAddress: ""))
        guard let query = AWSProtocol.PercentEncoding.decodePairs(head.query) else { return }
        _ = try? RequestSignature.parse(head, query: query)
        for isS3 in [false, true] {
            let request = CanonicalRequest(
                method: "GET", path: String(head.path), query: query, headers: [("host", "x")], signedHeaders: ["host"], payloadHash: "", isS3: isS3)
            _ = request.hash
        }
    }

    private static func awsJSON(_ bytes: [UInt8]) {
        guard let value = try? AWSJSON(parsing: bytes) else { return }
        guard let again = try? AWSJSON(parsing: value.encoded) else { return require(false, "own JSON is not read: \(text(value.encoded))") }
        require(again.encoded == value.encoded, "JSON changes: \(text(value.encoded))")
    }

    private static func arn(_ bytes: [UInt8]) {
        if let arn = ARN(text(bytes)) { require(arn.description == text(bytes), "an ARN changes: \(arn)") }
        guard let canonical = CanonicalPrincipal.canonicalize(text(bytes)) else { return }
        require(CanonicalPrincipal.canonicalize(canonical) == canonical, "a canonical ARN is not: \(canonical)")
    }
}
