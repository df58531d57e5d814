package import AWSServices
internal import ClusterDNS
internal import Logging
package import Machines

/// Makes EC2's security groups filter: whenever their records, those of interfaces or the VPCs on this host change, the host's firewall follows. After
/// a restart the first step makes the same rules again, in one transaction of the kernel's; until then the old ones stand.
package actor SecurityGroupFilter {
    /// After the kernel refused.
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(30)

    private let network: EC2Network
    private let networks: VPCNetworks
    private let host: HostFirewall
    private let logger = Logger(label: "eyrie.security-groups")
    /// A step that has not looked at the records yet: whoever wants one may have this.
    private var next: Task<Void, any Error>?
    /// Steps follow one another.
    private var last: Task<Void, any Error>?

    package init(network: EC2Network, networks: VPCNetworks) {
        self.network = network
        self.networks = networks
        host = HostFirewall(directory: networks.directory)
    }

    /// Follows the records until the task is cancelled; the rules stay.
    package func run() async {
        let records = await network.securityChanges()
        let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        wake.yield()
        let networks = networks
        await withDiscardingTaskGroup { group in
            group.addTask { for await _ in records { wake.yield() } }
            group.addTask { for await _ in networks.changes { wake.yield() } }
            group.addTask { await self.follow(wakes, wake) }
        }
    }

    private func follow(_ wakes: AsyncStream<Void>, _ wake: AsyncStream<Void>.Continuation) async {
        var pause = Self.firstPause
        for await _ in wakes {
            do {
                try await refresh()
                pause = Self.firstPause
            } catch {
                logger.warning("the rules of security groups cannot be written", metadata: ["error": "\(error)"])
                do { try await Task.sleep(for: pause) } catch { return }  // Cancelled.
                pause = min(pause * 2, Self.longestPause)
                wake.yield()
            }
        }
    }

    /// Brings the host to what the records say now, and returns when it is there. Throws `CommandError`.
    package func refresh() async throws {
        if let next { return try await next.value }
        let before = last
        let task = Task {
            _ = await before?.result
            next = nil
            try await apply()
        }
        next = task
        last = task
        try await task.value
    }

    private func apply() async throws {
        let standing = await networks.standing()
        let facts = await network.security(ofVPCs: Set(standing.map(\.vpcID)))
        try await host.set(Self.firewalls(standing, facts), resolvers: Self.resolvers())
    }

    /// The servers of the host's resolver configuration, which the nodes use: they stand for AmazonProvidedDNS, which security groups do not filter.
    private static func resolvers() -> [String] { ClusterDNS.hostResolvers.compactMap { IPv4Address($0)?.description } }

    /// The firewall of each VPC that stands. One whose records are gone has no interfaces any more; it is still kept from the others.
    static func firewalls(_ standing: [VPCNetwork], _ facts: [SecurityFacts]) -> [Firewall] {
        let byVPC = Dictionary(facts.map { ($0.vpcID, $0) }) { first, _ in first }
        return standing.map { network in
            let facts = byVPC[network.vpcID]
            return Firewall(
                network: network, groups: (facts?.groups ?? []).map { Firewall.Group(id: $0.id, rules: $0.rules.compactMap(rule)) },
                interfaces: (facts?.interfaces ?? []).map {
                    Firewall.Interface(
                        id: $0.id, addresses: $0.addresses.map(\.description), groupIDs: $0.groupIDs, instanceID: $0.instanceID,
                        isBalancer: $0.isBalancer)
                })
        }
    }

    /// Nil for a rule that lets nothing of IPv4 through.
    private static func rule(_ facts: SecurityFacts.Rule) -> Firewall.Rule? {
        guard let traffic = Firewall.Traffic(ipProtocol: facts.ipProtocol, from: facts.fromPort, to: facts.toPort) else { return nil }
        let peer = facts.groupID.map { Firewall.Peer.group($0) } ?? .ranges(facts.ranges.map(\.description))
        return Firewall.Rule(isEgress: facts.isEgress, traffic: traffic, peer: peer)
    }
}
