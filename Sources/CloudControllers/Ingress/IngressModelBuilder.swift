import KubeAPI

/// Makes the balancer of a group of Ingresses, or says why there cannot be one. Upstream: pkg/ingress.defaultModelBuilder.
struct IngressModelBuilder {
    /// The backend's port that means an annotation. Upstream: magicServicePortUseAnnotation.
    private static let annotated = "use-annotation"
    /// AWS's quotas of a balancer: certificates beside the default one, rules of a listener.
    private static let certificateLimit = 25
    private static let ruleLimit = 100
    private static let nameLimit = 32

    /// Annotations that protect what is behind: better no balancer than one without them.
    private static let refused: [(name: String, harmless: Set<String>)] = [
        ("auth-type", ["none"]), ("mutual-authentication", []), ("use-regex-path-match", ["false"]), ("jwt-validation", []),
        ("frontend-nlb-scheme", []),
    ]

    /// What an Ingress wants of a port.
    private struct Wish {
        var isSecure: Bool
        var certificates: [ApplicationBalancer.Certificate]
        var sourceRanges: [String]
        var owner: String
    }

    let facts: IngressFacts

    /// Throws `IngressModelError`: what the event FailedBuildModel says.
    func build(_ group: IngressGroup) throws(IngressModelError) -> ApplicationBalancer {
        if let trouble = group.trouble { throw IngressModelError(trouble) }
        var balancer = ApplicationBalancer(id: group.id.name)
        try describe(&balancer, group.members)
        var groups: [String: ApplicationBalancer.TargetGroup] = [:]
        let wishes = try self.wishes(group.members)
        let redirectPort = try redirectPort(group.members, wishes)
        for (port, wish) in wishes.sorted(by: { $0.key < $1.key }) {
            var listener = ApplicationBalancer.Listener(port: port, certificates: wish.certificates, sourceRanges: wish.sourceRanges)
            if let redirectPort, !wish.isSecure {
                listener.otherwise = .redirect(.init(scheme: "https", port: "\(redirectPort)", status: 301))
            } else {
                var members: [IngressGroup.Member] = []
                for member in group.members where try self.wishes(of: member)[port] != nil { members.append(member) }
                listener.rules = try rules(members, &groups)
                listener.otherwise = try otherwise(members, &groups)
            }
            balancer.listeners.append(listener)
        }
        balancer.targetGroups = groups.values.sorted { $0.name < $1.name }
        return balancer
    }

    // MARK: - The balancer

    /// Upstream: model_build_load_balancer.
    private func describe(_ balancer: inout ApplicationBalancer, _ members: [IngressGroup.Member]) throws(IngressModelError) {
        var (names, schemes): (Set<String>, Set<String>) = ([], [])
        for member in members {
            let annotations = IngressAnnotations(member.ingress)
            for (name, harmless) in Self.refused {
                guard let value = annotations.string(name), !harmless.contains(value) else { continue }
                throw IngressModelError("ingress: \(member.ingress.metadata.key): \(IngressAnnotations.prefix)\(name) is not served: \(value)")
            }
            if let name = annotations.string("load-balancer-name") { names.insert(name) }
            if let scheme = annotations.string("scheme") {
                guard ["internal", "internet-facing"].contains(scheme) else { throw IngressModelError("unknown scheme: \(scheme)") }
                schemes.insert(scheme)
            }
            balancer.tags.merge(try Self.tags(annotations)) { known, _ in known }
            if let text = try annotations.map("load-balancer-attributes")["idle_timeout.timeout_seconds"] {
                guard let seconds = Int(text), (1...4000).contains(seconds) else {
                    throw IngressModelError("idle_timeout.timeout_seconds must be within [1, 4000]: \(text)")
                }
                balancer.idleTimeout = seconds
            }
        }
        guard schemes.count <= 1 else { throw IngressModelError("conflicting scheme: \(schemes.sorted())") }
        guard names.count <= 1 else { throw IngressModelError("conflicting load balancer name: \(names.sorted())") }
        if let name = names.first {
            guard name.utf8.count <= Self.nameLimit, name.isPrintable else {
                throw IngressModelError("load balancer name cannot be longer than \(Self.nameLimit) characters")
            }
            balancer.name = name
        }
    }

    /// Upstream: EC2's limits of tags.
    private static func tags(_ annotations: IngressAnnotations) throws(IngressModelError) -> [String: String] {
        let tags = try annotations.map("tags")
        guard tags.count <= 40 else { throw IngressModelError("\(tags.count) tags, 40 are possible") }
        for (key, value) in tags where key.count > 128 || value.count > 256 || key.lowercased().hasPrefix("aws:") {
            throw IngressModelError("invalid tag: \(key)")
        }
        return tags
    }

    // MARK: - Listeners

