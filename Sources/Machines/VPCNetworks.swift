internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// A VPC cannot stand on this host: one host has each address once. (In AWS two VPCs may have the same range.)
package struct VPCOverlap: Error, CustomStringConvertible, Sendable {
    package var vpcID: String
    package var cidr: String
    /// The VPC whose addresses they are.
    package var other: String

    package var description: String {
        "the addresses of VPC \(vpcID) (\(cidr)) overlap those of \(other), which has machines or clusters on this host: use another range"
    }
}

/// The VPCs that stand on this host, each kept while something uses it: a machine, or a control plane with network interfaces in it. Users are
/// noted as files (`<directory>/<vpc>/<user>`), so a restarted service, or `eyrie down`, knows what to remove.
package actor VPCNetworks {
    /// Where the users are noted: a service's own.
    package nonisolated let directory: String
    /// Tells that a VPC came or went. One consumer.
    package nonisolated let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation

    package init(directory: String) {
        self.directory = directory
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// The VPCs that stand, in order.
    package func standing() -> [VPCNetwork] {
        names(directory).filter { $0.hasPrefix("vpc-") }.sorted().compactMap { vpcID in
            let path = "\(directory)/\(vpcID)"
            return SmallFile.readText("\(path)/cidr").map { VPCNetwork(vpcID: vpcID, cidr: $0, ipv6CIDRs: ipv6CIDRs(path)) }
        }
    }

    /// Makes the VPC's network if need be and notes its user. Throws `CommandError`, `VPCOverlap`.
    package func use(_ network: VPCNetwork, by user: String) async throws {
        if let other = overlapping(network.vpcID, network.cidr) {
            throw VPCOverlap(vpcID: network.vpcID, cidr: network.cidr, other: other)
        }
        let path = "\(directory)/\(network.vpcID)"
        try SmallFile.makeDirectory(path)
        try SmallFile.write("\(path)/cidr", Array(network.cidr.utf8))
        // Users of IPv4 alone know of no others'.
        if !network.ipv6CIDRs.isEmpty { try SmallFile.write("\(path)/ipv6-cidrs", Array(network.ipv6CIDRs.joined(separator: "\n").utf8)) }
        try SmallFile.write("\(path)/\(user).user", [])
        try await network.create()
        changed.yield()
    }

    /// Notes that `user` is gone, and removes the networks nobody uses any more.
    package func release(by user: String) async throws {
        for vpcID in names(directory) where vpcID.hasPrefix("vpc-") {
            let path = "\(directory)/\(vpcID)"
            guard unlink("\(path)/\(user).user") == 0, !names(path).contains(where: { $0.hasSuffix(".user") }) else { continue }
            try await VPCNetwork(vpcID: vpcID, cidr: SmallFile.readText("\(path)/cidr") ?? "", ipv6CIDRs: ipv6CIDRs(path)).remove()
            unlink("\(path)/cidr")
            unlink("\(path)/ipv6-cidrs")
            rmdir(path)
            changed.yield()
        }
    }

    /// Removes all networks, whoever uses them, and what filters their traffic.
    package func removeAll() async throws {
        for vpcID in names(directory) where vpcID.hasPrefix("vpc-") {
            for name in names("\(directory)/\(vpcID)") where name.hasSuffix(".user") { try await release(by: String(name.dropLast(".user".count))) }
        }
        try await HostFirewall(directory: directory).remove()
    }

    /// Whether no VPC stands on this host, of this service or another.
    package func areGone() async throws -> Bool {
        try await !Command.run(["ip", "-o", "link", "show", "type", "bridge"]).contains(": eyb")
    }

    private func overlapping(_ vpcID: String, _ cidr: String) -> String? {
        names(directory).first { other in
            other.hasPrefix("vpc-") && other != vpcID
                && Self.overlap(cidr, SmallFile.readText("\(directory)/\(other)/cidr") ?? "")
        }
    }

    static func overlap(_ a: String, _ b: String) -> Bool {
        guard let (first, firstLength) = parse(a), let (second, secondLength) = parse(b) else { return false }
        let mask = UInt32.max << UInt32(32 - min(firstLength, secondLength))
        return first & mask == second & mask
    }

    private static func parse(_ cidr: String) -> (UInt32, Int)? {
        let parts = cidr.split(separator: "/")
        guard parts.count == 2, let length = Int(parts[1]), (1...32).contains(length) else { return nil }
        let octets = parts[0].split(separator: ".").compactMap { UInt8($0) }
        guard octets.count == 4 else { return nil }
        return (octets.reduce(0) { $0 << 8 | UInt32($1) }, length)
    }

    private func ipv6CIDRs(_ path: String) -> [String] {
        (SmallFile.readText("\(path)/ipv6-cidrs") ?? "").split(separator: "\n").map(String.init)
    }

    private func names(_ path: String) -> [String] { SmallFile.names(path) }
}
