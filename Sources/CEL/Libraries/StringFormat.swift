import Glibc

/// `"%d of %s".format([1, "a"])`. Upstream: ext.formatString.
enum StringFormat {
    /// Digits behind the point that a clause may ask for.
    private static let maximumPrecision = 1000

    static func format(_ pattern: String, _ arguments: [CELValue]) throws(CELError) -> String {
        var out = ""
        var next = 0
        let text = Array(pattern.unicodeScalars)
        var at = 0
        while at < text.count {
            guard text[at] == "%" else {
                out.unicodeScalars.append(text[at])
                at += 1
                continue
            }
            at += 1
            guard at < text.count else { throw CELError("unexpected end of string") }
            if text[at] == "%" {
                out += "%"
                at += 1
                continue
            }
            var precision = 6
            if text[at] == "." {
                at += 1
                var digits = 0
                while at < text.count, ("0"..."9").contains(text[at]) {
                    digits = min(digits * 10 + Int(text[at].value - 48), 1_000_000)
                    at += 1
                }
                if digits > maximumPrecision { throw CELError("precision too large: \(digits)") }
                precision = digits
            }
            guard at < text.count else { throw CELError("could not parse formatting clause: unexpected end of string") }
            let verb = text[at]
            at += 1
            guard next < arguments.count else { throw CELError("index \(next) out of range") }
            let argument = arguments[next]
            next += 1
            out += try clause(verb, argument, precision)
            if out.utf8.count > StringsLibrary.maximumResult { throw CELError("operation cancelled: result too large", kind: .costLimit) }
        }
        return out
    }

    private static func mismatch(_ verbs: String, _ value: CELValue) -> CELError {
        CELError("error during formatting: \(verbs), was given \(value.type.runtimeName)")
    }

    private static func clause(_ verb: Unicode.Scalar, _ value: CELValue, _ precision: Int) throws(CELError) -> String {
        switch verb {
        case "s": return string(value)
        case "d":
            switch value {
            case .int(let x): return String(x)
            case .uint(let x): return String(x)
            case .double(let x) where !x.isFinite: return x.isNaN ? "NaN" : x < 0 ? "-Infinity" : "Infinity"
            default: throw mismatch("decimal clause can only be used on integers", value)
            }
        case "f", "e":
            let number: Double
            switch value {
            case .double(let x): number = x
            case .int(let x): number = Double(x)
            case .uint(let x): number = Double(x)
            case .string(let text) where ["NaN", "Infinity", "-Infinity"].contains(text): return text
            default:
                throw mismatch(
                    verb == "f" ? "fixed-point clause can only be used on doubles" : "scientific clause can only be used on doubles", value)
            }
            if number.isNaN { return "NaN" }
            if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
            return verb == "f" ? fixed(number, precision) : scientific(number, precision)
        case "b":
            switch value {
            case .int(let x): return String(x, radix: 2)
            case .uint(let x): return String(x, radix: 2)
            case .bool(let flag): return flag ? "1" : "0"
            default: throw mismatch("only integers and bools can be formatted as binary", value)
            }
        case "o":
            switch value {
            case .int(let x): return String(x, radix: 8)
            case .uint(let x): return String(x, radix: 8)
            default: throw mismatch("octal clause can only be used on integers", value)
            }
        case "x", "X":
            let upper = verb == "X"
            switch value {
            case .int(let x): return String(x, radix: 16, uppercase: upper)
            case .uint(let x): return String(x, radix: 16, uppercase: upper)
            case .string(let text): return hex(Array(text.utf8), upper)
            case .bytes(let bytes): return hex(bytes, upper)
            default: throw mismatch("only integers, byte buffers, and strings can be formatted as hex", value)
            }
        default: throw CELError("could not parse formatting clause: unrecognized formatting clause \"\(Character(verb))\"")
        }
    }

    private static func hex(_ bytes: [UInt8], _ upper: Bool) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: upper) }.joined()
    }

    private static func printed(_ format: String, _ precision: Int, _ number: Double) -> String {
        var buffer = [CChar](repeating: 0, count: 1500)
        let count = withVaList([Int32(precision), number]) { vsnprintf(&buffer, buffer.count, format, $0) }
        return String(decoding: buffer.prefix(max(0, min(Int(count), buffer.count - 1))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func fixed(_ number: Double, _ precision: Int) -> String { printed("%.*f", precision, number) }
    private static func scientific(_ number: Double, _ precision: Int) -> String { printed("%.*e", precision, number) }

    /// The `%s` of any value. Maps are written with their keys sorted.
    static func string(_ value: CELValue) -> String {
        switch value {
        case .double(let x):
            if x.isNaN { return "NaN" }
            if x.isInfinite { return x < 0 ? "-Infinity" : "Infinity" }
            return plain(x)
        case .list(let list): return "[" + list.values.map(string).joined(separator: ", ") + "]"
        case .map(let map):
            let entries = map.entries.map { (string($0.key), string($0.value)) }.sorted { $0.0 < $1.0 }
            return "{" + entries.map { "\($0.0): \($0.1)" }.joined(separator: ", ") + "}"
        default: return CELText.describe(value)
        }
    }

    /// Without an exponent. Upstream: strconv.FormatFloat(f, 'f', -1, 64).
    private static func plain(_ number: Double) -> String {
        let text = CELText.double(number)
        guard text.contains("e") else { return text }
        var shortest = fixed(number, 0)
        for precision in 0...340 {
            shortest = fixed(number, precision)
            if Double(shortest) == number { break }
        }
        return shortest
    }
}
