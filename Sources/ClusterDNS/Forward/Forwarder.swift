import Dispatch
import Glibc
import KubeAPI
import Synchronization

/// Asks other servers what the cluster does not know. Each question goes out from a port and with an id that nobody can guess.
/// Upstream: CoreDNS's plug-in forward.
final class Forwarder: Sendable {
    static let port: UInt16 = 53
    /// Rounds through the servers.
    private static let rounds = 2

    private let servers: [(address: IPAddress, port: UInt16)]
    private let policy: Corefile.Policy
    private let isByTCP: Bool
    /// Questions under way at once. Upstream: max_concurrent.
    private let maximumPending: Int
    private let timeoutSeconds: Int
    /// Of questions that went by TCP: calls that block.
    private static let streams = DispatchQueue(label: "dns.forward.tcp", attributes: .concurrent)
    private let queue = DispatchQueue(label: "dns.forward")
    private let pending = Mutex(0)
    private let turn = Atomic<UInt>(0)

    init(
        targets: [(address: IPAddress, port: UInt16)], policy: Corefile.Policy = .sequential, isByTCP: Bool = false, maximumPending: Int = 1000,
        timeoutSeconds: Int = 2
    ) {
        servers = targets
        self.policy = policy
        self.isByTCP = isByTCP
        self.maximumPending = maximumPending
        self.timeoutSeconds = timeoutSeconds
    }

    /// The servers in the order in which a question goes to them.
    private func order() -> [(address: IPAddress, port: UInt16)] {
        switch policy {
        case .sequential: return servers
        case .random: return servers.shuffled()
        case .roundRobin:
            guard !servers.isEmpty else { return [] }
            let first = Int(turn.wrappingAdd(1, ordering: .relaxed).oldValue % UInt(servers.count))
            return Array(servers[first...] + servers[..<first])
        }
    }

    /// Asks by UDP, unless it was told otherwise. `done` is called once, on a queue of the forwarder's: nil when no server answered.
    func ask(_ question: ForwardedQuestion, _ done: @escaping @Sendable (ForwardedAnswer?) -> Void) {
        let isAdmitted = pending.withLock { count in
            guard count < maximumPending, !servers.isEmpty else { return false }
            count += 1
            return true
        }
        guard isAdmitted else { return done(nil) }
        let finished: @Sendable (ForwardedAnswer?) -> Void = { [self] answer in
            pending.withLock { $0 -= 1 }
            done(answer)
        }
        if isByTCP {
            Self.streams.async { [self] in finished(askByTCP(question)) }
        } else {
            let servers = order()
            queue.async { [self] in attempt(0, servers, question, finished) }
        }
    }

    /// Called on the queue.
    private func attempt(
        _ number: Int, _ servers: [(address: IPAddress, port: UInt16)], _ question: ForwardedQuestion,
        _ done: @escaping @Sendable (ForwardedAnswer?) -> Void
    ) {
        guard number < servers.count * Self.rounds else { return done(nil) }
        let server = servers[number % servers.count]
        let id = UInt16.random(in: 0...UInt16.max)
        guard let descriptor = try? DNSSocket.make(server.address, DNSSocket.datagram | DNSSocket.nonBlocking) else { return done(nil) }
        let message = question.message(id: id)
        let isSent =
            SocketAddress.with(server.address, server.port) { connect(descriptor, $0, $1) } == 0
            && send(descriptor, message, message.count, Int32(MSG_NOSIGNAL)) == message.count
        guard isSent else {
            close(descriptor)
            return attempt(number + 1, servers, question, done)
        }
        // Touched on the queue alone.
        nonisolated(unsafe) let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        source.setCancelHandler { close(descriptor) }
        // Whichever comes first, the answer or the end of patience, cancels the source, and the other finds it cancelled.
        source.setEventHandler { [self] in
            guard !source.isCancelled else { return }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            guard count > 0 else {
                // Nobody listens there.
                source.cancel()
                return attempt(number + 1, servers, question, done)
            }
            // What does not fit the question may be a forgery: the true answer is waited for.
            guard let answer = ForwardedAnswer(buffer[..<count], to: question, id: id) else { return }
            source.cancel()
            if answer.code == ResponseCode.serverFailure.rawValue || answer.code == ResponseCode.refused.rawValue, number + 1 < servers.count {
                return attempt(number + 1, servers, question, done)
            }
            done(answer)
        }
        source.activate()
        queue.asyncAfter(deadline: .now() + .seconds(timeoutSeconds)) { [self] in
            guard !source.isCancelled else { return }
            source.cancel()
            attempt(number + 1, servers, question, done)
        }
    }

    /// Asks by TCP, for answers that are too large for UDP. Blocks the calling thread.
    func askByTCP(_ question: ForwardedQuestion) -> ForwardedAnswer? {
        for server in order() {
            guard let descriptor = try? DNSSocket.make(server.address, DNSSocket.stream) else { return nil }
            defer { close(descriptor) }
            DNSSocket.setTimeout(descriptor, seconds: timeoutSeconds)
            let id = UInt16.random(in: 0...UInt16.max)
            guard SocketAddress.with(server.address, server.port, { connect(descriptor, $0, $1) }) == 0,
                DNSSocket.writeMessage(descriptor, question.message(id: id)), let message = DNSSocket.readMessage(descriptor),
                let answer = ForwardedAnswer(message[...], to: question, id: id)
            else { continue }
            return answer
        }
        return nil
    }
}
