import HTTPTransport
import KubeAPI

/// Large lists, sent while they are put together (and compressed): the client reads the beginning while the end is still being made, and no second
/// copy of all objects is ever in memory. Upstream: the StreamingCollectionEncodingToJSON feature.
extension ResponseEncoder {
    /// Smaller lists are sent whole, with their length.
    static let streamedListBytes = 1 << 20
    /// Bytes of objects that are put together at once.
    private static let pieceBytes = 128 * 1024

    struct Streamed {
        var response: HTTPResponse
        /// Of the JSON.
        var bytes: Int
    }

    /// Nil when the response is no large list, or one that is not sent as plain JSON. `acceptEncoding` is the request's.
    func streamed(_ response: APIResponse, acceptEncoding: String?) -> Streamed? {
        guard case .list(let list) = response.result, form.format == .json, case .plain = form.shape, !form.isPretty, !isPretty else { return nil }
        let head = list.headBytes
        let size = list.objects.reduce(head.count + ObjectList.tail.count) { $0 + $1.bytes.count + 1 }
        guard size > Self.streamedListBytes else { return nil }
        let compresses = Responses.acceptsGzip(acceptEncoding)
        var answer = HTTPResponse(
            status: 200, fields: ["Cache-Control": "no-cache, private", "Content-Type": Responses.json],
            body: .stream { writer in try await Self.write(list.objects, head: head, compresses: compresses, to: writer) })
        if compresses {
            answer.fields["Content-Encoding"] = "gzip"
            answer.fields.add("Vary", "Accept-Encoding")
        }
        for warning in response.warnings { answer.fields.add("Warning", Responses.warningHeader(warning)) }
        return Streamed(response: answer, bytes: size)
    }

    private static func write(_ objects: [Object], head: [UInt8], compresses: Bool, to writer: HTTPBodyWriter) async throws {
        let gzip = compresses ? GzipStream() : nil
        // The head has said so.
        if compresses, gzip == nil { throw StatusError.internalError("no memory to compress a list") }
        var piece = head
        for (index, object) in objects.enumerated() {
            if index > 0 { piece.append(UInt8(ascii: ",")) }
            piece.append(contentsOf: object.bytes)
            guard piece.count >= pieceBytes else { continue }
            try await send(&piece, isLast: false, gzip, writer)
        }
        piece.append(contentsOf: ObjectList.tail)
        try await send(&piece, isLast: true, gzip, writer)
    }

    private static func send(_ piece: inout [UInt8], isLast: Bool, _ gzip: GzipStream?, _ writer: HTTPBodyWriter) async throws {
        guard let gzip else {
            let whole = piece
            piece = []
            if !isLast { piece.reserveCapacity(pieceBytes * 2) }
            return try await writer.write(whole)
        }
        guard let compressed = gzip.compress(&piece, isLast: isLast) else { throw StatusError.internalError("a list could not be compressed") }
        piece.removeAll(keepingCapacity: true)
        if !compressed.isEmpty { try await writer.write(compressed) }
    }
}
