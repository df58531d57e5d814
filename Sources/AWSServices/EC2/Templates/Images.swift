import AWSProtocol

/// The machine images of EKS's nodes: names that clients look up. Machines here use the host's file system, whatever the image. Upstream: EKS User
/// Guide, "Retrieve recommended Amazon Linux AMI IDs"; awslabs/amazon-eks-ami releases.
package enum EKSImages {
    /// One image.
    package struct Image: Sendable, Equatable {
        /// `ami-` and 17 hexadecimal digits, derived from the name.
        package var id: String
        /// `amazon-eks-node-al2023-x86_64-standard-1.36-v20260901`
        package var name: String
        /// `x86_64` or `arm64`.
        package var architecture: String
        /// `1.36.2-20260901`: the node group's release version.
        package var releaseVersion: String
        /// As in parameters' names: `amazon-linux-2023/x86_64/standard`.
        package var parameterPath: String
        package var kubernetesVersion: String
    }

    /// The day of the release that is recommended.
    package static let releaseDate = "20260901"
    private static let minors: [(minor: String, patch: String)] = [("1.33", "1.33.10"), ("1.34", "1.34.6"), ("1.35", "1.35.4"), ("1.36", "1.36.2")]
    /// The account that owns EKS's images.
    static let owner = "602401143452"

    package static let all: [Image] = minors.flatMap { version in
        ["x86_64", "arm64"].map { architecture in
            let name = "amazon-eks-node-al2023-\(architecture)-standard-\(version.minor)-v\(releaseDate)"
            return Image(
                id: "ami-" + CanonicalRequest.hash(of: Array(name.utf8)).prefix(17), name: name, architecture: architecture,
                releaseVersion: "\(version.patch)-\(releaseDate)", parameterPath: "amazon-linux-2023/\(architecture)/standard",
                kubernetesVersion: version.minor)
        }
    }

    /// Nil when there is no such image.
    package static func image(id: String) -> Image? { all.first { $0.id == id } }

    /// The image of a release version: `1.36.2-20260901`.
    package static func image(release: String, architecture: String) -> Image? {
        all.first { $0.releaseVersion == release && $0.architecture == architecture }
    }
}

extension XMLWriter {
    fileprivate mutating func image(_ image: EKSImages.Image) {
        leaf("imageId", image.id)
        leaf("imageLocation", "amazon/" + image.name)
        leaf("imageState", "available")
        leaf("imageOwnerId", EKSImages.owner)
        leaf("imageOwnerAlias", "amazon")
        leaf("isPublic", true)
        leaf("architecture", image.architecture)
        leaf("imageType", "machine")
        leaf("name", image.name)
        leaf("description", "EKS-optimized Kubernetes node based on Amazon Linux 2023, (k8s: \(image.releaseVersion.prefix { $0 != "-" }))")
        leaf("creationDate", "2026-09-01T00:00:00.000Z")
        leaf("platformDetails", "Linux/UNIX")
        leaf("usageOperation", "RunInstances")
        leaf("rootDeviceType", "ebs")
        leaf("rootDeviceName", "/dev/xvda")
        element("blockDeviceMapping") {
            $0.element("item") { xml in
                xml.leaf("deviceName", "/dev/xvda")
                xml.element("ebs") { xml in
                    xml.leaf("volumeSize", 20)
                    xml.leaf("volumeType", "gp3")
                    xml.leaf("deleteOnTermination", true)
                    xml.leaf("encrypted", false)
                }
            }
        }
        leaf("virtualizationType", "hvm")
        leaf("hypervisor", "xen")
        leaf("enaSupport", true)
        leaf("sriovNetSupport", "simple")
        leaf("bootMode", "uefi-preferred")
        leaf("imdsSupport", "v2.0")
    }
}

extension EC2Service {
    static let imageOperations: [String: EC2Operation] = [
        "DescribeImages": EC2Operation("*") { call in
            let owners = Set(call.parameters.strings("Owner"))
            let isWanted = owners.isEmpty || owners.contains("amazon") || owners.contains(EKSImages.owner)
            let images = Dictionary(EKSImages.all.map { ($0.id, $0) }) { first, _ in first }
            let found = try call.describe(
                isWanted ? images : [:], ids: call.parameters.strings("ImageId"), tags: [:],
                missing: { AWSError("InvalidAMIID.NotFound", "The image id '[\($0)]' does not exist") }
            ) { image, filter in
                switch filter {
                case "name": [image.name]
                case "image-id": [image.id]
                case "architecture": [image.architecture]
                case "owner-alias": ["amazon"]
                case "owner-id": [EKSImages.owner]
                case "state": ["available"]
                case "is-public": ["true"]
                case "root-device-type": ["ebs"]
                case "virtualization-type": ["hvm"]
                case "image-type": ["machine"]
                case "platform": []
                default: nil
                }
            }
            return { xml in
                xml.list("imagesSet", of: found.rows) { $0.image($1.row) }
                found.finish(&xml)
            }
        },
        "DescribeInstanceTypeOfferings": EC2Operation("*") { try describeOfferings($0) },
        "DescribeAccountAttributes": EC2Operation("*") { call in
            let attributes: [(String, [String])] = [
                ("supported-platforms", ["VPC"]), ("default-vpc", [try await call.read { $0.vpcs.values.first { $0.isDefault }?.id } ?? "none"]),
                ("max-instances", ["20"]), ("vpc-max-security-groups-per-interface", ["5"]), ("max-elastic-ips", ["5"]),
                ("vpc-max-elastic-ips", ["50"]),
            ]
            let names = call.parameters.strings("AttributeName")
            return { xml in
                xml.list("accountAttributeSet", of: attributes.filter { names.isEmpty || names.contains($0.0) }) { xml, attribute in
                    xml.leaf("attributeName", attribute.0)
                    xml.list("attributeValueSet", of: attribute.1) { $0.leaf("attributeValue", $1) }
                }
            }
        },
        // There are no volumes and no snapshots: none can be made.
        "DescribeVolumes": EC2Operation("*") { _ in { $0.element("volumeSet") { _ in } } },
        "DescribeSnapshots": EC2Operation("*") { _ in { $0.element("snapshotSet") { _ in } } },
    ]

    private static func describeOfferings(_ call: EC2Call) throws -> (inout XMLWriter) -> Void {
        let kind = call.parameters["LocationType"] ?? "region"
        let locations: [String]
        switch kind {
        case "region": locations = [call.network.region]
        case "availability-zone": locations = call.network.zones.zones.map(\.name)
        case "availability-zone-id": locations = call.network.zones.zones.map(\.id)
        default: throw EC2Fault.invalidValue("Value (\(kind.prefix(40))) for parameter locationType is invalid.")
        }
        var offerings: [String: (type: String, location: String)] = [:]
        for type in InstanceTypes.all.keys { for location in locations { offerings[type + "/" + location] = (type, location) } }
        let found = try call.describe(offerings, ids: [], tags: [:], missing: { AWSError("InvalidID", "The ID '\($0)' is not valid") }) {
            offering, filter in
            switch filter {
            case "instance-type": [offering.type]
            case "location": [offering.location]
            default: nil
            }
        }
        return { xml in
            xml.list("instanceTypeOfferingSet", of: found.rows) { xml, entry in
                xml.leaf("instanceType", entry.row.type)
                xml.leaf("locationType", kind)
                xml.leaf("location", entry.row.location)
            }
            found.finish(&xml)
        }
    }
}
