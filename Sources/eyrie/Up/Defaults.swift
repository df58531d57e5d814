/// What `eyrie up` fills in where EKS wants to be told: roles of the service's own and the default VPC's subnets.
struct Defaults {
    var clusterRole: String
    var nodeRole: String
    var subnets: [String]

    static func ensure(_ client: ServiceClient) async throws -> Defaults {
        async let cluster = role("eyrie-default-cluster", service: "eks", policies: ["AmazonEKSClusterPolicy"], client)
        async let node = role(
            "eyrie-default-node", service: "ec2",
            policies: ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"], client)
        let answer = try await client.query(
            "ec2", "2016-11-15", "DescribeSubnets", [("Filter.1.Name", "default-for-az"), ("Filter.1.Value.1", "true")])
        let subnets = ServiceClient.xml("subnetId", in: answer)
        guard subnets.count >= 2 else {
            throw CLIError(
                what: "The default VPC has no subnets in two zones.", why: "They were deleted; EKS needs two.",
                fix: "create the cluster with aws eks create-cluster and subnets of your own")
        }
        return try await Defaults(clusterRole: cluster, nodeRole: node, subnets: Array(subnets.sorted().prefix(2)))
    }

    private static func role(_ name: String, service: String, policies: [String], _ client: ServiceClient) async throws -> String {
        let version = "2010-05-08"
        let arn: String
        do {
            arn = ServiceClient.xml("Arn", in: try await client.query("iam", version, "GetRole", [("RoleName", name)])).first ?? ""
        } catch let refused as ServiceClient.Refused where refused.code == "NoSuchEntity" {
            let trust = """
                {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"\(service).amazonaws.com"},"Action":"sts:AssumeRole"}]}
                """
            let answer = try await client.query("iam", version, "CreateRole", [("RoleName", name), ("AssumeRolePolicyDocument", trust)])
            arn = ServiceClient.xml("Arn", in: answer).first ?? ""
        }
        for policy in policies {
            _ = try await client.query("iam", version, "AttachRolePolicy", [("RoleName", name), ("PolicyArn", "arn:aws:iam::aws:policy/\(policy)")])
        }
        return arn
    }
}
