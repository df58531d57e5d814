internal import KubeAPI

/// The wiring of a pod in an IPv6 cluster: a /128 of the node's range with a default route by fe80::1, and a link-local IPv4 address of the node's own
/// making by which it reaches IPv4 outside; the node lends it its address there. Both ends know each other's hardware address, so that the first
/// packet goes at once. Upstream: amazon-vpc-cni-k8s in IPv6 mode, its egress-cni plug-in.
struct IPv6Wiring {
    /// No interface has it: a permanent neighbour entry leads it to the host-side interface.
    static let gateway = "fe80::1"
    /// Upstream: egress-cni's nodeIPv4 range.
    static let egressRange = "169.254.172.0/22"

    var address: String
    var egressAddress: String

    /// What `ip` does in the pod's namespace. The address is nobody else's: it is not first asked for in the network.
    func inside(_ call: Plugin.Call, peer: String) -> String {
        let (interface, mac) = (call.interface, call.hostInterfaceMAC)
        return """
            link set \(peer) name \(interface)
            link set \(interface) address \(call.podInterfaceMAC)
            link set \(interface) up
            address add \(address)/128 dev \(interface) nodad
            route add \(Self.gateway)/128 dev \(interface)
            neighbour replace \(Self.gateway) lladdr \(mac) dev \(interface) nud permanent
            route add ::/0 via \(Self.gateway) dev \(interface)
            address add \(egressAddress)/32 dev \(interface)
            route add \(Plugin.gateway) dev \(interface) scope link
            neighbour replace \(Plugin.gateway) lladdr \(mac) dev \(interface) nud permanent
            route add default via \(Plugin.gateway) dev \(interface)

            """
    }

    /// What `ip` does on the node.
    func outside(_ call: Plugin.Call) -> String {
        """
        route replace \(address)/128 dev \(call.hostInterface)
        neighbour replace \(address) lladdr \(call.podInterfaceMAC) dev \(call.hostInterface) nud permanent
        route replace \(egressAddress)/32 dev \(call.hostInterface) scope link

        """
    }

    /// What the runtime is told: the IPv4 address is not the pod's to be reached by.
    func result(_ call: Plugin.Call) -> Value {
        [
            "cniVersion": .string(call.version),
            "interfaces": [
                ["name": .string(call.hostInterface), "mac": .string(call.hostInterfaceMAC)],
                ["name": .string(call.interface), "mac": .string(call.podInterfaceMAC), "sandbox": .string(call.namespace)],
            ],
            "ips": [["version": "6", "interface": 1, "address": .string("\(address)/128"), "gateway": .string(Self.gateway)]],
            "routes": [["dst": "::/0", "gw": .string(Self.gateway)]], "dns": [:],
        ]
    }
}
