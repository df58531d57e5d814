/// A request's path and query, decoded.
struct Query: Sendable {
    private(set) var pairs: [(name: String, value: String)] = []

    init(_ text: Substring) {
        for part in text.split(separator: "&") {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = halves.first.flatMap({ Self.decode($0, plusIsSpace: true) }) else { continue }
            pairs.append((name, halves.count > 1 ? Self.decode(halves[1], plusIsSpace: true) ?? "" : ""))
        }
    }

    subscript(name: String) -> String? { pairs.first { $0.name == name }?.value }
    func all(_ name: String) -> [String] { pairs.filter { $0.name == name }.map(\.value) }
    /// `true` or `1`, under any of the names.
    func flag(_ names: String...) -> Bool { names.contains { self[$0] == "true" || self[$0] == "1" } }

    /// Nil for a broken escape.
    static func decode(_ text: Substring, plusIsSpace: Bool) -> String? {
        var out: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let c = rest.popFirst() {
            if c == UInt8(ascii: "%") {
                guard rest.count >= 2, let byte = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
                out.append(byte)
                rest = rest.dropFirst(2)
            } else {
                out.append(plusIsSpace && c == UInt8(ascii: "+") ? UInt8(ascii: " ") : c)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    static func segments(_ path: Substring) -> [String]? {
        var segments: [String] = []
        for part in path.split(separator: "/") {
            guard let text = decode(part, plusIsSpace: false) else { return nil }
            segments.append(text)
        }
        return segments
    }
}
