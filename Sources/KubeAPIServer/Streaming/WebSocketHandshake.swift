import Crypto
import HTTPTransport
import KubeAPI

/// A client's wish to speak WebSocket. Upstream: RFC 6455, section 4.2.
struct WebSocketHandshake: Sendable {
    /// RFC 6455, section 1.3.
    private static let acceptSalt = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    private let key: String
    /// The subprotocols the client would speak, in the order of its liking.
    let offered: [String]

    static func isWanted(_ head: HTTPRequestHead) -> Bool { head.isUpgrade && head.fields.contains("Upgrade", token: "websocket") }

    /// The subprotocols of a request, also of one whose handshake is none.
    static func offered(_ head: HTTPRequestHead) -> [String] {
        head.fields.all("Sec-WebSocket-Protocol").flatMap { $0.split(separator: ",") }.map { String($0.filter { $0 != " " }) }
    }

    /// Throws 400 for a handshake that is none.
    init(_ head: HTTPRequestHead) throws(StatusError) {
        guard head.fields["Sec-WebSocket-Version"] == "13", let key = head.fields["Sec-WebSocket-Key"] else {
            throw .badRequest("the WebSocket handshake is not one of version 13")
        }
        self.key = key
        offered = Self.offered(head)
    }

    /// The answer, after which `body` has the connection.
    func accept(_ subprotocol: String?, _ body: @escaping @Sendable (ByteTunnel) async -> Void) -> HTTPResponse {
        var fields: HTTPFields = ["Upgrade": "websocket", "Connection": "Upgrade"]
        fields["Sec-WebSocket-Accept"] = Base64.encode(Array(Insecure.SHA1.hash(data: Array((key + Self.acceptSalt).utf8))))
        if let subprotocol { fields["Sec-WebSocket-Protocol"] = subprotocol }
        return HTTPResponse(status: 101, fields: fields, body: .upgrade(body))
    }
}
