/// The language's own functions. Upstream: common/stdlib.
enum StandardLibrary {
    /// Operators are evaluated by nodes of their own; here are their types. Upstream: stdlib with cel.CrossTypeNumericComparisons.
    static let operators: [CELOverload?] = {
        var all: [CELOverload?] = [
            CELOverload("conditional", "_?_:_(bool, A, A) A", nil), CELOverload("logical_and", "_&&_(bool, bool) bool", nil),
            CELOverload("logical_or", "_||_(bool, bool) bool", nil), CELOverload("logical_not", "!_(bool) bool", nil),
            CELOverload("equals", "_==_(A, A) bool", nil), CELOverload("not_equals", "_!=_(A, A) bool", nil),
            CELOverload("add_list", "_+_(list(A), list(A)) list(A)", nil), CELOverload("add_bytes", "_+_(bytes, bytes) bytes", nil),
            CELOverload("add_string", "_+_(string, string) string", nil),
            CELOverload("add_duration_duration", "_+_(duration, duration) duration", nil),
            CELOverload("add_duration_timestamp", "_+_(duration, timestamp) timestamp", nil),
            CELOverload("add_timestamp_duration", "_+_(timestamp, duration) timestamp", nil),
            CELOverload("subtract_duration_duration", "_-_(duration, duration) duration", nil),
            CELOverload("subtract_timestamp_timestamp", "_-_(timestamp, timestamp) duration", nil),
            CELOverload("subtract_timestamp_duration", "_-_(timestamp, duration) timestamp", nil),
            CELOverload("modulo_int64", "_%_(int, int) int", nil), CELOverload("modulo_uint64", "_%_(uint, uint) uint", nil),
            CELOverload("negate_int64", "-_(int) int", nil), CELOverload("negate_double", "-_(double) double", nil),
            CELOverload("negate_duration", "-_(duration) duration", nil),
            CELOverload("index_list", "_[_](list(A), int) A", nil), CELOverload("index_map", "_[_](map(A, B), A) B", nil),
            CELOverload("optional_list_index", "_[_](optional(list(V)), int) optional(V)", nil),
            CELOverload("optional_map_index", "_[_](optional(map(K, V)), K) optional(V)", nil),
            CELOverload("list_optindex_optional_int", "_[?_](list(V), int) optional(V)", nil),
            CELOverload("optional_list_optindex_optional_int", "_[?_](optional(list(V)), int) optional(V)", nil),
            CELOverload("map_optindex_optional_value", "_[?_](map(K, V), K) optional(V)", nil),
            CELOverload("optional_map_optindex_optional_value", "_[?_](optional(map(K, V)), K) optional(V)", nil),
            CELOverload("in_list", "@in(A, list(A)) bool", nil), CELOverload("in_map", "@in(A, map(A, B)) bool", nil),
        ]
        for (name, type) in [("int64", "int"), ("uint64", "uint"), ("double", "double")] {
            for (operation, symbol) in [("add", "+"), ("subtract", "-"), ("multiply", "*"), ("divide", "/")] {
                all.append(CELOverload("\(operation)_\(name)", "_\(symbol)_(\(type), \(type)) \(type)", nil))
            }
        }
        let comparable = ["bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"]
        for (operation, symbol) in [("less", "<"), ("less_equals", "<="), ("greater", ">"), ("greater_equals", ">=")] {
            for type in comparable { all.append(CELOverload("\(operation)_\(type)", "_\(symbol)_(\(type), \(type)) bool", nil)) }
            for a in ["int", "uint", "double"] {
                for b in ["int", "uint", "double"] where a != b {
                    all.append(CELOverload("\(operation)_\(a)_\(b)", "_\(symbol)_(\(a), \(b)) bool", nil))
                }
            }
        }
        return all
    }()

    private static func mismatch(_ from: String, _ to: String) -> CELError { CELError("type conversion error from '\(from)' to '\(to)'") }

    private static let identity: CELImplementation = { arguments in arguments[0] }

