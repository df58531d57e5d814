import KubeAPI

/// The rules of clientConfigs, in admission webhooks and in the conversion webhooks of CustomResourceDefinitions. Upstream:
/// webhook.ValidateWebhookURL and webhook.ValidateWebhookService.
enum WebhookValidation {
    private static let form = "; desired format: https://host[/path]"

    /// A `clientConfig`: either a URL or a service.
    static func clientConfig(_ view: JSONView?, _ field: String, _ errors: inout FieldErrors) {
        let url = view["url"].present
        let service = view["service"].present
        guard (url == nil) != (service == nil) else { return errors.required(field, "exactly one of url or service is required") }
        if let url { self.url(url.string ?? "", "\(field).url", &errors) }
        if let service { self.service(service, "\(field).service", &errors) }
    }

    static func url(_ text: String, _ field: String, _ errors: inout FieldErrors) {
        func invalid(_ value: Substring, _ why: String) { errors.invalid(field, .string(String(value)), why) }
        if text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
            return errors.required(field, "url must be a valid URL: parse \(text.goQuoted): net/url: invalid control character in URL\(form)")
        }
        var rest = Substring(text)
        var fragment = Substring()
        if let hash = rest.firstIndex(of: "#") {
            fragment = rest[rest.index(after: hash)...]
            rest = rest[..<hash]
        }
        var scheme = Substring()
        if let colon = rest.firstIndex(of: ":"), let first = rest.first, first.isLetter,
            rest[..<colon].utf8.allSatisfy({ Self.isSchemeCharacter($0) })
        {
            scheme = rest[..<colon]
            rest = rest[rest.index(after: colon)...]
        } else if rest.first == ":" {
            return errors.required(field, "url must be a valid URL: parse \(text.goQuoted): missing protocol scheme\(form)")
        }
        var query = Substring()
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        var authority = Substring()
        if rest.hasPrefix("//") { authority = rest.dropFirst(2).prefix { $0 != "/" } }
        var host = authority
        var user: Substring?
        if let at = authority.lastIndex(of: "@") {
            user = authority[..<at]
            host = authority[authority.index(after: at)...]
        }
        if let colon = host.lastIndex(of: ":"), !host[colon...].contains("]"), !host[host.index(after: colon)...].allSatisfy(\.isNumber) {
            let port = String(host[colon...])
            return errors.required(
                field, "url must be a valid URL: parse \(text.goQuoted): invalid port \(port.goQuoted) after host\(form)")
        }
        if scheme.lowercased() != "https" { invalid(Substring(scheme.lowercased()), "'https' is the only allowed URL scheme\(form)") }
        if host.isEmpty { invalid(host, "host must be specified\(form)") }
        if let user { invalid(user, "user information is not permitted in the URL") }
        if !fragment.isEmpty { invalid(fragment, "fragments are not permitted in the URL") }
        if !query.isEmpty { invalid(query, "query parameters are not permitted in the URL") }
    }

    private static func isSchemeCharacter(_ c: UInt8) -> Bool {
        switch c {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    static func service(_ view: JSONView, _ field: String, _ errors: inout FieldErrors) {
        if (view["name"].string ?? "").isEmpty { errors.required("\(field).name", "service name is required") }
        if (view["namespace"].string ?? "").isEmpty { errors.required("\(field).namespace", "service namespace is required") }
        let port = view["port"].int ?? 443
        if !(1...65535).contains(port) {
            errors.invalid("\(field).port", .int(port), "port is not valid: must be between 1 and 65535, inclusive")
        }
        guard let path = view["path"].string, !path.isEmpty, path != "/" else { return }
        func invalid(_ why: String) { errors.invalid("\(field).path", .string(path), why) }
        if path == "//" { return invalid("segment[0] may not be empty") }
        if !path.hasPrefix("/") { invalid("must start with a '/'") }
        var checked = path.dropFirst()
        if checked.hasSuffix("/") { checked = checked.dropLast() }
        for (index, step) in checked.split(separator: "/", omittingEmptySubsequences: false).enumerated() {
            if step.isEmpty {
                invalid("segment[\(index)] may not be empty")
                continue
            }
            for problem in Names.problems(String(step), .dnsSubdomain) { invalid("segment[\(index)]: \(problem)") }
        }
    }

    /// The `rules` of a webhook, an element at a time, and the resource rules of policies. Upstream: validateRuleWithOperations.
    static func rule(_ rule: JSONView, _ field: String, _ errors: inout FieldErrors) {
        let supported = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]
        let operations = rule["operations"].strings
        if operations.isEmpty { errors.required("\(field).operations", "") }
        if operations.count > 1, operations.contains("*") {
            errors.invalid("\(field).operations", Value(operations), "if '*' is present, must not specify other operations")
        }
        for (index, operation) in operations.enumerated() where !supported.contains(operation) {
            errors.notSupported("\(field).operations[\(index)]", operation, supported)
        }
        let groups = rule["apiGroups"].strings
        if groups.isEmpty { errors.required("\(field).apiGroups", "") }
        if groups.count > 1, groups.contains("*") {
            errors.invalid("\(field).apiGroups", Value(groups), "if '*' is present, must not specify other API groups")
        }
        let versions = rule["apiVersions"].strings
        if versions.isEmpty { errors.required("\(field).apiVersions", "") }
        if versions.count > 1, versions.contains("*") {
            errors.invalid("\(field).apiVersions", Value(versions), "if '*' is present, must not specify other API versions")
        }
        for (index, version) in versions.enumerated() where version.isEmpty { errors.required("\(field).apiVersions[\(index)]", "") }
        resources(rule["resources"].strings, "\(field).resources", &errors)
        errors.oneOf("\(field).scope", rule["scope"], ["*", "Cluster", "Namespaced"])
    }

    private static func resources(_ resources: [String], _ field: String, _ errors: inout FieldErrors) {
        if resources.isEmpty { errors.required(field, "") }
        var wholeResources: Set<String> = []
        var wholeSubresources: Set<String> = []
        var hasResource = false
        for (index, text) in resources.enumerated() {
            if text.isEmpty {
                errors.required("\(field)[\(index)]", "")
                continue
            }
            let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else {
                // The last one decides, as upstream's loop has it.
                hasResource = text != "*"
                continue
            }
            if wholeResources.contains(parts[0]) {
                errors.invalid("\(field)[\(index)]", .string(text), "if '\(parts[0])/*' is present, must not specify \(text)")
            }
            if wholeSubresources.contains(parts[1]) {
                errors.invalid("\(field)[\(index)]", .string(text), "if '*/\(parts[1])' is present, must not specify \(text)")
            }
            if parts[1] == "*" { wholeResources.insert(parts[0]) }
            if parts[0] == "*" { wholeSubresources.insert(parts[1]) }
        }
        if resources.count > 1, resources.contains("*/*") {
            errors.invalid(field, Value(resources), "if '*/*' is present, must not specify other resources")
        }
        if resources.contains("*"), hasResource {
            errors.invalid(field, Value(resources), "if '*' is present, must not specify other resources without subresources")
        }
    }
}
