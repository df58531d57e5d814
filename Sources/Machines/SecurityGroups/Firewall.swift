/// What the security groups of one VPC on this host let through. Upstream: ec2 SecurityGroup, NetworkInterface.
package struct Firewall: Sendable, Equatable {
    /// What a rule lets through, whoever the other side is.
    package enum Traffic: Sendable, Equatable {
        case all
        /// A protocol with all it has, by its number.
        case number(UInt8)
        /// `tcp` or `udp`.
        case ports(transport: String, ClosedRange<UInt16>)
        /// Nil: all types, all codes.
        case icmp(type: UInt8?, code: UInt8?)
    }

    /// The other side.
    package enum Peer: Sendable, Equatable {
        /// The interfaces that have a group.
        case group(String)
        /// IPv4 ranges that were parsed, none of which overlap.
        case ranges([String])
    }

    package struct Rule: Sendable, Equatable {
        package var isEgress: Bool
        package var traffic: Traffic
        package var peer: Peer

        package init(isEgress: Bool, traffic: Traffic, peer: Peer) {
            self.isEgress = isEgress
            self.traffic = traffic
            self.peer = peer
        }
    }

    package struct Group: Sendable, Equatable {
        /// `sg-0123456789abcdef0`
        package var id: String
        package var rules: [Rule]

        package init(id: String, rules: [Rule]) {
            self.id = id
            self.rules = rules
        }
    }

    package struct Interface: Sendable, Equatable {
        /// `eni-0123456789abcdef0`
        package var id: String
        /// IPv4 addresses that were parsed.
        package var addresses: [String]
        package var groupIDs: [String]
        /// The machine whose address it is; nil: the host holds it, or nobody.
        package var instanceID: String?
        /// A load balancer's lets in by its own rules, not by groups.
        package var isBalancer: Bool

        package init(id: String, addresses: [String], groupIDs: [String], instanceID: String? = nil, isBalancer: Bool = false) {
            self.id = id
            self.addresses = addresses
            self.groupIDs = groupIDs
            self.instanceID = instanceID
            self.isBalancer = isBalancer
        }
    }

    package var network: VPCNetwork
    package var groups: [Group]
    package var interfaces: [Interface]

    package init(network: VPCNetwork, groups: [Group], interfaces: [Interface]) {
        self.network = network
        self.groups = groups
        self.interfaces = interfaces
    }
}

extension Firewall.Traffic {
    /// As a rule's record has it; -1 and nil stand for all ports, types and codes. Nil for what IPv4 has not, or is not to be understood: it lets nothing
    /// through. Upstream: ec2 IpPermission.
    package init?(ipProtocol: String, from: Int?, to: Int?) {
        let (from, to) = (from == -1 ? nil : from, to == -1 ? nil : to)
        switch ipProtocol {
        case "-1": self = .all
        case "tcp", "6": self.init(transport: "tcp", number: 6, from, to)
        case "udp", "17": self.init(transport: "udp", number: 17, from, to)
        case "icmp", "1":
            let (type, code) = (from.map { UInt8(exactly: $0) }, to.map { UInt8(exactly: $0) })
            guard type != .some(nil), code != .some(nil) else { return nil }
            self = .icmp(type: type ?? nil, code: type == nil ? nil : code ?? nil)
        case "icmpv6", "58": return nil
        default:
            guard let number = UInt8(ipProtocol) else { return nil }
            self = .number(number)
        }
    }

    private init?(transport: String, number: UInt8, _ from: Int?, _ to: Int?) {
        guard from != nil || to != nil else {
            self = .number(number)
            return
        }
        guard let first = from.flatMap({ UInt16(exactly: $0) }), let last = to.flatMap({ UInt16(exactly: $0) }), first <= last else { return nil }
        self = first == 0 && last == .max ? .number(number) : .ports(transport: transport, first...last)
    }
}