    /// The ports of all, each as all that want it agree on. Upstream: mergeListenPortConfigs.
    private func wishes(_ members: [IngressGroup.Member]) throws(IngressModelError) -> [UInt16: Wish] {
        var merged: [UInt16: Wish] = [:]
        for member in members {
            for (port, wish) in try wishes(of: member) {
                guard var known = merged[port] else {
                    merged[port] = wish
                    continue
                }
                guard known.isSecure == wish.isSecure else {
                    throw IngressModelError("conflicting protocol, \(known.owner): \(known.isSecure ? "HTTPS" : "HTTP") | \(wish.owner)")
                }
                if known.sourceRanges.isEmpty {
                    known.sourceRanges = wish.sourceRanges
                } else if !wish.sourceRanges.isEmpty, Set(known.sourceRanges) != Set(wish.sourceRanges) {
                    throw IngressModelError("conflicting inbound-cidrs, \(known.owner): \(known.sourceRanges) | \(wish.owner): \(wish.sourceRanges)")
                }
                for certificate in wish.certificates where !known.certificates.contains(certificate) { known.certificates.append(certificate) }
                merged[port] = known
            }
        }
        for (port, wish) in merged where wish.certificates.count > Self.certificateLimit {
            throw IngressModelError("listener \(port) has \(wish.certificates.count) certificates, \(Self.certificateLimit) are possible")
        }
        return merged
    }

    /// Upstream: computeIngressListenPortConfigByPort. Certificates are those of `spec.tls`: there is no store of certificates that ARNs would name.
    private func wishes(of member: IngressGroup.Member) throws(IngressModelError) -> [UInt16: Wish] {
        let ingress = member.ingress
        let annotations = IngressAnnotations(ingress)
        var ranges: [String] = []
        for text in annotations.list("inbound-cidrs") {
            guard let range = IPRange(text) else {
                throw IngressModelError("invalid inbound-cidrs settings on Ingress: \(ingress.metadata.key): invalid CIDR address: \(text)")
            }
            if !range.isIPv6 { ranges.append(range.description) }
        }
        // Ranges that name nobody of IPv4 shut all of it out.
        if ranges.isEmpty, !annotations.list("inbound-cidrs").isEmpty { ranges = ["255.255.255.255/32"] }
        let secrets = ingress["spec"]["tls"].elements.compactMap { $0["secretName"]?.string }.filter { !$0.isEmpty }
        var wishes: [UInt16: Wish] = [:]
        for (port, isSecure) in try ports(annotations, prefersTLS: !secrets.isEmpty || !annotations.list("certificate-arn").isEmpty) {
            var certificates: [ApplicationBalancer.Certificate] = []
            if isSecure {
                for secret in secrets {
                    let found = try certificate("\(ingress.metadata.namespace)/\(secret)")
                    if !certificates.contains(found) { certificates.append(found) }
                }
                guard !certificates.isEmpty else {
                    throw IngressModelError(
                        "ingress: \(ingress.metadata.key): the HTTPS listener \(port) has no certificate: "
                            + "name a Secret of type kubernetes.io/tls in spec.tls")
                }
            }
            wishes[port] = Wish(isSecure: isSecure, certificates: certificates, sourceRanges: ranges, owner: ingress.metadata.key)
        }
        return wishes
    }

    /// Upstream: computeIngressListenPorts.
    private func ports(_ annotations: IngressAnnotations, prefersTLS: Bool) throws(IngressModelError) -> [UInt16: Bool] {
        guard let text = annotations.string("listen-ports") else { return prefersTLS ? [443: true] : [80: false] }
        guard let entries = try? Value(json: text).array else {
            throw IngressModelError("failed to parse listen-ports configuration: `\(text)`")
        }
        var ports: [UInt16: Bool] = [:]
        for entry in entries {
            for (name, value) in entry.object ?? Members() {
                guard let number = value.int, let port = UInt16(exactly: number), port > 0 else {
                    throw IngressModelError("listen port must be within [1, 65535]: \(value.jsonString)")
                }
                guard name == "HTTP" || name == "HTTPS" else {
                    throw IngressModelError("listen protocol must be within [HTTP, HTTPS]: \(name)")
                }
                ports[port] = name == "HTTPS"
            }
        }
        if ports.isEmpty { throw IngressModelError("empty listen-ports configuration: `\(text)`") }
        return ports
    }

    private func certificate(_ key: String) throws(IngressModelError) -> ApplicationBalancer.Certificate {
        guard let secret = facts.secret(key) else { throw IngressModelError("the Secret \(key) of type kubernetes.io/tls is not there") }
        func text(_ name: String) -> String? {
            secret["data"][name].string.flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
        }
        guard let chain = text("tls.crt"), let privateKey = text("tls.key"), !chain.isEmpty, !privateKey.isEmpty else {
            throw IngressModelError("the Secret \(key) lacks tls.crt or tls.key")
        }
        return .init(name: "\(secret.metadata.uid)-\(secret.metadata.resourceVersion)", pem: "\(chain)\n\(privateKey)\n")
    }

