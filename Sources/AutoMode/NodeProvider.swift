internal import KubeAPI

/// Which subnets and security groups a NodeClass means, and as whom its nodes act. Upstream: eks.amazonaws.com/v1 NodeClassSpec.
package struct NodeClassSelection: Sendable, Equatable {
    /// Any of its conditions: an id, or all of some tags, or a name.
    package struct Term: Sendable, Equatable {
        package var id: String?
        package var name: String?
        package var tags: [String: String]
    }

    package var subnets: [Term]
    package var securityGroups: [Term]
    /// The IAM role's name.
    package var role: String
}

/// A NodeClass with what the cloud says of it.
package struct NodeClassFacts: Sendable, Equatable {
    package struct Subnet: Sendable, Equatable {
        package var id: String
        package var zone: String
        package var zoneID: String

        package init(id: String, zone: String, zoneID: String) {
            self.id = id
            self.zone = zone
            self.zoneID = zoneID
        }
    }
    package struct SecurityGroup: Sendable, Equatable {
        package var id: String
        package var name: String

        package init(id: String, name: String) {
            self.id = id
            self.name = name
        }
    }

    package var subnets: [Subnet]
    package var securityGroups: [SecurityGroup]
    package var instanceProfile: String
    /// Why nodes of this role could not join; nil: they can.
    package var roleProblem: String?

    package init(subnets: [Subnet], securityGroups: [SecurityGroup], instanceProfile: String, roleProblem: String?) {
        self.subnets = subnets
        self.securityGroups = securityGroups
        self.instanceProfile = instanceProfile
        self.roleProblem = roleProblem
    }
}

/// An instance to be launched for a NodeClaim.
package struct NodeLaunch: Sendable, Equatable {
    package var claimName: String
    package var claimUID: String
    package var nodePool: String
    package var nodeClass: String
    package var instanceType: String
    package var zone: String
    package var subnetIDs: [String]
    package var securityGroupIDs: [String]
    package var role: String
    package var tags: [String: String]
    package var labels: [String: String]
    package var taints: [(key: String, value: String, effect: String)]

    package static func == (a: NodeLaunch, b: NodeLaunch) -> Bool {
        a.claimUID == b.claimUID && a.instanceType == b.instanceType && a.zone == b.zone && a.labels == b.labels
    }
}

/// An instance that runs for a NodeClaim.
package struct ProvidedNode: Sendable, Equatable {
    package var claimUID: String
    /// `aws:///us-west-2a/i-0123456789abcdef0`
    package var providerID: String
    package var nodeName: String
    package var imageID: String
    package var zone: String
    package var instanceType: String

    package init(claimUID: String, providerID: String, nodeName: String, imageID: String, zone: String, instanceType: String) {
        self.claimUID = claimUID
        self.providerID = providerID
        self.nodeName = nodeName
        self.imageID = imageID
        self.zone = zone
        self.instanceType = instanceType
    }
}

/// No instance of this kind can be had now.
package struct InsufficientCapacity: Error, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// The cloud does not launch instances for this cluster: it is tried again.
package struct LaunchRefused: Error, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// The cloud as EKS Auto Mode sees it. Calls may be repeated. Upstream: karpenter cloudprovider.CloudProvider.
package protocol NodeProvider: Sendable {
    var region: String { get }
    /// The types that nodes can be of here.
    var instanceTypes: [InstanceType] { get }
    func facts(_ selection: NodeClassSelection) async -> NodeClassFacts
    /// The image that instances are launched from now: of the cluster's version. Nodes of another have drifted.
    func imageID() async -> String
    /// Launches an instance, or finds the one of this claim. Throws `InsufficientCapacity`, `LaunchRefused`, and what the cloud's storage throws.
    func launch(_ launch: NodeLaunch) async throws -> ProvidedNode
    /// The instances that run for claims; those that are being ended are not among them.
    func nodes() async -> [ProvidedNode]
    /// Whether anything of the claim's instance is left.
    func isThere(claimUID: String) async -> Bool
    /// Ends the claim's instance; one that is gone is no error.
    func terminate(claimUID: String) async throws
    /// Says that instances came or went, subnets or roles changed. Each call is a subscription.
    func changes() -> AsyncStream<Void>
}
