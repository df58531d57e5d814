import Glibc

/// What is asked for.
enum NameQuestion: String, CaseIterable {
    /// A Service's address.
    case service
    /// What a pod asks first because of its search path: there is nothing.
    case absent
    /// A headless Service: its endpoints' addresses.
    case headless

    func name(_ number: Int) -> String {
        let zone = "\(ServicesAPI.namespace).svc.cluster.local"
        switch self {
        case .service: return "s\(number).\(zone)"
        case .absent: return "s\(number).\(zone).default.svc.cluster.local"
        case .headless: return "h\(number).\(zone)"
        }
    }

    /// The code and the number of records that an answer must have.
    var expected: (code: UInt8, records: Int) {
        switch self {
        case .service: (0, 1)
        case .absent: (3, 0)
        case .headless: (0, ServicesAPI.endpointsOfService)
        }
    }
}

/// Sixteen sockets, each with one question on its way.
struct NameQuestions {
    private static let sockets = 16
    /// Before the measurement: caches are warm, the server's threads run.
    private static let warmUp: Int64 = 1_000_000
    private static let timeout: Int64 = 1_000_000
    /// The server may still be on its way.
    private static let patience: Int64 = 10_000_000

    private struct Asker {
        var descriptor: Int32
        var identifier: UInt16 = 0
        var sent: Int64 = 0
    }

    private let kind: NameQuestion
    private let isStream: Bool
    private let messages: [[UInt8]]
    private var next = 0
    private var samples: [Int64] = []
    private var lost = 0
    private var wrong = 0

    /// Asks for so many names in turn.
    init(kind: NameQuestion, isStream: Bool, names: Int) {
        self.kind = kind
        self.isStream = isStream
        messages = (0..<names).map { Self.message(kind.name($0)) }
    }

    /// A question for addresses, with identifier 0.
    private static func message(_ name: String) -> [UInt8] {
        var bytes: [UInt8] = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        for label in name.split(separator: ".") { bytes += [UInt8(truncatingIfNeeded: label.utf8.count)] + Array(label.utf8) }
        return bytes + [0, 0, 1, 0, 1]
    }

    /// Asks for `seconds` and prints every answer's time in microseconds.
    mutating func run(seconds: Int) throws {
        var askers = try (0..<Self.sockets).map { _ in Asker(descriptor: try open()) }
        try awaitFirst(&askers[0])
        for index in askers.indices { try ask(&askers[index]) }
        let begin = Stopwatch.microseconds() + Self.warmUp
        let end = begin + Int64(seconds) * 1_000_000
        var waiting = askers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        var now = Stopwatch.microseconds()
        while now < end {
            poll(&waiting, nfds_t(waiting.count), 100)
            for index in askers.indices {
                now = Stopwatch.microseconds()
                if waiting[index].revents != 0 {
                    guard try receive(&askers[index]) else { continue }
                    now = Stopwatch.microseconds()
                    if askers[index].sent >= begin { samples.append(now - askers[index].sent) }
                } else {
                    guard now - askers[index].sent > Self.timeout else { continue }
                    lost += 1
                }
                try ask(&askers[index])
                waiting[index].fd = askers[index].descriptor
            }
        }
        for asker in askers { close(asker.descriptor) }
        report(
            "{\"what\":\"\(kind.rawValue)\",\"transport\":\"\(isStream ? "tcp" : "udp")\",\"seconds\":\(seconds),\"lost\":\(lost),\"wrong\":\(wrong),"
                + "\"microseconds\":\(samples)}")
    }

    private func open() throws -> Int32 {
        let kind = isStream ? Int32(SOCK_STREAM.rawValue) : Int32(SOCK_DGRAM.rawValue)
        let deadline = Stopwatch.microseconds() + Self.patience
        while true {
            let descriptor = socket(AF_INET, kind | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw Traffic.failure("socket") }
            if Traffic.with(NameBench.address, 53, { connect(descriptor, $0, $1) }) == 0 {
                var on: Int32 = 1
                if isStream { setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size)) }
                var limit = timeval(tv_sec: 1, tv_usec: 0)
                setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
                return descriptor
            }
            let error = Traffic.failure("connect")
            close(descriptor)
            guard Stopwatch.microseconds() < deadline else { throw error }
            poll(nil, 0, 50)
        }
    }

    /// Returns when the server answers.
    private mutating func awaitFirst(_ asker: inout Asker) throws {
        let deadline = Stopwatch.microseconds() + Self.patience
        while Stopwatch.microseconds() < deadline {
            if (try? ask(&asker)) != nil, try receive(&asker) { return wrong = 0 }
            poll(nil, 0, 50)  // Nobody listens yet.
        }
        throw BenchError("the DNS does not answer")
    }

    private mutating func ask(_ asker: inout Asker) throws {
        var message = messages[next % messages.count]
        next += 1
        asker.identifier = UInt16(truncatingIfNeeded: next)
        (message[0], message[1]) = (UInt8(asker.identifier >> 8), UInt8(asker.identifier & 0xFF))
        if isStream { message = [UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message }
        asker.sent = Stopwatch.microseconds()
        guard send(asker.descriptor, message, message.count, Int32(MSG_NOSIGNAL)) == message.count else { throw Traffic.failure("send") }
    }

    /// Reads and judges an answer; false when it is none to the question on its way. A stream that ended throws `BenchError`.
    private mutating func receive(_ asker: inout Asker) throws -> Bool {
        var buffer = [UInt8](repeating: 0, count: 2048)
        var count = 0
        if isStream {
            guard recv(asker.descriptor, &buffer, 2, Int32(MSG_WAITALL)) == 2 else { throw Traffic.failure("the stream ended") }
            count = recv(asker.descriptor, &buffer, min(Int(buffer[0]) << 8 | Int(buffer[1]), buffer.count), Int32(MSG_WAITALL))
        } else {
            count = recv(asker.descriptor, &buffer, buffer.count, 0)
        }
        guard count >= 12, UInt16(buffer[0]) << 8 | UInt16(buffer[1]) == asker.identifier else { return false }
        let (code, records) = (buffer[3] & 0xF, Int(buffer[6]) << 8 | Int(buffer[7]))
        if code != kind.expected.code || records != kind.expected.records { wrong += 1 }
        return true
    }
}
