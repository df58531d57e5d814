import AWSProtocol
import AWSServices

/// What the nodes of a new group are launched as, by its request and its launch template. Upstream: eks CreateNodegroupRequest; EKS User Guide,
/// "Launch template configuration basics": what one says the other may not.
struct LaunchSettings: Sendable, Equatable {
    var template: NodegroupTemplate?
    /// Empty where the template names the type.
    var instanceTypes: [String]
    var amiType: String
    var version: String
    var releaseVersion: String

    /// What a group without any is launched as.
    static let standardTypes = ["t3.medium"]

    /// Throws InvalidParameterException and InvalidRequestException in EKS's words.
    init(_ input: CreateNodegroupInput, _ template: NodegroupTemplate?, _ cluster: ClusterRecord) throws(AWSError) {
        self.template = template
        if let template { try Self.checkConflicts(input, template) }
        let image = try template?.image()
        let types = try NodegroupRequirements.instanceTypes(
            template?.instanceType.map { [$0] } ?? (input.instanceTypes.isEmpty ? Self.standardTypes : input.instanceTypes))
        instanceTypes = template?.instanceType == nil ? types.map(\.name) : []
        if let image {
            try NodegroupRequirements.checkArchitecture(image.architecture, types, amiType: "CUSTOM")
            (amiType, version, releaseVersion) = ("CUSTOM", image.kubernetesVersion, image.id)
            guard KubernetesVersions.isNode(version, within: cluster.version) else {
                throw EKSFault.invalidParameter("The image \(image.id) is of Kubernetes version \(version), the cluster's is \(cluster.version)")
            }
            return
        }
        amiType = try NodegroupRequirements.amiType(asked: input.amiType, hasTemplate: template != nil, types: types)
        guard input.version == nil || input.version == cluster.version else {
            throw EKSFault.invalidParameter(
                "Requested Nodegroup version \(input.version?.prefix(32) ?? "") is not the cluster's version \(cluster.version)")
        }
        version = cluster.version
        releaseVersion = KubernetesVersions.named(cluster.version)?.nodeReleaseVersion ?? cluster.version
        guard input.releaseVersion == nil || input.releaseVersion == releaseVersion else {
            throw EKSFault.invalidParameter(
                "Requested release version \(input.releaseVersion?.prefix(64) ?? "") is not valid for kubernetes version \(version): it is "
                    + releaseVersion)
        }
    }

    private static func checkConflicts(_ input: CreateNodegroupInput, _ template: NodegroupTemplate) throws(AWSError) {
        guard input.diskSize == nil else { throw EKSFault.invalidParameter("Disk size must be specified within the launch template.") }
        guard input.remoteAccess == nil else {
            throw EKSFault.invalidParameter("Remote access configuration cannot be specified with a launch template.")
        }
        try template.checkTypes(input.instanceTypes)
        guard template.imageID != nil else { return }
        guard input.amiType == nil || input.amiType == "CUSTOM" else {
            throw EKSFault.invalidParameter(
                "You cannot specify an AMI Type other than CUSTOM, when specifying an image id in your launch template.")
        }
        guard input.version == nil else {
            throw EKSFault.invalidParameter(
                "You cannot specify a kubernetes version to use when specifying an image id to use within the launch template.")
        }
        guard input.releaseVersion == nil else {
            throw EKSFault.invalidParameter(
                "You cannot specify a release version to use when specifying an image id to use within the launch template.")
        }
    }
}

extension NodegroupTemplate {
    /// Throws InvalidRequestException when both the template and the group name instance types.
    func checkTypes(_ ofGroup: [String]) throws(AWSError) {
        guard instanceType == nil || ofGroup.isEmpty else {
            throw EKSFault.invalidRequest("Cannot specify instance types in launch template and API request")
        }
    }
}

extension KubernetesVersions {
    /// Whether nodes of this version may be in a cluster of that: not newer, and at most three minors older. Upstream: Kubernetes' version skew
    /// policy.
    static func isNode(_ version: String, within cluster: String) -> Bool {
        guard let node = named(version)?.minor, let newest = named(cluster)?.minor else { return false }
        return node <= newest && newest - node <= 3
    }
}

/// A launch template as requests name it. Upstream: eks LaunchTemplateSpecification.
package struct LaunchTemplateReference: Sendable, Equatable {
    package var id: String?
    package var name: String?
    /// A number, `$Latest` or `$Default`; nil for the default.
    package var version: String?

    package init(id: String?, name: String?, version: String?) {
        self.id = id
        self.name = name
        self.version = version
    }
}

extension EKSService {
    /// The template that is named, for a caller who may launch by it. Throws InvalidParameterException, InvalidRequestException,
    /// AccessDeniedException.
    nonisolated func template(_ reference: LaunchTemplateReference, _ caller: AWSCaller) async throws -> NodegroupTemplate {
        guard (reference.id == nil) != (reference.name == nil) else {
            throw EKSFault.invalidParameter("Either provide launch template ID or launch template name in the request.")
        }
        let facts: LaunchTemplateFacts
        do {
            facts = try await network.launchTemplate(id: reference.id, name: reference.name, version: reference.version)
        } catch let error as AWSError { throw EKSFault.invalidRequest(error.message) }
        let template = try NodegroupTemplate(facts)
        let place = "arn:\(configuration.partition):ec2:\(configuration.region):\(configuration.account)"
        // Upstream: EKS User Guide, "Tagging Amazon EC2 instances".
        try await identities.authorize(caller, action: "ec2:RunInstances", resource: "\(place):launch-template/\(template.id)", context: [:])
        if !template.instanceTags.isEmpty {
            try await identities.authorize(caller, action: "ec2:CreateTags", resource: "\(place):instance/*", context: [:])
        }
        return template
    }
}
