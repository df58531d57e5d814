import KubeAPI

extension CorefileDirective {
    /// Upstream: plugin.ErrOnce.
    func once(_ isFirst: Bool) throws(CorefileError) {
        guard isFirst else { throw fault("plugin/\(name): this plugin can only be used once per Server Block") }
    }

    fileprivate func unknown(_ option: CorefileLine) -> CorefileError {
        CorefileError(line: option.line, problem: "plugin/\(name): unknown or unsupported property '\((option.words.first ?? "").prefix(100))'")
    }

    fileprivate func number<T: FixedWidthInteger>(_ option: CorefileLine, _ range: ClosedRange<T>, at index: Int = 1) throws(CorefileError) -> T {
        guard option.words.indices.contains(index), let value = T(option.words[index]), range.contains(value) else {
            throw CorefileError(
                line: option.line, problem: "plugin/\(name): \(option.words[0]) takes a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    fileprivate func names(_ words: some Collection<String>, _ line: Int) throws(CorefileError) -> [DNSName] {
        let names = words.map { DNSName($0) }
        guard names.allSatisfy(\.isEncodable) else { throw CorefileError(line: line, problem: "plugin/\(name): a zone is none") }
        return names
    }

    /// All zones when none is named.
    fileprivate func fallThrough(_ option: CorefileLine) throws(CorefileError) -> [DNSName] {
        option.words.count == 1 ? [DNSName([])] : try names(option.words.dropFirst(), option.line)
    }
}

extension Corefile.Kubernetes {
    /// Upstream: plugin/kubernetes setup.go.
    init(_ directive: CorefileDirective) throws(CorefileError) {
        zones = try directive.names(directive.arguments, directive.line)
        let domains = zones.filter { $0.labels.last != "arpa" }
        guard domains.count == 1, let domain = domains.first else {
            throw directive.fault("plugin/kubernetes: one domain is supported, beside reverse zones")
        }
        zones = [domain] + zones.filter { $0 != domain }
        for option in directive.options {
            switch option.words[0] {
            case "pods":
                switch option.words.dropFirst().first {
                case "disabled": answersPods = false
                case "insecure": answersPods = true
                default: throw CorefileError(line: option.line, problem: "plugin/kubernetes: pods is 'disabled' or 'insecure'")
                }
            case "ttl": ttl = try directive.number(option, 0...3600)
            case "fallthrough": fallThrough = try directive.fallThrough(option)
            default: throw directive.unknown(option)
            }
        }
    }
}

extension Corefile.Hosts {
    /// Entries of all lines together.
    private static let maximumEntries = 4096

    /// Upstream: plugin/hosts setup.go. A file is not read: entries stand in the block.
    init(_ directive: CorefileDirective, _ serverZones: [DNSName]) throws(CorefileError) {
        let named = try directive.names(directive.arguments.dropFirst(), directive.line)
        zones = named.isEmpty ? serverZones : named
        var isReversed = true
        var entries: [(address: IPAddress, names: [DNSName])] = []
        for option in directive.options {
            switch option.words[0] {
            case "ttl": ttl = try directive.number(option, 1...65535)
            case "no_reverse": isReversed = false
            case "fallthrough": fallThrough = try directive.fallThrough(option)
            case let word:
                guard let address = IPAddress(word), option.words.count > 1 else { throw directive.unknown(option) }
                entries.append((address, try directive.names(option.words.dropFirst(), option.line)))
            }
        }
        guard !entries.isEmpty, entries.reduce(0, { $0 + $1.names.count }) <= Self.maximumEntries else {
            throw directive.fault("plugin/hosts: entries stand in the block, at most \(Self.maximumEntries); files are not read")
        }
        for (address, names) in entries {
            for name in names { addresses[name, default: []].append(address) }
            if isReversed { self.names[address, default: []] += names }
        }
    }
}

extension Corefile.Forward {
    /// Upstream: plugin/forward's maxUpstreams.
    private static let maximumTargets = 15
    private static let port: UInt16 = 53

    /// Upstream: plugin/forward setup.go.
    init(_ directive: CorefileDirective) throws(CorefileError) {
        guard let zone = directive.arguments.first, directive.arguments.count > 1, directive.arguments.count <= Self.maximumTargets + 1 else {
            throw directive.fault("plugin/forward: Wrong argument count: a zone and 1 to \(Self.maximumTargets) servers")
        }
        from = try directive.names([zone], directive.line)[0]
        targets = []
        for text in directive.arguments.dropFirst() {
            guard let target = Self.target(text) else { throw directive.fault("plugin/forward: not an IP address or file: \"\(text.prefix(300))\"") }
            targets.append(target)
        }
        for option in directive.options {
            switch option.words[0] {
            case "except": except = try directive.names(option.words.dropFirst(), option.line)
            case "force_tcp": isByTCP = true
            case "max_concurrent": maximumConcurrent = try directive.number(option, 1...100_000)
            case "policy":
                guard let policy = Corefile.Policy(rawValue: option.words.dropFirst().first ?? "") else {
                    throw CorefileError(line: option.line, problem: "plugin/forward: unknown policy")
                }
                self.policy = policy
            // Each question goes out from a socket of its own, by UDP first, and a server is passed over when it does not answer.
            case "expire", "health_check", "max_fails", "prefer_udp": break
            default: throw directive.unknown(option)
            }
        }
    }

    /// `10.0.0.2`, `10.0.0.2:5353`, `dns://…`, `[fd00::1]:53`, `/etc/resolv.conf`
    private static func target(_ text: String) -> Corefile.Target? {
        if text == "/etc/resolv.conf" { return .host }
        let text = text.hasPrefix("dns://") ? String(text.dropFirst("dns://".count)) : text
        if let address = IPAddress(text) { return .address(address, port) }
        guard let colon = text.lastIndex(of: ":"), let number = UInt16(text[text.index(after: colon)...]), number > 0 else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host)) else { return nil }
        return .address(address, number)
    }
}

extension Corefile.Cache {
    private static let longest: UInt32 = 86_400

    /// Upstream: plugin/cache setup.go: `cache [TTL] { success CAPACITY [TTL] [MINTTL]; denial CAPACITY [TTL] [MINTTL] }`.
    init(_ directive: CorefileDirective) throws(CorefileError) {
        guard directive.arguments.count <= 1 else { throw directive.fault("plugin/cache: zones are not supported") }
        if let text = directive.arguments.first {
            guard let seconds = UInt32(text), (1...Self.longest).contains(seconds) else {
                throw directive.fault("plugin/cache: cache TTL is a number of seconds, at least 1: \(text.prefix(100))")
            }
            success = seconds
            denial = seconds
        }
        for option in directive.options {
            guard option.words[0] == "success" || option.words[0] == "denial" else { throw directive.unknown(option) }
            capacity = max(capacity, try directive.number(option, 1...65_536))
            if option.words.count > 2 {
                let seconds = try directive.number(option, 1...Self.longest, at: 2)
                if option.words[0] == "success" { success = seconds } else { denial = seconds }
            }
            if option.words.count > 3 { minimum = try directive.number(option, 0...Self.longest, at: 3) }
        }
    }
}