    static let conversions: [CELOverload?] = [
        CELOverload("to_dyn", "dyn(A) dyn", identity),
        CELOverload("type", "type(A) type(A)") { arguments in .type(arguments[0].type) },
        CELOverload("bool_to_bool", "bool(bool) bool", identity),
        CELOverload("string_to_bool", "bool(string) bool") { arguments throws(CELError) in
            switch arguments[0].string ?? "" {
            case "1", "t", "T", "TRUE", "true", "True": return .bool(true)
            case "0", "f", "F", "FALSE", "false", "False": return .bool(false)
            default: throw mismatch("string", "bool")
            }
        },
        CELOverload("bytes_to_bytes", "bytes(bytes) bytes", identity),
        CELOverload("string_to_bytes", "bytes(string) bytes") { arguments in .bytes(Array((arguments[0].string ?? "").utf8)) },
        CELOverload("double_to_double", "double(double) double", identity),
        CELOverload("int64_to_double", "double(int) double") { arguments in if case .int(let x) = arguments[0] { .double(Double(x)) } else { .null }
        },
        CELOverload("uint64_to_double", "double(uint) double") { arguments in
            if case .uint(let x) = arguments[0] { .double(Double(x)) } else { .null }
        },
        CELOverload("string_to_double", "double(string) double") { arguments throws(CELError) in
            let text = arguments[0].string ?? ""
            guard let number = Double(text), !text.isEmpty else { throw mismatch("string", "double") }
            return .double(number)
        },
        CELOverload("int64_to_int64", "int(int) int", identity),
        CELOverload("uint64_to_int64", "int(uint) int") { arguments throws(CELError) in
            guard case .uint(let x) = arguments[0], let value = Int64(exactly: x) else { throw CELOperations.integerOverflow }
            return .int(value)
        },
        CELOverload("double_to_int64", "int(double) int") { arguments throws(CELError) in
            // Upstream refuses the bounds themselves: doubles cannot tell them from what lies beyond.
            guard case .double(let x) = arguments[0], x > -9_223_372_036_854_775_808, x < 9_223_372_036_854_775_808 else {
                throw CELOperations.integerOverflow
            }
            return .int(Int64(x))
        },
        CELOverload("string_to_int64", "int(string) int") { arguments throws(CELError) in
            guard let value = Int64(arguments[0].string ?? "") else { throw mismatch("string", "int") }
            return .int(value)
        },
        CELOverload("timestamp_to_int64", "int(timestamp) int") { arguments in
            if case .timestamp(let time) = arguments[0] { .int(time.seconds) } else { .null }
        },
        CELOverload("duration_to_int64", "int(duration) int") { arguments in if case .duration(let span) = arguments[0] { .int(span) } else { .null }
        },
        CELOverload("uint64_to_uint64", "uint(uint) uint", identity),
        CELOverload("int64_to_uint64", "uint(int) uint") { arguments throws(CELError) in
            guard case .int(let x) = arguments[0], let value = UInt64(exactly: x) else { throw CELOperations.unsignedOverflow }
            return .uint(value)
        },
        CELOverload("double_to_uint64", "uint(double) uint") { arguments throws(CELError) in
            guard case .double(let x) = arguments[0], x >= 0, x < 18_446_744_073_709_551_616 else { throw CELOperations.unsignedOverflow }
            return .uint(UInt64(x))
        },
        CELOverload("string_to_uint64", "uint(string) uint") { arguments throws(CELError) in
            guard let value = UInt64(arguments[0].string ?? "") else { throw mismatch("string", "uint") }
            return .uint(value)
        },
        CELOverload("string_to_string", "string(string) string", identity),
        CELOverload("bool_to_string", "string(bool) string") { arguments in .string(CELText.describe(arguments[0])) },
        CELOverload("int64_to_string", "string(int) string") { arguments in .string(CELText.describe(arguments[0])) },
        CELOverload("uint64_to_string", "string(uint) string") { arguments in .string(CELText.describe(arguments[0])) },
        CELOverload("double_to_string", "string(double) string") { arguments in .string(CELText.describe(arguments[0])) },
        CELOverload("timestamp_to_string", "string(timestamp) string") { arguments in .string(CELText.describe(arguments[0])) },
        CELOverload("duration_to_string", "string(duration) string") { arguments in .string(CELText.describe(arguments[0])) },
        CELOverload("bytes_to_string", "string(bytes) string") { arguments throws(CELError) in
            guard case .bytes(let bytes) = arguments[0], let text = String(validating: bytes, as: UTF8.self) else {
                throw CELError("invalid UTF-8 in bytes, cannot convert to string")
            }
            return .string(text)
        },
        CELOverload("timestamp_to_timestamp", "timestamp(timestamp) timestamp", identity),
        CELOverload("int64_to_timestamp", "timestamp(int) timestamp") { arguments throws(CELError) in
            guard case .int(let seconds) = arguments[0], let time = CELTimestamp(seconds: seconds) else { throw CELOperations.timestampOverflow }
            return .timestamp(time)
        },
        CELOverload("string_to_timestamp", "timestamp(string) timestamp") { arguments throws(CELError) in
            guard let time = CELTimestamp(arguments[0].string ?? "") else { throw mismatch("string", "google.protobuf.Timestamp") }
            return .timestamp(time)
        },
        CELOverload("duration_to_duration", "duration(duration) duration", identity),
        CELOverload("int64_to_duration", "duration(int) duration") { arguments in if case .int(let x) = arguments[0] { .duration(x) } else { .null }
        },
        CELOverload("string_to_duration", "duration(string) duration") { arguments throws(CELError) in
            guard let span = CELDuration.parse(arguments[0].string ?? "") else { throw mismatch("string", "google.protobuf.Duration") }
            return .duration(span)
        },
    ]

    private static let size: CELImplementation = { arguments in .int(Int64(clamping: CELCost.size(arguments[0]))) }

    private static let contains: CELImplementation = { arguments in
        .bool(StringsLibrary.find(Array((arguments[0].string ?? "").utf8), Array((arguments[1].string ?? "").utf8), from: 0) != nil)
    }

    static let functions: [CELOverload?] = [
        CELOverload("size_string", "size(string) int", size), CELOverload("size_bytes", "size(bytes) int", size),
        CELOverload("size_list", "size(list(A)) int", size), CELOverload("size_map", "size(map(A, B)) int", size),
        CELOverload("string_size", "string.size() int", size), CELOverload("bytes_size", "bytes.size() int", size),
        CELOverload("list_size", "list(A).size() int", size), CELOverload("map_size", "map(A, B).size() int", size),
        CELOverload("contains_string", "string.contains(string) bool", contains),
        CELOverload("starts_with_string", "string.startsWith(string) bool") { arguments in
            .bool((arguments[0].string ?? "").utf8.starts(with: (arguments[1].string ?? "").utf8))
        },
        CELOverload("ends_with_string", "string.endsWith(string) bool") { arguments in
            .bool((arguments[0].string ?? "").utf8.reversed().starts(with: (arguments[1].string ?? "").utf8.reversed()))
        },
    ]
}
