/// A version by semver.org. Upstream: blang/semver.Version.
struct CELSemver: CELOpaque {
    let major, minor, patch: UInt64
    let prerelease: [String]
    var celType: CELType { .opaque("kubernetes.Semver") }
    func isEqual(_ other: any CELOpaque) -> Bool { (other as? CELSemver).map { compare($0) == 0 } ?? false }

    /// `normalize` allows a leading v, missing parts and leading zeros.
    init?(_ source: String, normalize: Bool = false) {
        var text = source
        if normalize {
            if text.hasPrefix("v") || text.hasPrefix("V") { text.removeFirst() }
            let end = text.firstIndex { $0 == "-" || $0 == "+" } ?? text.endIndex
            var numbers = text[..<end].split(separator: ".", omittingEmptySubsequences: false).map { part in
                let stripped = part.drop { $0 == "0" }
                return stripped.isEmpty && !part.isEmpty ? "0" : String(stripped)
            }
            if numbers.count < 3, end != text.endIndex { return nil }
            while numbers.count < 3 { numbers.append("0") }
            text = numbers.joined(separator: ".") + text[end...]
        }
        var core = Substring(text)
        if let plus = core.firstIndex(of: "+") {
            guard Self.identifiers(core[core.index(after: plus)...], numbersStrict: false) != nil else { return nil }
            core = core[..<plus]
        }
        var pre: [String] = []
        if let dash = core.firstIndex(of: "-") {
            guard let parts = Self.identifiers(core[core.index(after: dash)...], numbersStrict: true) else { return nil }
            pre = parts
            core = core[..<dash]
        }
        let numbers = core.split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count == 3, numbers.allSatisfy({ $0 == "0" || !$0.hasPrefix("0") && !$0.hasPrefix("+") }), let major = UInt64(numbers[0]),
            let minor = UInt64(numbers[1]), let patch = UInt64(numbers[2])
        else { return nil }
        self.major = major
        self.minor = minor
        self.patch = patch
        prerelease = pre
    }

    private static func identifiers(_ text: Substring, numbersStrict: Bool) -> [String]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        for part in parts {
            let isValid =
                !part.isEmpty && part.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45 }
            let isNumber = part.utf8.allSatisfy { (48...57).contains($0) }
            if !isValid || numbersStrict && isNumber && part.utf8.count > 1 && part.hasPrefix("0") { return nil }
        }
        return parts
    }

    func compare(_ other: CELSemver) -> Int {
        for (a, b) in [(major, other.major), (minor, other.minor), (patch, other.patch)] where a != b { return a < b ? -1 : 1 }
        if prerelease.isEmpty || other.prerelease.isEmpty { return prerelease.isEmpty == other.prerelease.isEmpty ? 0 : prerelease.isEmpty ? 1 : -1 }
        for (a, b) in zip(prerelease, other.prerelease) where a != b {
            switch (UInt64(a), UInt64(b)) {
            case (let x?, let y?): return x < y ? -1 : 1
            case (_?, nil): return -1
            case (nil, _?): return 1
            default: return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
            }
        }
        return prerelease.count == other.prerelease.count ? 0 : prerelease.count < other.prerelease.count ? -1 : 1
    }
}

/// Upstream: library.SemverLib, version 1.
enum SemverLibrary {
    private static func semver(_ value: CELValue) throws(CELError) -> CELSemver {
        guard case .opaque(let opaque) = value, let semver = opaque as? CELSemver else { throw .noSuchOverload }
        return semver
    }

    private static func parse(_ arguments: [CELValue]) throws(CELError) -> CELValue {
        guard let version = CELSemver(arguments[0].string ?? "", normalize: arguments.count > 1 && arguments[1].bool == true) else {
            throw CELError("semver parse error: No Major.Minor.Patch elements found")
        }
        return .opaque(version)
    }

    private static func isSemver(_ arguments: [CELValue]) -> CELValue {
        .bool(CELSemver(arguments[0].string ?? "", normalize: arguments.count > 1 && arguments[1].bool == true) != nil)
    }

    static let overloads: [CELOverload?] = [
        CELOverload("string_to_semver", "semver(string) kubernetes.Semver") { arguments throws(CELError) in try parse(arguments) },
        CELOverload("string_bool_to_semver", "semver(string, bool) kubernetes.Semver") { arguments throws(CELError) in try parse(arguments) },
        CELOverload("is_semver_string", "isSemver(string) bool") { arguments in isSemver(arguments) },
        CELOverload("is_semver_string_bool", "isSemver(string, bool) bool") { arguments in isSemver(arguments) },
        CELOverload("semver_major", "<kubernetes.Semver>.major() int") { arguments throws(CELError) in
            .int(Int64(clamping: try semver(arguments[0]).major))
        },
        CELOverload("semver_minor", "<kubernetes.Semver>.minor() int") { arguments throws(CELError) in
            .int(Int64(clamping: try semver(arguments[0]).minor))
        },
        CELOverload("semver_patch", "<kubernetes.Semver>.patch() int") { arguments throws(CELError) in
            .int(Int64(clamping: try semver(arguments[0]).patch))
        },
        CELOverload("semver_is_less_than", "<kubernetes.Semver>.isLessThan(kubernetes.Semver) bool") { arguments throws(CELError) in
            .bool(try semver(arguments[0]).compare(try semver(arguments[1])) < 0)
        },
        CELOverload("semver_is_greater_than", "<kubernetes.Semver>.isGreaterThan(kubernetes.Semver) bool") { arguments throws(CELError) in
            .bool(try semver(arguments[0]).compare(try semver(arguments[1])) > 0)
        },
        CELOverload("semver_compare_to", "<kubernetes.Semver>.compareTo(kubernetes.Semver) int") { arguments throws(CELError) in
            .int(Int64(try semver(arguments[0]).compare(try semver(arguments[1]))))
        },
    ]
}
