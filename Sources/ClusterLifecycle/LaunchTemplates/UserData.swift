import AWSProtocol

/// The user data of a launch template, in its parts. Upstream: cloud-init, "MIME multi-part archive"; RFC 2046.
struct UserData: Sendable, Equatable {
    /// One part: its content type without parameters, and its text.
    struct Part: Sendable, Equatable {
        var type: String
        var text: String
    }

    var parts: [Part]

    /// Bytes of user data, and parts in it. Upstream: EC2 User Guide, "User data is limited to 16 KB, in raw form".
    private static let longest = 16_384
    private static let mostParts = 100

    /// Nil for what is no MIME multi-part archive.
    init?(archive bytes: [UInt8]) {
        guard bytes.count <= Self.longest, let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        let header = Self.header(lines[...])
        guard let type = header.fields["content-type"], type.lowercased().hasPrefix("multipart/"), let boundary = Self.parameter("boundary", type)
        else { return nil }
        parts = []
        var part: [Substring]?
        for line in lines[header.end...] {
            let isEnd = line.trimmingSuffix(while: \.isWhitespace) == "--\(boundary)--"
            guard isEnd || line.trimmingSuffix(while: \.isWhitespace) == "--\(boundary)" else {
                part?.append(line)
                continue
            }
            if let part { parts.append(Self.part(part[...])) }
            guard parts.count <= Self.mostParts else { return nil }
            part = []
            if isEnd { return }
        }
        // The archive ends without its last line: what there is counts, as for cloud-init.
        if let part { parts.append(Self.part(part[...])) }
    }

    /// Plain user data, of a type that its beginning tells.
    init(plain bytes: [UInt8]) {
        let text = String(decoding: bytes.prefix(Self.longest), as: UTF8.self)
        parts = [Part(type: text.hasPrefix("#!") ? "text/x-shellscript" : NodeConfig.contentType, text: text)]
    }

    /// The header of lines, by names in lower case, and the first line after it. Lines that begin with a space go on with the field before them.
    private static func header(_ lines: ArraySlice<Substring>) -> (fields: [String: String], end: Int) {
        var fields: [String: String] = [:]
        var name: String?
        for (index, line) in zip(lines.indices, lines) {
            guard !line.isEmpty else { return (fields, index + 1) }
            if let name, line.first?.isWhitespace ?? false {
                fields[name, default: ""] += " " + line.drop(while: \.isWhitespace)
                continue
            }
            guard let colon = line.firstIndex(of: ":") else { return (fields, index) }
            let key = line[..<colon].lowercased()
            fields[key] = String(line[line.index(after: colon)...].drop(while: \.isWhitespace))
            name = key
        }
        return (fields, lines.endIndex)
    }

    private static func part(_ lines: ArraySlice<Substring>) -> Part {
        let (fields, end) = header(lines)
        let text = lines[end...].joined(separator: "\n")
        let type = (fields["content-type"] ?? "text/plain").prefix { $0 != ";" }.trimmingSuffix(while: \.isWhitespace).lowercased()
        guard fields["content-transfer-encoding"]?.lowercased() == "base64", let decoded = Base64URL.decodeStandard(text) else {
            return Part(type: type, text: text)
        }
        return Part(type: type, text: String(decoding: decoded, as: UTF8.self))
    }

    /// The parameter of a content type, without its quotes.
    private static func parameter(_ name: String, _ type: String) -> String? {
        for parameter in type.split(separator: ";").dropFirst() {
            let words = parameter.split(separator: "=", maxSplits: 1)
            guard words.count == 2, words[0].drop(while: \.isWhitespace).lowercased() == name else { continue }
            let value = words[1].trimmingSuffix(while: \.isWhitespace)
            let bare = value.hasPrefix("\"") && value.hasSuffix("\"") && value.count >= 2 ? value.dropFirst().dropLast() : value
            return bare.isEmpty ? nil : String(bare)
        }
        return nil
    }
}

extension StringProtocol {
    /// Without what `isLeftOut` accepts at its end.
    fileprivate func trimmingSuffix(while isLeftOut: (Character) -> Bool) -> SubSequence {
        var end = endIndex
        while end > startIndex, isLeftOut(self[index(before: end)]) { end = index(before: end) }
        return self[..<end]
    }
}
