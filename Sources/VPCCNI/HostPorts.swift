internal import KubeAPI
internal import Processes

/// Ports of the node that lead to a pod (`hostPort`): elements of two maps in a table of the node's namespace. Upstream: the CNI plug-in portmap with its
/// nftables backend.
struct HostPorts {
    /// nft's words for the family of the pods' addresses.
    private let header: String
    private let addressType: String
    private var table: String { "\(header) host-ports" }
    /// Any address of the node, or one.
    private static let anywhere = "anywhere"
    private static let bound = "bound"

    /// One mapping: the node's end as nft's key, and the pod's port.
    private var mappings: [(map: String, key: String, port: UInt16)] = []

    /// Reads `runtimeConfig.portMappings` of a call. What is of another family than the pods' is left out: it cannot lead to them. Upstream: the
    /// capability portMappings of the CNI conventions.
    init(_ input: JSONView, isIPv6: Bool = false) {
        (header, addressType) = isIPv6 ? ("ip6", "ipv6_addr") : ("ip", "ipv4_addr")
        for mapping in input["runtimeConfig"]["portMappings"].elements {
            // The conventions' names begin with small letters; containerd's library writes them with capitals, and Go reads both.
            func field(_ name: String) -> JSONView? { mapping[name] ?? mapping[name.prefix(1).uppercased() + name.dropFirst()] }
            guard let hostPort = field("hostPort")?.int.flatMap({ UInt16(exactly: $0) }), hostPort > 0,
                let port = field("containerPort")?.int.flatMap({ UInt16(exactly: $0) }), port > 0,
                let transport = ["tcp", "udp", "sctp"].first(where: { $0 == (field("protocol")?.string ?? "tcp").lowercased() })
            else { continue }
            let text = field("hostIP")?.string ?? ""
            let address = text.isEmpty ? nil : IPAddress(text)
            if !text.isEmpty, address == nil || address?.isIPv6 != isIPv6 { continue }
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
            add table \(table)
            add map \(table) \(Self.anywhere) { type inet_proto . inet_service : \(addressType) . inet_service; }
            add map \(table) \(Self.bound) { type \(addressType) . inet_proto . inet_service : \(addressType) . inet_service; }
            add set \(table) hairpins { type \(addressType) . \(addressType); }
            add chain \(table) to-pods
            flush chain \(table) to-pods
            add rule \(table) to-pods meta l4proto { tcp, udp, sctp } dnat \(header) to \(header) daddr . \(target) map @\(Self.bound)
            add rule \(table) to-pods meta l4proto { tcp, udp, sctp } dnat \(header) to \(target) map @\(Self.anywhere)

            """
        if hasRoutedLoopback {
            text += """
                add chain \(table) martians { type filter hook prerouting priority raw; }
                flush chain \(table) martians
                add rule \(table) martians iifname != "lo" ip daddr 127.0.0.0/8 drop

                """
        }
        for (hook, priority) in [("prerouting", "dstnat + 10"), ("output", "-90")] {
            text += """
                add chain \(table) \(hook) { type nat hook \(hook) priority \(priority); }
                flush chain \(table) \(hook)
                add rule \(table) \(hook) fib daddr type local jump to-pods

                """
        }
        text += """
            add chain \(table) postrouting { type nat hook postrouting priority srcnat + 10; }
            flush chain \(table) postrouting
            add rule \(table) postrouting ct status dnat \(header) saddr . \(header) daddr @hairpins masquerade
            add element \(table) hairpins { \(address) . \(address) }

            """
        if hasRoutedLoopback { text += "add rule \(table) postrouting ct status dnat ip saddr 127.0.0.0/8 masquerade\n" }
        for mapping in mappings { text += "add element \(table) \(mapping.map) { \(mapping.key) : \(address) . \(mapping.port) }\n" }
        return text
    }

    /// The transactions that close them, each by itself: one that is closed already must not keep the others open.
    func closing(_ address: String) -> [String] {
        mappings.map { "delete element \(table) \($0.map) { \($0.key) : \(address) . \($0.port) }\n" }
            + ["delete element \(table) hairpins { \(address) . \(address) }\n"]
    }

    /// Whether packets of the node's own loopback addresses can be led to pods: of IPv6's the kernel lets none out.
    private var hasRoutedLoopback: Bool { header == "ip" }

    /// Opens the ports of a pod that is reached by an interface. The node's own programs find them at its loopback addresses, too: the kernel lets such
    /// packets out to the pod, and the chain `martians` lets none in that others send there (CVE-2020-8558). Throws `CommandError` and `FileError`s.
    func open(_ address: String, interface: String) throws {
        guard !isEmpty else { return }
        try Command.runBlocking(["nft", "-f", "-"], input: opening(address))
        if hasRoutedLoopback { try SmallFile.set("/proc/sys/net/ipv4/conf/\(interface)/route_localnet", "1") }
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
