import KubeAPI

/// Upstream: ext.Math.
enum MathLibrary {
    private static func extreme(_ values: [CELValue], _ name: String, _ wanted: Int) throws(CELError) -> CELValue {
        guard var best = values.first else { throw CELError("math.@\(name)(list) argument must not be empty") }
        for value in values {
            switch value {
            case .int, .uint, .double: break
            default: throw .noSuchOverload
            }
            if CELOperations.compareNumbers(value, best) == wanted { best = value }
        }
        return best
    }

    private static func double(_ value: CELValue) -> Double { if case .double(let x) = value { x } else { 0 } }

    private static func bits(
        _ name: String, _ signed: @escaping @Sendable (Int64, Int64) -> Int64, _ unsigned: @escaping @Sendable (UInt64, UInt64) -> UInt64
    )
        -> [CELOverload?]
    {
        [
            CELOverload("math_\(name)_int_int", "math.\(name)(int, int) int") { arguments throws(CELError) in
                guard case .int(let x) = arguments[0], case .int(let y) = arguments[1] else { throw .noSuchOverload }
                return .int(signed(x, y))
            },
            CELOverload("math_\(name)_uint_uint", "math.\(name)(uint, uint) uint") { arguments throws(CELError) in
                guard case .uint(let x) = arguments[0], case .uint(let y) = arguments[1] else { throw .noSuchOverload }
                return .uint(unsigned(x, y))
            },
        ]
    }

    private static func shift(_ name: String, left: Bool) -> [CELOverload?] {
        @Sendable func amount(_ value: CELValue) throws(CELError) -> Int64 {
            guard case .int(let by) = value else { throw .noSuchOverload }
            if by < 0 { throw CELError("math.\(name)() negative offset: \(by)") }
            return min(by, 64)
        }
        return [
            CELOverload("math_\(name)_int_int", "math.\(name)(int, int) int") { arguments throws(CELError) in
                guard case .int(let x) = arguments[0] else { throw .noSuchOverload }
                let by = try amount(arguments[1])
                return .int(left ? x << by : Int64(bitPattern: UInt64(bitPattern: x) >> by))
            },
            CELOverload("math_\(name)_uint_int", "math.\(name)(uint, int) uint") { arguments throws(CELError) in
                guard case .uint(let x) = arguments[0] else { throw .noSuchOverload }
                let by = try amount(arguments[1])
                return .uint(left ? x << by : x >> by)
            },
        ]
    }

    static let overloads: [CELOverload?] = {
        var all: [CELOverload?] = []
        for (name, wanted) in [("max", 1), ("min", -1)] {
            for type in ["int", "uint", "double"] {
                all.append(CELOverload("math_@\(name)_\(type)", "math.@\(name)(\(type)) \(type)") { arguments in arguments[0] })
                all.append(
                    CELOverload("math_@\(name)_list_\(type)", "math.@\(name)(list(\(type))) \(type)") { arguments throws(CELError) in
                        guard case .list(let list) = arguments[0] else { throw .noSuchOverload }
                        return try extreme(list.values, name, wanted)
                    })
                for other in ["int", "uint", "double"] {
                    all.append(
                        CELOverload("math_@\(name)_\(type)_\(other)", "math.@\(name)(\(type), \(other)) \(type == other ? type : "dyn")") {
                            arguments throws(CELError) in try extreme(arguments, name, wanted)
                        })
                }
            }
        }
        let roundings: [(String, FloatingPointRoundingRule)] = [
            ("ceil", .up), ("floor", .down), ("round", .toNearestOrAwayFromZero), ("trunc", .towardZero),
        ]
        for (name, rule) in roundings {
            all.append(CELOverload("math_\(name)_double", "math.\(name)(double) double") { arguments in .double(double(arguments[0]).rounded(rule)) })
        }
        all += [
            CELOverload("math_isInf_double", "math.isInf(double) bool") { arguments in .bool(double(arguments[0]).isInfinite) },
            CELOverload("math_isNaN_double", "math.isNaN(double) bool") { arguments in .bool(double(arguments[0]).isNaN) },
            CELOverload("math_isFinite_double", "math.isFinite(double) bool") { arguments in .bool(double(arguments[0]).isFinite) },
            CELOverload("math_abs_double", "math.abs(double) double") { arguments in .double(double(arguments[0]).magnitude) },
            CELOverload("math_abs_int", "math.abs(int) int") { arguments throws(CELError) in
                guard case .int(let x) = arguments[0], x != .min else { throw CELOperations.integerOverflow }
                return .int(abs(x))
            },
            CELOverload("math_abs_uint", "math.abs(uint) uint") { arguments in arguments[0] },
            CELOverload("math_sign_double", "math.sign(double) double") { arguments in
                let x = double(arguments[0])
                return .double(x.isNaN ? x : x > 0 ? 1 : x < 0 ? -1 : 0)
            },
            CELOverload("math_sign_int", "math.sign(int) int") { arguments in if case .int(let x) = arguments[0] { .int(x.signum()) } else { .null }
            },
            CELOverload("math_sign_uint", "math.sign(uint) uint") { arguments in
                if case .uint(let x) = arguments[0] { .uint(x == 0 ? 0 : 1) } else { .null }
            },
            CELOverload("math_bitNot_int_int", "math.bitNot(int) int") { arguments in if case .int(let x) = arguments[0] { .int(~x) } else { .null }
            },
            CELOverload("math_bitNot_uint_uint", "math.bitNot(uint) uint") { arguments in
                if case .uint(let x) = arguments[0] { .uint(~x) } else { .null }
            },
            CELOverload("math_sqrt_double", "math.sqrt(double) double") { arguments in .double(double(arguments[0]).squareRoot()) },
            CELOverload("math_sqrt_int", "math.sqrt(int) double") { arguments in
                if case .int(let x) = arguments[0] { .double(Double(x).squareRoot()) } else { .null }
            },
        ]
        all += bits("bitAnd", { $0 & $1 }, { $0 & $1 }) + bits("bitOr", { $0 | $1 }, { $0 | $1 }) + bits("bitXor", { $0 ^ $1 }, { $0 ^ $1 })
        return all + shift("bitShiftLeft", left: true) + shift("bitShiftRight", left: false)
    }()
}

/// Upstream: ext.Encoders.
enum EncodersLibrary {
    static let overloads: [CELOverload?] = [
        CELOverload("base64_decode_string", "base64.decode(string) bytes") { arguments throws(CELError) in
            guard let bytes = Base64.decodeLoosely(arguments[0].string ?? "") else { throw CELError("illegal base64 data at input byte 0") }
            return .bytes(bytes)
        },
        CELOverload("base64_encode_bytes", "base64.encode(bytes) string") { arguments in
            if case .bytes(let bytes) = arguments[0] { .string(Base64.encode(bytes)) } else { .null }
        },
    ]
}
