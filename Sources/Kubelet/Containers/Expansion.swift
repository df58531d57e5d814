/// Replaces `$(NAME)` in a text: known names by their values, unknown ones left as they are, `$$` for one dollar.
/// Upstream: k8s.io/kubernetes/third_party/forked/golang/expansion.
enum Expansion {
    static func expand(_ text: String, _ lookup: (String) -> String?) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        let b = Array(text.utf8)
        var out: [UInt8] = []
        out.reserveCapacity(b.count)
        var i = 0
        while i < b.count {
            guard b[i] == UInt8(ascii: "$"), i + 1 < b.count else {
                out.append(b[i])
                i += 1
                continue
            }
            switch b[i + 1] {
            case UInt8(ascii: "$"):
                out.append(b[i])
                i += 2
            case UInt8(ascii: "("):
                guard let end = b[(i + 2)...].firstIndex(of: UInt8(ascii: ")")) else {
                    // An unclosed reference is text.
                    out.append(contentsOf: b[i...(i + 1)])
                    i += 2
                    continue
                }
                let name = String(decoding: b[(i + 2)..<end], as: UTF8.self)
                if let value = lookup(name) { out.append(contentsOf: value.utf8) } else { out.append(contentsOf: b[i...end]) }
                i = end + 1
            default:
                out.append(contentsOf: b[i...(i + 1)])
                i += 2
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
