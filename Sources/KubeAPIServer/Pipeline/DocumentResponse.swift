import HTTPTransport
import KubeAPI

/// Answers with discovery and OpenAPI documents, which clients cache: ETags, 304, and the hashes of OpenAPI v3. Upstream:
/// discovery/aggregated's ETag handling and kube-openapi's handler3.
enum DocumentResponse {
    /// `hash` is the query's parameter of that name.
    static func make(_ document: DiscoveryDocuments.Document, path: String, hash: String?, head: HTTPRequestHead, now: Timestamp) throws
        -> HTTPResponse
    {
        var fields: HTTPFields = ["Cache-Control": "public", "Content-Type": document.contentType, "ETag": document.etag, "Vary": "Accept"]
        if path.hasPrefix("/openapi/v3/"), let hash, !hash.isEmpty {
            let current = document.etag.filter { $0 != "\"" }
            guard hash == current else {
                return HTTPResponse(status: 301, fields: ["Location": "\(path)?hash=\(current)", "Cache-Control": "no-cache, private"])
            }
            // What a hash names never changes.
            fields["Cache-Control"] = "public, immutable"
            fields["Expires"] = httpDate(now.adding(seconds: 365 * 86400))
        }
        if matches(head.fields.all("If-None-Match"), document.etag) { return HTTPResponse(status: 304, fields: fields) }
        var bytes = document.bytes
        if path == "/api" || path == "/apis" || path.hasPrefix("/api/") || path.hasPrefix("/apis/"), !document.contentType.contains("as=") {
            let form = try AcceptedForm.negotiate(head.fields.all("Accept"), endpoint: .untransformed)
            if form.format != .json {
                let converted = try convert(bytes, form.format)
                bytes = converted
                fields["Content-Type"] = form.format.mediaType
            }
        }
        return HTTPResponse(status: 200, fields: fields, body: .bytes(bytes))
    }

    /// Plain discovery in another format.
    private static func convert(_ json: [UInt8], _ format: WireFormat) throws -> [UInt8] {
        let object = try Object(bytes: json)
        if format == .yaml { return YAMLEncoder.encode(object.root) }
        let kind = GroupVersionKind(group: "", version: "v1", kind: object.kind)
        guard let bytes = ProtobufEncoder.object(object, kind: kind) else { throw AcceptedForm.notAcceptable(AcceptedForm.offered) }
        return bytes
    }

    /// Whether an `If-None-Match` names the tag; weak tags match too. Upstream: http.ServeContent.
    private static func matches(_ fields: [String], _ etag: String) -> Bool {
        let known: Set<String> = ["*", etag, "W/\(etag)"]
        return fields.contains { field in field.split(separator: ",").contains { tag in known.contains(String(tag).trimmed) } }
    }

    /// `Mon, 02 Jan 2006 15:04:05 GMT`
    static func httpDate(_ time: Timestamp) -> String {
        let text = time.rfc3339
        let parts = text.split { !$0.isNumber }.map(String.init)
        guard parts.count == 6, let month = Int(parts[1]), (1...12).contains(month) else { return text }
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        // 1970 began on a Thursday.
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let day = Int(((time.seconds / 86400) % 7 + 7) % 7)
        let date = "\(weekdays[day]), \(parts[2]) \(months[month - 1]) \(parts[0])"
        return date + " \(parts[3]):\(parts[4]):\(parts[5]) GMT"
    }
}
