internal import KubeAPI
internal import Processes

/// Ports of the node that lead to a pod (`hostPort`): elements of two maps in a table of the node's namespace. Upstream: the CNI plug-in portmap with its
/// nftables backend.
struct HostPorts {
    private static let table = "ip host-ports"
    /// Any address of the node, or one.
    private static let anywhere = "anywhere"
    private static let bound = "bound"

    /// One mapping: the node's end as nft's key, and the pod's port.
    private var mappings: [(map: String, key: String, port: UInt16)] = []

    /// Reads `runtimeConfig.portMappings` of a call. What is not of IPv4 is left out: pods have no other addresses. Upstream: the capability
    /// portMappings of the CNI conventions.
    init(_ input: JSONView) {
        for mapping in input["runtimeConfig"]["portMappings"].elements {
            // The conventions' names begin with small letters; containerd's library writes them with capitals, and Go reads both.
            func field(_ name: String) -> JSONView? { mapping[name] ?? mapping[name.prefix(1).uppercased() + name.dropFirst()] }
            guard let hostPort = field("hostPort")?.int.flatMap({ UInt16(exactly: $0) }), hostPort > 0,
                let port = field("containerPort")?.int.flatMap({ UInt16(exactly: $0) }), port > 0,
                let transport = ["tcp", "udp", "sctp"].first(where: { $0 == (field("protocol")?.string ?? "tcp").lowercased() })
            else { continue }
            let text = field("hostIP")?.string ?? ""
            let address = text.isEmpty ? nil : IPAddress(text)
            if !text.isEmpty, address == nil || address?.isIPv6 == true { continue }
            if let address, address.number != 0 {
                mappings.append((Self.bound, "\(address) . \(transport) . \(hostPort)", port))
            } else {
                mappings.append((Self.anywhere, "\(transport) . \(hostPort)", port))
            }
        }
    }

    var isEmpty: Bool { mappings.isEmpty }

    /// The transaction that opens the ports to a pod's address: the table first, should it not be there. A port that another pod has is refused by
    /// the kernel.
    func opening(_ address: String) -> String {
        let target = "meta l4proto . th dport"
        var text = """
            add table \(Self.table)
            add map \(Self.table) \(Self.anywhere) { type inet_proto . inet_service : ipv4_addr . inet_service; }
            add map \(Self.table) \(Self.bound) { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
            add set \(Self.table) hairpins { type ipv4_addr . ipv4_addr; }
            add chain \(Self.table) to-pods
            flush chain \(Self.table) to-pods
            add rule \(Self.table) to-pods meta l4proto { tcp, udp, sctp } dnat ip to ip daddr . \(target) map @\(Self.bound)
            add rule \(Self.table) to-pods meta l4proto { tcp, udp, sctp } dnat ip to \(target) map @\(Self.anywhere)
            add chain \(Self.table) martians { type filter hook prerouting priority raw; }
            flush chain \(Self.table) martians
            add rule \(Self.table) martians iifname != "lo" ip daddr 127.0.0.0/8 drop

            """
        for (hook, priority) in [("prerouting", "dstnat + 10"), ("output", "-90")] {
            text += """
                add chain \(Self.table) \(hook) { type nat hook \(hook) priority \(priority); }
                flush chain \(Self.table) \(hook)
                add rule \(Self.table) \(hook) fib daddr type local jump to-pods

                """
        }
        text += """
            add chain \(Self.table) postrouting { type nat hook postrouting priority srcnat + 10; }
            flush chain \(Self.table) postrouting
            add rule \(Self.table) postrouting ct status dnat ip saddr . ip daddr @hairpins masquerade
            add rule \(Self.table) postrouting ct status dnat ip saddr 127.0.0.0/8 masquerade
            add element \(Self.table) hairpins { \(address) . \(address) }

            """
        for mapping in mappings { text += "add element \(Self.table) \(mapping.map) { \(mapping.key) : \(address) . \(mapping.port) }\n" }
        return text
    }

    /// The transactions that close them, each by itself: one that is closed already must not keep the others open.
    func closing(_ address: String) -> [String] {
        mappings.map { "delete element \(Self.table) \($0.map) { \($0.key) : \(address) . \($0.port) }\n" }
            + ["delete element \(Self.table) hairpins { \(address) . \(address) }\n"]
    }

    /// Opens the ports of a pod that is reached by an interface. The node's own programs find them at its loopback addresses, too: the kernel lets such
    /// packets out to the pod, and the chain `martians` lets none in that others send there (CVE-2020-8558). Throws `CommandError` and `FileError`s.
    func open(_ address: String, interface: String) throws {
        guard !isEmpty else { return }
        try Command.runBlocking(["nft", "-f", "-"], input: opening(address))
        try SmallFile.set("/proc/sys/net/ipv4/conf/\(interface)/route_localnet", "1")
    }

    /// Closes the ports; what is closed already is no error. Throws `CommandError`.
    func close(_ address: String) throws(CommandError) {
        guard !isEmpty else { return }
        for transaction in closing(address) {
            do { try Command.runBlocking(["nft", "-f", "-"], input: transaction) } catch {
                guard error.output.contains("No such file or directory") else { throw error }
            }
        }
    }
}
