import Foundation
import Testing

@testable import HTTPTransport

/// Our gRPC server asked by our client.
struct GRPCServiceTests {
    @Test("a call is answered with a message and its status in trailers, or with an error in the head")
    func calls() async throws {
        let path = NSTemporaryDirectory() + "grpc-service-\(UInt32.random(in: 0 ... .max)).sock"
        let service = GRPCService { path, message in
            switch path {
            case "/t/Echo": return message
            case "/t/Refuse": throw GRPCError(code: GRPCError.notFound, message: "50 % gone, naïvely")
            default: throw HTTPError.connectionClosed
            }
        }
        let server = try await HTTPServer.start(HTTPServer.Configuration(address: .unix(path: path)), responder: service)
        let channel = GRPCChannel(address: .unix(path: path))
        for size in [0, 1, 300, 200_000] {
            let message = [UInt8](repeating: 7, count: size)
            #expect(try await channel.unary("/t/Echo", message, timeout: .seconds(5)) == message)
        }
        await #expect(throws: GRPCError(code: GRPCError.notFound, message: "50 % gone, naïvely")) {
            try await channel.unary("/t/Refuse", [], timeout: .seconds(5))
        }
        do {
            _ = try await channel.unary("/t/Unknown", [], timeout: .seconds(5))
            Issue.record("an unknown failure is no answer")
        } catch let error as GRPCError { #expect(error.code == GRPCError.unknown) }
        await channel.close()
        let plain = try HTTPClient(configuration: .init(address: .unix(path: path)))
        #expect(try await plain.execute("GET", "/t/Echo").status == 415)
        await plain.close()
        await server.stop(grace: .zero)
    }

    @Test("requests without a whole message are refused")
    func malformed() async {
        let service = GRPCService { _, message in message }
        let head = HTTPRequestHead(
            method: "POST", target: "/t/Echo", fields: ["Content-Type": "application/grpc"], authority: "",
            connection: ConnectionInfo(remoteAddress: "", localAddress: ""))
        for bytes: [UInt8] in [[], [0, 0, 0, 0], [0, 0, 0, 0, 2, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1], [0, 255, 255, 255, 255]] {
            let sent = HTTPBodyStream.whole(bytes)
            #expect(await service.respond(to: head, body: sent).fields["grpc-status"] == "13")
        }
    }
}

extension HTTPBodyStream {
    /// A body that is at hand.
    fileprivate static func whole(_ bytes: [UInt8]) -> HTTPBodyStream {
        let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
        continuation.yield(bytes)
        continuation.finish()
        return HTTPBodyStream {
            for await piece in stream { return piece }
            return nil
        }
    }
}
