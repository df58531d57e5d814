import KubeAPI

extension DefinitionValidation {
    /// Versions of ConversionReview that the server speaks, v1beta1 in name only: a webhook must know one of these.
    static let reviewVersions = ["v1", "v1beta1"]

    /// `spec.conversion`. Upstream: validateCustomResourceConversion; its paths are those of the internal type.
    mutating func conversion() {
        guard let conversion = definition.spec["conversion"].present else { return }
        let strategy = conversion["strategy"].string ?? ""
        errors.oneOf("spec.conversion.strategy", conversion["strategy"], ["None", "Webhook"], isRequired: true)
        let client = conversion["webhook"]["clientConfig"].present
        let versions = conversion["webhook"]["conversionReviewVersions"].strings
        if strategy != "None", definition.preservesUnknownFields {
            errors.invalid("spec.conversion.strategy", .string(strategy), "must be None if spec.preserveUnknownFields is true")
        }
        guard strategy == "Webhook" else {
            if client != nil {
                errors.forbidden("spec.conversion.webhookClientConfig", "should not be set when strategy is not set to Webhook")
            }
            if !versions.isEmpty {
                errors.forbidden("spec.conversion.conversionReviewVersions", "should not be set when strategy is not set to Webhook")
            }
            return
        }
        let path = "spec.conversion.webhookClientConfig"
        if let client {
            switch (client["url"].string, client["service"].present) {
            case (let url?, nil): webhookURL(url, "\(path).url")
            case (nil, let service?): webhookService(service, "\(path).service")
            default: errors.required(path, "exactly one of url or service is required")
            }
        } else {
            errors.required(path, "required when strategy is set to Webhook")
        }
        reviewVersions(versions, "spec.conversion.conversionReviewVersions")
    }

    private mutating func reviewVersions(_ versions: [String], _ path: String) {
        guard !versions.isEmpty else { return errors.required(path) }
        var seen: Set<String> = []
        for (index, version) in versions.enumerated() {
            guard seen.insert(version).inserted else {
                errors.invalid("\(path)[\(index)]", .string(version), "duplicate version")
                continue
            }
            for problem in Names.problems(version, .dns1035Label) { errors.invalid("\(path)[\(index)]", .string(version), problem) }
        }
        if seen.isDisjoint(with: Self.reviewVersions) {
            errors.invalid(path, Value(versions), "must include at least one of \(Self.reviewVersions.joined(separator: ", "))")
        }
    }

    /// Upstream: webhook.ValidateWebhookURL.
    private mutating func webhookURL(_ url: String, _ path: String) {
        let form = "desired format: https://host[/path]"
        guard url.hasPrefix("https://") else {
            let scheme = url.split(separator: ":", maxSplits: 1).first.map(String.init) ?? ""
            return errors.invalid(path, .string(url.contains("://") ? scheme : ""), "'https' is the only allowed URL scheme; \(form)")
        }
        let rest = url.dropFirst("https://".count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if authority.isEmpty { errors.invalid(path, "", "host must be specified; \(form)") }
        if authority.contains("@") {
            errors.invalid(path, .string(String(authority.prefix { $0 != "@" })), "user information is not permitted in the URL")
        }
        if let fragment = url.split(separator: "#", maxSplits: 1).dropFirst().first {
            errors.invalid(path, .string(String(fragment)), "fragments are not permitted in the URL")
        }
        if let query = url.split(separator: "?", maxSplits: 1).dropFirst().first {
            errors.invalid(path, .string(String(query)), "query parameters are not permitted in the URL")
        }
    }

    /// Upstream: webhook.ValidateWebhookService.
    private mutating func webhookService(_ service: JSONView, _ path: String) {
        if (service["name"].string ?? "").isEmpty { errors.required("\(path).name", "service name is required") }
        if (service["namespace"].string ?? "").isEmpty { errors.required("\(path).namespace", "service namespace is required") }
        if let port = service["port"].int, port < 1 || port > 65535 {
            errors.invalid("\(path).port", .int(port), "port is not valid: must be between 1 and 65535, inclusive")
        }
        guard let text = service["path"].string else { return }
        if !text.hasPrefix("/") { return errors.invalid("\(path).path", .string(text), "must start with a '/'") }
        var steps = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if steps.last?.isEmpty == true { steps.removeLast() }
        for (index, step) in steps.enumerated() {
            if step.isEmpty {
                errors.invalid("\(path).path", .string(text), "segment[\(index)] may not be empty")
                continue
            }
            for problem in Names.problems(String(step), .dnsSubdomain) {
                errors.invalid("\(path).path", .string(text), "segment[\(index)]: \(problem)")
            }
        }
    }
}

/// Whether the Kubernetes project approved of a definition in one of its own groups. Upstream: apihelpers.GetAPIApprovalState.
struct APIApproval: Sendable, Equatable {
    enum Kind: Sendable { case missing, invalid, approved, bypassed }

    static let annotation = "api-approved.kubernetes.io"
    private static let proposal = "https://github.com/kubernetes/enhancements/pull/1111"

    let kind: Kind
    let message: String

    static func isProtected(_ group: String) -> Bool {
        group == "k8s.io" || group.hasSuffix(".k8s.io") || group == "kubernetes.io" || group.hasSuffix(".kubernetes.io")
    }

    init(_ annotations: [String: String]) {
        let text = annotations[Self.annotation] ?? ""
        if text.isEmpty {
            kind = .missing
            message = "protected groups must have approval annotation \"\(Self.annotation)\", see \(Self.proposal)"
        } else if text.hasPrefix("unapproved") {
            kind = .bypassed
            message = "not approved: \(text.goQuoted)"
        } else if let mark = text.firstRange(of: "://"), mark.lowerBound > text.startIndex,
            let first = text[mark.upperBound...].first, first != "/"
        {
            kind = .approved
            message = "approved in \(text)"
        } else {
            kind = .invalid
            message =
                "protected groups must have approval annotation \"\(Self.annotation)\" with either a URL or a reason starting with \"unapproved\", "
                + "see \(Self.proposal)"
        }
    }
}
