import KubeAPI

/// What a Corefile says that this server does: server blocks with the plug-ins kubernetes, hosts, forward, cache and log. The plug-ins that look after
/// a process of CoreDNS (errors, health, ready, prometheus, loop, reload, loadbalance) have nothing to change here. Any other is an error, as is an
/// option that would have no effect. Upstream: CoreDNS's plug-ins of these names, in the order of its plugin.cfg.
package struct Corefile: Sendable, Equatable {
    /// Names and addresses of Services and pods. Upstream: plugin/kubernetes.
    struct Kubernetes: Sendable, Equatable {
        /// The cluster's domain first.
        var zones: [DNSName]
        var ttl: UInt32 = 5
        var answersPods = false
        var fallThrough: [DNSName] = []
    }

    /// Names of one's own. Upstream: plugin/hosts.
    struct Hosts: Sendable, Equatable {
        var zones: [DNSName]
        var ttl: UInt32 = 3600
        var addresses: [DNSName: [IPAddress]] = [:]
        var names: [IPAddress: [DNSName]] = [:]
        var fallThrough: [DNSName] = []
    }

    /// Where a forwarded question goes.
    enum Target: Sendable, Equatable {
        /// The servers of the host's resolv.conf.
        case host
        case address(IPAddress, UInt16)
    }

    /// In which order servers are asked. Upstream: plugin/forward's policy.
    enum Policy: String, Sendable {
        case random
        case roundRobin = "round_robin"
        case sequential
    }

    /// Other servers. Upstream: plugin/forward.
    struct Forward: Sendable, Equatable {
        var from: DNSName
        var targets: [Target]
        var except: [DNSName] = []
        var isByTCP = false
        var policy = Policy.random
        /// Upstream has no limit of its own; this is the one that EKS's servers have.
        var maximumConcurrent = 1000

        func takes(_ name: DNSName) -> Bool { name.below(from) != nil && !except.contains { name.below($0) != nil } }
    }

    /// How long answers of other servers are kept, in seconds. Upstream: plugin/cache.
    struct Cache: Sendable, Equatable {
        var success: UInt32 = 3600
        var denial: UInt32 = 1800
        var minimum: UInt32 = 5
        var capacity = 9984
    }

    /// One server block.
    struct Server: Sendable, Equatable {
        var zones: [DNSName]
        var kubernetes: Kubernetes?
        var hosts: Hosts?
        var forwards: [Forward] = []
        var cache: Cache?
        var isLogged = false
    }

    let servers: [Server]

    /// Reads a Corefile. Throws `CorefileError` at the first line that cannot be read or done.
    package init(_ text: String) throws(CorefileError) {
        var servers: [Server] = []
        for block in try CorefileSyntax(text).blocks { servers.append(try Server(block)) }
        let zones = servers.flatMap(\.zones)
        guard Set(zones).count == zones.count else { throw CorefileError(line: 1, problem: "a zone stands in two server blocks") }
        guard !servers.isEmpty else { throw CorefileError(line: 1, problem: "there is no server block") }
        self.servers = servers
    }

    /// The one that EKS's add-on comes with.
    package static let standardText = """
        .:53 {
            errors
            health {
                lameduck 5s
            }
            ready
            kubernetes cluster.local in-addr.arpa ip6.arpa {
                pods insecure
                fallthrough in-addr.arpa ip6.arpa
            }
            prometheus :9153
            forward . /etc/resolv.conf
            cache 30
            loop
            reload
            loadbalance
        }

        """

    /// `standardText`, read; a test reads it, too.
    static let standard = (try? Corefile(standardText)) ?? Corefile(servers: [])

    private init(servers: [Server]) { self.servers = servers }
}

extension Corefile.Server {
    /// Upstream: the plug-ins that watch over CoreDNS's own process; addresses come in another order each time anyway.
    private static let withoutEffect: Set<String> = ["errors", "health", "loadbalance", "loop", "prometheus", "ready", "reload"]

    fileprivate init(_ block: CorefileSyntax.Block) throws(CorefileError) {
        zones = []
        for key in block.keys { zones.append(try Self.zone(key, block.line)) }
        for directive in block.directives {
            switch directive.name {
            case "kubernetes":
                try directive.once(kubernetes == nil)
                kubernetes = try Corefile.Kubernetes(directive)
            case "hosts":
                try directive.once(hosts == nil)
                hosts = try Corefile.Hosts(directive, zones)
            case "forward": forwards.append(try Corefile.Forward(directive))
            case "cache":
                try directive.once(cache == nil)
                cache = try Corefile.Cache(directive)
            case "log":
                guard directive.arguments.isEmpty, directive.options.isEmpty else { throw directive.fault("log is supported without arguments") }
                isLogged = true
            case let name where Self.withoutEffect.contains(name): break
            case let name: throw directive.fault("Unknown directive '\(name.prefix(100))'")
            }
        }
    }

    /// `dns://example.org:53`
    private static func zone(_ key: String, _ line: Int) throws(CorefileError) -> DNSName {
        var text = Substring(key)
        if let range = text.firstRange(of: "://") {
            guard text[..<range.lowerBound] == "dns" else { throw CorefileError(line: line, problem: "only DNS by UDP and TCP is supported: \(key)") }
            text = text[range.upperBound...]
        }
        if let colon = text.lastIndex(of: ":") {
            guard text[text.index(after: colon)...] == "53" else { throw CorefileError(line: line, problem: "only port 53 is supported: \(key)") }
            text = text[..<colon]
        }
        let name = DNSName(String(text))
        guard name.isEncodable, !text.contains("/") else { throw CorefileError(line: line, problem: "'\(key.prefix(300))' is no zone") }
        return name
    }
}
