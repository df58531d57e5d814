import RegularExpressions
import Synchronization

/// Compiled patterns of expressions, kept: rules use the same few over and over.
final class CELRegexCache: Sendable {
    static let shared = CELRegexCache()
    /// Patterns kept at most; one more empties the cache. Patterns come from policies, whose number is small.
    private static let capacity = 1000
    private let known = Mutex<[String: RegularExpression]>([:])

    /// Nil for what is no regular expression.
    func expression(_ pattern: String) -> RegularExpression? { (try? compiled(pattern)) }

    func compiled(_ pattern: String) throws(CELError) -> RegularExpression {
        if let expression = known.withLock({ $0[pattern] }) { return expression }
        do throws(RegularExpressionError) {
            let expression = try RegularExpression(pattern)
            known.withLock { cache in
                if cache.count >= Self.capacity { cache.removeAll() }
                cache[pattern] = expression
            }
            return expression
        } catch {
            throw CELError(error.description)
        }
    }
}

/// Upstream: library.Regex, and the language's `matches`.
enum RegexLibrary {
    private static func matches(_ arguments: [CELValue]) throws(CELError) -> CELValue {
        .bool(try CELRegexCache.shared.compiled(arguments[1].string ?? "").matches(arguments[0].string ?? ""))
    }

    private static func expression(_ arguments: [CELValue]) throws(CELError) -> RegularExpression {
        do throws(CELError) { return try CELRegexCache.shared.compiled(arguments[1].string ?? "") } catch {
            throw CELError("Illegal regex: \(error.description)")
        }
    }

    private static func findAll(_ arguments: [CELValue]) throws(CELError) -> CELValue {
        let expression = try expression(arguments)
        var limit = -1
        if arguments.count > 2, case .int(let number) = arguments[2] { limit = Int(clamping: number) }
        return .strings(expression.allMatches(in: arguments[0].string ?? "", limit: limit).map { $0[0] ?? "" })
    }

    static let overloads: [CELOverload?] = [
        CELOverload("matches", "matches(string, string) bool") { arguments throws(CELError) in try matches(arguments) },
        CELOverload("matches_string", "string.matches(string) bool") { arguments throws(CELError) in try matches(arguments) },
        CELOverload("string_find_string", "string.find(string) string") { arguments throws(CELError) in
            .string(try expression(arguments).firstMatch(in: arguments[0].string ?? "")?[0] ?? "")
        },
        CELOverload("string_find_all_string", "string.findAll(string) list(string)") { arguments throws(CELError) in try findAll(arguments) },
        CELOverload("string_find_all_string_int", "string.findAll(string, int) list(string)") { arguments throws(CELError) in try findAll(arguments)
        },
    ]
}
