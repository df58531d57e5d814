import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Bodies by WebSocket")
struct WebSocketReaderTests {
    private func answer(_ fields: HTTPFields) throws -> HTTPResponse {
        var fields = fields
        fields["Upgrade"] = "websocket"
        fields["Connection"] = "Upgrade"
        let connection = ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2")
        return try WebSocketReader.response(
            HTTPRequestHead(method: "GET", target: "/", fields: fields, authority: "", connection: connection), .empty)
    }

    @Test("a handshake is accepted as RFC 6455's example has it, with the first subprotocol that is spoken")
    func handshake() throws {
        let offer: HTTPFields = [
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "x, base64.binary.k8s.io",
        ]
        let answer = try answer(offer)
        #expect(answer.status == 101 && answer.fields["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(answer.fields["Sec-WebSocket-Protocol"] == "base64.binary.k8s.io")
    }

    @Test("another version, no key and unknown subprotocols alone are refused")
    func refused() {
        for fields: HTTPFields in [
            ["Sec-WebSocket-Version": "8", "Sec-WebSocket-Key": "a"], ["Sec-WebSocket-Version": "13"],
            ["Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a", "Sec-WebSocket-Protocol": "v4.channel.k8s.io"],
        ] {
            #expect { try answer(fields) } throws: { ($0 as? StatusError)?.code == 400 }
        }
    }

    @Test(
        "the length of a message takes one, three or nine bytes",
        arguments: [(0, [0]), (125, [125]), (126, [126, 0, 126]), (65536, [127, 0, 0, 0, 0, 0, 1, 0, 0])])
    func lengths(count: Int, length: [UInt8]) {
        let frame = WebSocketFrame.message([UInt8](repeating: 7, count: count), isText: false)
        #expect(Array(frame.prefix(1 + length.count)) == [0x82] + length && frame.count == 1 + length.count + count)
    }
}
