import KubeAPI

/// A server block at work: whom its questions go to, one after the other. Upstream: CoreDNS's chain of plug-ins (plugin.cfg: cache, hosts, kubernetes,
/// forward).
struct ServerBlock: Sendable {
    /// Other servers, and the questions they get.
    struct Forwarding: Sendable {
        var settings: Corefile.Forward
        var forwarder: Forwarder
    }

    /// The cluster's zone, and what passes it by.
    struct Cluster: Sendable {
        var zone: ClusterZone
        var zones: [DNSName]
        var fallThrough: [DNSName]
    }

    var zones = [DNSName([])]
    var hosts: Corefile.Hosts?
    var cluster: Cluster?
    var forwardings: [Forwarding] = []
    var cache: AnswerCache?
    var isLogged = false

    /// What a question comes to.
    enum Outcome {
        case answer(DNSAnswer)
        /// An alias that leads out of the cluster's domain: the answer so far, and the name to go on with.
        case follow(DNSAnswer, DNSName)
        case forward(Forwarder)
        /// No plug-in has an answer. Upstream: plugin.NextOrFailure.
        case nobody
    }

    func outcome(_ name: DNSName, type: UInt16) -> Outcome {
        if let answer = hosts?.answer(name, type: type) { return .answer(answer) }
        if let cluster, cluster.zones.contains(where: { name.below($0) != nil }) {
            switch cluster.zone.answer(name, type: type) {
            case .answer(let answer):
                if answer.code != .nameError || !Corefile.contains(cluster.fallThrough, name) { return .answer(answer) }
            case .follow(let answer, let target): return .follow(answer, target)
            case .elsewhere:
                guard Corefile.contains(cluster.fallThrough, name) else { return .answer(DNSAnswer(code: .nameError)) }
            }
        }
        return forwarder(for: name).map(Outcome.forward) ?? .nobody
    }

    /// The first that takes the name.
    func forwarder(for name: DNSName) -> Forwarder? { forwardings.first { $0.settings.takes(name) }?.forwarder }
}

extension Corefile {
    /// Whether a name lies in one of the zones.
    static func contains(_ zones: [DNSName], _ name: DNSName) -> Bool { zones.contains { name.below($0) != nil } }

    /// The blocks at work. `source` and `address` are the cluster's zone's, `host` gives the servers that a target `/etc/resolv.conf` stands for.
    func blocks(source: any ZoneSource, address: IPAddress?, host: () -> [IPAddress]) -> [ServerBlock] {
        servers.map { server in
            var block = ServerBlock(zones: server.zones, hosts: server.hosts, isLogged: server.isLogged)
            block.cache = server.cache.map(AnswerCache.init)
            if let kubernetes = server.kubernetes, let domain = kubernetes.zones.first {
                var zone = ClusterZone(domain: domain, source: source, serverAddress: address)
                zone.ttl = kubernetes.ttl
                zone.answersPods = kubernetes.answersPods
                block.cluster = ServerBlock.Cluster(zone: zone, zones: kubernetes.zones, fallThrough: kubernetes.fallThrough)
            }
            block.forwardings = server.forwards.map { forward in
                let targets = forward.targets.flatMap { target -> [(address: IPAddress, port: UInt16)] in
                    switch target {
                    case .host: host().map { ($0, Forwarder.port) }
                    case .address(let address, let port): [(address, port)]
                    }
                }
                let forwarder = Forwarder(
                    targets: targets, policy: forward.policy, isByTCP: forward.isByTCP, maximumPending: forward.maximumConcurrent)
                return ServerBlock.Forwarding(settings: forward, forwarder: forwarder)
            }
            return block
        }
    }
}

extension Corefile.Hosts {
    /// Nil: not its name, or one that falls through. Upstream: plugin/hosts Hosts.ServeDNS.
    func answer(_ name: DNSName, type: UInt16) -> DNSAnswer? {
        var records: [DNSRecord] = []
        if let address = ClusterZone.reversed(name), type == DNSNumber.typePTR {
            records = (names[address] ?? []).map { DNSRecord(name: name, ttl: ttl, content: .pointer($0)) }
            guard !records.isEmpty else { return nil }
        } else {
            guard Corefile.contains(zones, name) else { return nil }
            records = (addresses[name] ?? []).map { DNSRecord(name: name, ttl: ttl, content: .address($0)) }.filter { $0.type == type }
        }
        guard records.isEmpty else { return DNSAnswer(answers: records) }
        guard !Corefile.contains(fallThrough, name) else { return nil }
        return DNSAnswer(code: addresses[name] == nil ? .nameError : .noError)
    }
}
