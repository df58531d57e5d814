import KubeAPI

/// The status a quota should have. Upstream: resourcequota.Controller.syncResourceQuota with quota.CalculateUsage.
enum QuotaStatusPlan {
    /// Whole objects are looked at for these; all others are counted.
    static let measured: [QuotaMeasure] = [.pods, .services, .claims]

    /// The resources beside the measured ones that a quota counts: those that `count/` names, and the kinds with a name of their own.
    static func counted(by quota: QuotaView, served: ResourceTable) -> Set<GroupResource> {
        var found: Set<GroupResource> = []
        for name in quota.specHard.keys {
            guard let resource = resource(named: name), !served[resource].isEmpty else { continue }
            if case .objects = QuotaMeasure(resource) { found.insert(resource) }
        }
        return found
    }

    private static func resource(named name: String) -> GroupResource? {
        if ["configmaps", "resourcequotas", "replicationcontrollers", "secrets"].contains(name) { return GroupResource(group: "", resource: name) }
        guard name.hasPrefix("count/") else { return nil }
        let parts = name.dropFirst("count/".count).split(separator: ".", maxSplits: 1).map(String.init)
        guard let resource = parts.first, !resource.isEmpty else { return nil }
        return GroupResource(group: parts.count > 1 ? parts[1] : "", resource: resource)
    }

    /// What the namespace's objects take of a quota. `objects` gives the objects of a measured resource, `count` the number of those of another one;
    /// nil: it is not known (the resource is not served, or not counted yet), and what was last known stays.
    static func usage(
        of quota: QuotaView, objects: (QuotaMeasure) -> [Object], count: (GroupResource) -> Int?, counted: Set<GroupResource>, now: Timestamp
    ) -> ResourceList {
        let names = Array(quota.specHard.keys)
        var usage: ResourceList = [:]
        for measure in measured {
            let matching = measure.matching(names)
            guard !matching.isEmpty else { continue }
            for name in matching { usage[name] = usage[name] ?? .zero }
            for object in objects(measure) where quota.includes(object, measure) {
                for (name, quantity) in measure.usage(object, now: now).masked(matching) { usage[name] = (usage[name] ?? .zero) + quantity }
            }
        }
        for resource in counted {
            let measure = QuotaMeasure.objects(resource)
            guard let number = count(resource) else { continue }
            // A quota with scopes counts no objects that scopes know nothing of.
            let total = Quantity(quota.hasScopes ? 0 : Int64(number))
            for name in measure.matching(names) { usage[name] = total }
        }
        return usage
    }

    /// The quota with its new status; nil when it stands there already.
    static func plan(_ quota: QuotaView, usage: ResourceList) -> Value? {
        let hard = quota.specHard
        var used = quota.used
        used.merge(usage) { $1 }
        used = used.masked(hard.keys)
        let status = quota.object["status"]
        if status["hard"] != nil, status["used"] != nil, quota.hard == hard, quota.used == used { return nil }
        var tree = quota.object.value
        tree["status"] = ["hard": hard.value, "used": used.value]
        return tree
    }

    /// Whether a change may give something back to quotas. Upstream: the UpdateFilter of quota/install.
    static func replenishes(_ old: Object, _ new: Object, _ measure: QuotaMeasure, now: Timestamp) -> Bool {
        switch measure {
        case .pods:
            if QuotaMeasure.isLive(old, now: now) != QuotaMeasure.isLive(new, now: now) { return true }
            return old.metadata.generation != new.metadata.generation
                || old["status"]["containerStatuses"].value != new["status"]["containerStatuses"].value
                    && PodResources.requests(old) != PodResources.requests(new)
        case .services: return old["spec"]["type"].string != new["spec"]["type"].string || old["spec"]["ports"].value != new["spec"]["ports"].value
        case .claims:
            return old["spec"].value != new["spec"].value || old["status"]["allocatedResources"].value != new["status"]["allocatedResources"].value
        case .objects: return false
        }
    }
}
