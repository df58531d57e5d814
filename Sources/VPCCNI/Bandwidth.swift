internal import KubeAPI
internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// What a pod may send and receive: token buckets on its interface of the host for what goes to the pod, and on an intermediate device that what
/// comes from it is led through. Upstream: the CNI plug-in bandwidth.
struct Bandwidth: Equatable {
    /// A bucket in the kernel's terms.
    struct Limit: Equatable {
        /// Bits in a second.
        var rate: UInt64
        /// Bytes that may be sent at once.
        var burst: UInt64

        /// Who sets no burst of its own is let 100 ms of the rate: containerd asks for half a gigabyte, which would be no limit for a long while.
        private static let shares: UInt64 = 10
        /// A large packet of the kernel's, before it is cut.
        private static let leastBurst: UInt64 = 64 << 10
        private static let largestBurst: UInt64 = 1 << 30

        /// - Parameters:
        ///   - rate: bits in a second; nil or 0: no limit.
        ///   - burst: bits; nil: none is asked for.
        init?(rate: Int64?, burst: Int64?) {
            guard let rate = rate.flatMap({ UInt64(exactly: $0) }), rate > 0 else { return nil }
            self.rate = rate
            let asked = burst.flatMap { UInt64(exactly: $0) }.map { $0 / 8 } ?? .max
            self.burst = min(max(min(asked, rate / 8 / Self.shares), Self.leastBurst), Self.largestBurst)
        }

        /// What `tc` is told of it. Upstream: latencyInMillis.
        var bucket: String { "root tbf rate \(rate)bit burst \(burst)b latency 25ms" }
    }

    /// To the pod.
    var ingress: Limit?
    /// From the pod.
    var egress: Limit?

    /// Reads `runtimeConfig.bandwidth` of a call, which the runtime makes of the pod's annotations `kubernetes.io/ingress-bandwidth` and
    /// `egress-bandwidth`. Upstream: the capability bandwidth of the CNI conventions.
    init(_ input: JSONView) {
        let asked = input["runtimeConfig"]["bandwidth"]
        // As with ports, containerd's library writes the names with capitals.
        func number(_ name: String) -> Int64? { (asked[name] ?? asked[name.prefix(1).uppercased() + name.dropFirst()]).int }
        ingress = Limit(rate: number("ingressRate"), burst: number("ingressBurst"))
        egress = Limit(rate: number("egressRate"), burst: number("egressBurst"))
    }

    /// The intermediate device of an interface of the host: at most 15 bytes.
    static func device(of interface: String) -> String { "bwp" + interface.dropFirst(3) }

    /// Links to make, as `ip` reads them; empty: none.
    func links(of interface: String, mtu: Int) -> String {
        guard egress != nil else { return "" }
        let device = Self.device(of: interface)
        return "link add \(device) mtu \(mtu) type ifb\nlink set \(device) up\n"
    }

    /// Queues to make, as `tc` reads them; empty: none.
    func queues(of interface: String) -> String {
        var text = ""
        if let ingress { text += "qdisc add dev \(interface) \(ingress.bucket)\n" }
        if let egress {
            let device = Self.device(of: interface)
            text += """
                qdisc add dev \(interface) handle ffff: ingress
                filter add dev \(interface) parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev \(device)
                qdisc add dev \(device) \(egress.bucket)

                """
        }
        return text
    }

    /// Keeps the pod of an interface to its limits. Throws `CommandError`: a limit that cannot be kept is told, and the pod is not started without it.
    func limit(_ interface: String, mtu: Int) throws(CommandError) {
        let (links, queues) = (links(of: interface, mtu: mtu), queues(of: interface))
        if !links.isEmpty { try Command.runBlocking(["ip", "-batch", "-"], input: links) }
        if !queues.isEmpty { try Command.runBlocking(["tc", "-batch", "-"], input: queues) }
    }

    /// Whether the interface has an intermediate device, which does not go with it.
    static func isLimited(_ interface: String) -> Bool { if_nametoindex(device(of: interface)) != 0 }
}
