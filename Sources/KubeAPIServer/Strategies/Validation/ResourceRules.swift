import KubeAPI

/// The names of computing resources and how their quantities may look. Upstream: core/validation.validateResourceName and its like, with
/// pkg/apis/core/helper.
enum ResourceRules {
    private static let standardContainer: Set<String> = ["cpu", "memory", "ephemeral-storage"]
    private static let standardQuota: Set<String> = [
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage", "limits.cpu",
        "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services", "replicationcontrollers", "secrets",
        "persistentvolumeclaims", "configmaps", "services.nodeports", "services.loadbalancers",
    ]
    private static let standard: Set<String> = standardQuota.union(["storage"])
    /// Counted in whole numbers. Upstream: helper.integerResources.
    private static let integer: Set<String> = [
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims", "services.nodeports",
        "services.loadbalancers",
    ]
    /// Those a pod as a whole may ask for, besides huge pages. Upstream: resourcehelper.SupportedPodLevelResources.
    static let podLevel = ["cpu", "memory"]

    static func isHugePage(_ name: String) -> Bool { name.hasPrefix("hugepages-") }
    static func isQuotaHugePage(_ name: String) -> Bool { isHugePage(name) || name.hasPrefix("requests.hugepages-") }
    /// Upstream: helper.IsNativeResource.
    static func isNative(_ name: String) -> Bool { !name.contains("/") || name.contains("kubernetes.io/") }
    /// Upstream: helper.IsOvercommitAllowed.
    static func isOvercommitAllowed(_ name: String) -> Bool { isNative(name) && !isHugePage(name) }
    /// Upstream: helper.IsExtendedResourceName.
    static func isExtended(_ name: String) -> Bool {
        !isNative(name) && !name.hasPrefix("requests.") && Names.qualifiedNameProblems("requests.\(name)").isEmpty
    }
    static func isInteger(_ name: String) -> Bool { integer.contains(name) || isExtended(name) }
    static func isStandardQuota(_ name: String) -> Bool { standardQuota.contains(name) || isQuotaHugePage(name) }

    /// Upstream: core/validation.validateResourceName. Says whether it was in order.
    @discardableResult
    static func name(_ field: @autoclosure () -> String, _ name: String, _ errors: inout FieldErrors) -> Bool {
        let problems = Names.qualifiedNameProblems(name)
        guard problems.isEmpty else {
            errors.invalid(field(), name, problems)
            return false
        }
        if !name.contains("/"), !standard.contains(name), !isQuotaHugePage(name) {
            errors.invalid(field(), text: name, "must be a standard resource type or fully qualified")
            return false
        }
        return true
    }

    /// Upstream: core/validation.validateContainerResourceName.
    static func containerName(_ field: @autoclosure () -> String, _ name: String, _ errors: inout FieldErrors) {
        if standardContainer.contains(name) { return }
        Self.name(field(), name, &errors)
        if !name.contains("/") {
            if !isHugePage(name) { errors.invalid(field(), text: name, "must be a standard resource for containers") }
        } else if !isNative(name), !isExtended(name) {
            errors.invalid(field(), text: name, "doesn't follow extended resource name standard")
        }
    }

    /// Upstream: core/validation.ValidateResourceQuotaResourceName.
    static func quotaName(_ field: @autoclosure () -> String, _ name: String, _ errors: inout FieldErrors) {
        if standardQuota.contains(name) { return }
        Self.name(field(), name, &errors)
        if !name.contains("/"), !isStandardQuota(name) { errors.invalid(field(), text: name, "must be a standard resource for quota") }
    }

    /// Upstream: core/validation.ValidateResourceQuantityValue.
    static func quantity(_ field: @autoclosure () -> String, _ name: String, _ view: JSONView, _ errors: inout FieldErrors) {
        guard let quantity = view.quantity else { return }
        if quantity.sign < 0 { errors.invalid(field(), text: quantity.description, "must be greater than or equal to 0") }
        if isInteger(name), quantity.milliValue % 1000 != 0 { errors.invalid(field(), text: quantity.description, "must be an integer") }
    }

