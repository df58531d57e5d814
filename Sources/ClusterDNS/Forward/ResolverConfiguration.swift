import Glibc
import KubeAPI

/// The servers of a resolv.conf.
enum ResolverConfiguration {
    /// Upstream: MAXNS of glibc is 3.
    private static let maximumServers = 3
    private static let maximumBytes = 64 << 10

    static func servers(_ text: String) -> [IPAddress] {
        let addresses = text.split(whereSeparator: \.isNewline).compactMap { line -> IPAddress? in
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count > 1, words[0] == "nameserver" else { return nil }
            // Without the interface of a link-local address.
            return IPAddress(String(words[1].prefix { $0 != "%" }))
        }
        return Array(addresses.prefix(maximumServers))
    }

    /// The host's servers, as a machine can reach them: a resolver on the host's loopback is not the machine's, so those that systemd's resolver
    /// asks are taken instead. Upstream: the kubelet's resolvConf on hosts with systemd-resolved.
    static func host() -> [IPAddress] { reachable(hostPath) }

    /// The file with those servers: /etc/resolv.conf, if nothing better is known.
    static var hostPath: String { paths.first { !reachable($0).isEmpty } ?? paths[0] }

    private static let paths = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]

    private static func reachable(_ path: String) -> [IPAddress] { servers(read(path)).filter { !isLoopback($0) } }

    private static func isLoopback(_ address: IPAddress) -> Bool { address.isIPv6 ? address.number == 1 : address.number >> 24 == 127 }

    private static func read(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: maximumBytes)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : ""
    }
}
