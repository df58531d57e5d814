import AWSProtocol
import ClusterLifecycle
import Testing

@testable import EKSAPI

/// What DescribeCluster shows, and what it leaves out, as Terraform's provider compares it with its configuration.
@Suite struct ClusterAnswerTests {
    static let cluster: ClusterRecord = {
        let network = ClusterNetwork(vpcID: "vpc-1", vpcCIDR: "10.0.0.0/16", subnetIDs: [], securityGroupIDs: [])
        return ClusterRecord(
            name: "x", id: "0", arn: "arn", accountID: "1", region: "r", createdAt: 0, version: "1.36", roleARN: "role", network: network,
            access: ClusterAccess(creatorARN: "user"))
    }()

    private func shown(_ change: (inout ClusterRecord) -> Void = { _ in }) -> AWSJSON {
        var cluster = Self.cluster
        change(&cluster)
        return cluster.json()
    }

    @Test("Auto Mode's members are left out until a request has named them; elasticLoadBalancing is always there")
    func autoMode() {
        let plain = shown()
        #expect(plain["computeConfig"] == nil && plain["storageConfig"] == nil)
        #expect(plain["kubernetesNetworkConfig"]?["elasticLoadBalancing"] == ["enabled": false])
        let off = shown { $0.autoModeAsked = true }
        #expect(off["computeConfig"]?["enabled"] == false && off["storageConfig"] == ["blockStorage": ["enabled": false]])
    }

    @Test("zonalShiftConfig is left out until a request has named it")
    func zonalShift() {
        #expect(shown()["zonalShiftConfig"] == nil)
        #expect(shown { $0.zonalShiftAsked = true }["zonalShiftConfig"] == ["enabled": false])
        #expect(shown { $0.zonalShiftEnabled = true }["zonalShiftConfig"] == ["enabled": true])
    }

    @Test("an update of Auto Mode may say the cluster's own range and family, and no other")
    func network() async throws {
        let stack = try await Stack()
        try await stack.createCluster("demo")
        let reconcilers = Task { await stack.service.run() }
        func update(_ network: AWSJSON) async -> AWSJSON? {
            let off: AWSJSON = ["enabled": false]
            let body: AWSJSON = ["computeConfig": off, "storageConfig": ["blockStorage": off], "kubernetesNetworkConfig": network]
            return await stack.eks("POST", "/clusters/demo/update-config", body).body["message"]
        }
        // It comes as far as Auto Mode, which the cluster does not have.
        let idle: AWSJSON = "Cannot modify EKS Auto Mode configuration. Auto Mode is not enabled on this cluster."
        let off: AWSJSON = ["enabled": false]
        let deadline = ContinuousClock.now + .seconds(10)
        while try await stack.service.describeCluster("demo").status != .active, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(2))
        }
        #expect(await update(["elasticLoadBalancing": off, "serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"]) == idle)
        #expect(await update(["elasticLoadBalancing": off]) == idle)
        let others: [AWSJSON] = [["serviceIpv4Cidr": "10.100.0.0/16"], ["ipFamily": "ipv6"]]
        for other in others { #expect(await update(other)?.stringValue?.contains("cannot be changed") == true) }
        let body: AWSJSON = ["kubernetesNetworkConfig": ["ipFamily": "ipv4"]]
        let answer = await stack.eks("POST", "/clusters/demo/update-config", body)
        #expect(answer.type == "InvalidParameterException" && answer.body["message"] == "The type for cluster update was not provided.")
        reconcilers.cancel()
        await reconcilers.value
    }
}

extension Stack {
    /// A cluster in two subnets of a VPC 10.0.0.0/16, with a role of its own.
    func createCluster(_ name: String, _ more: [String: AWSJSON] = [:]) async throws {
        let statement: AWSJSON = ["Effect": "Allow", "Principal": ["Service": "eks.amazonaws.com"], "Action": "sts:AssumeRole"]
        let trust = String(decoding: AWSJSON.object(["Version": "2012-10-17", "Statement": .array([statement])]).encoded, as: UTF8.self)
        _ = await query("iam", ["Action": "CreateRole", "RoleName": name, "AssumeRolePolicyDocument": trust])
        let policy = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
        _ = await query("iam", ["Action": "AttachRolePolicy", "RoleName": name, "PolicyArn": policy])
        let vpc = try #require(element("vpcId", await query("ec2", ["Action": "CreateVpc", "CidrBlock": "10.0.0.0/16"])))
        var subnets: [String] = []
        for (number, zone) in ["eu-central-1a", "eu-central-1b"].enumerated() {
            let answer = await query(
                "ec2", ["Action": "CreateSubnet", "VpcId": vpc, "CidrBlock": "10.0.\(number).0/24", "AvailabilityZone": zone])
            subnets.append(try #require(element("subnetId", answer)))
        }
        let body: [String: AWSJSON] = [
            "name": .string(name), "roleArn": .string("arn:aws:iam::000000000000:role/\(name)"),
            "resourcesVpcConfig": ["subnetIds": .strings(subnets)],
        ]
        let answer = await eks("POST", "/clusters", .object(body.merging(more) { $1 }))
        try #require(answer.status == 200, "\(answer.body)")
    }

    /// Sends a signed request of a service that takes forms; the answer's XML.
    func query(_ service: String, _ parameters: [String: String]) async -> String {
        let fields = parameters.merging(["Version": service == "iam" ? "2010-05-08" : "2016-11-15"]) { first, _ in first }
        let form = fields.map { PercentEncoding.encode($0.key) + "=" + PercentEncoding.encode($0.value) }.joined(separator: "&")
        return String(decoding: await send("POST", "/", Array(form.utf8), service, "application/x-www-form-urlencoded").bytes, as: UTF8.self)
    }

    private func element(_ name: String, _ xml: String) -> String? {
        guard let start = xml.firstRange(of: "<\(name)>"), let end = xml[start.upperBound...].firstRange(of: "</\(name)>") else { return nil }
        return String(xml[start.upperBound..<end.lowerBound])
    }
}
