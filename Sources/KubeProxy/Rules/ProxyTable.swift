import KubeAPI
import Nftables

/// The proxy's table of one family: what never changes of it. Every Service is elements of its maps, so that ten thousand are made in one go and one
/// endpoint's change is a few elements; only Services with session affinity have chains.
///
///     address, protocol, port ──frontends──▶ mark ──backends──▶ chain for n endpoints ──random──▶ mark, index ──endpoints──▶ address, port
///
/// Upstream: pkg/proxy/nftables (README.md, proxier.go: setupNFTables) has chains for each Service and endpoint; hooks and priorities are the same.
enum ProxyTable {
    static let frontends = "frontends"
    /// As `frontends`, for connections that begin on this node: they reach a Service whatever its external traffic policy.
    static let hostFrontends = "host-frontends"
    static let nodePorts = "node-ports"
    static let hostNodePorts = "host-node-ports"
    static let backends = "backends"
    static let endpoints = "endpoints"
    static let noEndpoints = "no-endpoints"
    static let noEndpointNodePorts = "no-endpoint-node-ports"
    static let firewalls = "firewalls"
    static let clusterIPs = "cluster-ips"
    /// Pairs of a pod's address with itself: a pod that reaches itself through a Service must be answered through the node.
    static let hairpins = "hairpins"

    static func name(_ family: IPFamily) -> String { "\(family.header) kube-proxy" }

    /// `nodeAddresses` are those whose ports are node ports. Upstream: --nodeport-addresses=primary.
    static func make(_ family: IPFamily, nodeAddresses: [IPAddress]) -> RuleTable {
        let own = nodeAddresses.filter { IPFamily(of: $0) == family }.map(\.description).joined(separator: ", ")
        return RuleTable(name: name(family), base: sets(family, own: own) + chains(family))
    }

    private static func sets(_ family: IPFamily, own: String) -> String {
        let frontend = "type \(family.addressType) . inet_proto . inet_service"
        return """
            set \(clusterIPs) { type \(family.addressType); }
            set nodeport-ips { type \(family.addressType);\(own.isEmpty ? "" : " elements = { \(own) }") }
            set \(hairpins) { type \(family.addressType) . \(family.addressType); }
            map \(frontends) { \(frontend) : mark; }
            map \(hostFrontends) { \(frontend) : mark; }
            map \(nodePorts) { type inet_proto . inet_service : mark; }
            map \(hostNodePorts) { type inet_proto . inet_service : mark; }
            map \(backends) { type mark : verdict; }
            map \(endpoints) { type mark . mark : \(family.addressType) . inet_service; }
            map \(noEndpoints) { \(frontend) : verdict; }
            map \(noEndpointNodePorts) { type inet_proto . inet_service : verdict; }
            map \(firewalls) { \(frontend) : verdict; }

            """
    }

    private static func chains(_ family: IPFamily) -> String {
        let ip = family.header
        let target = "\(ip) daddr . meta l4proto . th dport"
        let masked = "meta mark and \(MarkTable.text(0xFF00_0000)) == \(MarkTable.text(MarkTable.base | MarkTable.masquerade))"
        return """
            chain reject-chain { reject; }
            chain balance { meta mark and \(MarkTable.text(MarkTable.numberMask)) vmap @\(backends); }
            chain services {
                fib saddr type local meta mark set \(target) map @\(hostFrontends) goto balance
                meta mark set \(target) map @\(frontends) goto balance
                \(ip) daddr @nodeport-ips fib saddr type local meta mark set meta l4proto . th dport map @\(hostNodePorts) goto balance
                \(ip) daddr @nodeport-ips meta mark set meta l4proto . th dport map @\(nodePorts) goto balance
            }
            chain endpoints-check {
                \(target) vmap @\(noEndpoints)
                \(ip) daddr @nodeport-ips meta l4proto . th dport vmap @\(noEndpointNodePorts)
            }
            chain cluster-ips-check { \(ip) daddr @\(clusterIPs) reject; }
            chain filter-prerouting-pre-dnat { type filter hook prerouting priority dstnat - 10; ct state new \(target) vmap @\(firewalls); }
            chain filter-output-pre-dnat { type filter hook output priority -110; ct state new \(target) vmap @\(firewalls); }
            chain filter-input { type filter hook input priority filter; ct state new jump endpoints-check; }
            chain filter-forward {
                type filter hook forward priority filter;
                ct state new jump endpoints-check
                ct state new jump cluster-ips-check
            }
            chain filter-output {
                type filter hook output priority filter;
                ct state new jump endpoints-check
                ct state new jump cluster-ips-check
            }
            chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }
            chain nat-output { type nat hook output priority -100; jump services; }
            chain nat-postrouting {
                type nat hook postrouting priority srcnat;
                \(masked) meta mark set 0x0 masquerade fully-random
                ct status dnat \(ip) saddr . \(ip) daddr @\(hairpins) masquerade fully-random
            }
            """
    }

    /// The chain that chooses one of `count` endpoints; it is the same for all Services with as many.
    static func balancer(_ family: IPFamily, count: Int) -> (name: String, rules: [String]) {
        // A modulus of 1 is refused by nft.
        let index = count == 1 ? "0x0" : "numgen random mod \(count)"
        return (
            "balance-\(count)",
            [
                "ct mark set \(index)",
                "meta l4proto { tcp, udp, sctp } dnat \(family.header) to meta mark and \(MarkTable.text(MarkTable.numberMask)) . ct mark map "
                    + "@\(endpoints)",
            ]
        )
    }
}
