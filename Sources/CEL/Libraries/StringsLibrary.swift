/// Upstream: ext.Strings, version 2 and `reverse`.
enum StringsLibrary {
    /// Bytes of a text that a function makes. Upstream has no limit; a replacement must not exhaust memory.
    static let maximumResult = 64 * 1024 * 1024
    private static let tooLarge = CELError("operation cancelled: result too large", kind: .costLimit)

    static func find(_ text: [UInt8], _ part: [UInt8], from: Int) -> Int? {
        if part.isEmpty { return from <= text.count ? from : nil }
        guard text.count >= part.count, from <= text.count - part.count else { return nil }
        let first = part[0]
        var at = from
        while at <= text.count - part.count {
            if text[at] == first, text[at..<at + part.count].elementsEqual(part) { return at }
            at += 1
        }
        return nil
    }

    private static func scalars(_ value: CELValue) -> [Unicode.Scalar] { Array((value.string ?? "").unicodeScalars) }
    private static func text(_ scalars: some Sequence<Unicode.Scalar>) -> CELValue {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return .string(String(view))
    }
    private static func int(_ value: CELValue) -> Int { if case .int(let x) = value { Int(clamping: x) } else { 0 } }

    private static func mapASCII(_ value: CELValue, _ range: ClosedRange<UInt8>, _ change: (UInt8) -> UInt8) -> CELValue {
        .string(String(decoding: (value.string ?? "").utf8.map { range.contains($0) ? change($0) : $0 }, as: UTF8.self))
    }

    private static func indexOf(_ arguments: [CELValue]) throws(CELError) -> CELValue {
        let (text, part) = (scalars(arguments[0]), scalars(arguments[1]))
        let from = arguments.count > 2 ? int(arguments[2]) : 0
        if part.isEmpty { return .int(Int64(from)) }
        if from < 0 { throw CELError("index out of range: \(from)") }
        guard text.count >= part.count, from <= text.count - part.count else { return .int(-1) }
        for at in from...(text.count - part.count) where text[at] == part[0] && text[at..<at + part.count].elementsEqual(part) {
            return .int(Int64(at))
        }
        return .int(-1)
    }

    private static func lastIndexOf(_ arguments: [CELValue]) throws(CELError) -> CELValue {
        let (text, part) = (scalars(arguments[0]), scalars(arguments[1]))
        let from = arguments.count > 2 ? int(arguments[2]) : text.count
        if part.isEmpty { return .int(Int64(from)) }
        if from < 0 { throw CELError("index out of range: \(from)") }
        if arguments.count > 2, from >= text.count { return .int(-1) }
        var at = min(from, text.count - part.count)
        while at >= 0 {
            if text[at..<at + part.count].elementsEqual(part) { return .int(Int64(at)) }
            at -= 1
        }
        return .int(-1)
    }

    private static func replace(_ arguments: [CELValue]) throws(CELError) -> CELValue {
        let (text, old, new) = (arguments[0].string ?? "", arguments[1].string ?? "", arguments[2].string ?? "")
        let limit = arguments.count > 3 ? int(arguments[3]) : -1
        if limit == 0 { return arguments[0] }
        var out: [UInt8] = []
        var count = 0
        if old.isEmpty {
            for scalar in text.unicodeScalars {
                if limit < 0 || count < limit {
                    out += new.utf8
                    count += 1
                }
                out += String(Character(scalar)).utf8
                if out.count > maximumResult { throw tooLarge }
            }
            if limit < 0 || count < limit { out += new.utf8 }
            return .string(String(decoding: out, as: UTF8.self))
        }
        let (bytes, part) = (Array(text.utf8), Array(old.utf8))
        var at = 0
        while limit < 0 || count < limit, let place = find(bytes, part, from: at) {
            out += bytes[at..<place]
            out += new.utf8
            at = place + part.count
            count += 1
            if out.count > maximumResult { throw tooLarge }
        }
        out += bytes[at...]
        return .string(String(decoding: out, as: UTF8.self))
    }

    private static func split(_ arguments: [CELValue]) -> CELValue {
        let (text, separator) = (arguments[0].string ?? "", arguments[1].string ?? "")
        let limit = arguments.count > 2 ? int(arguments[2]) : -1
        if limit == 0 { return .list([]) }
        if limit == 1 { return .list([arguments[0]]) }
        var parts: [CELValue] = []
        if separator.isEmpty {
            let all = Array(text.unicodeScalars)
            let single = limit < 0 ? all.count : min(limit - 1, all.count)
            for scalar in all.prefix(single) { parts.append(.string(String(Character(scalar)))) }
            if single < all.count { parts.append(self.text(all[single...])) }
            return .list(parts)
        }
        let (bytes, part) = (Array(text.utf8), Array(separator.utf8))
        var at = 0
        while limit < 0 || parts.count < limit - 1, let place = find(bytes, part, from: at) {
            parts.append(.string(String(decoding: bytes[at..<place], as: UTF8.self)))
            at = place + part.count
        }
        parts.append(.string(String(decoding: bytes[at...], as: UTF8.self)))
        return .list(parts)
    }

