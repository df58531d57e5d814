import HTTPTransport

/// What is asked of a container by HTTP, and what a redirect makes of it. Upstream: pkg/probe/http, net/http's Client.
struct HTTPProbeRequest: Sendable {
    /// Without brackets.
    var host: String
    var port: Int
    /// Path and query.
    var path: String
    var fields: HTTPFields
    var isTLS: Bool

    /// Requests until a redirect is not followed any more. Upstream: RedirectChecker.
    static let limit = 10

    var url: String { "\(isTLS ? "https" : "http")://\(HTTPAddress.tcp(host: host, port: port))\(path)" }

    /// The place a response sends to; nil: its status says what there is to say.
    static func location(_ status: Int, _ fields: HTTPFields) -> String? {
        guard [301, 302, 303, 307, 308].contains(status), let location = fields["Location"], !location.isEmpty else { return nil }
        return location
    }

    /// The request that follows a `Location`; nil when that is none. A place on the same server is asked with the same `Host`.
    func redirected(to location: String) -> HTTPProbeRequest? {
        let reference = location.prefix { $0 != "#" }
        var next = self
        if Self.hasScheme(reference) || reference.hasPrefix("//") {
            let text = reference.hasPrefix("//") ? (isTLS ? "https:" : "http:") + reference : String(reference)
            guard let url = AbsoluteURL(text) else { return nil }
            (next.host, next.port, next.isTLS, next.path) = (url.host, url.port, url.scheme == "https", url.target)
            next.fields["Host"] = url.authority
        } else if !reference.isEmpty {
            let current = path.prefix { $0 != "?" }
            switch reference.first {
            case "/": next.path = String(reference)
            case "?": next.path = String(current + reference)
            default: next.path = String(current.prefix(through: current.lastIndex(of: "/") ?? current.startIndex) + reference)
            }
        }
        next.path = Self.encoded(Self.withoutDots(next.path))
        return next
    }

    /// `http://…`, `mailto:…`: letters, digits, `+`, `-` and `.` before a colon.
    private static func hasScheme(_ reference: Substring) -> Bool {
        guard let colon = reference.firstIndex(of: ":"), reference.first?.isLetter == true else { return false }
        return reference[..<colon].utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2B || byte == 0x2D || byte == 0x2E
        }
    }

    /// Without the segments `.` and `..`. RFC 3986, 5.2.4.
    private static func withoutDots(_ path: String) -> String {
        let end = path.firstIndex(of: "?") ?? path.endIndex
        let segments = path[..<end].split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        var kept: [Substring] = []
        for segment in segments {
            switch segment {
            case ".": break
            case "..": _ = kept.popLast()
            default: kept.append(segment)
            }
        }
        if let last = segments.last, last == "." || last == ".." { kept.append("") }
        return "/" + kept.joined(separator: "/") + path[end...]
    }

    /// Bytes that a request line cannot have, as `%20`.
    private static func encoded(_ path: String) -> String {
        guard !path.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return path }
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in path.utf8 {
            if (0x21...0x7E).contains(byte) { bytes.append(byte) } else { bytes += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A request that got no answer to judge by, in the words of Go's client.
struct HTTPProbeFailure: Error, Sendable, CustomStringConvertible {
    var url: String
    var text: String

    var description: String { "Get \"\(url)\": \(text)" }
}
