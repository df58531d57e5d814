import KubeAPI
import Nftables

/// What policies are in the node's table: a pure function of policies, pods and namespaces.
///
/// Packets that begin a connection pass two hooks, one after the other: the sender's egress and the receiver's ingress. A pod that a policy selects has a
/// chain for the direction, which asks each of its policies and drops what none allows. What ends at an address of the node's, such as instance metadata
/// and the Pod Identity agent, passes the sender's egress too; two kinds always pass it: what is for the node's own address, and questions to the
/// cluster's DNS, which has no pods here that a policy could name. What the node itself sends passes neither.
/// Upstream: the semantics of networking/v1 NetworkPolicy, which does not shut a pod off from its own node; EKS's network policy agent
/// (FirewallRuleProcessor adds the node's address to what is allowed).
struct PolicyRules {
    /// That of the pods' addresses.
    var family = IPFamily.ipv4
    /// The node's own addresses; those of another family say nothing.
    var nodeAddresses: [IPAddress] = []
    /// Where the node answers for the cluster's DNS.
    var dnsAddress: IPAddress?

    private var egress: Direction { Direction(name: "out", map: "egress", peer: "\(family.header) daddr") }
    private var ingress: Direction { Direction(name: "in", map: "ingress", peer: "\(family.header) saddr") }

    private struct Direction {
        var name: String
        /// The map from a pod's address to its chain.
        var map: String
        /// The field with the other side's address.
        var peer: String
    }

    func make() -> RuleTable {
        let (ip, type) = (family.header, family.addressType)
        return RuleTable(
            name: "\(ip) network-policies",
            base: """
                map egress { type \(type) : verdict; }
                map ingress { type \(type) : verdict; }
                chain egress-hook { type filter hook forward priority filter + 10; ct state established,related accept; \(ip) saddr vmap @egress; }
                chain local-egress-hook {
                    type filter hook input priority filter + 10; ct state established,related accept;
                    \(localRules.map { "\($0) accept;" }.joined(separator: "\n"))
                    \(ip) saddr vmap @egress;
                }
                chain ingress-hook { type filter hook forward priority filter + 11; ct state established,related accept; \(ip) daddr vmap @ingress; }
                """)
    }

    /// What pods may always send to their node.
    private var localRules: [String] {
        func own(_ addresses: [IPAddress]) -> [String] { addresses.filter { $0.isIPv6 == (family == .ipv6) }.map(\.description).sorted() }
        var rules: [String] = []
        // Neighbours are asked for by the address of whoever asks.
        if family == .ipv6 { rules.append("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert }") }
        rules += own(nodeAddresses).map { "\(family.header) daddr \($0)" }
        rules += own([dnsAddress].compactMap { $0 }).map { "\(family.header) daddr \($0) meta l4proto { tcp, udp } th dport 53" }
        return rules
    }

    /// The fragments of all policies and of the pods of this node that they select, by owner. `namespaces` are labels by name.
    func fragments(_ policies: [PolicyFacts], pods: [PolicyPod], namespaces: [String: [String: String]]) -> [String: RuleFragment] {
        var fragments: [String: RuleFragment] = [:]
        var chains: [String: (pod: PolicyPod, egress: [String], ingress: [String])] = [:]
        for policy in policies {
            let selected = pods.filter { $0.isLocal && $0.namespace == policy.namespace && policy.selector.matches($0.labels) }
            guard !selected.isEmpty else { continue }
            var fragment = RuleFragment()
            for (direction, rules) in [(egress, policy.egress), (ingress, policy.ingress)] {
                guard let rules else { continue }
                let chain = "\(direction.name)-\(policy.uid)"
                fragment.chains[chain] = rules.enumerated().flatMap { index, rule in
                    lines(rule, "\(chain)-\(index)", direction, policy, selected, pods, namespaces, &fragment)
                }
                for pod in selected {
                    var entry = chains[pod.uid] ?? (pod, [], [])
                    if direction.map == egress.map { entry.egress.append(chain) } else { entry.ingress.append(chain) }
                    chains[pod.uid] = entry
                }
            }
            fragments["policy/\(policy.uid)"] = fragment
        }
        for (uid, entry) in chains {
            var fragment = RuleFragment()
            for (direction, names) in [(egress, entry.egress), (ingress, entry.ingress)] where !names.isEmpty {
                let chain = "pod-\(direction.name)-\(uid)"
                fragment.chains[chain] = names.sorted().map { "jump \($0)" } + ["drop"]
                fragment.elements[NftElement(direction.map, entry.pod.address.description)] = "goto \(chain)"
            }
            fragments["pod/\(uid)"] = fragment
        }
        return fragments
    }

    /// A rule's lines: each of its peers with each of its ports.
    private func lines(
        _ rule: PolicyFacts.Rule, _ name: String, _ direction: Direction, _ policy: PolicyFacts, _ selected: [PolicyPod], _ pods: [PolicyPod],
        _ namespaces: [String: [String: String]], _ fragment: inout RuleFragment
    ) -> [String] {
        var matches: [String] = []
        var peers: [PolicyPod] = []
        if let wanted = rule.peers {
            for peer in wanted {
                switch peer {
                case .range(let range, let except):
                    let lines = except.isEmpty ? "" : " \(direction.peer) != { \(outermost(except).joined(separator: ", ")) }"
                    matches.append("\(direction.peer) \(range)\(lines) ")
                case .pods(let selector, let namespaceSelector):
                    peers += pods.filter { pod in
                        guard selector.matches(pod.labels) else { return false }
                        guard let namespaceSelector else { return pod.namespace == policy.namespace }
                        return namespaces[pod.namespace].map { namespaceSelector.matches($0) } ?? false
                    }
                }
            }
            let addresses = Set(peers.map(\.address.description)).sorted()
            if !addresses.isEmpty {
                fragment.sets["peers-\(name)"] = "type \(family.addressType);"
                for address in addresses { fragment.elements[NftElement("peers-\(name)", address)] = "" }
                matches.append("\(direction.peer) @peers-\(name) ")
            }
        } else {
            matches = [""]
        }
        guard let ports = rule.ports else { return matches.map { "\($0)accept" } }
        // Names of ports are the receiver's.
        let receivers = direction.map == egress.map ? pods : selected
        let portMatches = ports.enumerated().compactMap { line($1, "ports-\(name)-\($0)", receivers, &fragment) }
        return matches.flatMap { match in portMatches.map { "\(match)\($0) accept" } }
    }

    private func line(_ port: PolicyFacts.Port, _ set: String, _ receivers: [PolicyPod], _ fragment: inout RuleFragment) -> String? {
        switch port {
        case .all(let transport): return "meta l4proto \(transport)"
        case .numbers(let transport, let range):
            return "\(transport) dport \(range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)")"
        case .named(let transport, let name):
            let elements = receivers.flatMap { pod in
                pod.ports.filter { $0.name == name && $0.transport == transport }.map { "\(pod.address) . \(transport) . \($0.port)" }
            }
            guard !elements.isEmpty else { return nil }
            fragment.sets[set] = "type \(family.addressType) . inet_proto . inet_service;"
            for element in elements { fragment.elements[NftElement(set, element)] = "" }
            return "\(family.header) daddr . meta l4proto . th dport @\(set)"
        }
    }

    /// nft takes no range that lies in another.
    private func outermost(_ ranges: [IPRange]) -> [String] {
        let all = Set(ranges)
        return all.filter { range in !all.contains { $0 != range && $0.length < range.length && $0.contains(range.network) } }.map(\.description)
            .sorted()
    }
}
