import HTTPTransport
import KubeAPI

/// How objects look on the wire. Upstream: the serializers of runtime/serializer.CodecFactory. CBOR is not among them: a stock server has it off
/// (feature gate CBORServingAndStorage).
enum WireFormat: Sendable, Equatable, CaseIterable {
    case json, yaml, protobuf

    var mediaType: String {
        switch self {
        case .json: "application/json"
        case .yaml: YAMLDecoder.mediaType
        case .protobuf: ProtobufDecoder.mediaType
        }
    }
    /// The part behind `application/`.
    fileprivate var subtype: String { String(mediaType.dropFirst("application/".count)) }
    /// YAML has no framing of events.
    var canStream: Bool { self != .yaml }

    /// The format of a media type that bodies may have; nil for others.
    init?(mediaType: String) {
        guard let format = Self.allCases.first(where: { $0.mediaType == mediaType }) else { return nil }
        self = format
    }
}

/// The form an answer takes. Upstream: handlers/negotiation.MediaTypeOptions.
struct AcceptedForm: Sendable, Equatable {
    enum Shape: Sendable, Equatable {
        case plain
        /// `as=Table`, of the given version of meta.k8s.io (`v1`, `v1beta1`).
        case table(version: String)
        /// `as=PartialObjectMetadata` and `as=PartialObjectMetadataList`.
        case partialMetadata(version: String)
    }

    /// What a request can be answered with beside what its `Accept` says. Upstream: negotiation.EndpointRestrictions.
    enum Endpoint {
        /// Objects of a kind with protobuf numbers.
        case builtIn
        /// What is only ever created, such as reviews, bindings and evictions: no tables.
        case unlisted
        /// Objects of a CustomResourceDefinition: no protobuf, except of their metadata.
        case custom
        /// No tables and no metadata alone: errors, discovery.
        case untransformed

        /// Upstream: RequestScope.AllowsMediaTypeTransform, by whether the storage is a rest.TableConvertor.
        init(_ row: ResourceRow, subresource: String) {
            let verbs = subresource.isEmpty ? row.verbs : row.subresources.first { $0.name == subresource }?.verbs
            self = row.isCustom ? .custom : verbs == ["create"] ? .unlisted : .builtIn
        }
    }

    var shape = Shape.plain
    var format = WireFormat.json
    /// `pretty=1` beside the media type.
    var isPretty = false

    /// What is offered, in the order upstream names them.
    static let offered = WireFormat.allCases.map(\.mediaType).joined(separator: ", ")
    static let offeredForWatches = WireFormat.allCases.filter(\.canStream).map { $0.mediaType + ";stream=watch" }.joined(separator: ", ")

    /// Picks from an `Accept` header, the client's preference first. Throws 406 when nothing asked for is offered. Upstream:
    /// negotiation.NegotiateMediaTypeOptions and NegotiateOutputMediaTypeStream.
    static func negotiate(_ accept: [String], endpoint: Endpoint = .builtIn, isWatch: Bool = false) throws -> AcceptedForm {
        let form = choose(accept, endpoint)
        guard let form, form.format.canStream || !isWatch else { throw notAcceptable(isWatch ? offeredForWatches : offered) }
        return form
    }

    /// Upstream: negotiation.NewNotAcceptableError.
    static func notAcceptable(_ offered: String) -> StatusError {
        StatusError(code: 406, reason: "NotAcceptable", message: "only the following media types are accepted: \(offered)")
    }

    /// Upstream: negotiation.NewUnsupportedMediaTypeError.
    static func unsupportedMediaType(_ accepted: String) -> StatusError {
        StatusError(
            code: 415, reason: "UnsupportedMediaType",
            message: "the body of the request was in an unknown format - accepted media types include: \(accepted)")
    }

    private static func choose(_ accept: [String], _ endpoint: Endpoint) -> AcceptedForm? {
        // What nearly all clients send.
        if accept.count == 1 {
            if accept[0] == "application/json" || accept[0] == "*/*" { return AcceptedForm() }
            if accept[0] == ProtobufDecoder.mediaType, endpoint != .custom { return AcceptedForm(format: .protobuf) }
        }
        let clauses = accept.flatMap { $0.split(separator: ",") }.map(Clause.init).filter { !$0.type.isEmpty }
        guard !clauses.isEmpty else { return AcceptedForm() }
        if clauses.count == 1 { return clauses[0].form(endpoint) }
        // A stable sort: of equal quality, the more specific, then the earlier clause wins.
        let ordered = clauses.enumerated().sorted { a, b in
            if a.element.quality != b.element.quality { return a.element.quality > b.element.quality }
            if a.element.wildness != b.element.wildness { return a.element.wildness < b.element.wildness }
            return a.offset < b.offset
        }
        for (_, clause) in ordered { if let form = clause.form(endpoint) { return form } }
        return nil
    }

    /// One media range with its parameters.
    struct Clause {
        var type: String
        var quality = 1.0
        var parameters: [String: String] = [:]

        init(_ text: Substring) {
            let parts = text.split(separator: ";").map { String($0).trimmed }
            type = (parts.first ?? "").lowercased()
            for part in parts.dropFirst() {
                let pair = part.split(separator: "=", maxSplits: 1)
                guard pair.count == 2 else { continue }
                let name = String(pair[0]).trimmed.lowercased()
                let value = String(pair[1]).trimmed
                if name == "q" { quality = Double(value) ?? 0 } else { parameters[name] = value }
            }
        }

        /// 0 for a full type, 1 for `application/*`, 2 for `*/*`.
        var wildness: Int { type == "*/*" || type == "*" ? 2 : type.hasSuffix("/*") ? 1 : 0 }

        /// The first format that fits this clause; nil when none does.
        func form(_ endpoint: Endpoint) -> AcceptedForm? {
            for format in WireFormat.allCases {
                guard type == "*/*" || type == "application/*" || type == format.mediaType else { continue }
                if let form = form(format, endpoint) { return form }
            }
            return nil
        }

        private func form(_ format: WireFormat, _ endpoint: Endpoint) -> AcceptedForm? {
            // `stream=watch` is the form every watch has.
            if let stream = parameters["stream"], stream != "watch" { return nil }
            var form = AcceptedForm(format: format, isPretty: parameters["pretty"] == "1")
            guard let kind = parameters["as"] else {
                return format == .protobuf && endpoint == .custom ? nil : form
            }
            guard endpoint != .untransformed, parameters["g"] == "meta.k8s.io", let version = parameters["v"],
                version == "v1" || version == "v1beta1"
            else { return nil }
            switch kind {
            case "Table" where format != .protobuf && endpoint != .unlisted: form.shape = .table(version: version)
            case "PartialObjectMetadata", "PartialObjectMetadataList": form.shape = .partialMetadata(version: version)
            default: return nil
            }
            return form
        }
    }

    /// The media type of a `Content-Type` header without its parameters, in lower case. JSON when there is none, as upstream assumes.
    static func mediaType(_ contentType: String?) -> String {
        guard let contentType, !contentType.isEmpty, contentType != "application/json" else { return "application/json" }
        return Clause(contentType[...]).type
    }
}
