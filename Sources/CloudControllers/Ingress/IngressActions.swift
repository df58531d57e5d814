import KubeAPI

/// Reads the annotations `actions.NAME`: what is done with requests beside forwarding them to one Service. Upstream: pkg/ingress/config_types.go.
enum IngressActions {
    /// A Service's port and its weight, before it is known whether it is there.
    struct Destination: Equatable {
        var service: String
        /// A number or a name.
        var port: String
        var weight: Int
    }

    /// What an annotation says.
    enum Written: Equatable {
        case forward([Destination])
        case final(ApplicationBalancer.Action)
    }

    /// AWS's quota for one action.
    private static let destinationLimit = 5
    private static let weights = 0...999
    private static let bodyLimit = 1024
    private static let contentTypes: Set<String> = ["text/plain", "text/css", "text/html", "application/javascript", "application/json"]

    static func read(_ value: Value) throws(IngressModelError) -> Written {
        // Upstream's own names begin small; those of the API, which were taken once, do not.
        switch field(value, "type")?.string {
        case "fixed-response": return .final(.respond(try response(field(value, "fixedResponseConfig"))))
        case "redirect": return .final(.redirect(try redirect(field(value, "redirectConfig"))))
        case "forward": return .forward(try destinations(value))
        case let other: throw IngressModelError("unknown action type: \(other ?? "")")
        }
    }

    /// Go's decoder does not tell `Type` from `type`.
    static func field(_ value: Value, _ name: String) -> Value? {
        value[name] ?? value.object?.first { $0.0.lowercased() == name.lowercased() }?.1
    }

    private static func text(_ value: Value?) -> String? {
        if let text = value?.string { return text }
        return value?.int.map(String.init)
    }

    private static func response(_ value: Value?) throws(IngressModelError) -> ApplicationBalancer.Response {
        guard let value else { throw IngressModelError("missing FixedResponseConfig") }
        guard let code = text(field(value, "statusCode")), !code.isEmpty else {
            throw IngressModelError("invalid FixedResponseConfig: statusCode is required")
        }
        guard let status = Int(code), (200...299).contains(status) || (400...599).contains(status) else {
            throw IngressModelError("invalid FixedResponseConfig: statusCode must be 2XX, 4XX or 5XX: \(code)")
        }
        let body = field(value, "messageBody")?.string ?? ""
        guard body.unicodeScalars.count <= bodyLimit, !body.unicodeScalars.contains("\0") else {
            throw IngressModelError("invalid FixedResponseConfig: messageBody must be no more than \(bodyLimit) characters")
        }
        let type = field(value, "contentType")?.string
        if let type, !contentTypes.contains(type) {
            let types = contentTypes.sorted().joined(separator: ", ")
            throw IngressModelError("invalid FixedResponseConfig: contentType must be one of \(types): \(type)")
        }
        return ApplicationBalancer.Response(status: status, contentType: type, body: body)
    }

    private static func redirect(_ value: Value?) throws(IngressModelError) -> ApplicationBalancer.Redirect {
        guard let value else { throw IngressModelError("missing RedirectConfig") }
        var redirect = ApplicationBalancer.Redirect()
        switch text(field(value, "statusCode")) {
        case "HTTP_301": redirect.status = 301
        case "HTTP_302": redirect.status = 302
        case .none, "": throw IngressModelError("invalid RedirectConfig: statusCode is required")
        case .some(let other): throw IngressModelError("invalid RedirectConfig: statusCode must be HTTP_301 or HTTP_302: \(other)")
        }
        if let scheme = field(value, "protocol")?.string {
            guard ["HTTP", "HTTPS", "#{protocol}"].contains(scheme) else {
                throw IngressModelError("invalid RedirectConfig: protocol must be HTTP, HTTPS or #{protocol}: \(scheme)")
            }
            redirect.scheme = scheme.hasPrefix("#") ? scheme : scheme.lowercased()
        }
        if let port = text(field(value, "port")) {
            guard port == "#{port}" || UInt16(port).map({ $0 > 0 }) ?? false else {
                throw IngressModelError("invalid RedirectConfig: port must be within [1, 65535], or #{port}: \(port)")
            }
            redirect.port = port
        }
        redirect.host = try visible(field(value, "host")?.string ?? redirect.host, "host")
        redirect.path = try visible(field(value, "path")?.string ?? redirect.path, "path")
        redirect.query = try visible(field(value, "query")?.string ?? redirect.query, "query")
        guard redirect.path.hasPrefix("/") else { throw IngressModelError("invalid RedirectConfig: path must begin with /: \(redirect.path)") }
        return redirect
    }

    /// What stands in a header field and is no more than one word.
    private static func visible(_ text: String, _ name: String) throws(IngressModelError) -> String {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), text.utf8.count <= bodyLimit else {
            throw IngressModelError("invalid RedirectConfig: \(name) must be visible ASCII characters without blanks")
        }
        return text
    }

    private static func destinations(_ value: Value) throws(IngressModelError) -> [Destination] {
        guard field(value, "targetGroupARN") == nil else {
            throw IngressModelError("targetGroupARN is not served: name a Service by forwardConfig")
        }
        guard let config = field(value, "forwardConfig") else {
            throw IngressModelError("precisely one of TargetGroupArn and ForwardConfig can be specified")
        }
        let groups = field(config, "targetGroups")?.array ?? []
        guard !groups.isEmpty, groups.count <= destinationLimit else {
            throw IngressModelError("invalid ForwardConfig: targetGroups must have between 1 and \(destinationLimit) items")
        }
        var result: [Destination] = []
        for group in groups {
            guard let service = field(group, "serviceName")?.string, field(group, "targetGroupARN") == nil else {
                throw IngressModelError("invalid ForwardConfig: invalid TargetGroupTuple: a serviceName is needed, targetGroupARN is not served")
            }
            guard let port = text(field(group, "servicePort")) else {
                throw IngressModelError("invalid ForwardConfig: invalid TargetGroupTuple: missing servicePort")
            }
            let weight = field(group, "weight")?.int
            guard weight != nil || groups.count == 1 else {
                throw IngressModelError("invalid ForwardConfig: weight must be set when route to multiple target groups")
            }
            guard let number = Int(exactly: weight ?? 1), weights.contains(number) else {
                throw IngressModelError("invalid ForwardConfig: weight must be within [0, 999]")
            }
            result.append(Destination(service: service, port: port, weight: number))
        }
        return result
    }
}
