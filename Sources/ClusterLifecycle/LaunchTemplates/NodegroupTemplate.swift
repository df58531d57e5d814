package import AWSProtocol
package import AWSServices

/// A version of a user's launch template as a node group launches by it. EKS keeps a copy, so the group goes on when the user's is deleted. Upstream:
/// eks LaunchTemplateSpecification; EKS User Guide, "Customize managed nodes with launch templates".
package struct NodegroupTemplate: Codable, Sendable, Equatable {
    /// `lt-` and 17 hexadecimal digits.
    package var id: String
    package var name: String
    package var version: Int
    /// A custom image: then EKS chooses none, and adds nothing to the user data.
    package var imageID: String?
    package var instanceType: String?
    package var keyName: String?
    /// In place of the cluster's; empty for the cluster's own.
    package var securityGroupIDs: [String] = []
    /// In base 64.
    package var userData: String?
    package var instanceTags: [String: String] = [:]
    package var interfaceTags: [String: String] = [:]
    package var metadataOptions = InstanceMetadataOptions()

    /// Reads a template, and throws InvalidParameterException for what a node group's may not say.
    init(_ facts: LaunchTemplateFacts) throws(AWSError) {
        (id, name, version) = (facts.id, facts.name, facts.version)
        let data = facts.data
        for (member, refusal) in Self.prohibited where data[member] != nil { throw EKSFault.invalidParameter(refusal) }
        let interfaces = data["NetworkInterface"]?.arrayValue ?? []
        guard !interfaces.contains(where: { $0["SubnetId"] != nil }) else {
            throw EKSFault.invalidParameter("You must not specify a subnet in your launch template. All subnets must be specified in the API.")
        }
        guard !interfaces.contains(where: { $0["NetworkInterfaceId"] != nil }) else {
            throw EKSFault.invalidParameter("You must not specify a network interface ID in your launch template: each node needs its own.")
        }
        let ofInterfaces = interfaces.flatMap { $0["SecurityGroupId"]?.stringArray ?? [] }
        let ofInstance = data["SecurityGroupId"]?.stringArray ?? []
        guard ofInterfaces.isEmpty || ofInstance.isEmpty else {
            throw EKSFault.invalidParameter(
                "Security groups must be specified at the instance level or at the network interface level of your launch template, not at both.")
        }
        securityGroupIDs = (ofInstance + ofInterfaces).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        imageID = data["ImageId"]?.stringValue
        instanceType = data["InstanceType"]?.stringValue
        keyName = data["KeyName"]?.stringValue
        userData = data["UserData"]?.stringValue
        instanceTags = Self.tags(data, of: "instance")
        interfaceTags = Self.tags(data, of: "network-interface")
        if let options = data["MetadataOptions"] { metadataOptions = try InstanceMetadataOptions(ofTemplate: options) }
    }

    /// What EKS decides itself, by the member's name in RequestLaunchTemplateData.
    private static let prohibited: [(member: String, refusal: String)] = [
        (
            "IamInstanceProfile",
            "Launch template should not specify an instance profile. The noderole in your request will be used to construct an instance profile."
        ),
        ("InstanceMarketOptions", "Launch template should not specify instance market options. Use the capacityType of the node group."),
        ("HibernationOptions", "Launch template should not specify hibernation options: Amazon EKS controls the life of its nodes."),
        (
            "InstanceInitiatedShutdownBehavior",
            "Launch template should not specify a shutdown behavior: Amazon EKS controls the life of its nodes."
        ),
        ("InstanceRequirements", "Launch template should not specify instance requirements. Use the instanceTypes of the node group."),
        ("SecurityGroup", "Launch template should specify security groups by their IDs: names are for the default VPC."),
    ]

    private static func tags(_ data: AWSJSON, of kind: String) -> [String: String] {
        var tags: [String: String] = [:]
        for specification in data["TagSpecification"]?.arrayValue ?? [] where specification["ResourceType"]?.stringValue == kind {
            for tag in specification["Tag"]?.arrayValue ?? [] {
                if let key = tag["Key"]?.stringValue { tags[key] = tag["Value"]?.stringValue ?? "" }
            }
        }
        return tags
    }

    /// As DescribeNodegroup shows it.
    package var json: AWSJSON { ["id": .string(id), "name": .string(name), "version": .string(String(version))] }

    /// The image, where the template names one. Throws InvalidParameterException when there is none of this id.
    func image() throws(AWSError) -> EKSImages.Image? {
        guard let imageID else { return nil }
        guard let image = EKSImages.image(id: imageID) else {
            throw EKSFault.invalidParameter("The image id '[\(imageID.prefix(64))]' does not exist")
        }
        return image
    }
}

extension InstanceMetadataOptions {
    /// Upstream: ec2 LaunchTemplateInstanceMetadataOptionsRequest; all members come as text.
    fileprivate init(ofTemplate options: AWSJSON) throws(AWSError) {
        self.init()
        isEnabled = options["HttpEndpoint"]?.stringValue != "disabled"
        requiresTokens = options["HttpTokens"]?.stringValue != "optional"
        showsTags = options["InstanceMetadataTags"]?.stringValue == "enabled"
        guard let hops = options["HttpPutResponseHopLimit"]?.stringValue else { return }
        guard let limit = Int(hops), (1...64).contains(limit) else {
            throw EKSFault.invalidParameter("The HttpPutResponseHopLimit of your launch template must be from 1 to 64, it is \(hops.prefix(20))")
        }
        hopLimit = limit
    }
}
