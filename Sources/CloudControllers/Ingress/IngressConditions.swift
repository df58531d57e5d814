import KubeAPI

/// What a request must be like for a rule: host and path of the Ingress, and the annotations `conditions.NAME`.
/// Upstream: model_build_listener_rules, config_types.go RuleCondition.
enum IngressConditions {
    /// AWS's quotas for one condition.
    private static let wildcardLimit = 5
    private static let lengthLimit = 1024

    /// `path` and `host` are the rule's, empty for any; `written` is the annotation.
    static func read(host: String, path: String, type: String, written: Value?) throws(IngressModelError) -> [ApplicationBalancer.Condition] {
        var hosts = host.isEmpty ? [] : [host]
        var paths = path.isEmpty ? [] : try patterns(path, type)
        var conditions: [ApplicationBalancer.Condition] = []
        for item in written?.array ?? [] {
            switch IngressActions.field(item, "field")?.string {
            case "host-header": hosts += try values(item, "hostHeaderConfig")
            case "path-pattern": paths += try values(item, "pathPatternConfig")
            case "http-header":
                let name = IngressActions.field(try config(item, "httpHeaderConfig"), "httpHeaderName")?.string ?? ""
                guard isToken(name) else { throw IngressModelError("invalid httpHeaderConfig: no header field is called so: \(name)") }
                conditions.append(.header(name: name, values: try checked(try values(item, "httpHeaderConfig"))))
            case "http-request-method":
                let methods = try values(item, "httpRequestMethodConfig")
                for method in methods where !isToken(method) {
                    throw IngressModelError("invalid httpRequestMethodConfig: no method is called so: \(method)")
                }
                conditions.append(.method(methods))
            case "query-string": conditions.append(.query(try pairs(item)))
            case "source-ip":
                let ranges = try values(item, "sourceIPConfig").map { text throws(IngressModelError) in
                    guard let range = IPRange(text), !range.isIPv6 else {
                        throw IngressModelError("invalid sourceIPConfig: no IPv4 range: \(text)")
                    }
                    return range.description
                }
                conditions.append(.source(ranges))
            case let other: throw IngressModelError("unknown condition field: \(other ?? "")")
            }
        }
        if !hosts.isEmpty { conditions.append(.host(try checked(hosts).map { $0.lowercased() })) }
        if !paths.isEmpty { conditions.append(.path(try checked(paths))) }
        return conditions
    }

    /// Upstream: buildPathPatterns.
    static func patterns(_ path: String, _ type: String) throws(IngressModelError) -> [String] {
        let isWild = path.contains { $0 == "*" || $0 == "?" }
        switch type {
        case "Exact":
            if isWild { throw IngressModelError("exact path shouldn't contain wildcards: \(path)") }
            return [path]
        case "Prefix":
            if path == "/" { return ["/*"] }
            if isWild { throw IngressModelError("prefix path shouldn't contain wildcards: \(path)") }
            let stem = path.hasSuffix("/") ? String(path.dropLast()) : path
            return [stem, stem + "/*"]
        case "", "ImplementationSpecific": return [path]
        default: throw IngressModelError("unsupported pathType: \(type)")
        }
    }

    private static func config(_ item: Value, _ name: String) throws(IngressModelError) -> Value {
        guard let config = IngressActions.field(item, name) else { throw IngressModelError("missing \(name)") }
        guard IngressActions.field(config, "regexValues") == nil else { throw IngressModelError("invalid \(name): regexValues are not served") }
        return config
    }

    private static func values(_ item: Value, _ name: String) throws(IngressModelError) -> [String] {
        let values = (IngressActions.field(try config(item, name), "values")?.array ?? []).compactMap(\.string)
        guard !values.isEmpty else { throw IngressModelError("invalid \(name): values cannot be empty") }
        return values
    }

    private static func pairs(_ item: Value) throws(IngressModelError) -> [ApplicationBalancer.QueryPair] {
        let values = IngressActions.field(try config(item, "queryStringConfig"), "values")?.array ?? []
        guard !values.isEmpty else { throw IngressModelError("invalid queryStringConfig: Values cannot be empty") }
        var pairs: [ApplicationBalancer.QueryPair] = []
        for value in values {
            guard let text = IngressActions.field(value, "value")?.string, !text.isEmpty else {
                throw IngressModelError("invalid queryStringConfig: value cannot be empty")
            }
            let key = IngressActions.field(value, "key")?.string
            guard key.map(isToken) ?? true else { throw IngressModelError("invalid queryStringConfig: a key of letters, digits, - and _ is needed") }
            _ = try checked([text])
            pairs.append(.init(key: key, value: text))
        }
        return pairs
    }

    /// Patterns that a proxy can take: seen, short, and with few wildcards.
    private static func checked(_ patterns: [String]) throws(IngressModelError) -> [String] {
        for pattern in patterns {
            guard pattern.isPrintable, pattern.utf8.count <= lengthLimit else {
                throw IngressModelError("a condition's value must be printable and no more than \(lengthLimit) bytes")
            }
            guard pattern.filter({ $0 == "*" || $0 == "?" }).count <= wildcardLimit else {
                throw IngressModelError("a condition's value must have no more than \(wildcardLimit) wildcards: \(pattern)")
            }
        }
        return patterns
    }

    /// Letters, digits, `-` and `_`: what names of header fields, methods and parameters are made of.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.unicodeScalars.allSatisfy { scalar in
                switch scalar {
                case "a"..."z", "A"..."Z", "0"..."9", "-", "_": true
                default: false
                }
            }
    }
}
