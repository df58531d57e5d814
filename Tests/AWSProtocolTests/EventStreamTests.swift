import Testing

@testable import AWSProtocol

@Suite struct EventStreamTests {
    @Test("the checksum is that of RFC 1952") func checksum() {
        #expect(CRC32.of(Array("123456789".utf8)) == 0xCBF4_3926 && CRC32.of([]) == 0)
    }

    @Test("a message has its lengths and checksums in front and behind") func message() {
        let message = EventStreamMessage.event("sessionUpdate", ["a": 1])
        let bytes = message.encoded
        #expect(message.headers.map(\.name) == [":message-type", ":event-type", ":content-type"])
        #expect(bytes.count == Int(bytes[2]) << 8 | Int(bytes[3]))
        let headers = Int(bytes[6]) << 8 | Int(bytes[7])
        #expect(Array(bytes[(12 + headers)..<(bytes.count - 4)]) == Array(#"{"a":1}"#.utf8))
        #expect(Array(bytes[12..<26]) == [13] + Array(":message-type".utf8))
        #expect(EventStreamMessage.exception("SessionTimeoutException", message: "m").headers.first?.value == "exception")
    }
}
