import KubeAPI

/// Bodies of any format as the JSON that verbs work with: the one place where the format of a request matters.
enum RequestContent {
    /// Turns the body of `request` into JSON. A format nobody knows is left for the verb to refuse. Throws `StatusError` BadRequest for a body that
    /// is not what its media type says. Upstream: the codec that negotiation.NegotiateInputSerializer picks.
    static func decode(_ request: inout APIRequest, scope: RequestScope) throws(StatusError) {
        guard !request.body.isEmpty, request.info.subresource != "proxy" else {
            // An empty body of a known format is empty JSON to the verb, which tells what is missing.
            if request.info.subresource != "proxy", WireFormat(mediaType: request.contentType) != nil { request.contentType = Responses.json }
            return
        }
        switch request.contentType {
        case ProtobufDecoder.mediaType:
            request.body = try ProtobufDecoder.decode(request.body).jsonBytes
            request.contentType = Responses.json
        case YAMLDecoder.mediaType:
            do throws(YAMLError) {
                (request.body, request.strictProblem) = try YAMLDecoder.decode(request.body)
            } catch {
                throw unrecognized(request, scope, "\(error)")
            }
            request.contentType = Responses.json
        case PatchType.apply.rawValue:
            // What clients send is JSON nearly always, which is YAML and needs no translation.
            if isObject(request.body) { return }
            do throws(YAMLError) {
                let (json, problem) = try YAMLDecoder.decode(request.body)
                request.body = json
                request.strictProblem = problem.map { "error converting YAML to JSON: \($0)" }
            } catch {
                throw .badRequest("error decoding YAML: error converting YAML to JSON: \(error)")
            }
        default: break
        }
    }

    /// Whether bytes are a JSON object.
    private static func isObject(_ bytes: [UInt8]) -> Bool {
        guard bytes.first(where: { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }) == UInt8(ascii: "{") else { return false }
        do throws(JSONError) {
            _ = try JSONDocument(bytes)
            return true
        } catch { return false }
    }

    /// Upstream: handlers.transformDecodeError of a body that shows no kind.
    private static func unrecognized(_ request: APIRequest, _ scope: RequestScope, _ why: String) -> StatusError {
        let isDeletion = request.info.verb == "delete" || request.info.verb == "deletecollection"
        let kind = isDeletion ? "DeleteOptions" : scope.row.subresource(request.info.subresource)?.kind.kind ?? scope.row.kind
        let shown = 30  // Upstream: summarizeData is asked for 30 bytes.
        var summary = request.body.prefix(shown).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        if request.body.first == UInt8(ascii: "{") { summary = String(decoding: request.body.prefix(shown), as: UTF8.self) }
        return .badRequest(
            "the object provided is unrecognized (must be of type \(kind)): \(why) (\(summary)\(request.body.count > shown ? " ..." : ""))")
    }
}
