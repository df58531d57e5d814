/// A message of an event stream. Upstream: `application/vnd.amazon.eventstream`, Smithy's event stream specification.
package struct EventStreamMessage: Sendable, Equatable {
    package static let contentType = "application/vnd.amazon.eventstream"
    /// The type of a header's value: a string with two bytes of length.
    private static let stringType: UInt8 = 7

    /// In order; names and values are short texts of the service's own.
    package var headers: [(name: String, value: String)]
    package var payload: [UInt8]

    package static func == (a: EventStreamMessage, b: EventStreamMessage) -> Bool {
        a.payload == b.payload && a.headers.elementsEqual(b.headers) { $0 == $1 }
    }

    private init(_ headers: [(name: String, value: String)], _ document: AWSJSON) {
        self.headers = headers
        payload = document.encoded
    }

    /// An event with a JSON document. RPC protocols begin a stream with the event `initial-response`.
    package static func event(_ type: String, _ document: AWSJSON) -> EventStreamMessage {
        EventStreamMessage([(":message-type", "event"), (":event-type", type), (":content-type", "application/json")], document)
    }

    /// An error of the service's model, which ends a stream.
    package static func exception(_ type: String, message: String) -> EventStreamMessage {
        EventStreamMessage(
            [(":message-type", "exception"), (":exception-type", type), (":content-type", "application/json")], ["message": .string(message)])
    }

    /// Lengths, their checksum, headers, payload, and the checksum of all.
    package var encoded: [UInt8] {
        var fields: [UInt8] = []
        for (name, value) in headers {
            let (name, value) = (Array(name.utf8.prefix(255)), Array(value.utf8.prefix(Int(UInt16.max))))
            fields += [UInt8(name.count)] + name + [Self.stringType, UInt8(value.count >> 8), UInt8(value.count & 0xFF)] + value
        }
        // Prelude of twelve bytes and four bytes of checksum beside them.
        var message = Self.bytes(UInt32(truncatingIfNeeded: fields.count + payload.count + 16)) + Self.bytes(UInt32(truncatingIfNeeded: fields.count))
        message += Self.bytes(CRC32.of(message))
        message += fields + payload
        return message + Self.bytes(CRC32.of(message))
    }

    private static func bytes(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> UInt32(24 - $0 * 8)) } }
}

/// The checksum of event streams. Upstream: RFC 1952 section 8.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }

    static func of(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { crc, byte in table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ (crc >> 8) }
    }
}