    /// The port of `ssl-redirect`; nil: nobody wants it. Upstream: buildSSLRedirectConfig.
    private func redirectPort(_ members: [IngressGroup.Member], _ wishes: [UInt16: Wish]) throws(IngressModelError) -> UInt16? {
        var ports: Set<Int> = []
        for member in members {
            if let port = try IngressAnnotations(member.ingress).int("ssl-redirect", in: 1...65535) { ports.insert(port) }
        }
        guard ports.count <= 1 else { throw IngressModelError("conflicting sslRedirect port: \(ports.sorted())") }
        guard let number = ports.first, let port = UInt16(exactly: number) else { return nil }
        guard let wish = wishes[port] else { throw IngressModelError("listener does not exist for SSLRedirect port: \(port)") }
        guard wish.isSecure else { throw IngressModelError("listener protocol non-SSL for SSLRedirect port: \(port)") }
        return port
    }

    // MARK: - Rules

    /// Upstream: buildListenerRules.
    private func rules(
        _ members: [IngressGroup.Member], _ groups: inout [String: ApplicationBalancer.TargetGroup]
    ) throws(IngressModelError) -> [ApplicationBalancer.Rule] {
        var rules: [ApplicationBalancer.Rule] = []
        for member in members {
            do {
                for rule in member.ingress["spec"]["rules"].elements {
                    for path in Self.ordered(rule["http"]?["paths"].elements ?? []) {
                        rules.append(try self.rule(member, host: rule["host"]?.string ?? "", path, &groups))
                    }
                }
            } catch { throw IngressModelError("ingress: \(member.ingress.metadata.key): \(error)") }
        }
        guard rules.count <= Self.ruleLimit else { throw IngressModelError("\(rules.count) rules, \(Self.ruleLimit) are possible") }
        return rules
    }

    /// Exact paths, then prefixes, the longest first, then the others as they stand. Upstream: sortIngressPaths.
    private static func ordered(_ paths: [JSONView]) -> [JSONView] {
        func type(_ path: JSONView) -> String { path["pathType"]?.string ?? "" }
        func length(_ path: JSONView) -> Int { path["path"]?.string?.utf8.count ?? 0 }
        let prefixes = paths.enumerated().filter { type($0.element) == "Prefix" }.sorted { a, b in
            length(a.element) == length(b.element) ? a.offset < b.offset : length(a.element) > length(b.element)
        }
        return paths.filter { type($0) == "Exact" } + prefixes.map(\.element) + paths.filter { type($0) != "Exact" && type($0) != "Prefix" }
    }

    private func rule(
        _ member: IngressGroup.Member, host: String, _ path: JSONView, _ groups: inout [String: ApplicationBalancer.TargetGroup]
    ) throws(IngressModelError) -> ApplicationBalancer.Rule {
        let annotations = IngressAnnotations(member.ingress)
        let name = path["backend"]?["service"]?["name"]?.string ?? ""
        guard annotations.string("transforms.\(name)") == nil else {
            throw IngressModelError("\(IngressAnnotations.prefix)transforms.\(name) is not served")
        }
        let conditions = try IngressConditions.read(
            host: host, path: path["path"]?.string ?? "", type: path["pathType"]?.string ?? "", written: annotations.json("conditions.\(name)"))
        return .init(conditions: conditions, action: try action(member, path["backend"], &groups))
    }

    /// Upstream: buildListenerDefaultActions.
    private func otherwise(
        _ members: [IngressGroup.Member], _ groups: inout [String: ApplicationBalancer.TargetGroup]
    ) throws(IngressModelError) -> ApplicationBalancer.Action {
        let having = members.filter { $0.ingress["spec"]["defaultBackend"] != nil }
        guard having.count <= 1 else {
            throw IngressModelError("multiple ingress defined default backend: \(having.map(\.ingress.metadata.key))")
        }
        guard let member = having.first else { return .notFound }
        return try action(member, member.ingress["spec"]["defaultBackend"], &groups)
    }

    /// Upstream: enhancedBackendBuilder.Build, buildForwardAction.
    private func action(
        _ member: IngressGroup.Member, _ backend: JSONView?, _ groups: inout [String: ApplicationBalancer.TargetGroup]
    ) throws(IngressModelError) -> ApplicationBalancer.Action {
        guard let service = backend?["service"], let name = service["name"]?.string else {
            throw IngressModelError("missing required \"service\" field")
        }
        var destinations = [IngressActions.Destination(service: name, port: service["port"]?["name"]?.string ?? "", weight: 1)]
        if let number = service["port"]?["number"]?.int, number > 0 { destinations[0].port = String(number) }
        if destinations[0].port == Self.annotated {
            guard let written = try IngressAnnotations(member.ingress).json("actions.\(name)") else {
                return .unavailable("Backend action does not exist")
            }
            switch try IngressActions.read(written) {
            case .final(let action): return action
            case .forward(let others): destinations = others
            }
        }
        var shares: [ApplicationBalancer.Share] = []
        for destination in destinations {
            let key = "\(member.ingress.metadata.namespace)/\(destination.service)"
            guard let found = facts.service(key) else {
                if destinations.count == 1 { return .unavailable("Backend service does not exist") }
                throw IngressModelError("Service \"\(destination.service)\" not found")
            }
            let group = try IngressTargets(facts: facts).group(member, found, port: destination.port)
            groups[group.name] = group
            shares.append(.init(group: group.name, weight: destination.weight))
        }
        return .forward(shares)
    }
}
