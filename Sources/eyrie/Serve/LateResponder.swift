import HTTPTransport
import Synchronization

/// Stands in for a responder that is not made yet: 503 until then.
final class LateResponder: HTTPResponder {
    private let responder = Mutex<(any HTTPResponder)?>(nil)

    func set(_ responder: any HTTPResponder) { self.responder.withLock { $0 = responder } }

    func respondNow(to head: HTTPRequestHead) -> HTTPResponse? { responder.withLock { $0 }?.respondNow(to: head) }

    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        guard let responder = responder.withLock({ $0 }) else {
            return HTTPResponse(status: 503, fields: ["Retry-After": "1"], body: .bytes(Array("the service is starting\n".utf8)))
        }
        return await responder.respond(to: head, body: body)
    }
}
