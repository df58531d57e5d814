/// How objects of one resource count against quotas. Upstream: quota.Evaluator with pkg/quota/v1/evaluator/core and generic.ObjectCountEvaluator.
package enum QuotaMeasure: Sendable {
    case pods
    case services
    case claims
    /// Any other resource counts its objects alone.
    case objects(GroupResource)

    package init(_ resource: GroupResource) {
        switch (resource.group, resource.resource) {
        case ("", "pods"): self = .pods
        case ("", "services"): self = .services
        case ("", "persistentvolumeclaims"): self = .claims
        default: self = .objects(resource)
        }
    }

    package var resource: GroupResource {
        switch self {
        case .pods: GroupResource(group: "", resource: "pods")
        case .services: GroupResource(group: "", resource: "services")
        case .claims: GroupResource(group: "", resource: "persistentvolumeclaims")
        case .objects(let resource): resource
        }
    }

    /// `count/deployments.apps`. Upstream: generic.ObjectCountQuotaResourceNameFor.
    package static func countName(_ resource: GroupResource) -> String { "count/\(resource)" }

    private static let storageClassSuffix = ".storageclass.storage.k8s.io/"
    private static let claimNames = ["persistentvolumeclaims", "requests.storage"]
    private static let serviceNames: Set<String> = ["count/services", "services", "services.nodeports", "services.loadbalancers"]
    private static let podNames: Set<String> = [
        "count/pods", "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage", "limits.cpu",
        "limits.memory", "limits.ephemeral-storage", "pods",
    ]
    /// Kinds that have a name of their own beside `count/`. Upstream: legacyObjectCountAliases.
    private static let aliases: Set<String> = ["configmaps", "resourcequotas", "replicationcontrollers", "secrets"]

    /// Those of a quota's resource names that this resource counts against. Upstream: Evaluator.MatchingResources.
    package func matching(_ names: some Sequence<String>) -> [String] { names.filter(counts) }

    private func counts(_ name: String) -> Bool {
        switch self {
        case .pods:
            return Self.podNames.contains(name) || name.hasPrefix("hugepages-") || name.hasPrefix("requests.hugepages-")
                || QuotaNames.isExtendedRequest(name)
        case .services: return Self.serviceNames.contains(name)
        case .claims:
            return name == "count/persistentvolumeclaims" || Self.claimNames.contains(name)
                || Self.claimNames.contains { name.hasSuffix(Self.storageClassSuffix + $0) }
        case .objects(let resource):
            return name == Self.countName(resource) || resource.group.isEmpty && Self.aliases.contains(resource.resource) && name == resource.resource
        }
    }

    /// What an object takes of a quota. Upstream: Evaluator.Usage.
    package func usage(_ object: Object, now: Timestamp) -> ResourceList {
        let one = Quantity(1)
        switch self {
        case .pods: return podUsage(object, now: now)
        case .services: return serviceUsage(object)
        case .claims: return claimUsage(object)
        case .objects(let resource):
            var list: ResourceList = [Self.countName(resource): one]
            if resource.group.isEmpty, Self.aliases.contains(resource.resource) { list[resource.resource] = one }
            return list
        }
    }

    /// Whether an object still counts only as an object: a pod that has ended, or should be gone. Upstream: core.QuotaV1Pod.
    package static func isLive(_ pod: Object, now: Timestamp) -> Bool {
        if let phase = pod["status"]["phase"], phase.equals("Failed") || phase.equals("Succeeded") { return false }
        let metadata = pod.metadata
        if let deletion = metadata.deletionTimestamp, let grace = metadata.deletionGracePeriodSeconds {
            return deletion.adding(seconds: grace) >= now
        }
        return true
    }

    private func podUsage(_ pod: Object, now: Timestamp) -> ResourceList {
        var usage: ResourceList = ["count/pods": Quantity(1)]
        guard Self.isLive(pod, now: now) else { return usage }
        usage.merge(Self.compute(PodResources.requests(pod), PodResources.limits(pod))) { $0 + $1 }
        return usage
    }

    /// Upstream: podComputeUsageHelper.
    private static func compute(_ requests: ResourceList, _ limits: ResourceList) -> ResourceList {
        var usage: ResourceList = ["pods": Quantity(1)]
        for name in ["cpu", "memory", "ephemeral-storage"] {
            if let request = requests[name] {
                usage[name] = request
                usage["requests.\(name)"] = request
            }
            if let limit = limits[name] { usage["limits.\(name)"] = limit }
        }
        for (name, request) in requests {
            if name.hasPrefix("hugepages-") {
                usage[name] = request
                usage["requests.\(name)"] = request
            } else if QuotaNames.isExtended(name) {
                usage["requests.\(name)"] = request
            }
        }
        return usage
    }

    private func serviceUsage(_ service: Object) -> ResourceList {
        let spec = service["spec"]
        let ports = spec["ports"].elements
        var nodePorts = 0
        var balancers: Int64 = 0
        switch spec["type"].string {
        case "NodePort": nodePorts = ports.count
        case "LoadBalancer":
            balancers = 1
            let isAsked = spec["allocateLoadBalancerNodePorts"].bool != false
            nodePorts = isAsked ? ports.count : ports.count { ($0["nodePort"]?.int ?? 0) != 0 }
        default: break
        }
        return [
            "count/services": Quantity(1), "services": Quantity(1), "services.loadbalancers": Quantity(balancers),
            "services.nodeports": Quantity(Int64(nodePorts)),
        ]
    }

    private func claimUsage(_ claim: Object) -> ResourceList {
        let one = Quantity(1)
        var usage: ResourceList = ["persistentvolumeclaims": one, "count/persistentvolumeclaims": one]
        let storageClass =
            claim.metadata.annotations["volume.beta.kubernetes.io/storage-class"] ?? claim["spec"]["storageClassName"].string ?? ""
        if !storageClass.isEmpty { usage[storageClass + Self.storageClassSuffix + "persistentvolumeclaims"] = one }
        guard var storage = claim["spec"]["resources"]["requests"]["storage"].quantity else { return usage }
        if let allocated = claim["status"]["allocatedResources"]["storage"].quantity { storage = max(storage, allocated) }
        storage = storage.roundedUp
        usage["requests.storage"] = storage
        if !storageClass.isEmpty { usage[storageClass + Self.storageClassSuffix + "requests.storage"] = storage }
        return usage
    }

    /// What a quota demands of an object and it does not say: quotas on cpu and memory make them obligatory for every container. Nil: nothing is
    /// missing. Upstream: podEvaluator.Constraints.
    package func missing(_ names: [String], in object: Object) -> String? {
        guard case .pods = self else { return nil }
        let required = Set(names).intersection(QuotaNames.obligatory)
        guard !required.isEmpty else { return nil }
        var missing: [String: Set<String>] = [:]
        for container in object["spec"]["containers"].elements + object["spec"]["initContainers"].elements {
            let said = Self.compute(
                container["resources"].flatMap { $0["requests"] }.resourceList, container["resources"].flatMap { $0["limits"] }.resourceList)
            for name in required where said[name] == nil { missing[name, default: []].insert(container["name"].string ?? "") }
        }
        guard !missing.isEmpty else { return nil }
        let parts = missing.sorted { $0.key < $1.key }.map { "\($0.key) for: \($0.value.sorted().joined(separator: ","))" }
        return "must specify \(parts.joined(separator: "; "))"
    }
}

/// Names of resources in quotas. Upstream: pkg/apis/core/v1/helper.
package enum QuotaNames {
    /// Upstream: validationSet in the pod evaluator.
    static let obligatory: Set<String> = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"]

    private static func isNative(_ name: String) -> Bool {
        guard let slash = name.firstIndex(of: "/") else { return true }
        let domain = name[..<slash]
        return domain == "kubernetes.io" || domain.hasSuffix(".kubernetes.io")
    }

    /// Upstream: helper.IsExtendedResourceName.
    package static func isExtended(_ name: String) -> Bool { !isNative(name) && !name.hasPrefix("requests.") }

    /// Upstream: isExtendedResourceNameForQuota.
    static func isExtendedRequest(_ name: String) -> Bool { !isNative(name) && name.hasPrefix("requests.") }
}

extension Quantity {
    /// A whole number of units, not less than this. Upstream: Quantity.RoundUp(0).
    var roundedUp: Quantity { Quantity(value, format) }
}
