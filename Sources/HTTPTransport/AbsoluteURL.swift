/// The parts of an absolute URL that a request needs.
package struct AbsoluteURL: Sendable, Equatable {
    /// `http` or `https`.
    package var scheme: String
    /// Without brackets.
    package var host: String
    /// That of the scheme where none stands.
    package var port: Int
    /// Path and query, beginning with a slash.
    package var target: String
    /// Host and port as they stood.
    package var authority: String

    /// Nil for what is no absolute http or https URL.
    package init?(_ text: String) {
        guard let separator = text.firstRange(of: "://") else { return nil }
        scheme = text[..<separator.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else { return nil }
        let rest = text[separator.upperBound...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let tail = rest[end...].prefix { $0 != "#" }
        target = tail.first == "/" ? String(tail) : "/" + tail
        authority = String(rest[..<end])
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        var name = Substring(authority)
        var number: Substring?
        if name.first == "[" {
            guard let close = name.firstIndex(of: "]") else { return nil }
            let after = name[name.index(after: close)...]
            name = name[name.index(after: name.startIndex)..<close]
            guard after.isEmpty || after.first == ":" else { return nil }
            number = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = name.lastIndex(of: ":") {
            number = name[name.index(after: colon)...]
            name = name[..<colon]
        }
        guard !name.isEmpty else { return nil }
        host = String(name)
        if let number, !number.isEmpty {
            guard let value = Int(number), (1...65535).contains(value) else { return nil }
            port = value
        } else {
            port = scheme == "https" ? 443 : 80
        }
    }
}

extension HTTPError {
    /// What Go's client says of the same failure: users and tests search for these words.
    package func goText(_ url: AbsoluteURL) -> String {
        switch self {
        case .timeout: return "context deadline exceeded"
        case .connectionClosed: return "EOF"
        case .bodyTooLarge(let limit): return "the response is larger than \(limit) bytes"
        case .protocolViolation(let text): return "malformed HTTP response: \(text)"
        case .upgradeRefused(let status, _): return "unexpected status \(status)"
        case .connectFailed(let text):
            if text.contains("has no address") { return "dial tcp: lookup \(url.host): no such host" }
            guard let place = text.firstRange(of: "cannot connect to "), let colon = text[place.upperBound...].firstRange(of: ": ") else {
                return text
            }
            return "dial tcp \(text[place.upperBound..<colon.lowerBound]): connect: \(text[colon.upperBound...])"
        case .tls(let text):
            if text.contains("CERTIFICATE_VERIFY_FAILED") {
                return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            }
            if text.contains("ostname") || text.contains("Couldn't find") {
                return "tls: failed to verify certificate: x509: certificate is not valid for any names, but wanted to match \(url.host)"
            }
            if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") { return "http: server gave HTTP response to HTTPS client" }
            if text.contains("cannot be used") { return "unable to load root certificates: unable to parse bytes as PEM block" }
            return "tls: \(text)"
        }
    }
}
