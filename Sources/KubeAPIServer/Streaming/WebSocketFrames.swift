/// Frames as a server sends them, unmasked and whole. Upstream: RFC 6455, section 5.2.
enum WebSocketFrame {
    /// A normal closure, 1000.
    static let closing: [UInt8] = closing(1000)

    /// A closure with a code of RFC 6455, section 7.4.
    static func closing(_ code: UInt16) -> [UInt8] { [0x88, 2, UInt8(truncatingIfNeeded: code >> 8), UInt8(truncatingIfNeeded: code)] }

    static func message(_ payload: [UInt8], isText: Bool) -> [UInt8] { frame(isText ? 0x81 : 0x82, payload) }

    /// The answer to a ping, whose bytes come back.
    static func pong(_ payload: [UInt8]) -> [UInt8] { frame(0x8A, payload) }

    private static func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var frame: [UInt8] = [first]
        frame.reserveCapacity(payload.count + 10)
        switch payload.count {
        case ..<126: frame.append(UInt8(truncatingIfNeeded: payload.count))
        case ..<65536: frame += [126, UInt8(truncatingIfNeeded: payload.count >> 8), UInt8(truncatingIfNeeded: payload.count)]
        default:
            frame.append(127)
            for shift in stride(from: 56, through: 0, by: -8) { frame.append(UInt8(truncatingIfNeeded: payload.count >> shift)) }
        }
        frame += payload
        return frame
    }
}

/// Takes a client's bytes apart into messages. Knows nothing of channels. A value type: the same bytes give the same messages however they are cut.
struct WebSocketDecoder: Sendable {
    /// Bytes of a message; clients of exec send 32 KiB at a time. A larger one ends the connection (1009).
    static let messageLimit = 4 << 20

    enum Event: Equatable, Sendable {
        case message([UInt8])
        case ping([UInt8])
        case closing
    }

    /// Why the connection must end.
    enum Failure: Error, Equatable {
        case violation(String)
        case tooLarge

        /// The closure's code.
        var code: UInt16 { self == .tooLarge ? 1009 : 1002 }
    }

    /// Not taken apart yet: less than a frame, unless a frame is large.
    private var pending: [UInt8] = []
    /// Of a message whose last fragment has not come.
    private var fragments: [UInt8]?

    /// The events of the next bytes. After a failure, or `closing`, nothing more may be fed.
    mutating func feed(_ bytes: [UInt8]) throws(Failure) -> [Event] {
        pending += bytes
        var events: [Event] = []
        var at = 0
        while let (frame, next) = try Self.frame(pending, from: at) {
            at = next
            if let event = try take(frame) { events.append(event) }
            if events.last == .closing { break }
        }
        pending.removeFirst(at)
        return events
    }

    private struct Frame {
        var isFinal: Bool
        var opcode: UInt8
        var payload: [UInt8]
    }

    /// The frame that begins at `start` and where the next one does; nil when it is not all there.
    private static func frame(_ bytes: [UInt8], from start: Int) throws(Failure) -> (Frame, Int)? {
        let count = bytes.count - start
        guard count >= 2 else { return nil }
        let (first, second) = (bytes[start], bytes[start + 1])
        guard first & 0x70 == 0 else { throw .violation("reserved bits are set") }
        guard second & 0x80 != 0 else { throw .violation("a client's frame is not masked") }
        let opcode = first & 0x0F
        var length = UInt64(second & 0x7F)
        var header = 2
        if length > 125 {
            let width = length == 126 ? 2 : 8
            guard opcode < 8 else { throw .violation("a control frame is longer than 125 bytes") }
            guard count >= 2 + width else { return nil }
            length = bytes[start + 2..<start + 2 + width].reduce(0) { $0 << 8 | UInt64($1) }
            header += width
        }
        guard length <= UInt64(messageLimit) else { throw .tooLarge }
        let end = start + header + 4 + Int(length)
        guard bytes.count >= end else { return nil }
        let mask = start + header
        var payload = Array(bytes[(mask + 4)..<end])
        for index in payload.indices { payload[index] ^= bytes[mask + index & 3] }
        return (Frame(isFinal: first & 0x80 != 0, opcode: opcode, payload: payload), end)
    }

    private mutating func take(_ frame: Frame) throws(Failure) -> Event? {
        if frame.opcode >= 8, !frame.isFinal { throw .violation("a control frame is in fragments") }
        switch frame.opcode {
        case 0:
            guard var message = fragments else { throw .violation("a fragment follows nothing") }
            guard message.count + frame.payload.count <= Self.messageLimit else { throw .tooLarge }
            fragments = nil  // Its storage has one owner.
            message += frame.payload
            return finish(frame, message)
        case 1, 2:
            guard fragments == nil else { throw .violation("a message begins within another") }
            return finish(frame, frame.payload)
        case 8: return .closing
        case 9: return .ping(frame.payload)
        case 10: return nil
        default: throw .violation("opcode \(frame.opcode) is not known")
        }
    }

    private mutating func finish(_ frame: Frame, _ message: [UInt8]) -> Event? {
        if frame.isFinal { return .message(message) }
        fragments = message
        return nil
    }
}
