import Dispatch
import Glibc

/// A server of two things and its clients: a byte for a byte, in a connection each time, and as many bytes as the client takes.
enum Traffic {
    private static let one = UInt8(ascii: "1")
    private static let stream = UInt8(ascii: "*")
    private static let bufferBytes = 256 << 10
    /// The server may still be on its way.
    private static let patience: Int64 = 10_000_000

    /// Serves until it is killed.
    static func serve(port: Int) throws {
        let listener = try make()
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard with("0.0.0.0", port, { bind(listener, $0, $1) }) == 0, listen(listener, 1024) == 0 else { throw failure("listen") }
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { continue }
            var asked: UInt8 = 0
            if recv(connection, &asked, 1, 0) == 1, asked == stream {
                DispatchQueue.global().async { pour(connection) }
                continue
            }
            _ = send(connection, &asked, 1, Int32(MSG_NOSIGNAL))
            close(connection)
        }
    }

    private static func pour(_ connection: Int32) {
        let buffer = [UInt8](repeating: 7, count: bufferBytes)
        while send(connection, buffer, buffer.count, Int32(MSG_NOSIGNAL)) > 0 {}
        close(connection)
    }

    /// Connections one after another, each with a byte there and back. Prints what each took in microseconds.
    static func connect(host: String, port: Int, count: Int, how: String) throws {
        try awaitAnswer(host, port)
        var samples: [Int64] = []
        let start = Stopwatch.microseconds()
        for _ in 0..<count {
            let before = Stopwatch.microseconds()
            let connection = try open(host, port)
            try exchange(connection)
            // Closed by a reset: ten thousand that wait for their end would leave no ports.
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
            close(connection)
            samples.append(Stopwatch.microseconds() - before)
        }
        let seconds = Double(Stopwatch.microseconds() - start) / 1e6
        report("{\"what\":\"connect\",\"how\":\"\(how)\",\"per_second\":\(Double(count) / seconds),\"microseconds\":\(samples)}")
    }

    /// Reads so many million bytes from one connection.
    static func transfer(host: String, port: Int, megabytes: Int, how: String) throws {
        try awaitAnswer(host, port)
        let connection = try open(host, port)
        defer { close(connection) }
        var asked = stream
        guard send(connection, &asked, 1, 0) == 1 else { throw failure("send") }
        var buffer = [UInt8](repeating: 0, count: bufferBytes)
        let total = megabytes * 1_000_000
        var received = 0
        let start = Stopwatch.microseconds()
        while received < total {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { throw failure("receive") }
            received += count
        }
        let seconds = Double(Stopwatch.microseconds() - start) / 1e6
        report("{\"what\":\"transfer\",\"how\":\"\(how)\",\"megabytes_per_second\":\(Double(received) / 1e6 / seconds)}")
    }

    /// Returns when somebody answers there.
    private static func awaitAnswer(_ host: String, _ port: Int) throws {
        let deadline = Stopwatch.microseconds() + patience
        while true {
            do {
                let connection = try open(host, port)
                defer { close(connection) }
                return try exchange(connection)
            } catch {
                guard Stopwatch.microseconds() < deadline else { throw error }
                poll(nil, 0, 50)
            }
        }
    }

    private static func exchange(_ connection: Int32) throws {
        var byte = one
        guard send(connection, &byte, 1, Int32(MSG_NOSIGNAL)) == 1, recv(connection, &byte, 1, 0) == 1 else { throw failure("exchange") }
    }

    private static func open(_ host: String, _ port: Int) throws -> Int32 {
        let connection = try make()
        guard with(host, port, { Glibc.connect(connection, $0, $1) }) == 0 else {
            let error = failure("connect \(host):\(port)")
            close(connection)
            throw error
        }
        return connection
    }

    private static func make() throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("socket") }
        return descriptor
    }

    /// Calls `body` with an IPv4 address as the kernel's calls take it.
    static func with(_ host: String, _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    static func failure(_ step: String) -> BenchError { BenchError("\(step): \(String(cString: strerror(errno)))") }
}
