/// A URL taken apart. Upstream: net/url.URL as ParseRequestURI makes it.
struct CELURL: CELOpaque {
    let text: String
    private(set) var scheme = ""
    private(set) var host = ""
    private(set) var path = ""
    private(set) var query = ""

    var celType: CELType { .opaque("kubernetes.URL") }
    func isEqual(_ other: any CELOpaque) -> Bool { (other as? CELURL)?.text == text }

    /// Nil for what is neither an absolute URL nor an absolute path.
    init?(_ text: String) {
        self.text = text
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
        var rest = Substring(text)
        if let colon = rest.firstIndex(of: ":"), !rest[..<colon].contains("/"), !rest[..<colon].contains("?") {
            let name = rest[..<colon]
            guard let first = name.utf8.first, Self.isLetter(first),
                name.utf8.allSatisfy({ Self.isLetter($0) || (48...57).contains($0) || "+-.".utf8.contains($0) })
            else { return nil }
            scheme = name.lowercased()
            rest = rest[rest.index(after: colon)...]
        } else if !rest.hasPrefix("/") {
            return nil
        }
        if let mark = rest.firstIndex(of: "?") {
            query = String(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        }
        // A request's URL without a slash behind its scheme is opaque: only its scheme is known.
        if !rest.hasPrefix("/") {
            if scheme.isEmpty { return nil }
            return
        }
        if !scheme.isEmpty, rest.hasPrefix("//") || scheme.isEmpty {
            rest = rest.dropFirst(2)
            let end = rest.firstIndex(of: "/") ?? rest.endIndex
            var authority = rest[..<end]
            if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
            guard Self.isHost(authority) else { return nil }
            host = String(authority)
            rest = rest[end...]
        }
        guard Self.hasValidEscapes(rest) else { return nil }
        path = String(rest)
    }

    private static func isLetter(_ c: UInt8) -> Bool { (65...90).contains(c) || (97...122).contains(c) }

    private static func hasValidEscapes(_ text: Substring) -> Bool {
        let b = Array(text.utf8)
        for (index, c) in b.enumerated() where c == UInt8(ascii: "%") {
            guard index + 2 < b.count, Int(String(decoding: b[index + 1...index + 2], as: UTF8.self), radix: 16) != nil else { return false }
        }
        return true
    }

    private static func isHost(_ text: Substring) -> Bool {
        var rest = text
        if rest.hasPrefix("[") {
            guard let end = rest.lastIndex(of: "]") else { return false }
            rest = rest[rest.index(after: end)...]
            return rest.isEmpty || rest.hasPrefix(":") && rest.dropFirst().utf8.allSatisfy { (48...57).contains($0) }
        }
        if let colon = rest.lastIndex(of: ":") {
            guard rest[rest.index(after: colon)...].utf8.allSatisfy({ (48...57).contains($0) }) else { return false }
        }
        return rest.utf8.allSatisfy { $0 > 0x20 && !"<>\"^`{}|\\".utf8.contains($0) }
    }

    /// The host without its port and brackets.
    var hostname: String {
        if host.hasPrefix("["), let end = host.lastIndex(of: "]") { return String(host[host.index(after: host.startIndex)..<end]) }
        return host.lastIndex(of: ":").map { String(host[..<$0]) } ?? host
    }

    var port: String {
        let behind = host.hasPrefix("[") ? host[(host.lastIndex(of: "]") ?? host.startIndex)...] : Substring(host)
        return behind.lastIndex(of: ":").map { String(behind[behind.index(after: $0)...]) } ?? ""
    }

    /// The path with what may not stand in one escaped.
    var escapedPath: String {
        var out: [UInt8] = []
        for c in path.utf8 {
            let isPlain = Self.isLetter(c) || (48...57).contains(c) || "-_.~$&+,/:;=@%!'()*[]".utf8.contains(c)
            if isPlain {
                out.append(c)
            } else {
                out += "%".utf8
                out += (c < 16 ? "0" : "").utf8
                out += String(c, radix: 16, uppercase: true).utf8
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Values by name, in order.
    var queryValues: CELDictionary {
        var values: [(String, [CELValue])] = []
        for pair in query.split(separator: "&") where !pair.contains(";") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.unescape(parts[0]), let value = parts.count > 1 ? Self.unescape(parts[1]) : "" else { continue }
            if let place = values.firstIndex(where: { $0.0 == name }) {
                values[place].1.append(.string(value))
            } else {
                values.append((name, [.string(value)]))
            }
        }
        var dictionary = CELDictionary()
        for (name, list) in values { dictionary.set(.string(name), .list(list)) }
        return dictionary
    }

    private static func unescape(_ text: Substring) -> String? {
        guard hasValidEscapes(text) else { return nil }
        let b = Array(text.utf8)
        var out: [UInt8] = []
        var at = 0
        while at < b.count {
            if b[at] == UInt8(ascii: "%"), let value = UInt8(String(decoding: b[at + 1...at + 2], as: UTF8.self), radix: 16) {
                out.append(value)
                at += 3
            } else {
                out.append(b[at] == UInt8(ascii: "+") ? 0x20 : b[at])
                at += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// Upstream: library.URLs.
enum URLLibrary {
    private static func url(_ value: CELValue) throws(CELError) -> CELURL {
        guard case .opaque(let opaque) = value, let url = opaque as? CELURL else { throw .noSuchOverload }
        return url
    }

    static let overloads: [CELOverload?] = [
        CELOverload("string_to_url", "url(string) kubernetes.URL") { arguments throws(CELError) in
            let text = arguments[0].string ?? ""
            guard let url = CELURL(text) else {
                throw CELError("URL parse error during conversion from string: parse \(quoted(text)): invalid URI for request")
            }
            return .opaque(url)
        },
        CELOverload("is_url_string", "isURL(string) bool") { arguments in .bool(CELURL(arguments[0].string ?? "") != nil) },
        CELOverload("url_get_scheme", "<kubernetes.URL>.getScheme() string") { arguments throws(CELError) in .string(try url(arguments[0]).scheme) },
        CELOverload("url_get_host", "<kubernetes.URL>.getHost() string") { arguments throws(CELError) in .string(try url(arguments[0]).host) },
        CELOverload("url_get_hostname", "<kubernetes.URL>.getHostname() string") { arguments throws(CELError) in
            .string(try url(arguments[0]).hostname)
        },
        CELOverload("url_get_port", "<kubernetes.URL>.getPort() string") { arguments throws(CELError) in .string(try url(arguments[0]).port) },
        CELOverload("url_get_escaped_path", "<kubernetes.URL>.getEscapedPath() string") { arguments throws(CELError) in
            .string(try url(arguments[0]).escapedPath)
        },
        CELOverload("url_get_query", "<kubernetes.URL>.getQuery() map(string, list(string))") { arguments throws(CELError) in
            .map(.entries(try url(arguments[0]).queryValues))
        },
    ]

    static func quoted(_ text: String) -> String {
        "\"" + text.replacingNewlines.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
    }
}
