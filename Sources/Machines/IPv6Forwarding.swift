internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The host as a router of IPv6.
enum IPv6Forwarding {
    /// A folder for each interface, and `all` and `default`.
    static let interfaces = "/proc/sys/net/ipv6/conf"

    /// Whether this kernel knows IPv6 at all.
    static var isPossible: Bool { access("/proc/net/if_inet6", F_OK) == 0 }

    /// Has the host forward IPv6. A host that forwards heeds no router's advertisements any more unless it is told to: its own way out must stay.
    /// Throws `CommandError` where the kernel has no IPv6.
    static func enable() throws {
        let forwarding = "\(interfaces)/all/forwarding"
        guard SmallFile.readText(forwarding)?.hasPrefix("1") != true else { return }
        for name in SmallFile.names(interfaces) where SmallFile.readText("\(interfaces)/\(name)/accept_ra")?.hasPrefix("1") == true {
            // An interface may go meanwhile.
            try? SmallFile.set("\(interfaces)/\(name)/accept_ra", "2")
        }
        try SmallFile.set(forwarding, "1")
    }
}
