import AWSProtocol

/// IPv6 addresses and prefixes that a call asks for: named ones, or so many.
struct IPv6Wanted: Sendable, Equatable {
    var addresses: [String] = []
    var addressCount = 0
    var prefixes: [String] = []
    var prefixCount = 0

    var isEmpty: Bool { self == IPv6Wanted() }
}

extension EC2Tables {
    /// The length of an interface's prefixes. Upstream: EC2 User Guide, "Prefix delegation for Amazon EC2 network interfaces".
    static let interfacePrefixLength = 80
    /// Tries to find a free one: a /64 has 2^16 prefixes and 2^64 addresses, so that the first is nearly always free.
    private static let attempts = 1_000

    /// What the interfaces of a subnet hold, as ranges.
    private func usedIPv6(in subnetID: String) -> [IPv6Block] {
        interfaces.values.filter { $0.subnetID == subnetID }.flatMap { interface in
            (interface.ipv6Addresses ?? []).compactMap { IPv6Address($0) }.map { IPv6Block($0, prefixLength: 128) }
                + (interface.ipv6Prefixes ?? []).compactMap { IPv6Block($0) }
        }
    }

    /// Gives an interface addresses and prefixes of its subnet, and gives what it got. Throws InvalidParameterValue, and what a subnet without IPv6 or
    /// without room is refused with.
    mutating func assignIPv6(_ wanted: IPv6Wanted, to id: String) throws(AWSError) -> (addresses: [String], prefixes: [String]) {
        var interface = try interface(id)
        guard let range = try subnet(interface.subnetID).ipv6Range, let block = IPv6Block(range.cidr) else {
            throw EC2Fault.invalidValue("The subnet '\(interface.subnetID)' has no IPv6 CIDR block.")
        }
        var used = usedIPv6(in: interface.subnetID)
        func isFree(_ candidate: IPv6Block) -> Bool {
            block.contains(candidate) && !used.contains { $0.overlaps(candidate) } && !block.isReserved(candidate.base)
                && candidate.last != block.last
        }
        func chosen(_ length: Int) throws(AWSError) -> IPv6Block {
            for _ in 0..<EC2Tables.attempts {
                let candidate = block.randomBlock(length)
                if isFree(candidate) { return candidate }
            }
            throw EC2Fault.noFreeAddresses(interface.subnetID)
        }
        func named(_ text: String, _ candidate: IPv6Block?) throws(AWSError) -> IPv6Block {
            guard let candidate, isFree(candidate) else {
                throw EC2Fault.invalidValue("Value (\(text.prefix(64))) is no free address or prefix of the subnet '\(interface.subnetID)'.")
            }
            return candidate
        }
        var addresses: [String] = []
        var prefixes: [String] = []
        for text in wanted.prefixes {
            let prefix = try named(text, IPv6Block(text).flatMap { $0.prefixLength == EC2Tables.interfacePrefixLength ? $0 : nil })
            used.append(prefix)
            prefixes.append(prefix.description)
        }
        for text in wanted.addresses {
            let address = try named(text, IPv6Address(text).map { IPv6Block($0, prefixLength: 128) })
            used.append(address)
            addresses.append(address.base.description)
        }
        for _ in 0..<max(0, wanted.prefixCount) {
            let prefix = try chosen(EC2Tables.interfacePrefixLength)
            used.append(prefix)
            prefixes.append(prefix.description)
        }
        for _ in 0..<max(0, wanted.addressCount) {
            let address = try chosen(128)
            used.append(address)
            addresses.append(address.base.description)
        }
        interface.ipv6Addresses = (interface.ipv6Addresses ?? []) + addresses
        interface.ipv6Prefixes = (interface.ipv6Prefixes ?? []) + prefixes
        put(interface)
        return (addresses, prefixes)
    }

