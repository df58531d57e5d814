internal import KubeAPI
internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The CNI plug-in that containerd runs for each pod sandbox (`eyrie-cni`), and the loopback plug-in that containerd asks for (`loopback`): CNI
/// specification 0.4.0.
///
/// A pod gets a veth pair: inside `eth0` with a /32 of the node's secondary addresses and a default route by 169.254.1.1; outside a host-side
/// interface with a /32 route to the pod. The node answers ARP for its pods on its own eth0 (proxy_arp), so every address of the VPC reaches them.
/// The same wiring as the VPC CNI's. In an IPv6 cluster see `IPv6Wiring`.
package enum Plugin {
    /// The plug-in's names as installed: links to the executable.
    package static let names = ["eyrie-cni", "loopback"]
    /// Of the addresses by which pods of an IPv6 cluster reach IPv4.
    package static let egressRange = IPv6Wiring.egressRange
    /// The next hop of every pod: no interface has it; a permanent ARP entry leads it to the host-side interface.
    static let gateway = "169.254.1.1"
    private static let interfaceMTU = 1400

    /// Runs one plug-in call as CNI defines it: environment and standard input in, standard output out. Returns the exit code.
    package static func main(name: String) -> Int32 {
        do {
            let environment = { (key: String) in getenv(key).map { String(cString: $0) } ?? "" }
            let input = try JSONDocument(SmallFile.read("/dev/stdin") ?? []).root
            let call = Call(
                command: environment("CNI_COMMAND"), containerID: environment("CNI_CONTAINERID"), namespace: environment("CNI_NETNS"),
                interface: environment("CNI_IFNAME"), version: input["cniVersion"].string ?? "0.4.0", input: input)
            let result = name == "loopback" ? try loopback(call) : try pod(call)
            if let result { print(result.jsonString) }
            return 0
        } catch {
            let message: Value = ["cniVersion": "0.4.0", "code": 11, "msg": .string("\(error)")]
            print(message.jsonString)
            return 1
        }
    }

    struct Call {
        var command: String
        var containerID: String
        var namespace: String
        var interface: String
        var version: String
        var input: JSONView

        var owner: String { "\(containerID)/\(interface)" }
        /// At most 15 bytes, from the container's id.
        var hostInterface: String { "eni" + String(containerID.prefix(11)) }
        /// A locally administered unicast address made of the container's id: known without asking, so that the pod's ARP entry can be set at once.
        var hostInterfaceMAC: String { mac("0a") }
        /// The pod's own, by which the node knows it without asking.
        var podInterfaceMAC: String { mac("0e") }

        private func mac(_ first: String) -> String {
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
            for byte in containerID.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
            let octets = (0..<5).map { index -> String in
                let text = String(UInt8(truncatingIfNeeded: hash >> UInt64(index * 8)), radix: 16)
                return text.count == 1 ? "0" + text : text
            }
            return ([first] + octets).joined(separator: ":")
        }
    }

    struct Invalid: Error, CustomStringConvertible {
        var description: String
    }

    private static let version: Value = ["cniVersion": "1.0.0", "supportedVersions": ["0.3.0", "0.3.1", "0.4.0", "1.0.0"]]

    private static func loopback(_ call: Call) throws -> Value? {
        switch call.command {
        case "VERSION": return version
        case "ADD":
            try Command.runBlocking(["nsenter", "--net=\(call.namespace)", "ip", "link", "set", "lo", "up"])
            return [
                "cniVersion": .string(call.version), "interfaces": [["name": "lo", "mac": "00:00:00:00:00:00", "sandbox": .string(call.namespace)]],
                "ips": [["version": "4", "interface": 0, "address": "127.0.0.1/8"]],
            ]
        case "DEL", "CHECK": return nil
        default: throw Invalid(description: "CNI_COMMAND \"\(call.command)\" is not known")
        }
    }

    private static func pod(_ call: Call) throws -> Value? {
        if call.command == "VERSION" { return version }
        guard let state = call.input["state"].string else { throw Invalid(description: "the network configuration names no \"state\" file") }
        guard !call.containerID.isEmpty, call.containerID.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }) else {
            throw Invalid(description: "CNI_CONTAINERID is missing or malformed")
        }
        let pools = try Pools(call, state: state)
        let pool = pools.pods
        let now = Timestamp.now.seconds
        switch call.command {
        case "ADD":
            do {
                let address = try pool.assign(owner: call.owner, now: now)
                let wiring = try pools.egress.map { IPv6Wiring(address: address, egressAddress: try $0.assign(owner: call.owner, now: now)) }
                let result = try connect(call, address, wiring)
                do {
                    try Bandwidth(call.input).limit(call.hostInterface, mtu: interfaceMTU)
                    try pools.hostPorts(call).open(address, interface: call.hostInterface)
                } catch {
                    try deleteInterfaces(call.hostInterface)
                    throw error
                }
                return result
            } catch {
                try pools.release(call.owner, now: now)
                throw error
            }
        case "DEL":
            // The interface pair goes with the pod's namespace; it is removed here for the case that the namespace is already gone, or still held.
            try deleteInterfaces(call.hostInterface)
            // Before the address can be another pod's.
            if let address = try pool.holder(of: call.owner) { try pools.hostPorts(call).close(address) }
            try pools.release(call.owner, now: now)
            return nil
        case "CHECK":
            guard try pool.holder(of: call.owner) != nil else { throw Invalid(description: "no address is assigned to \(call.owner)") }
            return nil
        default: throw Invalid(description: "CNI_COMMAND \"\(call.command)\" is not known")
        }
    }

    /// Where pods' addresses come from: the node's secondary ones; or its IPv6 range, and then those by which they reach IPv4 outside.
    private struct Pools {
        let pods: AddressPool
        let egress: AddressPool?

        init(_ call: Call, state: String) throws {
            guard let prefix = call.input["ipv6Prefix"].string else {
                (pods, egress) = (AddressPool(path: state, addresses: call.input["addresses"].strings), nil)
                return
            }
            guard let pods = AddressPool(path: state, range: prefix) else { throw Invalid(description: "\"ipv6Prefix\" is no range: \(prefix)") }
            (self.pods, egress) = (pods, AddressPool(path: "\(state).egress", range: IPv6Wiring.egressRange))
        }

        func hostPorts(_ call: Call) -> HostPorts { HostPorts(call.input, isIPv6: egress != nil) }

        func release(_ owner: String, now: Int64) throws {
            _ = try pods.release(owner: owner, now: now)
            _ = try egress?.release(owner: owner, now: now)
        }
    }

    private static func connect(_ call: Call, _ address: String, _ wiring: IPv6Wiring?) throws -> Value {
        let host = call.hostInterface
        let peer = "t" + host.dropFirst()
        let mac = call.hostInterfaceMAC
        // A leftover of an interrupted call must not fail this one.
        try deleteInterfaces(host)
        try Command.runBlocking(
            ["ip", "-batch", "-"],
            input: """
                link add \(host) mtu \(interfaceMTU) address \(mac) type veth peer name \(peer) mtu \(interfaceMTU)
                link set \(host) up

                """)
        do {
            // CNI_NETNS is a path; iproute2 takes names below /run/netns or, for a move, a process. nsenter opens the path itself.
            try moveIntoNamespace(peer, call.namespace)
            if let wiring {
                try Command.runBlocking(["nsenter", "--net=\(call.namespace)", "ip", "-batch", "-"], input: wiring.inside(call, peer: peer))
                try Command.runBlocking(["ip", "-batch", "-"], input: wiring.outside(call))
                return wiring.result(call)
            }
            try Command.runBlocking(
                ["nsenter", "--net=\(call.namespace)", "ip", "-batch", "-"],
                input: """
                    link set \(peer) name \(call.interface)
                    link set \(call.interface) up
                    address add \(address)/32 dev \(call.interface)
                    route add \(gateway) dev \(call.interface) scope link
                    neighbour replace \(gateway) lladdr \(mac) dev \(call.interface) nud permanent
                    route add default via \(gateway) dev \(call.interface)

                    """)
            try Command.runBlocking(["ip", "route", "replace", "\(address)/32", "dev", host, "scope", "link"])
            return [
                "cniVersion": .string(call.version),
                "interfaces": [
                    ["name": .string(host), "mac": .string(mac)], ["name": .string(call.interface), "sandbox": .string(call.namespace)],
                ],
                "ips": [["version": "4", "interface": 1, "address": .string("\(address)/32"), "gateway": .string(gateway)]],
                "routes": [["dst": "0.0.0.0/0", "gw": .string(gateway)]], "dns": [:],
            ]
        } catch {
            try deleteInterface(host)
            throw error
        }
    }

    /// The interface pair and what limits it.
    private static func deleteInterfaces(_ host: String) throws {
        try deleteInterface(host)
        if Bandwidth.isLimited(host) { try deleteInterface(Bandwidth.device(of: host)) }
    }

    /// One that is gone already is no error.
    private static func deleteInterface(_ name: String) throws {
        do { try Command.runBlocking(["ip", "link", "del", name]) } catch {
            guard error.output.contains("Cannot find device") else { throw error }
        }
    }

    private static func moveIntoNamespace(_ interface: String, _ path: String) throws {
        let prefixes = ["/var/run/netns/", "/run/netns/"]
        guard let prefix = prefixes.first(where: { path.hasPrefix($0) }) else {
            // /proc/PID/ns/net, as tools other than containerd name it.
            let parts = path.split(separator: "/")
            guard parts.count == 4, parts[0] == "proc", let pid = Int32(parts[1]) else {
                throw Invalid(description: "CNI_NETNS \"\(path)\" is not a namespace's path")
            }
            try Command.runBlocking(["ip", "link", "set", interface, "netns", String(pid)])
            return
        }
        try Command.runBlocking(["ip", "link", "set", interface, "netns", String(path.dropFirst(prefix.count))])
    }
}
