import Glibc
import KubeAPI

/// Addresses as the kernel's calls take them.
enum SocketAddress {
    /// Calls `body` with the address of `address` and `port`.
    static func with<R>(_ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        if address.isIPv6 {
            var six = sockaddr_in6()
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &six.sin6_addr) { bytes in
                for place in 0..<16 { bytes[place] = UInt8(truncatingIfNeeded: address.number >> UInt128(120 - place * 8)) }
            }
            return withUnsafePointer(to: &six) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
            }
        }
        var four = sockaddr_in()
        four.sin_family = sa_family_t(AF_INET)
        four.sin_port = port.bigEndian
        four.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.number).bigEndian
        return withUnsafePointer(to: &four) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    /// The port a socket is bound to.
    static func port(of descriptor: Int32) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { return 0 }
        // The port is at the same place in both families' addresses.
        return withUnsafeBytes(of: &storage) { UInt16($0[2]) << 8 | UInt16($0[3]) }
    }
}

/// A socket could not be made or bound.
struct SocketFailure: Error, CustomStringConvertible {
    var step: String
    var code: Int32
    var description: String { "\(step): \(String(cString: strerror(code)))" }
}

/// Sockets of the server and the forwarder.
enum DNSSocket {
    static let datagram = Int32(SOCK_DGRAM.rawValue)
    static let stream = Int32(SOCK_STREAM.rawValue)
    static let nonBlocking = Int32(SOCK_NONBLOCK.rawValue)

    static func make(_ address: IPAddress, _ kind: Int32) throws(SocketFailure) -> Int32 {
        let descriptor = socket(address.isIPv6 ? AF_INET6 : AF_INET, kind | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure(step: "socket", code: errno) }
        return descriptor
    }

    static func bound(_ address: IPAddress, _ port: UInt16, _ kind: Int32) throws(SocketFailure) -> Int32 {
        let descriptor = try make(address, kind)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard SocketAddress.with(address, port, { bind(descriptor, $0, $1) }) == 0 else {
            let code = errno
            close(descriptor)
            throw SocketFailure(step: "bind \(address):\(port)", code: code)
        }
        return descriptor
    }

    /// Ends reads and writes that take longer.
    static func setTimeout(_ descriptor: Int32, seconds: Int) {
        var timeout = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] { setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size)) }
    }

    /// One message of a stream: two bytes of length, then the message. Nil at its end, a timeout, or an error.
    static func readMessage(_ descriptor: Int32) -> [UInt8]? {
        guard let head = read(descriptor, 2) else { return nil }
        let length = Int(head[0]) << 8 | Int(head[1])
        return length > 0 ? read(descriptor, length) : nil
    }

    private static func read(_ descriptor: Int32, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            let got = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress?.advanced(by: have), count - have, 0) }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { return nil }
            have += got
        }
        return bytes
    }

    /// False when the other side is gone, or takes nothing.
    static func writeMessage(_ descriptor: Int32, _ message: [UInt8]) -> Bool {
        guard message.count <= 65535 else { return false }
        let bytes = [UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
