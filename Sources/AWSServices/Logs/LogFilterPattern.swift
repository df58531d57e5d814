import AWSProtocol
import RegularExpressions

/// What FilterLogEvents looks for. Upstream: CloudWatch Logs User Guide, "Filter pattern syntax". Terms, JSON conditions and regular expressions are
/// done; space-delimited patterns (`[a, b]`) are refused.
struct LogFilterPattern: Sendable {
    private enum Term: Sendable {
        case text(String)
        case expression(RegularExpression)

        func matches(_ message: String) -> Bool {
            switch self {
            case .text(let text): message.contains(text)
            case .expression(let expression): expression.matches(message)
            }
        }
    }
    private enum Content: Sendable {
        case terms(all: [Term], any: [Term], none: [Term])
        case json(LogFilterExpression)
    }

    private let content: Content
    private static let longest = 1_024

    /// Throws InvalidParameterException.
    init(_ text: String) throws(AWSError) {
        guard text.utf8.count <= Self.longest else { throw Self.invalid("it is longer than \(Self.longest) characters") }
        let trimmed = text.drop { $0 == " " }
        switch trimmed.first {
        case "{": content = .json(try LogFilterExpression(trimmed))
        case "[": throw Self.invalid("space-delimited patterns are not implemented by Eyrie")
        default: content = try Self.terms(trimmed)
        }
    }

    static func invalid(_ why: String) -> AWSError { AWSError("InvalidParameterException", "Invalid filter pattern: \(why)") }

    private static func terms(_ text: Substring) throws(AWSError) -> Content {
        var (all, any, none): ([Term], [Term], [Term]) = ([], [], [])
        var rest = text
        while true {
            rest = rest.drop { $0 == " " || $0 == "\t" }
            guard let first = rest.first else { break }
            let mark: Character? = first == "?" || first == "-" ? first : nil
            if mark != nil { rest = rest.dropFirst() }
            let term = try term(&rest)
            switch mark {
            case "?": any.append(term)
            case "-": none.append(term)
            default: all.append(term)
            }
        }
        // Beside terms that must be there, those of which one must be say nothing. Upstream: "Match any terms".
        return .terms(all: all, any: all.isEmpty && none.isEmpty ? any : [], none: none)
    }

    private static func term(_ rest: inout Substring) throws(AWSError) -> Term {
        switch rest.first {
        case "\"":
            rest = rest.dropFirst()
            var text = ""
            while let character = rest.popFirst(), character != "\"" {
                if character == "\\", let escaped = rest.popFirst() { text.append(escaped) } else { text.append(character) }
            }
            return .text(text)
        case "%":
            rest = rest.dropFirst()
            guard let end = rest.firstIndex(of: "%") else { throw invalid("a regular expression must end with %") }
            defer { rest = rest[rest.index(after: end)...] }
            return .expression(try expression(rest[..<end]))
        default:
            let word = rest.prefix { $0 != " " && $0 != "\t" }
            guard !word.isEmpty,
                word.unicodeScalars.allSatisfy({ $0.properties.isAlphabetic || ("0"..."9").contains($0) || "_-./:=".unicodeScalars.contains($0) })
            else { throw invalid("the term \(word.prefix(64)) must be in double quotes") }
            rest = rest[word.endIndex...]
            return .text(String(word))
        }
    }

    static func expression(_ text: Substring) throws(AWSError) -> RegularExpression {
        do { return try RegularExpression(String(text)) } catch { throw invalid(error.description) }
    }

    func matches(_ message: String) -> Bool {
        switch content {
        case .terms(let all, let any, let none):
            return all.allSatisfy { $0.matches(message) } && (any.isEmpty || any.contains { $0.matches(message) })
                && !none.contains { $0.matches(message) }
        case .json(let expression):
            guard message.utf8.contains(0x7B), let document = try? AWSJSON(parsing: Array(message.utf8)), document.objectValue != nil else {
                return false
            }
            return expression.matches(document)
        }
    }
}
