/// The frames of SPDY/3.1 that exec, attach and port-forward use, as a client sends them. Upstream: github.com/moby/spdystream, the SPDY Protocol draft 3.1.
enum SPDYFrame {
    /// Bytes of a data frame: what upstream's copies move at once.
    static let dataLimit = 32 << 10
    private static let version: UInt8 = 3

    /// Opens stream `id`, which is odd, with header fields whose names are lower case. `isFirst`: it is the connection's first.
    ///
    /// Fields are compressed by one zlib stream for all frames of a connection. Ours stores them as they are, which every inflater reads; the preset dictionary is for
    /// whoever refers to it.
    static func open(_ id: UInt32, _ fields: [(String, String)], isFirst: Bool) -> [UInt8] {
        var block = bigEndian(UInt32(truncatingIfNeeded: fields.count))
        for (name, value) in fields {
            for text in [name, value] { block += bigEndian(UInt32(truncatingIfNeeded: text.utf8.count)) + Array(text.utf8) }
        }
        var compressed: [UInt8] = isFirst ? [0x78, 0x01] : []
        var rest = block[...]
        while !rest.isEmpty {
            // A stored block, of 65,535 bytes at most; none is the last of the zlib stream.
            let piece = rest.prefix(0xFFFF)
            rest = rest.dropFirst(0xFFFF)
            let length = UInt16(truncatingIfNeeded: piece.count)
            compressed.append(0)
            for word in [length, ~length] { compressed += [UInt8(truncatingIfNeeded: word), UInt8(truncatingIfNeeded: word >> 8)] }
            compressed += piece
        }
        // An empty block: inflaters hand on what came before it, as after zlib's Z_SYNC_FLUSH.
        compressed += [0, 0, 0, 0xFF, 0xFF]
        let payload = bigEndian(id) + [0, 0, 0, 0] + [0, 0] + compressed
        return control(type: 1, payload)
    }

    /// The bytes of stream `id` in frames; with `isLast` the sender has no more.
    static func data(_ id: UInt32, _ bytes: [UInt8], isLast: Bool = false) -> [UInt8] {
        var frames: [UInt8] = []
        frames.reserveCapacity(bytes.count + 16)
        var rest = bytes[...]
        repeat {
            let piece = rest.prefix(dataLimit)
            rest = rest.dropFirst(dataLimit)
            frames += bigEndian(id & 0x7FFF_FFFF)
            frames.append(isLast && rest.isEmpty ? 1 : 0)
            frames += length(piece.count)
            frames += piece
        } while !rest.isEmpty
        return frames
    }

    /// The answer to a ping: the same.
    static func ping(_ id: UInt32) -> [UInt8] { control(type: 6, bigEndian(id)) }

    private static func control(type: UInt8, _ payload: [UInt8]) -> [UInt8] { [0x80, version, 0, type, 0] + length(payload.count) + payload }

    private static func length(_ count: Int) -> [UInt8] {
        [UInt8(truncatingIfNeeded: count >> 16), UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)]
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] { stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) } }
}

/// Takes a server's bytes apart. A value type: the same bytes give the same content however they are cut; data is handed on as it comes, never kept.
struct SPDYDecoder: Sendable {
    /// Bytes of a control frame: none that is of interest is longer.
    static let controlLimit = 1 << 20

    enum Event: Equatable, Sendable {
        case data(stream: UInt32, [UInt8], isLast: Bool)
        /// The stream is over, for no good reason.
        case reset(stream: UInt32)
        case ping(UInt32)
        /// The server will take no more streams and is about to close.
        case goAway
    }

    /// Why the connection must end.
    struct Failure: Error, Equatable { let text: String }

    /// A frame's beginning: eight bytes, or a control frame that is not all there.
    private var pending: [UInt8] = []
    /// The data frame whose bytes come now.
    private var current: (stream: UInt32, left: Int, isLast: Bool)?

    mutating func feed(_ bytes: [UInt8]) throws(Failure) -> [Event] {
        var events: [Event] = []
        var rest = bytes[...]
        while true {
            if let (stream, left, isLast) = current {
                let piece = rest.prefix(left)
                guard left == 0 || !piece.isEmpty else { break }
                rest = rest.dropFirst(piece.count)
                let isOver = piece.count == left
                events.append(.data(stream: stream, Array(piece), isLast: isOver && isLast))
                current = isOver ? nil : (stream, left - piece.count, isLast)
                continue
            }
            guard fill(to: 8, from: &rest) else { break }
            let length = Int(pending[5]) << 16 | Int(pending[6]) << 8 | Int(pending[7])
            if pending[0] & 0x80 == 0 {
                current = (Self.word(pending, 0) & 0x7FFF_FFFF, length, pending[4] & 1 != 0)
                pending = []
                continue
            }
            guard length <= Self.controlLimit else { throw Failure(text: "a control frame of \(length) bytes") }
            guard fill(to: 8 + length, from: &rest) else { break }
            let (type, frame) = (pending[3], pending)
            pending = []
            switch type {
            case 3 where length >= 8: events.append(.reset(stream: Self.word(frame, 8) & 0x7FFF_FFFF))
            case 6 where length >= 4: events.append(.ping(Self.word(frame, 8)))
            case 7: events.append(.goAway)
            default: break  // Replies, settings, windows: no sender that is spoken to here heeds windows.
            }
        }
        return events
    }

    /// Moves bytes until `pending` has `count`; whether it has.
    private mutating func fill(to count: Int, from rest: inout ArraySlice<UInt8>) -> Bool {
        let missing = count - pending.count
        if missing > 0 {
            pending += rest.prefix(missing)
            rest = rest.dropFirst(missing)
        }
        return pending.count >= count
    }

    private static func word(_ bytes: [UInt8], _ at: Int) -> UInt32 { bytes[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) } }
}
