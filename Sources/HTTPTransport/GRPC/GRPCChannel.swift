import NIOCore
import Synchronization

/// A call's outcome other than success. Upstream: google.golang.org/grpc/status.Status.
package struct GRPCError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A gRPC status code, 1 to 16. Upstream: google.golang.org/grpc/codes.
    package var code: Int
    package var message: String

    package init(code: Int, message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "rpc error: code = \(code) desc = \(message)" }

    package static let cancelled = 1
    package static let unknown = 2
    package static let invalidArgument = 3
    package static let deadlineExceeded = 4
    package static let notFound = 5
    package static let alreadyExists = 6
    package static let resourceExhausted = 8
    package static let failedPrecondition = 9
    package static let unimplemented = 12
    package static let internalError = 13
    package static let unavailable = 14
}

/// A gRPC client of one server over HTTP/2 without TLS (a unix socket, or TCP on the loopback): all calls share one connection, which is made at
/// the first
/// call and again after it was lost. Messages are protobuf bytes; they may have 16 MiB. Upstream: google.golang.org/grpc.ClientConn.
package final class GRPCChannel: Sendable {
    private enum State {
        case disconnected
        case connecting([CheckedContinuation<GRPCConnection, any Error>])
        case connected(GRPCConnection)
        case closed
    }

    /// A call in progress: dropping it cancels the call.
    private final class Call: Sendable {
        let messages: InboundQueue<[UInt8]>
        private let handler: GRPCStreamHandler
        init(_ messages: InboundQueue<[UInt8]>, _ handler: GRPCStreamHandler) {
            self.messages = messages
            self.handler = handler
        }
        deinit { handler.cancel() }
    }

    /// A unix socket answers at once or not at all.
    private static let connectTimeout = Duration.seconds(5)

    private let address: HTTPAddress
    private let connector: ClientConnector
    private let authority: String
    private let state = Mutex(State.disconnected)

    /// Connects to nothing yet.
    package init(address: HTTPAddress) {
        self.address = address
        connector = ClientConnector(address: address, connectTimeout: Self.connectTimeout, tls: nil)
        // grpc-go names unix sockets so, too.
        if case .tcp = address { authority = address.description } else { authority = "localhost" }
    }

    deinit {
        if case .connected(let connection) = state.withLock({ $0 }) { connection.channel.close(promise: nil) }
    }

    /// Calls `path` (`/runtime.v1.RuntimeService/Version`) with one message and returns the one answer, both as protobuf bytes without gRPC's
    /// frame.
    ///
    /// `timeout` covers the whole call and is told to the server. Throws `GRPCError`: the server's status, 4 after the timeout, 14 when there is
    /// no server;
    /// `CancellationError` when the task was cancelled (and the call with it).
    package func unary(_ path: String, _ message: [UInt8], timeout: Duration) async throws -> [UInt8] {
        let call = try await open(path, message, deadline: .now() + TimeAmount(timeout))
        guard let answer = try await call.messages.next() else {
            throw GRPCError(code: GRPCError.internalError, message: "\(path) answered without a message")
        }
        guard try await call.messages.next() == nil else {
            throw GRPCError(code: GRPCError.internalError, message: "\(path) answered more than one message")
        }
        return answer
    }

    /// Calls `path` with one message and returns the answers as they come, with backpressure. The call begins with the first pull, and is
    /// cancelled when the
    /// stream is dropped or its task cancelled. Throws as `unary` does.
    package func serverStream(_ path: String, _ message: [UInt8], timeout: Duration? = nil) -> AsyncThrowingStream<[UInt8], any Error> {
        let running = Mutex<Call?>(nil)
        let deadline = timeout.map { NIODeadline.now() + TimeAmount($0) }
        let box = Box(running)
        return AsyncThrowingStream { [self] in
            if let call = box.value.withLock({ $0 }) { return try await call.messages.next() }
            let call = try await open(path, message, deadline: deadline)
            box.value.withLock { $0 = call }
            return try await call.messages.next()
        }
    }

    /// Gives a closure shared hold of a lock.
    private final class Box: Sendable {
        let value: Mutex<Call?>
        init(_ value: consuming Mutex<Call?>) { self.value = value }
    }

    /// Closes the connection: running calls fail with 14, later ones with 1.
    package func close() async {
        let (connection, waiters) = state.withLock { state -> (GRPCConnection?, [CheckedContinuation<GRPCConnection, any Error>]) in
            defer { state = .closed }
            switch state {
            case .connected(let connection): return (connection, [])
            case .connecting(let waiters): return (nil, waiters)
            case .disconnected, .closed: return (nil, [])
            }
        }
        for waiter in waiters { waiter.resume(throwing: Self.closedError) }
        guard let connection else { return }
        do {
            try await connection.channel.close().get()
        } catch {
            // The server closed first.
        }
    }

    private static let closedError = GRPCError(code: GRPCError.cancelled, message: "grpc: the client connection is closing")

    private func open(_ path: String, _ message: [UInt8], deadline: NIODeadline?) async throws -> Call {
        guard message.count <= GRPCStreamHandler.maximumMessageBytes else {
            throw GRPCError(code: GRPCError.resourceExhausted, message: "trying to send message larger than max (\(message.count) bytes)")
        }
        try Task.checkCancellation()
        let reused = state.withLock { state in
            if case .connected(let connection) = state { return Optional(connection) }
            return nil
        }
        if let reused {
            do {
                return try await open(on: reused, path, message, deadline)
            } catch is StreamRefused {
                // Nothing was sent: the connection had ended, and a new one may stand.
                retire(reused.channel)
            }
        }
        do {
            return try await open(on: connection(), path, message, deadline)
        } catch let refused as StreamRefused {
            throw GRPCError(code: GRPCError.unavailable, message: "transport: \(refused.cause)")
        }
    }

    private struct StreamRefused: Error {
        var cause: any Error
    }

    private func open(on connection: GRPCConnection, _ path: String, _ message: [UInt8], _ deadline: NIODeadline?) async throws -> Call {
        let loop = connection.channel.eventLoop
        let made = loop.makePromise(of: (any Channel).self)
        let prepared = loop.makePromise(of: (GRPCStreamHandler, InboundQueue<[UInt8]>).self)
        connection.multiplexer.createStreamChannel(promise: made) { stream in
            stream.eventLoop.makeCompletedFuture {
                let handler = GRPCStreamHandler(channel: stream)
                let messages = handler.messages()
                try stream.pipeline.syncOperations.addHandler(handler)
                prepared.succeed((handler, messages))
            }
        }
        do {
            let authority = authority
            // On the loop in one step, so that a call does not lose a turn between stream and request.
            try await made.futureResult.and(prepared.futureResult).map { _, prepared in
                prepared.0.start(path, message, authority: authority, deadline: deadline)
            }.get()
        } catch {
            prepared.fail(error)
            throw StreamRefused(cause: error)
        }
        let (handler, messages) = try await prepared.futureResult.get()
        return Call(messages, handler)
    }

    /// The shared connection; the first caller makes it, others wait for it.
    private func connection() async throws -> GRPCConnection {
        try await withCheckedThrowingContinuation { continuation in
            let connects = state.withLock { state -> Bool in
                switch state {
                case .connected(let connection):
                    continuation.resume(returning: connection)
                case .closed:
                    continuation.resume(throwing: Self.closedError)
                case .connecting(let waiters):
                    state = .connecting(waiters + [continuation])
                case .disconnected:
                    state = .connecting([continuation])
                    return true
                }
                return false
            }
            // Apart from the first caller's task: its cancellation must not fail the others.
            if connects { Task { await self.connect() } }
        }
    }

    private func connect() async {
        do {
            let made = try await connector.connect { [weak self] channel in
                try GRPCConnection.install(on: channel) { [weak self] in self?.retire(channel) }
            }
            let waiters = state.withLock { state -> [CheckedContinuation<GRPCConnection, any Error>]? in
                guard case .connecting(let waiters) = state else { return nil }
                state = .connected(made)
                return waiters
            }
            guard let waiters else { return made.channel.close(promise: nil) }
            if !made.channel.isActive { retire(made.channel) }
            for waiter in waiters { waiter.resume(returning: made) }
        } catch {
            let waiters = state.withLock { state -> [CheckedContinuation<GRPCConnection, any Error>] in
                guard case .connecting(let waiters) = state else { return [] }
                state = .disconnected
                return waiters
            }
            let failure = GRPCError(code: GRPCError.unavailable, message: "\(error)")
            for waiter in waiters { waiter.resume(throwing: failure) }
        }
    }

    private func retire(_ channel: any Channel) {
        state.withLock { state in
            if case .connected(let connection) = state, connection.channel === channel { state = .disconnected }
        }
    }
}
