package import KubeAPI
package import KubeClient
package import Logging
package import Nftables
import Synchronization

/// Enforces NetworkPolicies on one node. Pods and namespaces are watched from the first policy on: a cluster without policies costs one watch.
/// None is enforced while the ConfigMap `amazon-vpc-cni` says so. Upstream: EKS's network policy agent (aws-network-policy-agent), which takes
/// connections in the kernel as this does, and amazon-network-policy-controller-k8s.
package final class PolicyAgent: Sendable {
    /// After the kernel refused.
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(30)

    private struct Watched {
        var pods: SharedInformer
        var namespaces: SharedInformer
    }

    private let nodeName: String
    private let rules: PolicyRules
    private let informers: InformerFactory
    private let policies: SharedInformer
    private let settings: SharedInformer
    private let table: NftTable
    private let logger: Logger
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private let watched = Mutex<Watched?>(nil)

    /// The informers are run by the caller. `family` is that of the pods' addresses; `nodeAddresses` are the node's own, and at `dnsAddress` it answers
    /// for the cluster's DNS: both are always open to its pods.
    package init(
        nodeName: String, family: IPFamily = .ipv4, nodeAddresses: [IPAddress], dnsAddress: IPAddress?, informers: InformerFactory,
        program: NftProgram = NftProgram(), logger: Logger
    ) {
        self.nodeName = nodeName
        rules = PolicyRules(family: family, nodeAddresses: nodeAddresses, dnsAddress: dnsAddress)
        self.informers = informers
        self.logger = logger
        policies = informers.informer(for: .networkPolicies)
        settings = informers.informer(for: .configMaps, namespace: "kube-system", fieldSelector: "metadata.name=amazon-vpc-cni")
        table = NftTable(rules.make(), program: program)
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        let wake = wake
        policies.addHandler(.any { _ in wake.yield() })
        settings.addHandler(.any { _ in wake.yield() })
    }

    /// Runs until the task is cancelled; the rules stay.
    package func run() async {
        do {
            try await policies.waitForSync()
            try await settings.waitForSync()
        } catch { return }  // Cancelled.
        var owners: Set<String> = []
        var pause = Self.firstPause
        wake.yield()
        for await _ in wakes {
            do {
                let fragments = try await fragments()
                if fragments.isEmpty, owners.isEmpty {
                    // An agent that was started again finds what the one before left.
                    try await table.remove()
                    continue
                }
                let gone = owners.subtracting(fragments.keys).sorted().map { ($0, RuleFragment?.none) }
                owners = Set(fragments.keys)
                try await table.apply(gone + fragments.sorted { $0.key < $1.key }.map { ($0.key, RuleFragment?.some($0.value)) })
                pause = Self.firstPause
            } catch is CancellationError { return } catch {
                logger.warning("the rules of network policies cannot be written", metadata: ["error": "\(error)"])
                do { try await Task.sleep(for: pause) } catch { return }
                pause = min(pause * 2, Self.longestPause)
                wake.yield()
            }
        }
    }

    private func fragments() async throws -> [String: RuleFragment] {
        guard Self.isEnforcing(settings.indexer.list().first) else { return [:] }
        let facts = policies.indexer.list().compactMap { PolicyFacts($0, family: rules.family) }
        guard !facts.isEmpty || watched.withLock({ $0 != nil }) else { return [:] }
        let watched = watch()
        try await watched.pods.waitForSync()
        try await watched.namespaces.waitForSync()
        let pods = watched.pods.indexer.list().compactMap { PolicyPod($0, node: nodeName, family: rules.family) }
        let namespaces = watched.namespaces.indexer.list().map { ($0.metadata.name, $0.metadata.labels) }
        return rules.fragments(facts, pods: pods, namespaces: Dictionary(namespaces) { $1 })
    }

    /// Policies act unless the add-on's settings say in so many words that they do not. Upstream: EnableNetworkPolicyControllerKey.
    static func isEnforcing(_ settings: Object?) -> Bool { settings?["data"]["enable-network-policy-controller"].string != "false" }

    private func watch() -> Watched {
        watched.withLock { known in
            if let known { return known }
            let new = Watched(pods: informers.informer(for: .pods), namespaces: informers.informer(for: .namespaces))
            let wake = wake
            let (node, family) = (nodeName, rules.family)
            new.pods.addHandler(
                InformerHandler(
                    added: { _ in wake.yield() },
                    updated: { if PolicyPod($0, node: node, family: family) != PolicyPod($1, node: node, family: family) { wake.yield() } },
                    deleted: { _ in wake.yield() }))
            new.namespaces.addHandler(
                InformerHandler(
                    added: { _ in wake.yield() }, updated: { if $0.metadata.labels != $1.metadata.labels { wake.yield() } },
                    deleted: { _ in wake.yield() }))
            known = new
            return new
        }
    }
}
