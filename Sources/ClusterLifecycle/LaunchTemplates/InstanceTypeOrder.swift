import AWSServices

/// In which order a group's instance types are tried. Upstream: EKS User Guide, "Managed node group capacity types": on demand the list's order
/// (allocation strategy `prioritized`); on the spot market the pools that are deep and cheap (`price-capacity-optimized`).
enum InstanceTypeOrder {
    /// Codes of EC2 after which the next type is tried: this one cannot be had.
    static let unavailable: Set<String> = ["InvalidInstanceType", "InsufficientInstanceCapacity", "Unsupported"]

    /// All pools of this host are equally deep: of spot instances the smallest, which is the cheapest, comes first. Types that do not exist come last.
    static func order(_ names: [String], isSpot: Bool) -> [String] {
        guard isSpot else { return names }
        func price(_ name: String) -> (Int, Int) { InstanceTypes.all[name].map { ($0.vcpus, $0.memoryMiB) } ?? (Int.max, Int.max) }
        // Of equal ones the first of the list.
        let ranked = names.enumerated().sorted { a, b in
            let (left, right) = (price(a.element), price(b.element))
            return left == right ? a.offset < b.offset : left < right
        }
        return ranked.map(\.element)
    }
}

extension NodegroupRecord {
    var isSpot: Bool { capacityType == "SPOT" }

    /// The instance types that it launches, in the order in which they are tried.
    var launchTypes: [String] {
        if let type = launchTemplate?.instanceType { return [type] }
        return InstanceTypeOrder.order(instanceTypes.isEmpty ? LaunchSettings.standardTypes : instanceTypes, isSpot: isSpot)
    }
}
