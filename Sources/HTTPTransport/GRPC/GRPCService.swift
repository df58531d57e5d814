/// Serves gRPC calls of one message and one answer on an HTTP/2 listener. Upstream: google.golang.org/grpc.Server.
package struct GRPCService: HTTPResponder {
    private static let framePrefixBytes = 5

    /// Answers a call of `path` (`/v1beta1.Registration/Register`); messages are protobuf bytes. What it throws other than `GRPCError` is told as
    /// unknown.
    private let handle: @Sendable (_ path: String, _ message: [UInt8]) async throws -> [UInt8]

    package init(handle: @escaping @Sendable (String, [UInt8]) async throws -> [UInt8]) { self.handle = handle }

    package func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        guard head.method == "POST", head.fields["Content-Type"]?.hasPrefix("application/grpc") == true else {
            return HTTPResponse(status: 415, fields: ["Content-Type": "text/plain"], body: .bytes(Array("gRPC alone is spoken here\n".utf8)))
        }
        do {
            let limit = GRPCStreamHandler.maximumMessageBytes + Self.framePrefixBytes
            let answer = try await handle(String(head.path), try Self.message(try await body.collect(limit: limit)))
            return Self.response(answer)
        } catch let error as GRPCError {
            return Self.refusal(error)
        } catch {
            return Self.refusal(GRPCError(code: GRPCError.unknown, message: "\(error)"))
        }
    }

    /// The one message of a request, without its frame.
    private static func message(_ bytes: [UInt8]) throws(GRPCError) -> [UInt8] {
        guard bytes.count >= framePrefixBytes, bytes[0] == 0 else {
            throw GRPCError(code: GRPCError.internalError, message: "the request has no message, or a compressed one")
        }
        let length = bytes[1..<framePrefixBytes].reduce(0) { $0 << 8 | Int($1) }
        guard bytes.count == framePrefixBytes + length else {
            throw GRPCError(code: GRPCError.internalError, message: "the request's message is cut short, or followed by another")
        }
        return Array(bytes[framePrefixBytes...])
    }

    /// A message with its frame.
    package static func frame(_ message: [UInt8]) -> [UInt8] {
        let length = UInt32(truncatingIfNeeded: message.count)
        return [0, UInt8(truncatingIfNeeded: length >> 24), UInt8(truncatingIfNeeded: length >> 16), UInt8(truncatingIfNeeded: length >> 8)]
            + [UInt8(truncatingIfNeeded: length)] + message
    }

    private static func response(_ message: [UInt8]) -> HTTPResponse {
        var response = HTTPResponse(status: 200, fields: ["Content-Type": "application/grpc"], body: .bytes(frame(message)))
        response.trailers = ["grpc-status": "0"]
        return response
    }

    /// Status and message stand in the head: there is nothing else.
    private static func refusal(_ error: GRPCError) -> HTTPResponse {
        // Percent-encoded beyond printable ASCII.
        let text = error.message.utf8.map { byte -> String in
            if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") { return String(UnicodeScalar(byte)) }
            let digits = String(byte, radix: 16, uppercase: true)
            return "%" + (digits.count == 1 ? "0" + digits : digits)
        }.joined()
        return HTTPResponse(
            status: 200, fields: ["Content-Type": "application/grpc", "grpc-status": String(error.code), "grpc-message": text])
    }
}