    /// Takes addresses and prefixes from an interface. Throws InvalidParameterValue for those that it does not have.
    mutating func unassignIPv6(_ addresses: [String], _ prefixes: [String], from id: String) throws(AWSError) {
        var interface = try interface(id)
        for (text, held) in addresses.map({ ($0, interface.ipv6Addresses ?? []) }) + prefixes.map({ ($0, interface.ipv6Prefixes ?? []) })
        where !held.contains(text) {
            throw EC2Fault.invalidValue("Some of the specified addresses are not assigned to interface \(id): \(text.prefix(64))")
        }
        interface.ipv6Addresses?.removeAll { addresses.contains($0) }
        interface.ipv6Prefixes?.removeAll { prefixes.contains($0) }
        put(interface)
    }
}

extension EC2Call {
    /// At most as many as an interface of the largest type has.
    private static let most = 0...49

    /// The addresses and prefixes a call asks for. Throws InvalidParameterValue.
    func ipv6Wanted() throws(AWSError) -> IPv6Wanted {
        var wanted = IPv6Wanted()
        // CreateNetworkInterface has structures where AssignIpv6Addresses has texts.
        let structures = parameters.list("Ipv6Addresses").compactMap { $0["Ipv6Address"] }
        wanted.addresses = structures.isEmpty ? parameters.strings("Ipv6Addresses") : structures
        let prefixes = parameters.list("Ipv6Prefix").compactMap { $0["Ipv6Prefix"] }
        wanted.prefixes = prefixes.isEmpty ? parameters.strings("Ipv6Prefix") : prefixes
        wanted.addressCount = try integer("Ipv6AddressCount", in: EC2Call.most) ?? 0
        wanted.prefixCount = try integer("Ipv6PrefixCount", in: EC2Call.most) ?? 0
        guard wanted.addresses.count <= EC2Call.most.upperBound, wanted.prefixes.count <= EC2Call.most.upperBound else {
            throw EC2Fault.invalidValue("At most \(EC2Call.most.upperBound) addresses and prefixes can be named.")
        }
        guard wanted.addressCount == 0 || wanted.addresses.isEmpty, wanted.prefixCount == 0 || wanted.prefixes.isEmpty else {
            throw AWSError("InvalidParameterCombination", "Addresses and their count, or prefixes and their count, may not be given together.")
        }
        return wanted
    }
}

extension XMLWriter {
    fileprivate mutating func texts(_ name: String, _ texts: [String]) { element(name) { xml in for text in texts { xml.leaf("item", text) } } }

    /// `ipv6AddressesSet` and `ipv6PrefixSet`.
    mutating func ipv6Addresses(_ interface: NetworkInterfaceRecord) {
        list("ipv6AddressesSet", of: interface.ipv6Addresses ?? []) { xml, address in
            xml.leaf("ipv6Address", address)
            xml.leaf("isPrimaryIpv6", false)
        }
        list("ipv6PrefixSet", of: interface.ipv6Prefixes ?? []) { $0.leaf("ipv6Prefix", $1) }
    }
}

extension EC2Service {
    private static let one = "network-interface/{NetworkInterfaceId}"

    static let ipv6AddressOperations: [String: EC2Operation] = [
        "AssignIpv6Addresses": EC2Operation(one) { call in
            let (id, wanted) = (try call.required("NetworkInterfaceId"), try call.ipv6Wanted())
            guard !wanted.isEmpty else { throw EC2Fault.missingParameter("ipv6AddressCount") }
            let (addresses, prefixes) = try await call.update { try $0.assignIPv6(wanted, to: id) }
            return { xml in
                xml.leaf("networkInterfaceId", id)
                xml.texts("assignedIpv6Addresses", addresses)
                xml.texts("assignedIpv6PrefixSet", prefixes)
            }
        },
        "UnassignIpv6Addresses": EC2Operation(one) { call in
            let id = try call.required("NetworkInterfaceId")
            let (addresses, prefixes) = (call.parameters.strings("Ipv6Addresses"), call.parameters.strings("Ipv6Prefix"))
            guard !addresses.isEmpty || !prefixes.isEmpty else { throw EC2Fault.missingParameter("ipv6Addresses") }
            try await call.update { try $0.unassignIPv6(addresses, prefixes, from: id) }
            return { xml in
                xml.leaf("networkInterfaceId", id)
                xml.texts("unassignedIpv6Addresses", addresses)
                xml.texts("unassignedIpv6PrefixSet", prefixes)
            }
        },
    ]
}
