import KubeAPI

extension Value {
    /// Whether two values mean the same to Kubernetes: a missing member, null, an empty list and an empty object are one, and the order of members
    /// does not
    /// count. Upstream: apiequality.Semantic.DeepEqual, by which controllers tell that nothing has to be written.
    static func semanticallyEqual(_ a: Value?, _ b: Value?) -> Bool {
        switch (a.flatMap { $0.isBlank ? nil : $0 }, b.flatMap { $0.isBlank ? nil : $0 }) {
        case (nil, nil): return true
        case (.object(let x)?, .object(let y)?):
            for (key, value) in x where !semanticallyEqual(value, y[key]) { return false }
            for (key, value) in y where x[key] == nil && !value.isBlank { return false }
            return true
        case (.array(let x)?, .array(let y)?):
            return x.count == y.count && zip(x, y).allSatisfy { semanticallyEqual($0, $1) }
        case (let x?, let y?): return x == y
        default: return false
        }
    }

    /// Null, or a container in which nothing stands.
    var isBlank: Bool {
        switch self {
        case .null: true
        case .array(let items): items.isEmpty
        case .object(let members): members.values.allSatisfy(\.isBlank)
        default: false
        }
    }

    /// The value with members sorted by key and blank members left out: one text for all values that are semantically equal.
    var canonical: Value {
        switch self {
        case .object(let members):
            let kept = members.filter { !$0.1.isBlank }.sorted { $0.0 < $1.0 }
            return .object(Members(kept.map { ($0.0, $0.1.canonical) }))
        case .array(let items): return .array(items.map(\.canonical))
        default: return self
        }
    }
}

/// 32-bit FNV-1a over bytes. Upstream hashes with FNV-1 or FNV-1a depending on the place; only stability within Eyrie matters for ours.
struct FNV32a {
    private(set) var hash: UInt32 = 2_166_136_261

    mutating func combine(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
    }

    /// The hash in letters that form no words and are safe in names. Upstream: rand.SafeEncodeString(fmt.Sprint(hash)).
    var safeEncoded: String {
        let letters = Array("bcdfghjklmnpqrstvwxz2456789".utf8)
        return String(decoding: String(hash).utf8.map { letters[Int($0) % letters.count] }, as: UTF8.self)
    }
}
