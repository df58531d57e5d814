import HTTPTransport
import KubeAPI

/// The form an answer takes. Upstream: handlers/negotiation.MediaTypeOptions.
struct AcceptedForm: Sendable, Equatable {
    enum Shape: Sendable, Equatable {
        case plain
        /// `as=Table`, of the given version of meta.k8s.io (`v1`, `v1beta1`).
        case table(version: String)
        /// `as=PartialObjectMetadata` and `as=PartialObjectMetadataList`.
        case partialMetadata(version: String)
    }

    var shape = Shape.plain

    /// What is offered, in the order upstream names them. Protobuf, CBOR and YAML are not offered yet: clients that list JSON too are answered in
    /// JSON.
    static let offered = "application/json"

    /// Picks from an `Accept` header, the client's preference first. Throws 406 when nothing asked for is offered.
    static func negotiate(_ accept: [String]) throws -> AcceptedForm {
        let clauses = accept.flatMap { $0.split(separator: ",") }.map(Clause.init).filter { !$0.type.isEmpty }
        guard !clauses.isEmpty else { return AcceptedForm() }
        // A stable sort: of equal quality, the earlier clause wins.
        let ordered = clauses.enumerated().sorted { a, b in
            a.element.quality == b.element.quality ? a.offset < b.offset : a.element.quality > b.element.quality
        }
        for (_, clause) in ordered where clause.quality > 0 {
            guard clause.type == "application/json" || clause.type == "application/*" || clause.type == "*/*" else { continue }
            guard let kind = clause.parameters["as"] else {
                // `stream=watch` is the form every watch has.
                return AcceptedForm()
            }
            guard clause.parameters["g"] == "meta.k8s.io", let version = clause.parameters["v"], version == "v1" || version == "v1beta1" else {
                continue
            }
            switch kind {
            case "Table": return AcceptedForm(shape: .table(version: version))
            case "PartialObjectMetadata", "PartialObjectMetadataList": return AcceptedForm(shape: .partialMetadata(version: version))
            default: continue
            }
        }
        throw StatusError(code: 406, reason: "NotAcceptable", message: "only the following media types are accepted: \(offered)")
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
                if name == "q" { quality = Double(value) ?? 1 } else { parameters[name] = value }
            }
        }
    }

    /// The media type of a `Content-Type` header without its parameters, in lower case. JSON when there is none, as upstream assumes.
    static func mediaType(_ contentType: String?) -> String {
        guard let contentType, !contentType.isEmpty else { return "application/json" }
        return Clause(contentType[...]).type
    }
}

extension String {
    /// Without spaces and tabs at both ends.
    var trimmed: String {
        var text = self[...]
        while let c = text.first, c == " " || c == "\t" { text.removeFirst() }
        while let c = text.last, c == " " || c == "\t" { text.removeLast() }
        return String(text)
    }

}
