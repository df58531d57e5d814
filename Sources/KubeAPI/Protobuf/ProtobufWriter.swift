/// Appends protobuf's wire format to bytes. Messages are written forwards: room is kept for the length a message will likely need, and what follows
/// is moved when the guess was wrong.
struct ProtobufWriter {
    var bytes: [UInt8] = []

    /// Where an open message's content begins, and how many bytes are kept for its length.
    struct Mark {
        fileprivate var start: Int
        fileprivate var width: Int
    }

    @inline(__always)
    mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    @inline(__always)
    mutating func lengthTag(_ number: Int) { varint(UInt64(truncatingIfNeeded: number << 3 | 2)) }

    mutating func int(_ number: Int, _ value: Int64) {
        varint(UInt64(truncatingIfNeeded: number << 3))
        varint(UInt64(bitPattern: value))
    }

    mutating func double(_ number: Int, _ value: Double) {
        varint(UInt64(truncatingIfNeeded: number << 3 | 1))
        var bits = value.bitPattern
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: bits))
            bits >>= 8
        }
    }

    mutating func data(_ number: Int, _ content: some Collection<UInt8>) {
        lengthTag(number)
        varint(UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    mutating func text(_ number: Int, _ text: String) { data(number, text.utf8) }

    /// Begins a message in field `number` that is likely at most `guess` bytes long.
    mutating func open(_ number: Int, guess: Int) -> Mark {
        lengthTag(number)
        let width = Self.width(guess)
        for _ in 0..<width { bytes.append(0) }
        return Mark(start: bytes.count, width: width)
    }

    mutating func close(_ mark: Mark) {
        let length = bytes.count - mark.start
        let width = Self.width(length)
        var start = mark.start
        if width < mark.width {
            bytes.removeSubrange(start - (mark.width - width)..<start)
            start -= mark.width - width
        } else if width > mark.width {
            bytes.insert(contentsOf: repeatElement(0, count: width - mark.width), at: start)
            start += width - mark.width
        }
        var rest = UInt64(length)
        for at in start - width..<start {
            bytes[at] = UInt8(truncatingIfNeeded: rest & 0x7F) | (at == start - 1 ? 0 : 0x80)
            rest >>= 7
        }
    }

    /// How many bytes the varint of a length takes.
    private static func width(_ length: Int) -> Int {
        var width = 1
        var rest = length >> 7
        while rest > 0 {
            width += 1
            rest >>= 7
        }
        return width
    }
}
