import HTTPTransport
import KubeAPI

/// A request on a resource after authentication and authorisation, from either transport.
struct APIRequest: Sendable {
    var info: RequestInfo
    var user: UserInfo
    var query: QueryParameters
    /// The whole body; empty when there is none.
    var body: [UInt8] = []
    /// The body as it comes, of requests that are passed on; `body` is empty then.
    var stream: HTTPBodyStream?
    /// The media type of `body`, without parameters, in lower case.
    var contentType = "application/json"
    /// What a strict reader of `body`'s first format says of it: keys of YAML that stand twice. JSON shows them itself.
    var strictProblem: String?
    /// The request as the client sent it, for streaming; nil in process.
    var head: HTTPRequestHead?
}

/// What a verb answers, before it takes the form a client asked for.
enum APIResult: Sendable {
    /// One object, with the HTTP status that says how it came about.
    case object(Object, status: Int)
    case list(ObjectList)
    case watch(WatchSession)
    /// A response that is no object: logs, exec, proxies.
    case response(HTTPResponse)
}

/// A result with the warnings gathered on its way.
struct APIResponse: Sendable {
    var result: APIResult
    /// Texts for `Warning: 299` headers.
    var warnings: [String] = []
}

/// A list before it is encoded: the objects as they are kept.
struct ObjectList: Sendable {
    var kind: GroupVersionKind
    var revision: Int64
    var objects: [Object]
    /// The token of the next page, empty at the end.
    var continueToken = ""
    /// How many objects follow this page; nil when it is not known (selectors) or nothing follows.
    var remaining: Int?

    /// ListMeta as a tree. Upstream: metav1.ListMeta.
    var metadata: Value {
        var metadata: Value = ["resourceVersion": .string(String(revision))]
        if !continueToken.isEmpty { metadata["continue"] = .string(continueToken) }
        if let remaining { metadata["remainingItemCount"] = .int(Int64(remaining)) }
        return metadata
    }

    /// The list as JSON, made of the objects' own bytes.
    var bytes: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(objects.reduce(256) { $0 + $1.bytes.count + 1 })
        out.append(contentsOf: headBytes)
        for (index, object) in objects.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            out.append(contentsOf: object.bytes)
        }
        out.append(contentsOf: Self.tail)
        return out
    }

    /// What stands before the first object.
    var headBytes: [UInt8] {
        var out: [UInt8] = []
        out.append(contentsOf: "{\"kind\":".utf8)
        Value.write(kind.kind, to: &out)
        out.append(contentsOf: ",\"apiVersion\":".utf8)
        Value.write(kind.apiVersion, to: &out)
        out.append(contentsOf: ",\"metadata\":".utf8)
        metadata.write(to: &out)
        out.append(contentsOf: ",\"items\":[".utf8)
        return out
    }

    /// What stands behind the last.
    static let tail = Array("]}".utf8)
}
