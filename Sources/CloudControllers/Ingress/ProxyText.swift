/// Writes a balancer as sections of the proxy's configuration: a frontend for each listener, a backend for each action that answers by itself, two
/// for each target group. All that users wrote goes through `ProxyWord`. Upstream: haproxy's Configuration Manual.
struct ProxyText {
    /// A backend that answers by itself.
    private typealias Answer = (name: String, action: ApplicationBalancer.Action)

    private let balancer: ApplicationBalancer
    private let address: String
    private var lines: [String] = []
    /// What the frontend being written sends where; it comes after all that is done with requests.
    private var uses: [String] = []
    /// How many throws there are: each has its variable.
    private var draws = 0

    /// The part of the configuration that serves `balancer` at `address`.
    static func part(_ balancer: ApplicationBalancer, at address: String) -> IngressPart {
        var text = ProxyText(balancer, address)
        for listener in balancer.listeners { text.write(listener) }
        for group in balancer.targetGroups { text.write(group) }
        let certificates = balancer.listeners.flatMap(\.certificates).map { ($0.name, $0.pem) }
        return IngressPart(
            text: text.lines.joined(separator: "\n") + "\n", certificates: Dictionary(certificates, uniquingKeysWith: { a, _ in a }),
            ports: balancer.listeners.map(\.port))
    }

    private init(_ balancer: ApplicationBalancer, _ address: String) {
        self.balancer = balancer
        self.address = address
    }

    private mutating func section(_ head: String) { lines.append(head) }
    private mutating func put(_ line: String) { lines.append("    " + line) }

    private static func word(_ text: String) -> String { ProxyWord.escaped(text) }
    private static func open(_ group: String) -> String { word(group + ":open") }

    // MARK: - Listeners

    private mutating func write(_ listener: ApplicationBalancer.Listener) {
        let name = Self.word("lb:\(balancer.id):\(listener.port)")
        section("frontend \(name)")
        // Transparent: an address that is not there yet keeps no other balancer from being served.
        var bind = "bind \(address):\(listener.port) transparent"
        if listener.isSecure {
            bind += " ssl" + listener.certificates.map { " crt \(Self.word("\(balancer.id)/\($0.name).pem"))" }.joined() + " alpn h2,http/1.1"
        }
        put(bind)
        put("timeout client \(balancer.idleTimeout)s")
        put("timeout http-keep-alive \(balancer.idleTimeout)s")
        if !listener.sourceRanges.isEmpty {
            for range in listener.sourceRanges { put("acl inbound src -- \(Self.word(range))") }
            put("tcp-request connection reject unless inbound")
        }
        put("http-request set-header X-Forwarded-Proto \(listener.isSecure ? "https" : "http")")
        put("http-request set-header X-Forwarded-Port \(listener.port)")
        var answers: [Answer] = []
        for (index, rule) in listener.rules.enumerated() {
            let terms = rule.conditions.enumerated().map { offset, condition in
                let term = "r\(index + 1).\(offset + 1)"
                for test in Self.tests(condition) { put("acl \(term) \(test)") }
                return term
            }
            route(rule.action, terms, answer: "\(name):\(index + 1)", &answers)
        }
        route(listener.otherwise, [], answer: "\(name):default", &answers)
        for use in uses { put(use) }
        uses = []
        for (name, action) in answers { answer(name, action, listener) }
    }

    /// The matchers of a condition, one of which must hold.
    private static func tests(_ condition: ApplicationBalancer.Condition) -> [String] {
        func match(_ what: String, _ values: [String], flags: String = "") -> [String] {
            values.map { value in
                let pattern = ProxyPattern(value)
                return pattern.method == "found" ? "\(what) -m found" : "\(what) -m \(pattern.method)\(flags) -- \(word(pattern.text))"
            }
        }
        switch condition {
        case .host(let values): return match("req.hdr(host),host_only,lower", values)
        case .path(let values): return match("path", values)
        case .header(let name, let values): return match("req.fhdr(\(name))", values, flags: " -i")
        case .method(let values): return values.map { "method -m str -- \(word($0))" }
        case .source(let ranges): return ranges.map { "src -- \(word($0))" }
        case .query(let pairs):
            return pairs.flatMap { pair in
                if let key = pair.key { return match("url_param(\(key))", [pair.value], flags: " -i") }
                let value = ProxyPattern.expression(pair.value, any: "[^&]")
                return ["query -m reg -i -- \(word("(^|&)[^&=]*=\(value)(&|$)"))"]
            }
        }
    }

    /// Sends what fits `terms` (all, when there are none) where the action wants it.
    private mutating func route(
        _ action: ApplicationBalancer.Action, _ terms: [String], answer: String, _ answers: inout [Answer]
    ) {
        guard case .forward(let all) = action else { return direct(to: answer, terms, action, &answers) }
        let shares = all.filter { $0.weight > 0 }
        guard !shares.isEmpty else { return direct(to: answer, terms, .unavailable(""), &answers) }
        var rest = shares.reduce(0) { $0 + $1.weight }
        for share in shares {
            var chosen = terms
            if share.weight < rest {
                // A throw among those that are left makes the shares what they should be. It decides for both of the group's backends.
                draws += 1
                let draw = "txn.draw\(draws)"
                put("http-request set-var(\(draw)) rand(\(rest))")
                chosen.append("{ var(\(draw)) -m int lt \(share.weight) }")
                rest -= share.weight
            }
            // As the load balancers it stands for, it tries all targets when none is well.
            use(Self.open(share.group), chosen + ["{ nbsrv(\(Self.word(share.group))) eq 0 }"])
            use(Self.word(share.group), chosen)
        }
    }

