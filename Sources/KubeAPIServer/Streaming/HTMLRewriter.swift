/// Puts a prefix before the absolute paths of a page's links, so that a site works under the path of a proxy. The page comes in pieces; what cannot
/// be told yet is kept for the next. Upstream: k8s.io/apimachinery/pkg/util/proxy.Transport's rewriteHTML.
struct HTMLRewriter {
    /// Bytes of a tag that are waited for; a longer one passes as it is.
    static let maximumTagBytes = 64 * 1024

    /// Attributes that hold addresses, by element. Upstream: atomsToAttrs.
    private static let attributes: [String: Set<String>] = [
        "a": ["href"], "applet": ["codebase"], "area": ["href"], "audio": ["src"], "base": ["href"], "blockquote": ["cite"], "body": ["background"],
        "button": ["formaction"], "command": ["icon"], "del": ["cite"], "embed": ["src"], "form": ["action"], "frame": ["longdesc", "src"],
        "head": ["profile"], "html": ["manifest"], "iframe": ["longdesc", "src"], "img": ["longdesc", "src", "usemap"],
        "input": ["src", "usemap", "formaction"], "ins": ["cite"], "link": ["href"], "object": ["classid", "codebase", "data", "usemap"],
        "q": ["cite"], "script": ["src"], "source": ["src"], "track": ["src"], "video": ["poster", "src"],
    ]
    /// Elements whose content is no markup.
    private static let rawElements: Set<String> = ["script", "style", "textarea", "title"]

    private let rewrite: (String) -> String?
    private var pending: [UInt8] = []
    /// Inside the content of this element only its end tag counts.
    private var raw: String?

    /// `rewrite` gives the new form of an address, nil to leave it.
    init(_ rewrite: @escaping (String) -> String?) { self.rewrite = rewrite }

    /// Takes a piece and gives what is certain by now.
    mutating func feed(_ piece: [UInt8]) -> [UInt8] {
        pending += piece
        var out: [UInt8] = []
        out.reserveCapacity(pending.count + 64)
        var at = 0
        while at < pending.count {
            guard let open = pending[at...].firstIndex(of: UInt8(ascii: "<")) else {
                out += pending[at...]
                at = pending.count
                break
            }
            out += pending[at..<open]
            at = open
            guard let end = Self.tagEnd(pending, from: open) else {
                if pending.count - open > Self.maximumTagBytes {
                    out += pending[open...]
                    at = pending.count
                }
                break
            }
            out += tag(Array(pending[open..<end]))
            at = end
        }
        pending.removeFirst(at)
        return out
    }

    /// What is left at the end of the page.
    mutating func finish() -> [UInt8] {
        defer { pending = [] }
        return pending
    }

    /// The byte after the `>` that ends a tag, past quoted values; after `-->` for a comment.
    private static func tagEnd(_ bytes: [UInt8], from open: Int) -> Int? {
        if bytes[open...].starts(with: "<!--".utf8) {
            var at = open + 4
            while at + 2 < bytes.count {
                if bytes[at] == UInt8(ascii: "-"), bytes[at + 1] == UInt8(ascii: "-"), bytes[at + 2] == UInt8(ascii: ">") { return at + 3 }
                at += 1
            }
            return nil
        }
        guard open + 1 < bytes.count else { return nil }
        let next = bytes[open + 1]
        let isTag = next == UInt8(ascii: "/") || next == UInt8(ascii: "!") || next == UInt8(ascii: "?") || isLetter(next)
        // A lone `<` is text.
        guard isTag else { return open + 1 }
        var quote: UInt8?
        for at in open + 1..<bytes.count {
            let c = bytes[at]
            if let open = quote {
                if c == open { quote = nil }
            } else if (c == UInt8(ascii: "\"") || c == UInt8(ascii: "'")) && at > 0 && isBeforeValue(bytes[at - 1]) {
                quote = c
            } else if c == UInt8(ascii: ">") {
                return at + 1
            }
        }
        return nil
    }

    private static func isLetter(_ c: UInt8) -> Bool { (c | 0x20) >= UInt8(ascii: "a") && (c | 0x20) <= UInt8(ascii: "z") }
    private static func isSpace(_ c: UInt8) -> Bool { c == 0x20 || (c >= 0x09 && c <= 0x0D) }
    private static func isBeforeValue(_ c: UInt8) -> Bool { c == UInt8(ascii: "=") || isSpace(c) }

    /// One tag with its addresses rewritten.
    private mutating func tag(_ bytes: [UInt8]) -> [UInt8] {
        let isEnd = bytes.count > 1 && bytes[1] == UInt8(ascii: "/")
        let start = isEnd ? 2 : 1
        let name = String(decoding: bytes[start...].prefix { Self.isLetter($0) || ($0 >= 0x30 && $0 <= 0x39) }, as: UTF8.self).lowercased()
        if let raw {
            if isEnd, name == raw { self.raw = nil }
            return bytes
        }
        guard !isEnd, !name.isEmpty else { return bytes }
        if Self.rawElements.contains(name) { raw = name }
        guard let wanted = Self.attributes[name] else { return bytes }
        var out = Array(bytes[..<(start + name.utf8.count)])
        var at = start + name.utf8.count
        while at < bytes.count {
            let nameStart = at
            while at < bytes.count, Self.isSpace(bytes[at]) || bytes[at] == UInt8(ascii: "/") { at += 1 }
            let attributeStart = at
            while at < bytes.count, !Self.isSpace(bytes[at]), bytes[at] != UInt8(ascii: "="), bytes[at] != UInt8(ascii: ">") { at += 1 }
            let attribute = String(decoding: bytes[attributeStart..<at], as: UTF8.self).lowercased()
            while at < bytes.count, Self.isSpace(bytes[at]) { at += 1 }
            guard at < bytes.count, bytes[at] == UInt8(ascii: "=") else {
                if at < bytes.count, bytes[at] == UInt8(ascii: ">") || at == nameStart { at += 1 }
                out += bytes[nameStart..<at]
                continue
            }
            at += 1
            while at < bytes.count, Self.isSpace(bytes[at]) { at += 1 }
            var valueStart = at
            var valueEnd = at
            if at < bytes.count, bytes[at] == UInt8(ascii: "\"") || bytes[at] == UInt8(ascii: "'") {
                let quote = bytes[at]
                valueStart = at + 1
                valueEnd = bytes[valueStart...].firstIndex(of: quote) ?? bytes.count
                at = min(valueEnd + 1, bytes.count)
            } else {
                while at < bytes.count, !Self.isSpace(bytes[at]), bytes[at] != UInt8(ascii: ">") { at += 1 }
                valueEnd = at
            }
            out += bytes[nameStart..<valueStart]
            let value = String(decoding: bytes[valueStart..<valueEnd], as: UTF8.self)
            if wanted.contains(attribute), let new = rewrite(value) { out += new.utf8 } else { out += bytes[valueStart..<valueEnd] }
            out += bytes[valueEnd..<at]
        }
        return out
    }
}
