import KubeAPI

/// The cluster's domain: answers to questions about Services and pods, a function of the question and what the cluster has.
/// Upstream: Kubernetes' DNS specification 1.1.0 and CoreDNS's plug-in kubernetes (parse.go, kubernetes.go), with `pods insecure`.
struct ClusterZone: Sendable {
    /// Upstream: the version of the specification, at dns-version.
    private static let version = "1.1.0"
    /// Records of one answer; a headless Service may have more endpoints than fit even by TCP.
    private static let maximumRecords = 2000
    /// ExternalName services that lead to each other. Upstream: CoreDNS follows 8 at most.
    private static let maximumAliases = 8

    let domain: DNSName
    let source: any ZoneSource
    /// The server's own address, `ns.dns` of the domain.
    let serverAddress: IPAddress?
    /// Seconds. Upstream: the plug-in's default.
    var ttl: UInt32 = 5
    /// Whether names made of addresses are answered. Upstream: `pods insecure`, `pods disabled`.
    var answersPods = true

    init(domain: String, source: any ZoneSource, serverAddress: IPAddress?) {
        self.init(domain: DNSName(domain), source: source, serverAddress: serverAddress)
    }

    init(domain: DNSName, source: any ZoneSource, serverAddress: IPAddress?) {
        self.domain = domain
        self.source = source
        self.serverAddress = serverAddress
    }

    /// What was found for a name.
    private enum Found {
        /// No such name.
        case nothing
        /// The name is there, with these records of any type.
        case records([DNSRecord])
        case alias(DNSName)
    }

    /// The outcome of a question.
    enum Outcome: Equatable {
        case answer(DNSAnswer)
        /// An alias that leads out of the domain: the answer so far, and the name to ask others for.
        case follow(DNSAnswer, DNSName)
        /// Not ours: ask others.
        case elsewhere
    }

    func answer(_ name: DNSName, type: UInt16) -> Outcome {
        if let labels = name.below(domain) { return answer(name, Array(labels), type) }
        guard let address = Self.reversed(name) else { return .elsewhere }
        // Addresses that are no Service's and no endpoint's may have names elsewhere. Upstream: fallthrough of the reverse zones.
        let names = pointers(address)
        guard !names.isEmpty else { return .elsewhere }
        let records = names.map { DNSRecord(name: name, ttl: ttl, content: .pointer($0)) }
        return .answer(finished(records.filter { type == $0.type || type == DNSNumber.typeANY }))
    }

    private func answer(_ name: DNSName, _ labels: [String], _ type: UInt16) -> Outcome {
        var answers: [DNSRecord] = []
        var current = (name: name, labels: labels)
        for _ in 0..<Self.maximumAliases {
            switch find(current.name, current.labels, type) {
            case .nothing:
                if !answers.isEmpty { return .answer(finished(answers)) }
                return .answer(DNSAnswer(code: .nameError, authorities: [authority]))
            case .records(let records):
                let matching = Array(
                    records.filter { $0.name == current.name && ($0.type == type || type == DNSNumber.typeANY) }.prefix(Self.maximumRecords))
                return .answer(finished(answers + matching, additionals: type == DNSNumber.typeSRV ? Self.targets(of: matching, in: records) : []))
            case .alias(let target):
                answers.append(DNSRecord(name: current.name, ttl: ttl, content: .alias(target)))
                guard type == DNSNumber.typeA || type == DNSNumber.typeAAAA else {
                    // Other types than addresses have the alias alone, if that is what was asked for.
                    return .answer(finished(type == DNSNumber.typeCNAME || type == DNSNumber.typeANY ? answers : []))
                }
                guard let below = target.below(domain) else { return .follow(DNSAnswer(answers: answers), target) }
                current = (target, Array(below))
            }
        }
        return .answer(finished(answers))
    }

    /// With the domain's authority when there is no answer: NODATA.
    private func finished(_ answers: [DNSRecord], additionals: [DNSRecord] = []) -> DNSAnswer {
        DNSAnswer(answers: answers, authorities: answers.isEmpty ? [authority] : [], additionals: additionals)
    }

    private static func targets(of records: [DNSRecord], in all: [DNSRecord]) -> [DNSRecord] {
        var names: Set<DNSName> = []
        for record in records { if case .service(_, _, _, let target) = record.content { names.insert(target) } }
        return Array(all.filter { if case .address = $0.content { names.contains($0.name) } else { false } }.prefix(maximumRecords))
    }

    private var server: DNSName { DNSName(["ns", "dns"] + domain.labels) }

    private var authority: DNSRecord {
        DNSRecord(
            name: domain, ttl: ttl,
            content: .authority(server: server, mailbox: DNSName(["hostmaster"] + domain.labels), serial: 1, ttl: ttl))
    }

    // MARK: Names

    private func find(_ name: DNSName, _ labels: [String], _ type: UInt16) -> Found {
        switch labels {
        case []: return .records([authority, DNSRecord(name: name, ttl: ttl, content: .nameServer(server))])
        case ["dns-version"]: return .records([DNSRecord(name: name, ttl: ttl, content: .text(Self.version))])
        case ["ns", "dns"]: return .records(addresses(name, serverAddress.map { [$0] } ?? []))
        case ["dns"]: return .records([])
        case ["svc"]: return .records([])
        case ["pod"] where answersPods: return .records([])
        default: break
        }
        guard let kind = labels.last, labels.count >= 2 else { return .nothing }
        let namespace = labels[labels.count - 2]
        let rest = Array(labels.dropLast(2))
        switch kind {
        case "svc": return service(name, namespace, rest)
        case "pod" where answersPods: return pod(name, namespace, rest)
        default: return .nothing
        }
    }

