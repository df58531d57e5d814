import Foundation
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import Testing

@testable import HTTPTransport

/// A gRPC server of a few methods, in this process.
private final class FakeGRPCServer: Sendable {
    let path = NSTemporaryDirectory() + "grpc-\(UInt32.random(in: 0 ... .max)).sock"
    let log = Log()
    private let listener: any Channel

    init() async throws {
        let log = log
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    log.add("connection")
                    _ = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
                        mode: .server, connectionConfiguration: .init(), streamConfiguration: .init()
                    ) { stream in
                        stream.eventLoop.makeCompletedFuture { try stream.pipeline.syncOperations.addHandler(Handler(log: log, connection: channel)) }
                    }
                }
            }
            .bind(unixDomainSocketPath: path).get()
    }

    func stop() async throws {
        try await listener.close().get()
        unlink(path)
    }

    private final class Handler: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = HTTP2Frame.FramePayload
        typealias OutboundOut = HTTP2Frame.FramePayload
        let log: Log
        let connection: any Channel
        var path = ""
        var received = ByteBuffer()
        var isDone = false

        init(log: Log, connection: any Channel) {
            self.log = log
            self.connection = connection
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .headers(let frame):
                path = frame.headers.first(name: ":path") ?? ""
                if path == "/t/Deadline" { log.add(frame.headers.first(name: "grpc-timeout") ?? "none") }
            case .data(let frame):
                guard case .byteBuffer(var buffer) = frame.data else { return }
                received.writeBuffer(&buffer)
                if frame.endStream { answer(context) }
            default: break
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func channelInactive(context: ChannelHandlerContext) {
            if !isDone { log.add("reset \(path)") }
        }

        private func answer(_ context: ChannelHandlerContext) {
            switch path {
            case "/t/Echo":
                head(context)
                context.write(wrapOutboundOut(.data(.init(data: .byteBuffer(received)))), promise: nil)
                trailers(context, "0")
            case "/t/Fail":
                isDone = true
                let headers: HPACKHeaders = [
                    ":status": "200", "content-type": "application/grpc", "grpc-status": "5", "grpc-message": "no such sandbox: %C3%BC%20100%25",
                ]
                context.writeAndFlush(wrapOutboundOut(.headers(.init(headers: headers, endStream: true))), promise: nil)
            case "/t/Late":
                head(context)
                context.write(wrapOutboundOut(.data(.init(data: .byteBuffer(received)))), promise: nil)
                trailers(context, "13")
            case "/t/Stream":
                head(context)
                for number in 0..<100 {
                    // In odd pieces, so that frames and messages do not coincide.
                    var message = ByteBuffer(bytes: [0, 0, 0, 0x10, 0] + [UInt8](repeating: UInt8(number), count: 4096))
                    while let piece = message.readSlice(length: min(1000, message.readableBytes)), piece.readableBytes > 0 {
                        context.write(wrapOutboundOut(.data(.init(data: .byteBuffer(piece)))), promise: nil)
                    }
                }
                trailers(context, "0")
            case "/t/Large":
                head(context)
                context.writeAndFlush(wrapOutboundOut(.data(.init(data: .byteBuffer(ByteBuffer(bytes: [0, 0x01, 0x00, 0x00, 0x01]))))), promise: nil)
            case "/t/Cut":
                isDone = true
                connection.close(promise: nil)
            default: log.add("started \(path)")
            }
        }

        private func head(_ context: ChannelHandlerContext) {
            context.write(wrapOutboundOut(.headers(.init(headers: [":status": "200", "content-type": "application/grpc"]))), promise: nil)
        }

        private func trailers(_ context: ChannelHandlerContext, _ status: String) {
            isDone = true
            let headers: HPACKHeaders = ["grpc-status": status, "grpc-message": "m"]
            context.writeAndFlush(wrapOutboundOut(.headers(.init(headers: headers, endStream: true))), promise: nil)
        }
    }
}

