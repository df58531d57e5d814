import AWSProtocol

/// What a launch template says of instances: kept as it was given, and written with the names of the answer. Upstream: ec2
/// RequestLaunchTemplateData and ResponseLaunchTemplateData, whose members are the same but for the names of lists.
enum LaunchTemplateData {
    /// The answer's names of lists, by the request's with what they stand in. Upstream: the model's locationName of both shapes.
    private static let lists: [String: String] = [
        "BlockDeviceMapping": "blockDeviceMappingSet", "NetworkInterface": "networkInterfaceSet", "NetworkInterface.SecurityGroupId": "groupSet",
        "NetworkInterface.Ipv6Addresses": "ipv6AddressesSet", "NetworkInterface.PrivateIpAddresses": "privateIpAddressesSet",
        "NetworkInterface.Ipv4Prefix": "ipv4PrefixSet", "NetworkInterface.Ipv6Prefix": "ipv6PrefixSet", "TagSpecification": "tagSpecificationSet",
        "TagSpecification.Tag": "tagSet", "ElasticGpuSpecification": "elasticGpuSpecificationSet",
        "ElasticInferenceAccelerator": "elasticInferenceAcceleratorSet", "SecurityGroupId": "securityGroupIdSet", "SecurityGroup": "securityGroupSet",
        "LicenseSpecification": "licenseSet", "InstanceRequirements.CpuManufacturer": "cpuManufacturerSet",
        "InstanceRequirements.ExcludedInstanceType": "excludedInstanceTypeSet", "InstanceRequirements.InstanceGeneration": "instanceGenerationSet",
        "InstanceRequirements.LocalStorageType": "localStorageTypeSet", "InstanceRequirements.AcceleratorType": "acceleratorTypeSet",
        "InstanceRequirements.AcceleratorManufacturer": "acceleratorManufacturerSet", "InstanceRequirements.AcceleratorName": "acceleratorNameSet",
        "InstanceRequirements.AllowedInstanceType": "allowedInstanceTypeSet",
    ]

    /// Bytes of one version. Upstream: user data is 16 KB before base 64; the rest is small.
    private static let longest = 65_536

    /// `LaunchTemplateData` of a request over what a source version says. Throws InvalidParameterValue and the like.
    static func read(_ parameters: QueryParameters, over source: String?) throws(AWSError) -> String {
        guard parameters.has("LaunchTemplateData") else { throw EC2Fault.missingParameter("launchTemplateData") }
        var document = parameters.structure("LaunchTemplateData").document.objectValue ?? [:]
        if let source, let base = (try? AWSJSON(parsing: Array(source.utf8)))?.objectValue { document = base.merging(document) { _, new in new } }
        let bytes = AWSJSON.object(document).encoded
        guard bytes.count <= longest else { throw EC2Fault.invalidValue("The launch template data is larger than \(longest) bytes") }
        if let type = document["InstanceType"]?.stringValue, InstanceTypes.all[type] == nil {
            throw AWSError("InvalidInstanceType", "The following supplied instance types do not exist: [\(type.prefix(64))]")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func parse(_ text: String) -> AWSJSON { (try? AWSJSON(parsing: Array(text.utf8))) ?? .object([:]) }

    fileprivate static func write(_ members: [String: AWSJSON], in path: String, to xml: inout XMLWriter) {
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            let place = path + name
            let plain = name.prefix(1).lowercased() + name.dropFirst()
            switch value {
            case .object(let inner): xml.element(plain) { write(inner, in: place + ".", to: &$0) }
            case .array(let elements):
                xml.element(lists[place] ?? plain) { xml in
                    for element in elements {
                        switch element {
                        case .object(let inner): xml.element("item") { write(inner, in: place + ".", to: &$0) }
                        default: xml.leaf("item", element.stringValue)
                        }
                    }
                }
            default: xml.leaf(plain, value.stringValue)
            }
        }
    }
}

extension XMLWriter {
    /// `<launchTemplateData>`
    mutating func launchTemplateData(_ text: String) {
        element("launchTemplateData") { LaunchTemplateData.write(LaunchTemplateData.parse(text).objectValue ?? [:], in: "", to: &$0) }
    }
}