    /// Whether a pod's or a container's list is checked, and which names it may have.
    enum Scope { case container, pod }

    /// Requests and limits. Upstream: core/validation.validateResourceRequirements.
    static func requirements(
        _ path: @autoclosure () -> String, _ resources: JSONView?, claims: Set<String> = [], scope: Scope = .container, _ errors: inout FieldErrors
    ) {
        guard let resources = resources.present else { return }
        var hasCompute = false
        var hasHugePages = false
        for list in ["limits", "requests"] {
            for (name, value) in resources[list]?.members.map({ $0 }) ?? [] {
                let place = "\(path()).\(list)[\(name)]"
                switch scope {
                case .container: containerName(place, name, &errors)
                case .pod: podName(place, name, &errors)
                }
                quantity(place, name, value, &errors)
                if list == "requests" { request(path(), name, value, resources["limits"][name], &errors) }
                if isHugePage(name) {
                    hasHugePages = true
                    hugePages(place, name, value, &errors)
                }
                if name == "cpu" || name == "memory" { hasCompute = true }
            }
        }
        if hasHugePages, !hasCompute { errors.forbidden(path(), "HugePages require cpu or memory") }
        claimNames("\(path()).claims", resources["claims"], claims, &errors)
    }

    private static func podName(_ field: String, _ name: String, _ errors: inout FieldErrors) {
        guard Self.name(field, name, &errors), !podLevel.contains(name), !isHugePage(name) else { return }
        errors.notSupported(field, name, podLevel)
    }

    private static func request(_ path: @autoclosure () -> String, _ name: String, _ view: JSONView, _ limit: JSONView?, _ errors: inout FieldErrors)
    {
        guard let request = view.quantity else { return }
        guard let limit = limit.quantity else {
            if !isOvercommitAllowed(name) { errors.required("\(path()).limits", "Limit must be set for non overcommitable resources") }
            return
        }
        if request != limit, !isOvercommitAllowed(name) {
            errors.invalid("\(path()).requests", text: request.description, "must be equal to \(name) limit of \(limit)")
        } else if request > limit {
            errors.invalid("\(path()).requests", text: request.description, "must be less than or equal to \(name) limit of \(limit)")
        }
    }

    private static func hugePages(_ field: String, _ name: String, _ view: JSONView, _ errors: inout FieldErrors) {
        guard let quantity = view.quantity, let size = try? Quantity(String(name.dropFirst("hugepages-".count))), size.value > 0 else { return }
        if quantity.milliValue % 1000 != 0 || quantity.value % size.value != 0 {
            errors.invalid(field, text: quantity.description, "\(quantity) is not positive integer multiple of \(name)")
        }
    }

    /// Upstream: core/validation.validateResourceClaimNames.
    private static func claimNames(_ path: @autoclosure () -> String, _ claims: JSONView?, _ known: Set<String>, _ errors: inout FieldErrors) {
        var names: Set<String> = []
        for (index, claim) in claims.elements.enumerated() {
            let place = "\(path())[\(index)]"
            let name = claim["name"].text
            if name.isEmpty {
                errors.required(place)
                continue
            }
            let request = claim["request"].text
            if names.contains(name) {
                errors.duplicate(place, .string(name))
            } else {
                let key = request.isEmpty ? name : "\(name)/\(request)"
                if !request.isEmpty { errors.name("\(place).request", request, .dnsLabel) }
                if names.contains(key) {
                    errors.duplicate(place, .string(key))
                } else if request.isEmpty, names.contains(where: { $0.hasPrefix("\(name)/") }) {
                    errors.duplicate(place, .string(name))
                }
                names.insert(key)
            }
            if !known.contains(name) {
                let detail = known.isEmpty ? " which is empty" : ": \(known.sorted().joined(separator: ", "))"
                errors.notFound(place, name, "must be one of the names in pod.spec.resourceClaims\(detail)")
            }
        }
    }
}