@Suite("gRPC client", .timeLimit(.minutes(1)))
struct GRPCTests {
    private func withFake(_ body: (FakeGRPCServer, GRPCChannel) async throws -> Void) async throws {
        let server = try await FakeGRPCServer()
        let channel = GRPCChannel(address: .unix(path: server.path))
        try await body(server, channel)
        await channel.close()
        try await server.stop()
    }

    @Test("calls, one by one and at once, share one connection and get their own answers")
    func unary() async throws {
        try await withFake { (server: FakeGRPCServer, channel: GRPCChannel) async throws -> Void in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<200 {
                    group.addTask { () async throws -> Void in
                        let message = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number * 100)
                        #expect(try await channel.unary("/t/Echo", message, timeout: .seconds(10)) == message)
                    }
                }
                try await group.waitForAll()
            }
            for _ in 0..<50 { #expect(try await channel.unary("/t/Echo", [], timeout: .seconds(10)) == []) }
            #expect(server.log.all == ["connection"])
        }
    }

    @Test("a status other than OK is thrown with its message, whether in trailers alone or after a message")
    func status() async throws {
        try await withFake { (_: FakeGRPCServer, channel: GRPCChannel) async throws -> Void in
            await #expect(throws: GRPCError(code: GRPCError.notFound, message: "no such sandbox: ü 100%")) {
                _ = try await channel.unary("/t/Fail", [1], timeout: .seconds(10))
            }
            await #expect(throws: GRPCError(code: GRPCError.internalError, message: "m")) {
                _ = try await channel.unary("/t/Late", [1], timeout: .seconds(10))
            }
        }
    }

    @Test("a server's stream yields its messages in order, then ends")
    func serverStream() async throws {
        try await withFake { (_: FakeGRPCServer, channel: GRPCChannel) async throws -> Void in
            var next: UInt8 = 0
            for try await message in channel.serverStream("/t/Stream", [1]) {
                #expect(message.count == 4096 && message.first == next)
                next += 1
            }
            #expect(next == 100)
            await #expect(throws: GRPCError.self) { for try await _ in channel.serverStream("/t/Fail", [1]) {} }
        }
    }

    @Test("the deadline is told to the server and kept by the client")
    func deadline() async throws {
        try await withFake { (server: FakeGRPCServer, channel: GRPCChannel) async throws -> Void in
            await #expect(throws: GRPCError(code: GRPCError.deadlineExceeded, message: "context deadline exceeded")) {
                _ = try await channel.unary("/t/Deadline", [], timeout: .seconds(2))
            }
            try await eventually("the server was told") { !server.log.all.filter { $0.hasSuffix("m") }.isEmpty }
            let told = try #require(server.log.all.first { $0.hasSuffix("m") })
            #expect(Int(told.dropLast()).map { $0 > 0 && $0 <= 2000 } == true)
            try await eventually("the server sees the reset") { server.log.all.contains("reset /t/Deadline") }
        }
    }

    @Test("a cancelled call, and a dropped stream, are reset")
    func cancellation() async throws {
        try await withFake { (server: FakeGRPCServer, channel: GRPCChannel) async throws -> Void in
            let call = Task { try await channel.unary("/t/Hang", [], timeout: .seconds(60)) }
            try await eventually("the call arrived") { server.log.all.contains("started /t/Hang") }
            call.cancel()
            await #expect(throws: CancellationError.self) { try await call.value }
            try await eventually("the server sees the reset") { server.log.all.contains("reset /t/Hang") }
            let reader = Task { for try await _ in channel.serverStream("/t/Events", []) {} }
            try await eventually("the call arrived") { server.log.all.contains("started /t/Events") }
            reader.cancel()
            _ = await reader.result
            try await eventually("the server sees the reset") { server.log.all.contains("reset /t/Events") }
        }
    }

    @Test("a message beyond the limit is refused, and the connection survives")
    func largeMessage() async throws {
        try await withFake { (server: FakeGRPCServer, channel: GRPCChannel) async throws -> Void in
            do {
                _ = try await channel.unary("/t/Large", [], timeout: .seconds(10))
                Issue.record("a message too large was taken")
            } catch let error as GRPCError {
                #expect(error.code == GRPCError.resourceExhausted)
            }
            #expect(try await channel.unary("/t/Echo", [9], timeout: .seconds(10)) == [9])
            #expect(server.log.all.filter { $0 == "connection" }.count == 1)
        }
    }

    @Test("a lost connection fails its calls with UNAVAILABLE, and the next call connects again")
    func reconnect() async throws {
        try await withFake { (server: FakeGRPCServer, channel: GRPCChannel) async throws -> Void in
            do {
                _ = try await channel.unary("/t/Cut", [], timeout: .seconds(10))
                Issue.record("no error")
            } catch let error as GRPCError {
                #expect(error.code == GRPCError.unavailable)
            }
            #expect(try await channel.unary("/t/Echo", [7], timeout: .seconds(10)) == [7])
            #expect(server.log.all == ["connection", "connection"])
        }
        let nobody = GRPCChannel(address: .unix(path: "/nowhere/at/all.sock"))
        let reason = "cannot connect to unix:/nowhere/at/all.sock: no such file or directory"
        await #expect(throws: GRPCError(code: GRPCError.unavailable, message: reason)) {
            _ = try await nobody.unary("/t/Echo", [], timeout: .seconds(10))
        }
    }

    @Test("timeouts are written in at most eight digits")
    func timeoutText() {
        #expect(GRPCStreamHandler.timeout(milliseconds: 1500) == "1500m")
        #expect(GRPCStreamHandler.timeout(milliseconds: 99_999_999) == "99999999m")
        #expect(GRPCStreamHandler.timeout(milliseconds: 100_000_000) == "100000S")
    }
}

