/// A domain name in lower case, without its root. Upstream: RFC 1035 section 3.1.
struct DNSName: Hashable, Sendable {
    /// Upstream: RFC 1035 section 2.3.4.
    static let maximumLabelBytes = 63
    static let maximumBytes = 255

    var labels: [String]

    init(_ labels: [String]) { self.labels = labels }

    /// `web.default.svc.cluster.local`, with or without the last dot. For names of ours and of objects that were validated.
    init(_ text: String) { labels = text.lowercased().split(separator: ".").map(String.init) }

    /// The labels before `suffix`; nil when the name does not end with it.
    func below(_ suffix: DNSName) -> ArraySlice<String>? {
        guard labels.count >= suffix.labels.count, labels.suffix(suffix.labels.count).elementsEqual(suffix.labels) else { return nil }
        return labels.dropLast(suffix.labels.count)
    }

    /// Within what a message can carry. Names of ExternalName services are users'.
    var isEncodable: Bool {
        labels.allSatisfy { (1...Self.maximumLabelBytes).contains($0.utf8.count) }
            && labels.reduce(1) { $0 + $1.utf8.count + 1 } <= Self.maximumBytes
    }
}

/// A name as it stands in a message.
struct WireName: Sendable {
    /// Nil when a label holds a dot or a byte that no host name has: such a name is nobody's here, and is passed on as it is.
    var name: DNSName?
    /// Where the message goes on behind it.
    var end: Int
    /// Bytes of the name without compression.
    var length: Int

    /// Reads a name at `start`. Pointers lead backwards only, each further than the one before, so there are no loops, and 255 bytes bound the rest.
    /// Nil when it is malformed.
    init?(_ message: ArraySlice<UInt8>, at start: Int) {
        var labels: [String] = []
        var isPlain = true
        var position = start
        var limit = start
        var end: Int?
        var length = 1
        while true {
            guard position >= 0, position < message.count else { return nil }
            let head = message[message.startIndex + position]
            switch head >> 6 {
            case 0:
                if head == 0 {
                    self.end = end ?? position + 1
                    self.length = length
                    name = isPlain ? DNSName(labels) : nil
                    return
                }
                let first = message.startIndex + position + 1
                length += Int(head) + 1
                guard position + 1 + Int(head) < message.count, length <= DNSName.maximumBytes else { return nil }
                let bytes = message[first..<first + Int(head)].map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
                isPlain = isPlain && bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ".") }
                labels.append(String(decoding: bytes, as: UTF8.self))
                position += 1 + Int(head)
            case 3:
                guard position + 1 < message.count else { return nil }
                let target = Int(head & 0x3F) << 8 | Int(message[message.startIndex + position + 1])
                guard target < limit else { return nil }
                end = end ?? position + 2
                limit = target
                position = target
            default: return nil
            }
        }
    }
}
