import AWSProtocol

/// What an instance may know of itself. Upstream: EC2 User Guide, "Instance metadata categories".
package struct InstanceMetadata: Sendable, Equatable {
    package var instanceID: String
    package var account: String
    package var region: String
    /// `us-west-2a` and `usw2-az1`.
    package var zone: String
    package var zoneID: String
    package var instanceType: String
    package var imageID: String
    /// `ip-10-0-1-7.us-west-2.compute.internal`
    package var privateDNSName: String
    package var primaryAddress: String
    /// Of the primary interface, the primary one first.
    package var addresses: [String]
    package var macAddress: String
    package var interfaceID: String
    package var subnetID: String
    package var subnetCIDR: String
    package var vpcID: String
    package var vpcCIDR: String
    package var securityGroupIDs: [String]
    /// `x86_64` or `arm64`.
    package var architecture: String
    /// Seconds since 1970.
    package var launchedAt: Double
    /// The role of its instance profile: name, and the profile's ARN.
    package var roleName: String
    package var profileARN: String
    package var isSpot = false
    package var interruption: SpotInterruption?
    /// What the instance was launched with; nil for nothing.
    package var userData: [UInt8]?
    /// Nil where the instance may not learn them.
    package var tags: [String: String]?

    package init(
        instanceID: String, account: String, region: String, zone: String, zoneID: String, instanceType: String, imageID: String,
        privateDNSName: String, primaryAddress: String, addresses: [String], macAddress: String, interfaceID: String, subnetID: String,
        subnetCIDR: String, vpcID: String, vpcCIDR: String, securityGroupIDs: [String], architecture: String, launchedAt: Double, roleName: String,
        profileARN: String
    ) {
        self.instanceID = instanceID
        self.account = account
        self.region = region
        self.zone = zone
        self.zoneID = zoneID
        self.instanceType = instanceType
        self.imageID = imageID
        self.privateDNSName = privateDNSName
        self.primaryAddress = primaryAddress
        self.addresses = addresses
        self.macAddress = macAddress
        self.interfaceID = interfaceID
        self.subnetID = subnetID
        self.subnetCIDR = subnetCIDR
        self.vpcID = vpcID
        self.vpcCIDR = vpcCIDR
        self.securityGroupIDs = securityGroupIDs
        self.architecture = architecture
        self.launchedAt = launchedAt
        self.roleName = roleName
        self.profileARN = profileARN
    }

    /// The path of the role's credentials: the one document that is not known beforehand.
    var credentialsPath: String { "meta-data/iam/security-credentials/\(roleName)" }

    /// The documents by their path below `latest/`, without the credentials' content.
    var documents: [String: String] {
        var documents = standardDocuments
        // The content is not text: it has an answer of its own.
        if let interruption { documents.merge(Self.notices(interruption)) { $1 } }
        if userData != nil { documents[Self.userDataPath] = "" }
        for (key, value) in tags ?? [:] where !key.contains("/") && key != "." && key != ".." { documents["meta-data/tags/instance/\(key)"] = value }
        return documents
    }

    private static let userDataPath = "user-data"

    private var standardDocuments: [String: String] {
        let partition = ARN.partition(ofRegion: region)
        let interface = "meta-data/network/interfaces/macs/\(macAddress)"
        return [
            "meta-data/ami-id": imageID, "meta-data/ami-launch-index": "0", "meta-data/hostname": privateDNSName,
            "meta-data/instance-action": "none", "meta-data/instance-id": instanceID, "meta-data/instance-life-cycle": isSpot ? "spot" : "on-demand",
            "meta-data/instance-type": instanceType, "meta-data/local-hostname": privateDNSName, "meta-data/local-ipv4": primaryAddress,
            "meta-data/mac": macAddress, "meta-data/placement/availability-zone": zone, "meta-data/placement/availability-zone-id": zoneID,
            "meta-data/placement/region": region, "meta-data/services/domain": "amazonaws.com", "meta-data/services/partition": partition,
            "\(interface)/device-number": "0", "\(interface)/interface-id": interfaceID, "\(interface)/local-hostname": privateDNSName,
            "\(interface)/local-ipv4s": addresses.joined(separator: "\n"), "\(interface)/mac": macAddress, "\(interface)/owner-id": account,
            "\(interface)/security-group-ids": securityGroupIDs.joined(separator: "\n"), "\(interface)/subnet-id": subnetID,
            "\(interface)/subnet-ipv4-cidr-block": subnetCIDR, "\(interface)/vpc-id": vpcID, "\(interface)/vpc-ipv4-cidr-block": vpcCIDR,
            "\(interface)/vpc-ipv4-cidr-blocks": vpcCIDR, "meta-data/iam/info": profileDocument, credentialsPath: "",
            "dynamic/instance-identity/document": identityDocument,
        ]
    }

    /// Upstream: EC2 User Guide, "Spot Instance interruption notices".
    private static func notices(_ interruption: SpotInterruption) -> [String: String] {
        let (noticed, taken) = (AWSTimestamp.extended(interruption.noticedAt), AWSTimestamp.extended(interruption.takenAt))
        let action: AWSJSON = ["action": "terminate", "time": .string(taken)]
        let recommendation: AWSJSON = ["noticeTime": .string(noticed)]
        return [
            "meta-data/spot/instance-action": String(decoding: action.encoded, as: UTF8.self), "meta-data/spot/termination-time": taken,
            "meta-data/events/recommendations/rebalance": String(decoding: recommendation.encoded, as: UTF8.self),
        ]
    }

    private var profileDocument: String {
        let document: AWSJSON = [
            "Code": "Success", "LastUpdated": .string(AWSTimestamp.extended(launchedAt)), "InstanceProfileArn": .string(profileARN),
        ]
        return String(decoding: document.encoded, as: UTF8.self)
    }

    /// Upstream: EC2 User Guide, "Instance identity documents".
    private var identityDocument: String {
        let document: AWSJSON = [
            "accountId": .string(account), "architecture": .string(architecture), "availabilityZone": .string(zone), "imageId": .string(imageID),
            "instanceId": .string(instanceID), "instanceType": .string(instanceType), "pendingTime": .string(AWSTimestamp.extended(launchedAt)),
            "privateIp": .string(primaryAddress), "region": .string(region), "version": "2017-09-30",
        ]
        return String(decoding: document.encoded, as: UTF8.self)
    }

    /// What is at a path.
    enum Answer: Sendable, Equatable {
        case text(String)
        case bytes([UInt8])
        case credentials
        case missing
    }

    /// What is at a path below `latest/`: a document, or the names below it, folders with a slash at their end.
    func answer(_ path: String) -> Answer {
        let documents = documents
        if path == credentialsPath { return .credentials }
        if path == Self.userDataPath { return userData.map(Answer.bytes) ?? .missing }
        if let text = documents[path] { return .text(text) }
        let folder = path.isEmpty || path.hasSuffix("/") ? path : path + "/"
        var names: Set<String> = []
        for name in documents.keys where name.hasPrefix(folder) {
            let rest = name.dropFirst(folder.count)
            let first = rest.prefix { $0 != "/" }
            names.insert(first.count < rest.count ? first + "/" : String(first))
        }
        return names.isEmpty ? .missing : .text(names.sorted().joined(separator: "\n"))
    }
}