    private mutating func use(_ backend: String, _ terms: [String]) {
        uses.append(terms.isEmpty ? "use_backend \(backend)" : "use_backend \(backend) if \(terms.joined(separator: " "))")
    }

    private mutating func direct(
        to name: String, _ terms: [String], _ action: ApplicationBalancer.Action, _ answers: inout [Answer]
    ) {
        use(name, terms)
        answers.append((name, action))
    }

    // MARK: - Answers

    private mutating func answer(_ name: String, _ action: ApplicationBalancer.Action, _ listener: ApplicationBalancer.Listener) {
        section("backend \(name)")
        switch action {
        case .forward: break
        case .respond(let response):
            guard !response.body.isEmpty else { return put("http-request return status \(response.status)") }
            let type = Self.word(response.contentType ?? "text/plain")
            put("http-request return status \(response.status) content-type \(type) string \(Self.word(response.body))")
        case .redirect(let redirect):
            let front = "\(redirect.scheme)://\(redirect.host):\(redirect.port)\(redirect.path)"
            let bare = Self.location(front, listener)
            guard !redirect.query.isEmpty else { return put("http-request redirect location \(bare) code \(redirect.status)") }
            // A request without a query leads to a place without a lone question mark.
            let condition = redirect.query == "#{query}" ? " if { query -m found }" : ""
            put("http-request redirect location \(Self.location("\(front)?\(redirect.query)", listener)) code \(redirect.status)\(condition)")
            if !condition.isEmpty { put("http-request redirect location \(bare) code \(redirect.status)") }
        }
    }

    /// A template as the proxy's log format, in which only our placeholders mean something.
    private static func location(_ template: String, _ listener: ApplicationBalancer.Listener) -> String {
        let values = [
            ("#{protocol}", listener.isSecure ? "https" : "http"), ("#{host}", "%[req.hdr(host),host_only]"), ("#{port}", "\(listener.port)"),
            ("#{path}", "%[path,regsub(^/,)]"), ("#{query}", "%[query]"),
        ]
        var result = ""
        var rest = Substring(template)
        while let first = rest.first {
            if let (name, value) = values.first(where: { rest.hasPrefix($0.0) }) {
                result += value
                rest = rest.dropFirst(name.count)
            } else {
                result += first == "%" ? "%%" : word(String(first))
                rest = rest.dropFirst()
            }
        }
        return result
    }

    // MARK: - Target groups

    private mutating func write(_ group: ApplicationBalancer.TargetGroup) {
        section("backend \(Self.word(group.name))")
        balance(group)
        let check = group.check
        var options = "check inter \(check.interval)s fall \(check.unhealthy) rise \(check.healthy)"
        if let port = check.port { options += " port \(port)" }
        if check.isSecure { options += " check-ssl verify none" } else if group.isSecure { options += " no-check-ssl verify none" }
        if group.version == .http2 { options += check.isSecure ? " check-alpn h2" : " check-proto h2" }
        // A server of gRPC is well when it can be connected to.
        if group.version != .grpc {
            put("option httpchk")
            put("http-check send meth GET uri \(Self.word(check.path)) ver HTTP/1.1 hdr Host \(address) hdr User-Agent ELB-HealthChecker/2.0")
            put("http-check expect status \(check.codes)")
        }
        put("timeout check \(check.timeout)s")
        servers(group, options)

        section("backend \(Self.open(group.name))")
        balance(group)
        servers(group, "")
    }

    private mutating func balance(_ group: ApplicationBalancer.TargetGroup) {
        switch group.balance {
        case .roundRobin: put("balance roundrobin")
        case .leastOutstanding: put("balance leastconn")
        case .random: put("balance random")
        }
        put("timeout server \(balancer.idleTimeout)s")
        put("timeout tunnel \(balancer.idleTimeout)s")
        guard let seconds = group.stickiness else { return }
        put("cookie AWSALB insert indirect nocache dynamic maxlife \(seconds)s")
        put("dynamic-cookie-key \(Self.word(group.name))")
    }

    private mutating func servers(_ group: ApplicationBalancer.TargetGroup, _ options: String) {
        var all = options.isEmpty ? [] : [options]
        if group.isSecure { all.append(options.contains("verify none") ? "ssl" : "ssl verify none") }
        if group.version != .http1 { all.append(group.isSecure ? "alpn h2" : "proto h2") }
        for target in group.targets {
            // Names may have no brackets.
            let name = "\(target.address):\(target.port)"
            let place = target.address.contains(":") ? "[\(target.address)]:\(target.port)" : name
            put((["server \(name) \(place)"] + all).joined(separator: " "))
        }
    }
}