    private static func substring(_ arguments: [CELValue]) throws(CELError) -> CELValue {
        let text = scalars(arguments[0])
        let start = int(arguments[1])
        guard arguments.count > 2 else {
            guard start >= 0, start <= text.count else { throw CELError("index out of range: \(start)") }
            return self.text(text[start...])
        }
        let end = int(arguments[2])
        if start > end { throw CELError("invalid substring range. start: \(start), end: \(end)") }
        if start < 0 || start > text.count { throw CELError("index out of range: \(start)") }
        if end < 0 || end > text.count { throw CELError("index out of range: \(end)") }
        return self.text(text[start..<end])
    }

    private static func join(_ arguments: [CELValue]) throws(CELError) -> CELValue {
        guard case .list(let list) = arguments[0] else { throw .noSuchOverload }
        let separator = arguments.count > 1 ? arguments[1].string ?? "" : ""
        var out = ""
        for index in 0..<list.count {
            guard case .string(let part) = list[index] else { throw CELError("join: invalid input: \(CELText.describe(list[index]))") }
            if index > 0 { out += separator }
            out += part
            if out.utf8.count > maximumResult { throw tooLarge }
        }
        return .string(out)
    }

    private static func quote(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\u{07}": out += "\\a"
            case "\u{08}": out += "\\b"
            case "\u{0C}": out += "\\f"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case "\u{0B}": out += "\\v"
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    static let overloads: [CELOverload?] = [
        CELOverload("string_char_at_int", "string.charAt(int) string") { arguments throws(CELError) in
            let text = scalars(arguments[0])
            let index = int(arguments[1])
            if index < 0 || index > text.count { throw CELError("index out of range: \(index)") }
            return index == text.count ? .string("") : .string(String(Character(text[index])))
        },
        CELOverload("string_index_of_string", "string.indexOf(string) int") { arguments throws(CELError) in try indexOf(arguments) },
        CELOverload("string_index_of_string_int", "string.indexOf(string, int) int") { arguments throws(CELError) in try indexOf(arguments) },
        CELOverload("string_last_index_of_string", "string.lastIndexOf(string) int") { arguments throws(CELError) in try lastIndexOf(arguments) },
        CELOverload("string_last_index_of_string_int", "string.lastIndexOf(string, int) int") { arguments throws(CELError) in
            try lastIndexOf(arguments)
        },
        CELOverload("string_lower_ascii", "string.lowerAscii() string") { arguments in mapASCII(arguments[0], 65...90) { $0 + 32 } },
        CELOverload("string_upper_ascii", "string.upperAscii() string") { arguments in mapASCII(arguments[0], 97...122) { $0 - 32 } },
        CELOverload("string_replace_string_string", "string.replace(string, string) string") { arguments throws(CELError) in try replace(arguments) },
        CELOverload("string_replace_string_string_int", "string.replace(string, string, int) string") { arguments throws(CELError) in
            try replace(arguments)
        },
        CELOverload("string_split_string", "string.split(string) list(string)") { arguments in split(arguments) },
        CELOverload("string_split_string_int", "string.split(string, int) list(string)") { arguments in split(arguments) },
        CELOverload("string_substring_int", "string.substring(int) string") { arguments throws(CELError) in try substring(arguments) },
        CELOverload("string_substring_int_int", "string.substring(int, int) string") { arguments throws(CELError) in try substring(arguments) },
        CELOverload("string_trim", "string.trim() string") { arguments in
            let text = scalars(arguments[0])
            guard let first = text.firstIndex(where: { !$0.properties.isWhitespace }),
                let last = text.lastIndex(where: { !$0.properties.isWhitespace })
            else { return .string("") }
            return StringsLibrary.text(text[first...last])
        },
        CELOverload("string_reverse", "string.reverse() string") { arguments in text(scalars(arguments[0]).reversed()) },
        CELOverload("list_join", "list(string).join() string") { arguments throws(CELError) in try join(arguments) },
        CELOverload("list_join_string", "list(string).join(string) string") { arguments throws(CELError) in try join(arguments) },
        CELOverload("strings_quote", "strings.quote(string) string") { arguments in .string(quote(arguments[0].string ?? "")) },
        CELOverload("string_format", "string.format(list(dyn)) string") { arguments throws(CELError) in
            guard case .list(let list) = arguments[1] else { throw .noSuchOverload }
            return .string(try StringFormat.format(arguments[0].string ?? "", list.values))
        },
    ]
}