    private func addresses(_ name: DNSName, _ list: [IPAddress]) -> [DNSRecord] {
        var seen: Set<IPAddress> = []
        return list.filter { seen.insert($0).inserted }.map { DNSRecord(name: name, ttl: ttl, content: .address($0)) }
    }

    /// `1-2-3-4.NAMESPACE.pod`: whatever address is in the name. Upstream: findPods, mode insecure.
    private func pod(_ name: DNSName, _ namespace: String, _ rest: [String]) -> Found {
        guard source.hasNamespace(namespace) else { return .nothing }
        guard let text = rest.first else { return .records([]) }
        guard rest.count == 1 else { return .nothing }
        let isFour = text.count(where: { $0 == "-" }) == 3 && !text.contains("--")
        guard let address = IPAddress(text.replacing("-", with: isFour ? "." : ":")) else { return .nothing }
        return .records(addresses(name, [address]))
    }

    /// `NAME.NAMESPACE.svc`, `HOST.NAME…`, `_PORT._PROTOCOL.NAME…`. Upstream: parseRequest, findServices.
    private func service(_ name: DNSName, _ namespace: String, _ rest: [String]) -> Found {
        guard let serviceName = rest.last else { return source.hasNamespace(namespace) ? .records([]) : .nothing }
        guard rest.count <= 3, let service = source.service(namespace: namespace, name: serviceName) else { return .nothing }
        let host = rest.count == 2 ? rest[0] : nil
        var wanted: (port: String, protocol: String)?
        if rest.count == 3 {
            guard rest[0].hasPrefix("_"), rest[1].hasPrefix("_") else { return .nothing }
            wanted = (String(rest[0].dropFirst()), String(rest[1].dropFirst()))
        }
        if let external = service.externalName {
            guard host == nil, wanted == nil else { return .nothing }
            // An external name that is an address is answered as one, as upstream does.
            if let address = IPAddress(external) { return .records(addresses(name, [address])) }
            let target = DNSName(external)
            return target.isEncodable ? .alias(target) : .nothing
        }
        let own = DNSName([serviceName, namespace, "svc"] + domain.labels)
        if service.isHeadless || host != nil { return endpoints(name, service, own, host: host, wanted: wanted) }
        let ports = service.ports.filter { Self.matches($0, wanted) }
        guard wanted == nil || !ports.isEmpty else { return .nothing }
        return .records(
            addresses(name, service.clusterIPs) + (name == own ? [] : addresses(own, service.clusterIPs))
                + services(name, ports.map { (own, $0.port) }))
    }

    private func endpoints(
        _ name: DNSName, _ service: ZoneService, _ own: DNSName, host: String?, wanted: (port: String, protocol: String)?
    ) -> Found {
        var addresses: [IPAddress] = []
        var targets: [(DNSName, UInt16)] = []
        var targetAddresses: [DNSRecord] = []
        for endpoint in source.endpoints(namespace: service.namespace, name: service.name) where host == nil || endpoint.hostname == host {
            let ports = endpoint.ports.filter { Self.matches($0, wanted) }
            guard wanted == nil || !ports.isEmpty else { continue }
            addresses.append(endpoint.address)
            let target = DNSName([endpoint.hostname] + own.labels)
            targets += ports.map { (target, $0.port) }
            if target != name { targetAddresses += self.addresses(target, [endpoint.address]) }
        }
        // Upstream: the specification's 2.4: no endpoint, no name.
        guard !addresses.isEmpty else { return .nothing }
        return .records(self.addresses(name, addresses) + services(name, targets) + targetAddresses)
    }

    private static func matches(_ port: ZoneService.Port, _ wanted: (port: String, protocol: String)?) -> Bool {
        guard let wanted else { return true }
        return port.name.lowercased() == wanted.port && port.protocol.lowercased() == wanted.protocol
    }

    /// Of equal weight, a hundred in all. Upstream: plugin.SRV.
    private func services(_ name: DNSName, _ targets: [(DNSName, UInt16)]) -> [DNSRecord] {
        var seen: Set<DNSRecord> = []
        let weight = UInt16(clamping: 100 / max(1, targets.count))
        return targets.map { DNSRecord(name: name, ttl: ttl, content: .service(priority: 0, weight: weight, port: $0.1, target: $0.0)) }
            .filter { seen.insert($0).inserted }
    }

    // MARK: Addresses

    private func pointers(_ address: IPAddress) -> [DNSName] {
        let services = source.services(at: address)
        if let service = services.first { return [DNSName([service.name, service.namespace, "svc"] + domain.labels)] }
        return source.endpointNames(at: address).map { DNSName([$0.hostname, $0.name, $0.namespace, "svc"] + domain.labels) }
    }

    /// The address that a name below in-addr.arpa or ip6.arpa stands for.
    static func reversed(_ name: DNSName) -> IPAddress? {
        if let labels = name.below(DNSName(["in-addr", "arpa"])), labels.count == 4 { return IPAddress(labels.reversed().joined(separator: ".")) }
        guard let labels = name.below(DNSName(["ip6", "arpa"])), labels.count == 32, labels.allSatisfy({ $0.utf8.count == 1 }) else { return nil }
        let digits = labels.reversed().compactMap { UInt8($0, radix: 16) }
        guard digits.count == 32 else { return nil }
        return IPAddress(number: digits.reduce(UInt128(0)) { $0 << 4 | UInt128($1) }, isIPv6: true)
    }
}
