import KubeAPI

/// A number for what an object says, the same in whatever order it says it: by it a node is known to be of another template than its pool has now.
/// Upstream: karpenter.sh/v1 NodePool.Hash, which hashes with FNV too.
enum Fingerprint {
    static func of(_ value: Value) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in canonical(value, depth: 0).utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(hash)
    }

    /// Objects come from the API server, which bounds their depth; more than this says nothing more.
    private static let deepest = 32

    private static func canonical(_ value: Value, depth: Int) -> String {
        guard depth < deepest else { return "" }
        if let members = value.object {
            let parts = members.filter { !$0.1.isNull }.sorted { $0.0 < $1.0 }.map { "\($0.0):\(canonical($0.1, depth: depth + 1))" }
            return "{" + parts.joined(separator: ",") + "}"
        }
        if let items = value.array { return "[" + items.map { canonical($0, depth: depth + 1) }.joined(separator: ",") + "]" }
        return value.jsonString
    }
}
