import HTTPTransport
import KubeAPI

/// Sends a body to a client that asked for it by WebSocket, a message for each piece: how logs are read where nothing else can be spoken.
/// Upstream: wsstream.Reader of k8s.io/apimachinery, with NewDefaultReaderProtocols.
enum WebSocketReader {
    /// A subprotocol that clients may ask for, and whether it carries base64 in text messages. Without one the messages are binary.
    private static let protocols = ["binary.k8s.io": false, "base64.binary.k8s.io": true]

    /// The answer to the handshake, after which the body goes out. Throws 400 for a handshake that is none or asks for other subprotocols.
    static func response(_ head: HTTPRequestHead, _ body: HTTPBodyStream) throws(StatusError) -> HTTPResponse {
        let handshake = try WebSocketHandshake(head)
        let offered = handshake.offered
        let chosen = offered.first { protocols[$0] != nil }
        guard chosen != nil || offered.isEmpty else {
            throw .badRequest("requested protocol(s) are not supported: [\(offered.joined(separator: " "))]; supports \(protocols.keys.sorted())")
        }
        let isBase64 = chosen.flatMap { protocols[$0] } ?? false
        return handshake.accept(chosen) { tunnel in await send(body, isBase64: isBase64, to: tunnel) }
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
