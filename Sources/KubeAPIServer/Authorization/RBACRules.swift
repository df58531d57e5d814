/// Arithmetic on rules: whether one set grants all that another does. Upstream: k8s.io/component-helpers/auth/rbac/validation and
/// pkg/registry/rbac/validation.
enum RBACRules {
    /// Every right, which setting an aggregation rule needs.
    static let fullAuthority = [
        PolicyRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"]), PolicyRule(verbs: ["*"], nonResourceURLs: ["*"]),
    ]

    /// Which single rights of `wanted` are not held. Upstream: validation.Covers.
    static func covers(_ held: [PolicyRule], _ wanted: [PolicyRule]) -> (covered: Bool, missing: [PolicyRule]) {
        let missing = wanted.flatMap(breakDown).filter { right in !held.contains { covers($0, right) } }
        return (missing.isEmpty, missing)
    }

    /// A rule as rules of one verb, group, resource and name each. Upstream: validation.BreakdownRule.
    static func breakDown(_ rule: PolicyRule) -> [PolicyRule] {
        var rights: [PolicyRule] = []
        for group in rule.apiGroups {
            for resource in rule.resources {
                for verb in rule.verbs {
                    if rule.resourceNames.isEmpty {
                        rights.append(PolicyRule(verbs: [verb], apiGroups: [group], resources: [resource]))
                    }
                    for name in rule.resourceNames {
                        rights.append(PolicyRule(verbs: [verb], apiGroups: [group], resources: [resource], resourceNames: [name]))
                    }
                }
            }
        }
        for path in rule.nonResourceURLs { for verb in rule.verbs { rights.append(PolicyRule(verbs: [verb], nonResourceURLs: [path])) } }
        return rights
    }

    /// Whether the rule `held` grants the single right `wanted`. Upstream: validation.ruleCovers.
    private static func covers(_ held: PolicyRule, _ wanted: PolicyRule) -> Bool {
        func all(_ held: [String], _ wanted: [String]) -> Bool { held.contains("*") || wanted.allSatisfy(held.contains) }
        guard all(held.verbs, wanted.verbs), all(held.apiGroups, wanted.apiGroups) else { return false }
        let resources =
            held.resources.contains("*")
            || wanted.resources.allSatisfy { resource in
                if held.resources.contains(resource) { return true }
                guard let slash = resource.firstIndex(of: "/") else { return false }
                return held.resources.contains("*\(resource[slash...])")
            }
        guard resources else { return false }
        guard held.resourceNames.isEmpty || (!wanted.resourceNames.isEmpty && wanted.resourceNames.allSatisfy(held.resourceNames.contains)) else {
            return false
        }
        return wanted.nonResourceURLs.allSatisfy { path in
            held.nonResourceURLs.contains { owned in owned == path || (owned.hasSuffix("*") && path.hasPrefix(owned.dropLast())) }
        }
    }

    /// Rights of the same resource put together again. Upstream: validation.CompactRules.
    static func compact(_ rights: [PolicyRule]) -> [PolicyRule] {
        struct Target: Hashable {
            var groups: [String]
            var resources: [String]
            var names: [String]
        }
        var compacted: [PolicyRule] = []
        var places: [Target: Int] = [:]
        for right in rights {
            guard right.nonResourceURLs.isEmpty else {
                compacted.append(right)
                continue
            }
            let target = Target(groups: right.apiGroups, resources: right.resources, names: right.resourceNames)
            if let place = places[target] {
                for verb in right.verbs where !compacted[place].verbs.contains(verb) { compacted[place].verbs.append(verb) }
            } else {
                places[target] = compacted.count
                compacted.append(right)
            }
        }
        return compacted
    }
}
