import AWSProtocol
import Testing

@testable import AWSServices

private let allowEKS = #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:*","Resource":"*"}]}"#
private let allowAll = #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#

extension Account {
    /// A user with a key, as a caller.
    fileprivate func user(_ name: String) async throws -> AWSCaller {
        _ = try await iam("CreateUser", ["UserName": name])
        return try await caller(element("AccessKeyId", in: try await iam("CreateAccessKey", ["UserName": name])))
    }

    fileprivate func mayListClusters(_ caller: AWSCaller, _ action: String = "eks:ListClusters") async -> Bool {
        do {
            try await identities.authorize(caller, action: action, resource: "*")
            return true
        } catch { return false }
    }
}

@Suite struct IAMEntitiesTests {
    @Test("a policy of the account's own counts by its default version, five versions at most")
    func versions() async throws {
        let account = try await Account()
        let arn = try #require(
            element("Arn", in: try await account.iam("CreatePolicy", ["PolicyName": "p", "Path": "/team/", "PolicyDocument": allowEKS])))
        #expect(arn == "arn:aws:iam::000000000000:policy/team/p")
        #expect(
            try await account.code("iam", "CreatePolicy", ["PolicyName": "p", "Path": "/team/", "PolicyDocument": allowEKS]) == "EntityAlreadyExists")
        let dev = try await account.user("dev")
        _ = try await account.iam("AttachUserPolicy", ["UserName": "dev", "PolicyArn": arn])
        #expect(await account.mayListClusters(dev))
        let deny = allowEKS.replacingFirst("Allow", with: "Deny")
        _ = try await account.iam("CreatePolicyVersion", ["PolicyArn": arn, "PolicyDocument": deny])
        #expect(await account.mayListClusters(dev))
        _ = try await account.iam("SetDefaultPolicyVersion", ["PolicyArn": arn, "VersionId": "v2"])
        #expect(await !account.mayListClusters(dev))
        for _ in 0..<3 { _ = try await account.iam("CreatePolicyVersion", ["PolicyArn": arn, "PolicyDocument": allowEKS]) }
        #expect(try await account.code("iam", "CreatePolicyVersion", ["PolicyArn": arn, "PolicyDocument": allowEKS]) == "LimitExceeded")
        #expect(try await account.code("iam", "DeletePolicyVersion", ["PolicyArn": arn, "VersionId": "v2"]) == "DeleteConflict")
        #expect(try await account.code("iam", "DeletePolicy", ["PolicyArn": arn]) == "DeleteConflict")
        let entities = try await account.iam("ListEntitiesForPolicy", ["PolicyArn": arn])
        #expect(entities.contains("<PolicyUsers><member><UserName>dev</UserName>") && entities.contains("<PolicyRoles></PolicyRoles>"))
        _ = try await account.iam("DetachUserPolicy", ["UserName": "dev", "PolicyArn": arn])
        for version in ["v1", "v3", "v4", "v5"] { _ = try await account.iam("DeletePolicyVersion", ["PolicyArn": arn, "VersionId": version]) }
        _ = try await account.iam("DeletePolicy", ["PolicyArn": arn])
        #expect(try await account.code("iam", "GetPolicy", ["PolicyArn": arn]) == "NoSuchEntity")
        #expect(try await account.code("iam", "DeletePolicy", ["PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"]) == "AccessDenied")
    }

    @Test("policies are listed by scope and path")
    func lists() async throws {
        let account = try await Account()
        _ = try await account.iam("CreatePolicy", ["PolicyName": "p", "Path": "/team/", "PolicyDocument": allowEKS])
        let own = try await account.iam("ListPolicies", ["Scope": "Local"])
        #expect(own.contains("policy/team/p") && !own.contains("iam::aws:policy"))
        #expect(try await !account.iam("ListPolicies", ["Scope": "Local", "PathPrefix": "/other/"]).contains("team"))
        #expect(try await account.iam("ListPolicies", ["Scope": "AWS", "OnlyAttached": "true"]).contains("AdministratorAccess"))
    }

    @Test("a group's policies are its members'")
    func groups() async throws {
        let account = try await Account()
        let dev = try await account.user("dev")
        _ = try await account.iam("CreateGroup", ["GroupName": "ops"])
        #expect(try await account.code("iam", "CreateGroup", ["GroupName": "ops"]) == "EntityAlreadyExists")
        _ = try await account.iam("PutGroupPolicy", ["GroupName": "ops", "PolicyName": "p", "PolicyDocument": allowEKS])
        #expect(await !account.mayListClusters(dev))
        _ = try await account.iam("AddUserToGroup", ["GroupName": "ops", "UserName": "dev"])
        #expect(await account.mayListClusters(dev))
        #expect(try await account.iam("ListGroupsForUser", ["UserName": "dev"]).contains("<GroupName>ops</GroupName>"))
        #expect(try await account.iam("GetGroup", ["GroupName": "ops"]).contains("<UserName>dev</UserName>"))
        #expect(try await account.code("iam", "DeleteGroup", ["GroupName": "ops"]) == "DeleteConflict")
        _ = try await account.iam("RemoveUserFromGroup", ["GroupName": "ops", "UserName": "dev"])
        #expect(await !account.mayListClusters(dev))
        _ = try await account.iam("DeleteGroupPolicy", ["GroupName": "ops", "PolicyName": "p"])
        _ = try await account.iam("DeleteGroup", ["GroupName": "ops"])
    }

    @Test("nothing is allowed beyond a permissions boundary")
    func boundaries() async throws {
        let account = try await Account()
        let dev = try await account.user("dev")
        let arn = try #require(element("Arn", in: try await account.iam("CreatePolicy", ["PolicyName": "b", "PolicyDocument": allowEKS])))
        _ = try await account.iam("PutUserPolicy", ["UserName": "dev", "PolicyName": "all", "PolicyDocument": allowAll])
        #expect(await account.mayListClusters(dev, "ec2:DescribeVpcs"))
        #expect(try await account.code("iam", "PutUserPermissionsBoundary", ["UserName": "dev", "PermissionsBoundary": arn + "x"]) == "NoSuchEntity")
        _ = try await account.iam("PutUserPermissionsBoundary", ["UserName": "dev", "PermissionsBoundary": arn])
        #expect(await account.mayListClusters(dev))
        #expect(await !account.mayListClusters(dev, "ec2:DescribeVpcs"))
        #expect(try await account.iam("GetUser", ["UserName": "dev"]).contains("<PermissionsBoundaryArn>\(arn)</PermissionsBoundaryArn>"))
        #expect(try await account.code("iam", "DeletePolicy", ["PolicyArn": arn]) == "DeleteConflict")
        _ = try await account.iam("DeleteUserPermissionsBoundary", ["UserName": "dev"])
        #expect(await account.mayListClusters(dev, "ec2:DescribeVpcs"))
    }

    @Test("a service's linked role is made once and is the service's own")
    func serviceLinkedRoles() async throws {
        let account = try await Account()
        let made = try await account.iam("CreateServiceLinkedRole", ["AWSServiceName": "eks.amazonaws.com"])
        #expect(element("Arn", in: made) == "arn:aws:iam::000000000000:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS")
        #expect(try await account.code("iam", "CreateServiceLinkedRole", ["AWSServiceName": "eks.amazonaws.com"]) == "InvalidInput")
        #expect(try await account.code("iam", "CreateServiceLinkedRole", ["AWSServiceName": "x.amazonaws.com"]) == "InvalidInput")
        #expect(try await account.code("iam", "DeleteRole", ["RoleName": "AWSServiceRoleForAmazonEKS"]) == "UnmodifiableEntity")
        let detach = ["RoleName": "AWSServiceRoleForAmazonEKS", "PolicyArn": "arn:aws:iam::aws:policy/aws-service-role/AmazonEKSServiceRolePolicy"]
        #expect(try await account.code("iam", "DetachRolePolicy", detach) == "UnmodifiableEntity")
        let task = try #require(
            element("DeletionTaskId", in: try await account.iam("DeleteServiceLinkedRole", ["RoleName": "AWSServiceRoleForAmazonEKS"])))
        #expect(element("Status", in: try await account.iam("GetServiceLinkedRoleDeletionStatus", ["DeletionTaskId": task])) == "SUCCEEDED")
        for kind in ServiceLinkedRoles.kinds.values { #expect(ManagedPolicies.all["arn:aws:iam::aws:policy/" + kind.policy] != nil) }
    }

    @Test("what policies would say is told")
    func simulation() async throws {
        let account = try await Account()
        _ = try await account.iam("CreateUser", ["UserName": "dev"])
        _ = try await account.iam("PutUserPolicy", ["UserName": "dev", "PolicyName": "p", "PolicyDocument": allowEKS])
        let answer = try await account.iam(
            "SimulatePrincipalPolicy",
            [
                "PolicySourceArn": "arn:aws:iam::000000000000:user/dev", "ActionNames.member.1": "eks:ListClusters",
                "ActionNames.member.2": "iam:ListRoles",
            ])
        #expect(answer.contains("<EvalDecision>allowed</EvalDecision>") && answer.contains("<EvalDecision>implicitDeny</EvalDecision>"))
    }

    @Test("the account has one alias") func alias() async throws {
        let account = try await Account()
        _ = try await account.iam("CreateAccountAlias", ["AccountAlias": "my-team"])
        #expect(try await account.iam("ListAccountAliases").contains("<member>my-team</member>"))
        #expect(try await account.code("iam", "CreateAccountAlias", ["AccountAlias": "-x-"]) == "ValidationError")
        _ = try await account.iam("DeleteAccountAlias", ["AccountAlias": "my-team"])
        #expect(try await account.iam("GetAccountSummary").contains("<key>Users</key><value>1</value>"))
    }

    @Test("the managed policies are there that Terraform's EKS modules, eksctl and the EKS User Guide attach, each with a document")
    func managedPolicies() {
        let names = [
            "AmazonEKSClusterPolicy", "AmazonEKSVPCResourceController", "AmazonEKSServicePolicy", "AmazonEKSComputePolicy",
            "AmazonEKSBlockStoragePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy", "AmazonEKSWorkerNodePolicy",
            "AmazonEKSWorkerNodeMinimalPolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly", "AmazonEC2ContainerRegistryPullOnly",
            "AmazonEC2ContainerRegistryPowerUser", "AmazonEKSFargatePodExecutionRolePolicy", "AmazonSSMManagedInstanceCore",
            "CloudWatchAgentServerPolicy", "AWSXRayDaemonWriteAccess", "AWSXrayWriteOnlyAccess", "AmazonPrometheusRemoteWriteAccess",
            "service-role/AmazonEBSCSIDriverPolicy", "service-role/AmazonEFSCSIDriverPolicy", "service-role/AmazonS3FilesCSIDriverPolicy",
            "AmazonFSxFullAccess", "CloudWatchNetworkFlowMonitorAgentPublishPolicy", "AWSPrivateCAConnectorForKubernetesPolicy",
            "AmazonS3ReadOnlyAccess", "AmazonRoute53FullAccess", "SecretsManagerReadWrite",
        ]
        for name in names { #expect(ManagedPolicies.documents["arn:aws:iam::aws:policy/\(name)"] != nil, "\(name)") }
        #expect(ManagedPolicies.documents.count == ManagedPolicies.all.count)
    }

    @Test("attached and inline policies have quotas") func quotas() async throws {
        let account = try await Account()
        _ = try await account.iam("CreateRole", ["RoleName": "r", "AssumeRolePolicyDocument": eksTrust])
        for arn in ManagedPolicies.all.keys.sorted().prefix(10) {
            _ = try await account.iam("AttachRolePolicy", ["RoleName": "r", "PolicyArn": arn])
        }
        let more = try #require(ManagedPolicies.all.keys.sorted().last)
        #expect(try await account.code("iam", "AttachRolePolicy", ["RoleName": "r", "PolicyArn": more]) == "LimitExceeded")
        let long = allowEKS.replacingFirst("eks:*", with: "eks:" + String(repeating: "x", count: 10_240))
        #expect(try await account.code("iam", "PutRolePolicy", ["RoleName": "r", "PolicyName": "p", "PolicyDocument": long]) == "LimitExceeded")
    }
}
