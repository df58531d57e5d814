import Synchronization

/// The code points of Unicode's general categories and the equivalences of case, computed from the standard library's tables when first asked for.
enum UnicodeClasses {
    private static let cache = Mutex<[String: ScalarSet]>([:])

    /// The class of `\p{name}`: a general category, a group of them by its letter, `Any`, or one of the scripts below. Nil: unknown.
    static func named(_ name: String) -> ScalarSet? {
        if name == "Any" { return .all }
        if let script = scripts[name] { return script }
        guard let categories = categories[name] else { return nil }
        if let known = cache.withLock({ $0[name] }) { return known }
        var ranges: [ClosedRange<UInt32>] = []
        var start: UInt32?
        for number in UInt32(0)...ScalarSet.last {
            // Surrogates are no scalars; no text holds one.
            let isMember = Unicode.Scalar(number).map { categories.contains($0.properties.generalCategory) } ?? false
            if isMember {
                if start == nil { start = number }
            } else if let first = start {
                ranges.append(first...number - 1)
                start = nil
            }
        }
        if let first = start { ranges.append(first...ScalarSet.last) }
        let set = ScalarSet(ranges)
        cache.withLock { $0[name] = set }
        return set
    }

    private static let categories: [String: Set<Unicode.GeneralCategory>] = {
        let single: [(String, Unicode.GeneralCategory)] = [
            ("Lu", .uppercaseLetter), ("Ll", .lowercaseLetter), ("Lt", .titlecaseLetter), ("Lm", .modifierLetter), ("Lo", .otherLetter),
            ("Mn", .nonspacingMark), ("Mc", .spacingMark), ("Me", .enclosingMark), ("Nd", .decimalNumber), ("Nl", .letterNumber),
            ("No", .otherNumber), ("Pc", .connectorPunctuation), ("Pd", .dashPunctuation), ("Ps", .openPunctuation), ("Pe", .closePunctuation),
            ("Pi", .initialPunctuation), ("Pf", .finalPunctuation), ("Po", .otherPunctuation), ("Sm", .mathSymbol), ("Sc", .currencySymbol),
            ("Sk", .modifierSymbol), ("So", .otherSymbol), ("Zs", .spaceSeparator), ("Zl", .lineSeparator), ("Zp", .paragraphSeparator),
            ("Cc", .control), ("Cf", .format), ("Co", .privateUse), ("Cs", .surrogate),
        ]
        var all: [String: Set<Unicode.GeneralCategory>] = [:]
        for (name, category) in single {
            all[name] = [category]
            all[String(name.prefix(1)), default: []].insert(category)
        }
        return all
    }()

    /// The scripts most in use, by their main blocks. The standard library does not tell a character's script; others are refused as unknown.
    private static let scripts: [String: ScalarSet] = [
        "Latin": ScalarSet([
            0x41...0x5A, 0x61...0x7A, 0xAA...0xAA, 0xBA...0xBA, 0xC0...0xD6, 0xD8...0xF6, 0xF8...0x2B8, 0x2E0...0x2E4, 0x1D00...0x1D25,
            0x1D2C...0x1D5C, 0x1D62...0x1D65, 0x1D6B...0x1D77, 0x1D79...0x1DBE, 0x1E00...0x1EFF, 0x2071...0x2071, 0x207F...0x207F, 0x2090...0x209C,
            0x212A...0x212B, 0x2132...0x2132, 0x214E...0x214E, 0x2160...0x2188, 0x2C60...0x2C7F, 0xA722...0xA787, 0xA78B...0xA7CA, 0xFB00...0xFB06,
            0xFF21...0xFF3A, 0xFF41...0xFF5A,
        ]),
        "Greek": ScalarSet([
            0x370...0x373, 0x375...0x377, 0x37A...0x37D, 0x37F...0x37F, 0x384...0x384, 0x386...0x386, 0x388...0x3E1, 0x3F0...0x3FF, 0x1F00...0x1FFE,
        ]),
        "Cyrillic": ScalarSet([0x400...0x484, 0x487...0x52F, 0x1C80...0x1C88, 0x1D2B...0x1D2B, 0x2DE0...0x2DFF, 0xA640...0xA69F]),
        "Han": ScalarSet([
            0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007, 0x3021...0x3029, 0x3038...0x303B,
            0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D, 0xFA70...0xFAD9, 0x20000...0x2A6DF, 0x2A700...0x2EBE0, 0x2F800...0x2FA1D,
            0x30000...0x323AF,
        ]),
        "Hiragana": ScalarSet([0x3041...0x3096, 0x309D...0x309F]),
        "Katakana": ScalarSet([0x30A1...0x30FA, 0x30FD...0x30FF, 0x31F0...0x31FF, 0xFF66...0xFF6F, 0xFF71...0xFF9D]),
        "Hangul": ScalarSet([0x1100...0x11FF, 0x3131...0x318E, 0xAC00...0xD7A3]),
        "Arabic": ScalarSet([
            0x600...0x604, 0x606...0x60B, 0x60D...0x61A, 0x61C...0x61E, 0x620...0x63F, 0x641...0x64A, 0x656...0x66F, 0x671...0x6DC, 0x6DE...0x6FF,
            0x750...0x77F,
        ]),
        "Hebrew": ScalarSet([0x591...0x5C7, 0x5D0...0x5EA, 0x5EF...0x5F4, 0xFB1D...0xFB4F]),
    ]

    /// Code points by their case-insensitive key, where more than one shares it.
    private static let orbits: [UInt32: [UInt32]] = {
        var byKey: [UInt32: [UInt32]] = [:]
        // No character beyond this has case.
        for number in UInt32(0x41)...0x1E943 {
            guard let scalar = Unicode.Scalar(number) else { continue }
            let key = foldingKey(scalar)
            byKey[key, default: []].append(number)
        }
        var orbits: [UInt32: [UInt32]] = [:]
        for members in byKey.values where members.count > 1 { for member in members { orbits[member] = members } }
        return orbits
    }()

    private static func foldingKey(_ scalar: Unicode.Scalar) -> UInt32 {
        func single(_ text: String) -> Unicode.Scalar? { text.unicodeScalars.count == 1 ? text.unicodeScalars.first : nil }
        let upper = single(scalar.properties.uppercaseMapping) ?? scalar
        return (single(upper.properties.lowercaseMapping) ?? upper).value
    }

    /// All code points that equal `scalar` when case does not count, itself among them. Upstream: unicode.SimpleFold.
    static func folds(_ scalar: UInt32) -> [UInt32] {
        if scalar < 0x80 {
            switch scalar {
            case 0x4B, 0x6B: return [0x4B, 0x6B, 0x212A]
            case 0x53, 0x73: return [0x53, 0x73, 0x17F]
            case 0x41...0x5A: return [scalar, scalar + 32]
            case 0x61...0x7A: return [scalar - 32, scalar]
            default: return [scalar]
            }
        }
        return orbits[scalar] ?? [scalar]
    }

    /// A set with everything added that differs from a member by case only.
    static func folded(_ set: ScalarSet) -> ScalarSet {
        var ranges = set.ranges
        for range in set.ranges {
            if range.lowerBound <= 0x41, range.upperBound >= 0x1E943 { return ScalarSet([range] + ranges) }
            for number in range where number <= 0x1E943 { for other in folds(number) where other != number { ranges.append(other...other) } }
        }
        return ScalarSet(ranges)
    }
}
