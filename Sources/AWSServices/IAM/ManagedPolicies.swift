import AWSProtocol

/// The AWS-managed policies that EKS, its clients and its examples name. Upstream: AWS Managed Policy Reference; what they allow, as lists of
/// actions.
enum ManagedPolicies {
    struct Policy: Sendable {
        /// `AmazonEKSClusterPolicy`, or with its path `service-role/AmazonEBSCSIDriverPolicy`.
        var name: String
        /// `ANPA…`, derived from the name so that it is the same always.
        var id: String
        var actions: [String]

        var arn: String { "arn:aws:iam::aws:policy/\(name)" }
        var path: String { name.contains("/") ? "/" + name.split(separator: "/").dropLast().joined(separator: "/") + "/" : "/" }
        var shortName: String { name.split(separator: "/").last.map(String.init) ?? name }
        var document: String {
            let statement: AWSJSON = ["Effect": "Allow", "Action": .strings(actions), "Resource": "*"]
            return String(decoding: AWSJSON.object(["Version": "2012-10-17", "Statement": .array([statement])]).encoded, as: UTF8.self)
        }
    }

    private static let registryRead = [
        "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage",
    ]

    private static let table: [(String, [String])] = [
        ("AdministratorAccess", ["*"]),
        (
            "PowerUserAccess",
            [
                "ec2:*", "eks:*", "eks-auth:*", "logs:*", "ecr:*", "autoscaling:*", "elasticloadbalancing:*", "cloudformation:*", "ssm:*", "kms:*",
                "s3:*",
                "sts:*", "iam:CreateServiceLinkedRole", "iam:ListRoles",
            ]
        ),
        (
            "ReadOnlyAccess",
            ["ec2:Describe*", "ec2:Get*", "eks:Describe*", "eks:List*", "iam:Get*", "iam:List*", "logs:Describe*", "sts:GetCallerIdentity"]
        ),
        ("IAMFullAccess", ["iam:*"]),
        ("AmazonEC2FullAccess", ["ec2:*", "elasticloadbalancing:*", "cloudwatch:*", "autoscaling:*"]),
        ("AmazonEC2ReadOnlyAccess", ["ec2:Describe*", "ec2:Get*", "elasticloadbalancing:Describe*", "autoscaling:Describe*"]),
        ("AmazonVPCFullAccess", ["ec2:*"]),
        (
            "AmazonEKSClusterPolicy",
            [
                "autoscaling:DescribeAutoScalingGroups", "autoscaling:UpdateAutoScalingGroup", "ec2:AttachVolume",
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:CreateRoute", "ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:CreateVolume", "ec2:DeleteRoute", "ec2:DeleteSecurityGroup",
                "ec2:DeleteVolume", "ec2:DescribeInstances", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
                "ec2:DescribeVolumes", "ec2:DescribeVolumesModifications", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeAvailabilityZones", "ec2:DetachVolume", "ec2:ModifyInstanceAttribute", "ec2:ModifyVolume",
                "ec2:RevokeSecurityGroupIngress", "ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeInternetGateways",
                "ec2:DescribeInstanceTopology", "elasticloadbalancing:*", "kms:DescribeKey", "iam:CreateServiceLinkedRole",
            ]
        ),
        (
            "AmazonEKSServicePolicy",
            [
                "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DescribeInstances",
                "ec2:DescribeNetworkInterfaces", "ec2:DetachNetworkInterface", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "ec2:ModifyNetworkInterfaceAttribute", "iam:ListAttachedRolePolicies", "eks:UpdateClusterVersion", "iam:CreateServiceLinkedRole",
            ]
        ),
        (
            "AmazonEKSVPCResourceController",
            [
                "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DetachNetworkInterface", "ec2:ModifyNetworkInterfaceAttribute",
                "ec2:DeleteNetworkInterface", "ec2:AttachNetworkInterface", "ec2:UnassignPrivateIpAddresses", "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterfacePermission",
            ]
        ),
        (
            "AmazonEKSWorkerNodePolicy",
            [
                "ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
                "ec2:DescribeVolumes", "ec2:DescribeVolumesModifications", "ec2:DescribeVpcs", "eks:DescribeCluster",
                "eks-auth:AssumeRoleForPodIdentity",
            ]
        ),
        ("AmazonEKSWorkerNodeMinimalPolicy", ["eks-auth:AssumeRoleForPodIdentity"]),
        (
            "AmazonEKS_CNI_Policy",
            [
                "ec2:AssignPrivateIpAddresses", "ec2:AttachNetworkInterface", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
                "ec2:DescribeInstances", "ec2:DescribeTags", "ec2:DescribeNetworkInterfaces", "ec2:DescribeInstanceTypes", "ec2:DescribeSubnets",
                "ec2:DetachNetworkInterface", "ec2:ModifyNetworkInterfaceAttribute", "ec2:UnassignPrivateIpAddresses", "ec2:CreateTags",
            ]
        ),
        (
            "AmazonEC2ContainerRegistryReadOnly",
            registryRead + [
                "ecr:GetRepositoryPolicy", "ecr:DescribeRepositories", "ecr:ListImages", "ecr:DescribeImages", "ecr:GetLifecyclePolicy",
                "ecr:GetLifecyclePolicyPreview", "ecr:ListTagsForResource", "ecr:DescribeImageScanFindings",
            ]
        ),
        ("AmazonEC2ContainerRegistryPullOnly", registryRead + ["ecr:BatchImportUpstreamImage"]),
        (
            "AmazonEC2ContainerRegistryPowerUser",
            registryRead + [
                "ecr:GetRepositoryPolicy", "ecr:DescribeRepositories", "ecr:ListImages", "ecr:DescribeImages", "ecr:InitiateLayerUpload",
                "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
            ]
        ),
        ("AmazonEKSFargatePodExecutionRolePolicy", registryRead),
        (
            "AmazonEKSComputePolicy",
            [
                "ec2:CreateFleet", "ec2:RunInstances", "ec2:CreateLaunchTemplate", "ec2:CreateTags", "ec2:TerminateInstances",
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile", "iam:PassRole",
            ]
        ),
        (
            "AmazonEKSBlockStoragePolicy",
            [
                "ec2:DescribeVolumes", "ec2:DescribeSnapshots", "ec2:CreateVolume", "ec2:AttachVolume", "ec2:DetachVolume", "ec2:DeleteVolume",
                "ec2:ModifyVolume", "ec2:CreateSnapshot", "ec2:DeleteSnapshot", "ec2:CreateTags",
            ]
        ),
        (
            "AmazonEKSLoadBalancingPolicy",
            [
                "elasticloadbalancing:*", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "ec2:DescribeSecurityGroups", "ec2:CreateSecurityGroup",
                "ec2:DeleteSecurityGroup", "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", "ec2:CreateTags",
            ]
        ),
        (
            "AmazonEKSNetworkingPolicy",
            [
                "ec2:CreateNetworkInterface", "ec2:AttachNetworkInterface", "ec2:DetachNetworkInterface", "ec2:DeleteNetworkInterface",
                "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses", "ec2:ModifyNetworkInterfaceAttribute", "ec2:CreateTags",
            ]
        ),
        ("AmazonSSMManagedInstanceCore", ["ssm:*", "ssmmessages:*", "ec2messages:*"]),
        (
            "service-role/AmazonEBSCSIDriverPolicy",
            [
                "ec2:CreateSnapshot", "ec2:AttachVolume", "ec2:DetachVolume", "ec2:ModifyVolume", "ec2:DescribeAvailabilityZones",
                "ec2:DescribeInstances",
                "ec2:DescribeSnapshots", "ec2:DescribeTags", "ec2:DescribeVolumes", "ec2:DescribeVolumesModifications", "ec2:CreateTags",
                "ec2:DeleteTags",
                "ec2:CreateVolume", "ec2:DeleteVolume", "ec2:DeleteSnapshot",
            ]
        ),
    ]

    /// By ARN.
    static let all: [String: Policy] = {
        var policies: [String: Policy] = [:]
        let more = [
            ManagedPolicyActions.serviceLinked, ManagedPolicyActions.drivers, ManagedPolicyActions.workloads, ManagedPolicyActions.administration,
        ]
        for (name, actions) in table + more.joined() {
            let digest = CanonicalRequest.hash(of: Array(name.utf8)).uppercased()
            let policy = Policy(name: name, id: "ANPA" + digest.prefix(17), actions: actions)
            policies[policy.arn] = policy
        }
        return policies
    }()

    /// The parsed documents by ARN. The table above is well-formed: a document that were not would grant nothing.
    static let documents: [String: PolicyDocument] = all.compactMapValues { policy in
        do { return try PolicyDocument(policy.document) } catch { return nil }
    }
}
