/// A reference to an image, spelled out as the registries know it. Upstream: distribution/reference.ParseNormalizedNamed and parsers.ParseImageName.
struct ImageReference: Sendable, Equatable {
    var registry: String
    var repository: String
    /// `:tag`, `@sha256:…` or both.
    var suffix: String

    /// Nil for a text that is no reference.
    init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count <= 4096 else { return nil }
        var name = Substring(text)
        var suffix = ""
        if let at = name.firstIndex(of: "@") {
            suffix = String(name[at...])
            name = name[..<at]
            guard let colon = suffix.firstIndex(of: ":"), suffix[suffix.index(after: colon)...].count >= 32 else { return nil }
        }
        let lastSlash = name.lastIndex(of: "/") ?? name.startIndex
        if let colon = name[lastSlash...].lastIndex(of: ":") {
            let tag = name[name.index(after: colon)...]
            guard !tag.isEmpty, tag.utf8.count <= 128, tag.utf8.allSatisfy(Self.isTagByte) else { return nil }
            suffix = ":\(tag)" + suffix
            name = name[..<colon]
        }
        var parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts.count > 1, let first = parts.first, first.contains(".") || first.contains(":") || first == "localhost" {
            registry = first
            parts.removeFirst()
        } else {
            registry = "docker.io"
            if parts.count == 1 { parts.insert("library", at: 0) }
        }
        guard !parts.isEmpty, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(Self.isPathByte) }) else { return nil }
        repository = parts.joined(separator: "/")
        self.suffix = suffix.isEmpty ? ":latest" : suffix
    }

    private static func isPathByte(_ c: UInt8) -> Bool {
        (c >= UInt8(ascii: "a") && c <= UInt8(ascii: "z")) || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9")) || c == UInt8(ascii: ".")
            || c == UInt8(ascii: "_") || c == UInt8(ascii: "-")
    }
    private static func isTagByte(_ c: UInt8) -> Bool { isPathByte(c) || (c >= UInt8(ascii: "A") && c <= UInt8(ascii: "Z")) }

    var description: String { "\(registry)/\(repository)\(suffix)" }
}
