import Glibc
import NIOCore
import NIOHTTP1
import Synchronization

/// Writes response heads and chunks as HTTP/1.1 bytes.
enum HTTP1ResponseEncoding {
    /// How a response's end is told from its body.
    enum Framing: Equatable {
        /// No body at all: HEAD, 1xx, 204, 304.
        case none
        case length(Int)
        case chunked
        /// The end of the connection ends the body: streams to HTTP/1.0 clients.
        case untilClose
    }

    static func hasBody(status: Int) -> Bool { status >= 200 && status != 204 && status != 304 }

    /// Appends status line and fields. Framing fields of the responder are replaced by what `framing` needs; `announced` is a length told
    /// although no body
    /// follows (HEAD).
    static func writeHead(
        _ response: HTTPResponse, framing: Framing, announced: Int?, keepAlive: Bool, isHTTP10: Bool, into buffer: inout ByteBuffer
    ) {
        writeStatusLine(response.status, into: &buffer)
        for (name, value) in response.fields.fields where !isFraming(name) {
            writeField(name, value, into: &buffer)
        }
        switch framing {
        case .length(let length):
            buffer.writeStaticString("Content-Length: ")
            buffer.writeString(String(length))
            buffer.writeStaticString("\r\n")
        case .chunked: buffer.writeStaticString("Transfer-Encoding: chunked\r\n")
        case .none:
            if let announced { buffer.writeString("Content-Length: \(announced)\r\n") }
        case .untilClose: break
        }
        if response.fields["Date"] == nil {
            buffer.writeStaticString("Date: ")
            buffer.writeString(HTTPDate.now())
            buffer.writeStaticString("\r\n")
        }
        if !keepAlive {
            buffer.writeStaticString("Connection: close\r\n")
        } else if isHTTP10 {
            buffer.writeStaticString("Connection: keep-alive\r\n")
        }
        buffer.writeStaticString("\r\n")
    }

    /// Appends the head of a 101: every field is the responder's, `Connection: Upgrade` is added when it is missing.
    static func writeUpgradeHead(_ response: HTTPResponse, upgrade: String?, into buffer: inout ByteBuffer) {
        writeStatusLine(response.status, into: &buffer)
        for (name, value) in response.fields.fields where !HTTPFields.same(name, "Content-Length") && !HTTPFields.same(name, "Transfer-Encoding") {
            writeField(name, value, into: &buffer)
        }
        if response.fields["Connection"] == nil { buffer.writeStaticString("Connection: Upgrade\r\n") }
        if response.fields["Upgrade"] == nil, let upgrade { writeField("Upgrade", upgrade, into: &buffer) }
        buffer.writeStaticString("\r\n")
    }

    static func writeChunk(_ bytes: [UInt8], into buffer: inout ByteBuffer) {
        buffer.writeString(String(bytes.count, radix: 16))
        buffer.writeStaticString("\r\n")
        buffer.writeBytes(bytes)
        buffer.writeStaticString("\r\n")
    }

    private static func writeStatusLine(_ status: Int, into buffer: inout ByteBuffer) {
        switch status {
        case 200: buffer.writeStaticString("HTTP/1.1 200 OK\r\n")
        case 201: buffer.writeStaticString("HTTP/1.1 201 Created\r\n")
        default: buffer.writeString("HTTP/1.1 \(status) \(HTTPResponseStatus(statusCode: status).reasonPhrase)\r\n")
        }
    }

    /// A line break inside a value would let its author write fields of his own: such bytes become spaces.
    private static func writeField(_ name: String, _ value: String, into buffer: inout ByteBuffer) {
        buffer.writeString(name)
        buffer.writeStaticString(": ")
        if value.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 }) {
            buffer.writeBytes(value.utf8.map { $0 < 0x20 ? 0x20 : $0 })
        } else {
            buffer.writeString(value)
        }
        buffer.writeStaticString("\r\n")
    }

    private static func isFraming(_ name: String) -> Bool {
        switch name.utf8.count {
        case 10: HTTPFields.same(name, "Connection") || HTTPFields.same(name, "Keep-Alive")
        case 14: HTTPFields.same(name, "Content-Length")
        case 17: HTTPFields.same(name, "Transfer-Encoding")
        default: false
        }
    }
}

/// The `Date` field, made once a second.
enum HTTPDate {
    private static let cached = Mutex<(second: Int, text: String)>((.min, ""))
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Now as in RFC 9110: `Sun, 06 Nov 1994 08:49:37 GMT`.
    static func now() -> String {
        let second = time(nil)
        return cached.withLock { cached in
            if cached.second != second { cached = (second, text(second)) }
            return cached.text
        }
    }

    static func text(_ second: Int) -> String {
        var second = second
        var parts = tm()
        guard gmtime_r(&second, &parts) != nil else { return "Thu, 01 Jan 1970 00:00:00 GMT" }
        func two(_ number: CInt) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = days[Int(parts.tm_wday) % days.count]
        let month = months[Int(parts.tm_mon) % months.count]
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        return "\(day), \(two(parts.tm_mday)) \(month) \(Int(parts.tm_year) + 1900) \(clock) GMT"
    }
}
