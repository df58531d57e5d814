import HTTPTransport
import KubeAPI

/// Responses as the wire carries them.
enum Responses {
    static let json = "application/json"

    static func object(_ bytes: [UInt8], status: Int = 200, contentType: String = json) -> HTTPResponse {
        HTTPResponse(status: status, fields: ["Cache-Control": "no-cache, private", "Content-Type": contentType], body: .bytes(bytes))
    }

    static func text(_ text: String, status: Int = 200) -> HTTPResponse {
        HTTPResponse(
            status: status,
            fields: ["Cache-Control": "no-cache, private", "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"],
            body: .bytes(Array(text.utf8)))
    }

    /// Answers of at least this many bytes are compressed for clients that take gzip. Upstream: defaultGzipThresholdBytes.
    static let compressionThreshold = 128 * 1024

    /// JSON as an answer of some format; protobuf's callers encode objects themselves, so JSON stays JSON there.
    static func object(_ json: [UInt8], status: Int = 200, format: WireFormat, isPretty: Bool) -> HTTPResponse {
        do throws(JSONError) {
            switch format {
            case .yaml: return object(YAMLEncoder.encode(try JSONDocument(json).root), status: status, contentType: format.mediaType)
            case .json where isPretty: return object(try JSONDocument(json).root.indented, status: status)
            case .json, .protobuf: return object(json, status: status)
            }
        } catch { return object(json, status: status) }
    }

    /// Compresses a large body for a client that takes gzip; streams stay as they are. Upstream: responsewriters.deferredResponseWriter.
    static func compress(_ response: inout HTTPResponse, acceptEncoding: String?) {
        guard case .bytes(let bytes) = response.body, bytes.count > compressionThreshold, response.fields["Content-Encoding"] == nil,
            response.fields["Content-Type"]?.hasPrefix("application/") ?? false,
            acceptsGzip(acceptEncoding), let compressed = Gzip.compress(bytes)
        else { return }
        response.body = .bytes(compressed)
        response.fields["Content-Encoding"] = "gzip"
        response.fields.add("Vary", "Accept-Encoding")
    }

    /// Whether an `Accept-Encoding` names gzip.
    static func acceptsGzip(_ acceptEncoding: String?) -> Bool {
        acceptEncoding?.split(separator: ",").contains { String($0).trimmed == "gzip" } ?? false
    }

    /// A failure as protobuf.
    static func protobuf(_ error: StatusError) -> [UInt8]? {
        ProtobufEncoder.object(Object(tree: error.value), kind: GroupVersionKind(group: "", version: "v1", kind: "Status"))
    }

    /// The Status of a failure, in the format that `accept` asks for, else in JSON. Upstream: responsewriters.ErrorNegotiated.
    static func failure(_ error: StatusError, accept: [String] = []) -> HTTPResponse {
        var response: HTTPResponse
        // A failure is told even to those who accept nothing that is offered.
        switch (try? AcceptedForm.negotiate(accept, endpoint: .untransformed))?.format ?? .json {
        case .protobuf: response = object(protobuf(error) ?? [], status: error.code, contentType: ProtobufDecoder.mediaType)
        case let format: response = object(error.value.jsonBytes, status: error.code, format: format, isPretty: false)
        }
        if let details = error.details, details.retryAfterSeconds > 0 { response.fields["Retry-After"] = String(details.retryAfterSeconds) }
        return response
    }

    /// The error any failure becomes. What is no Status is the server's own failure, not the client's.
    static func statusError(_ error: any Error) -> StatusError {
        switch error {
        case let error as StatusError: error
        case let error as JSONError: .badRequest("the object provided is unrecognized: \(error)")
        case HTTPError.bodyTooLarge(let limit): tooLarge(limit)
        case is CancellationError: timeout
        default: .internalError("\(error)")
        }
    }

    /// Upstream: errors.NewRequestEntityTooLargeError.
    static func tooLarge(_ limit: Int) -> StatusError {
        StatusError(code: 413, reason: "RequestEntityTooLarge", message: "Request entity too large: limit is \(limit)")
    }

    /// Upstream: errors.NewTimeoutError, as the timeout filter answers it.
    static var timeout: StatusError {
        StatusError(code: 504, reason: "Timeout", message: "Timeout: request did not complete within the allotted timeout", details: .init())
    }

    /// Upstream: errors.NewTooManyRequests with the in-flight filter's wait of one second.
    static var tooManyRequests: StatusError {
        StatusError(
            code: 429, reason: "TooManyRequests", message: "Too many requests, please try again later.", details: .init(retryAfterSeconds: 1))
    }

    /// What client-go makes of a bare 404 for a resource that is not served.
    static var unknownResource: StatusError {
        StatusError(code: 404, reason: "NotFound", message: "the server could not find the requested resource", details: .init())
    }

    /// `Warning: 299 - "text"`, one header for each warning. Upstream: net.NewWarningHeader.
    static func warningHeader(_ text: String) -> String {
        let clean = text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }
        let escaped = String(String.UnicodeScalarView(clean)).split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
            .split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
        return "299 - \"\(escaped)\""
    }

    /// metav1.Status of success. Upstream: what a deletion answers for kinds that do not return the deleted object.
    static func success(name: String, resource: GroupResource, uid: String) -> Value {
        var details: Value = ["name": .string(name)]
        if !resource.group.isEmpty { details["group"] = .string(resource.group) }
        details["kind"] = .string(resource.resource)
        if !uid.isEmpty { details["uid"] = .string(uid) }
        return ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": details]
    }
}
