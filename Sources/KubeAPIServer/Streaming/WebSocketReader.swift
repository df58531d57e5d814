import Crypto
import HTTPTransport
import KubeAPI

/// Sends a body to a client that asked for it by WebSocket, a message for each piece: how logs are read where nothing else can be spoken.
/// Upstream: wsstream.Reader of k8s.io/apimachinery, with NewDefaultReaderProtocols.
enum WebSocketReader {
    /// A subprotocol that clients may ask for, and whether it carries base64 in text messages. Without one the messages are binary.
    private static let protocols = ["binary.k8s.io": false, "base64.binary.k8s.io": true]
    /// RFC 6455, section 1.3.
    private static let acceptSalt = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    static func isWanted(_ head: HTTPRequestHead) -> Bool { head.isUpgrade && head.fields.contains("Upgrade", token: "websocket") }

    /// The answer to the handshake, after which the body goes out. Throws 400 for a handshake that is none or asks for other subprotocols.
    static func response(_ head: HTTPRequestHead, _ body: HTTPBodyStream) throws(StatusError) -> HTTPResponse {
        guard head.fields["Sec-WebSocket-Version"] == "13", let key = head.fields["Sec-WebSocket-Key"] else {
            throw .badRequest("the WebSocket handshake is not one of version 13")
        }
        let offered = head.fields.all("Sec-WebSocket-Protocol").flatMap { $0.split(separator: ",") }.map { String($0.filter { $0 != " " }) }
        let chosen = offered.first { protocols[$0] != nil }
        guard chosen != nil || offered.isEmpty else {
            throw .badRequest("requested protocol(s) are not supported: [\(offered.joined(separator: " "))]; supports \(protocols.keys.sorted())")
        }
        var fields: HTTPFields = ["Upgrade": "websocket", "Connection": "Upgrade"]
        fields["Sec-WebSocket-Accept"] = Base64.encode(Array(Insecure.SHA1.hash(data: Array((key + acceptSalt).utf8))))
        if let chosen { fields["Sec-WebSocket-Protocol"] = chosen }
        let isBase64 = chosen.flatMap { protocols[$0] } ?? false
        return HTTPResponse(status: 101, fields: fields, body: .upgrade { tunnel in await send(body, isBase64: isBase64, to: tunnel) })
    }

    /// Ends with the body, or when the client takes its leave.
    private static func send(_ body: HTTPBodyStream, isBase64: Bool, to tunnel: ByteTunnel) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // Nothing that a client says matters but that it goes. A connection that fails has gone, too.
                do { while let bytes = try await tunnel.read(), bytes.first != WebSocketFrame.closing.first {} } catch { return }
            }
            group.addTask {
                do {
                    // An empty message tells that the reading has begun.
                    try await tunnel.write(WebSocketFrame.message([], isText: isBase64))
                    for try await piece in body {
                        try await tunnel.write(WebSocketFrame.message(isBase64 ? Array(Base64.encode(piece).utf8) : piece, isText: isBase64))
                    }
                    try await tunnel.write(WebSocketFrame.closing)
                } catch { return }  // The client or the kubelet has gone: there is nobody to tell, or nothing.
            }
            await group.next()
            group.cancelAll()
        }
    }
}

/// Frames as a server sends them, unmasked and whole. Upstream: RFC 6455, section 5.2.
enum WebSocketFrame {
    /// A normal closure, 1000.
    static let closing: [UInt8] = [0x88, 2, 0x03, 0xE8]

    static func message(_ payload: [UInt8], isText: Bool) -> [UInt8] {
        var frame: [UInt8] = [isText ? 0x81 : 0x82]
        switch payload.count {
        case ..<126: frame.append(UInt8(truncatingIfNeeded: payload.count))
        case ..<65536: frame += [126, UInt8(truncatingIfNeeded: payload.count >> 8), UInt8(truncatingIfNeeded: payload.count)]
        default:
            frame.append(127)
            for shift in stride(from: 56, through: 0, by: -8) { frame.append(UInt8(truncatingIfNeeded: payload.count >> shift)) }
        }
        return frame + payload
    }
}