@Suite(
    "gRPC client with containerd", .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/containerd") && getuid() == 0),
    .timeLimit(.minutes(1)))
struct ContainerdTests {
    @Test("two thousand Version calls go through, one after another and at once")
    func version() async throws {
        let folder = NSTemporaryDirectory() + "containerd-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let configuration = """
            version = 2
            root = "\(folder)/root"
            state = "\(folder)/state"
            [grpc]
            address = "\(folder)/c.sock"
            [plugins."io.containerd.grpc.v1.cri".cni]
            conf_dir = "\(folder)"
            """
        try Data(configuration.utf8).write(to: URL(fileURLWithPath: "\(folder)/config.toml"))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/containerd")
        process.arguments = ["--config", "\(folder)/config.toml"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer {
            process.terminate()
            // SIGTERM may be inherited blocked; containerd here has no containers to lose.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            try? FileManager.default.removeItem(atPath: folder)  // Mounts may be left on a failing machine; litter fails no test.
        }
        let channel = GRPCChannel(address: .unix(path: "\(folder)/c.sock"))
        try await eventually("containerd answers", within: .seconds(30)) {
            do {
                let answer = try await channel.unary("/runtime.v1.RuntimeService/Version", [], timeout: .seconds(5))
                return String(decoding: answer, as: UTF8.self).contains("containerd")
            } catch let error as GRPCError {
                guard [GRPCError.unavailable, GRPCError.unknown, GRPCError.deadlineExceeded].contains(error.code) else { throw error }
                return false
            }
        }
        for _ in 0..<1000 { _ = try await channel.unary("/runtime.v1.RuntimeService/Version", [], timeout: .seconds(5)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                group.addTask { for _ in 0..<64 { _ = try await channel.unary("/runtime.v1.RuntimeService/Version", [], timeout: .seconds(5)) } }
            }
            try await group.waitForAll()
        }
        await #expect(throws: GRPCError.self) { _ = try await channel.unary("/runtime.v1.RuntimeService/PodSandboxStatus", [], timeout: .seconds(5)) }
        await channel.close()
    }
}
