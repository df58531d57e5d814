import KubeAPI

/// What a list or a watch asks for. Upstream: metav1.ListOptions with validation.ValidateListOptions.
struct ListOptions: Sendable {
    enum VersionMatch: String, Sendable {
        case exact = "Exact"
        case notOlderThan = "NotOlderThan"
    }

    var labels = LabelSelector.everything
    var fields = FieldSelector.everything
    var resourceVersion = ""
    var versionMatch: VersionMatch?
    var limit: Int64 = 0
    var continueToken = ""
    var allowWatchBookmarks = false
    var sendInitialEvents: Bool?
    var timeoutSeconds: Int64?

    init() {}

    /// Throws 400 for what cannot be read and 422 for combinations that mean nothing.
    init(_ query: QueryParameters, row: ResourceRow, isWatch: Bool) throws {
        (labels, fields) = try Self.selectors(query, row)
        resourceVersion = query["resourceVersion"] ?? ""
        limit = try query.integer("limit") ?? 0
        continueToken = query["continue"] ?? ""
        allowWatchBookmarks = query.flag("allowWatchBookmarks")
        if query["sendInitialEvents"] != nil { sendInitialEvents = query.flag("sendInitialEvents") }
        timeoutSeconds = try query.integer("timeoutSeconds")
        let match = query["resourceVersionMatch"] ?? ""
        if !match.isEmpty {
            guard let known = VersionMatch(rawValue: match) else {
                throw Self.invalid(
                    "resourceVersionMatch", "FieldValueNotSupported",
                    "Unsupported value: \(match.goQuoted): supported values: \"Exact\", \"NotOlderThan\"")
            }
            versionMatch = known
        }
        try validate(isWatch: isWatch)
    }

    private static func selectors(_ query: QueryParameters, _ row: ResourceRow) throws -> (LabelSelector, FieldSelector) {
        do throws(SelectorError) {
            let labels = try LabelSelector(parsing: query["labelSelector"] ?? "")
            let fields = try FieldSelector(parsing: query["fieldSelector"] ?? "")
            try SelectableFields.check(fields, row)
            return (labels, fields)
        } catch {
            throw StatusError.badRequest(error.description)
        }
    }

    private func validate(isWatch: Bool) throws {
        func forbid(_ field: String, _ why: String) -> StatusError { Self.invalid(field, "FieldValueForbidden", "Forbidden: \(why)") }
        if isWatch {
            if versionMatch != nil, sendInitialEvents == nil {
                throw forbid("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
            }
            if sendInitialEvents != nil, versionMatch != .notOlderThan {
                throw forbid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
            }
            return
        }
        if sendInitialEvents != nil { throw forbid("sendInitialEvents", "sendInitialEvents is forbidden for list") }
        guard versionMatch != nil else { return }
        if resourceVersion.isEmpty { throw forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided") }
        if !continueToken.isEmpty { throw forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided") }
        if versionMatch == .exact, resourceVersion == "0" {
            throw forbid("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
        }
    }

    private static func invalid(_ field: String, _ reason: String, _ message: String) -> StatusError {
        .invalid(
            GroupVersionKind(group: "meta.k8s.io", version: "v1", kind: "ListOptions"), "", [.init(reason: reason, message: message, field: field)])
    }

    /// The resourceVersion as a revision: nil when none was given. Throws 400 for what is no number. Upstream:
    /// storage.APIObjectVersioner.ParseResourceVersion.
    func revision() throws -> Int64? {
        guard !resourceVersion.isEmpty else { return nil }
        guard let revision = Int64(resourceVersion), revision >= 0 else {
            throw StatusError.invalid(
                GroupVersionKind(group: "meta.k8s.io", version: "v1", kind: "ListOptions"), "",
                [
                    MetadataValidation.invalid(
                        "resourceVersion", .string(resourceVersion), "strconv.ParseUint: parsing \(resourceVersion.goQuoted): invalid syntax")
                ])
        }
        return revision
    }

    func matches(_ object: Object) -> Bool {
        (labels.isEverything || labels.matches(object)) && (fields.isEverything || SelectableFields.matches(fields, object))
    }
    var selectsAll: Bool { labels.isEverything && fields.isEverything }

    /// A revision the server has not reached. Upstream: storage.NewTooLargeResourceVersionError.
    static func tooLarge(_ wanted: Int64, current: Int64) -> StatusError {
        StatusError(
            code: 504, reason: "Timeout", message: "Timeout: Too large resource version: \(wanted), current: \(current)",
            details: .init(causes: [.init(reason: "ResourceVersionTooLarge", message: "Too large resource version", field: "")], retryAfterSeconds: 1)
        )
    }
}

/// The opaque token of a list's next page. Upstream: storage.EncodeContinue: base64 without padding of {"v","rv","start"}.
struct ContinueToken: Sendable, Equatable {
    static let version = "meta.k8s.io/v1"

    /// The revision of the list's first page; -1 for a list that goes on from the newest state.
    var revision: Int64
    /// The key to go on from, relative to the resource's prefix, with a zero byte at its end: just past the last key of the page.
    var start: String

    var encoded: String {
        let value: Value = ["v": .string(Self.version), "rv": .int(revision), "start": .string(start)]
        return Base64.encodeURL(value.jsonBytes)
    }

    init(revision: Int64, start: String) {
        self.revision = revision
        self.start = start
    }

    /// Throws 400 for a token this server cannot have made.
    init(encoded: String) throws {
        func bad(_ why: String) -> StatusError { .badRequest("continue key is not valid: \(why)") }
        guard let bytes = Base64.decodeURL(encoded) else { throw bad("illegal base64 data") }
        let root: JSONView
        do { root = try JSONDocument(bytes).root } catch { throw bad(error.description) }
        guard root["v"].string == Self.version else { throw bad("server does not recognize this encoded version") }
        guard let revision = root["rv"].int, revision != 0 else { throw bad("incorrect encoded start resourceVersion (version \(Self.version))") }
        guard let start = root["start"].string, !start.isEmpty else { throw bad("encoded start key empty (version \(Self.version))") }
        guard !start.split(separator: "/").contains("..") else { throw bad("encoded start key invalid") }
        self.revision = revision
        self.start = start
    }
}
