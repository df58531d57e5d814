import AWSProtocol
import AWSServices

/// Which node groups can have a warm pool, and of what size. Upstream: EKS User Guide, "Warm pools with managed node groups"; EC2 Auto Scaling User
/// Guide, "Warm pools", limitations; EC2 User Guide, "Prerequisites for EC2 instance hibernation".
enum WarmPoolRequirements {
    /// MiB; an instance with more does not hibernate.
    private static let hibernationMemory = 150 * 1_024
    /// Of the families that there are here those that do not hibernate.
    private static let familiesWithoutHibernation: Set<Substring> = ["c5a"]

    /// Throws InvalidParameterException.
    static func check(_ group: NodegroupRecord) throws(AWSError) {
        guard let config = group.warmPool, config.isEnabled else { return }
        try checkSizes(config)
        let fields: [String: AWSJSON] = ["clusterName": .string(group.clusterName), "nodegroupName": .string(group.name)]
        guard !group.isSimulated else { throw EKSFault.notImplemented("A warm pool of simulated nodes, which have nothing to prepare,") }
        guard group.amiType != "CUSTOM" else {
            throw EKSFault.invalidParameter("Warm pools are not supported for node groups with a custom AMI: use an Amazon EKS optimized AMI", fields)
        }
        guard !group.isSpot else {
            throw EKSFault.invalidParameter("Warm pools are not supported for node groups with capacity type SPOT: use ON_DEMAND", fields)
        }
        guard config.state == .hibernated else { return }
        let wakeful = group.launchTypes.filter { !hibernates($0) }
        guard wakeful.isEmpty else {
            throw EKSFault.invalidParameter(
                "Warm pool state HIBERNATED is not supported for instance types [\(wakeful.joined(separator: ", "))]: use STOPPED or RUNNING", fields)
        }
    }

    private static func checkSizes(_ config: WarmPoolConfig) throws(AWSError) {
        let limit = NodegroupRequirements.largestSize
        guard (0...limit).contains(config.minSize) else {
            throw EKSFault.invalidParameter("The warm pool's minSize must be from 0 to \(limit), not \(config.minSize)")
        }
        guard let most = config.maxPrepared else { return }
        guard (0...limit).contains(most) else {
            throw EKSFault.invalidParameter(
                "maxGroupPreparedCapacity must be from 0 to \(limit), or -1 for the maximum size of the node group, not \(most)")
        }
    }

    /// Whether instances of a type can be hibernated; of one that does not exist they cannot.
    static func hibernates(_ name: String) -> Bool {
        guard let type = InstanceTypes.all[name], let family = name.split(separator: ".").first else { return false }
        return type.memoryMiB < hibernationMemory && !familiesWithoutHibernation.contains(family)
    }
}
