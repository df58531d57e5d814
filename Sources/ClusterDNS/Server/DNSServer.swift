import Glibc
import KubeAPI
import Synchronization

/// Listens by UDP and TCP at one address. Each socket has threads of its own that block in the kernel: nothing runs while nobody asks.
final class DNSServer: Sendable {
    /// Threads that read datagrams: answers of the zone take microseconds, so two keep two cores busy.
    private static let datagramThreads = 2
    /// TCP connections at once; more are closed as they come.
    private static let maximumConnections = 64
    /// A connection without a question is closed after this. Upstream: CoreDNS's tcpIdleTimeout is 10 s.
    private static let idleSeconds = 10
    private static let receiveBufferBytes: Int32 = 1 << 20

    let port: UInt16
    private let datagrams: Int32
    private let streams: Int32
    private let responder: Responder
    private let isStopped = Atomic(false)
    private let connections = Mutex(0)

    /// Listens and answers from then on. Port 0 takes a free one. Throws `SocketFailure`.
    init(address: IPAddress, port: UInt16, responder: Responder) throws {
        self.responder = responder
        datagrams = try DNSSocket.bound(address, port, DNSSocket.datagram)
        self.port = SocketAddress.port(of: datagrams)
        do { streams = try DNSSocket.bound(address, self.port, DNSSocket.stream) } catch {
            close(datagrams)
            throw error
        }
        var size = Self.receiveBufferBytes
        setsockopt(datagrams, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        guard listen(streams, Int32(Self.maximumConnections)) == 0 else {
            let code = errno
            close(datagrams)
            close(streams)
            throw SocketFailure(step: "listen", code: code)
        }
        for _ in 0..<Self.datagramThreads { BlockingThread.start { [self] in answerDatagrams() } }
        BlockingThread.start { [self] in acceptStreams() }
    }

    deinit {
        // The threads hold the server: the last has ended.
        close(datagrams)
        close(streams)
    }

    /// Wakes the threads, which end.
    func stop() {
        isStopped.store(true, ordering: .releasing)
        shutdown(datagrams, Int32(SHUT_RDWR))
        shutdown(streams, Int32(SHUT_RDWR))
    }

    private func answerDatagrams() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let descriptor = datagrams
        while !isStopped.load(ordering: .acquiring) {
            var from = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let count = withUnsafeMutablePointer(to: &from) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length) }
            }
            guard count > 0 else { continue }
            let (client, size) = (from, length)
            responder.respond(to: buffer[..<count], isStream: false, client: SocketPeer(client)) { answer in
                var client = client
                // A client that is gone needs no answer.
                _ = withUnsafePointer(to: &client) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        sendto(descriptor, answer, answer.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), $0, size)
                    }
                }
            }
        }
    }

    private func acceptStreams() {
        while !isStopped.load(ordering: .acquiring) {
            let descriptor = accept(streams, nil, nil)
            guard descriptor >= 0 else {
                // Out of descriptors: those there are must end first.
                if errno == EMFILE || errno == ENFILE { poll(nil, 0, 100) }
                continue
            }
            let isAdmitted = connections.withLock { count in
                guard count < Self.maximumConnections else { return false }
                count += 1
                return true
            }
            guard isAdmitted else {
                close(descriptor)
                continue
            }
            BlockingThread.start { [self] in
                serve(descriptor)
                close(descriptor)
                connections.withLock { $0 -= 1 }
            }
        }
    }

    private func serve(_ descriptor: Int32) {
        DNSSocket.setTimeout(descriptor, seconds: Self.idleSeconds)
        let client = SocketPeer(of: descriptor)
        while !isStopped.load(ordering: .acquiring), let message = DNSSocket.readMessage(descriptor) {
            let isOpen = Mutex(false)
            // By TCP the answer is given before `respond` returns.
            responder.respond(to: message[...], isStream: true, client: client) { answer in
                let isSent = DNSSocket.writeMessage(descriptor, answer)
                isOpen.withLock { $0 = isSent }
            }
            guard isOpen.withLock({ $0 }) else { return }
        }
    }
}

/// Threads for calls that block.
enum BlockingThread {
    private static let stackBytes = 256 << 10

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    static func start(_ run: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackBytes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let body = Unmanaged.passRetained(Body(run))
        let code = pthread_create(
            &thread, &attributes,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, body.toOpaque())
        // No thread: what it would have done is left undone, and what it holds is freed.
        if code != 0 { body.release() }
    }
}
