/// What further AWS-managed policies allow: of service-linked roles, of the add-ons' drivers, of workloads in examples, and of those that administer
/// an account by Terraform or eksctl. Upstream: AWS Managed Policy Reference.
enum ManagedPolicyActions {
    private static let interfaces = [
        "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DetachNetworkInterface", "ec2:DescribeNetworkInterfaces",
        "ec2:CreateNetworkInterfacePermission",
    ]
    private static let tracing = [
        "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
        "xray:GetSamplingStatisticSummaries",
    ]
    private static let described = [
        "ec2:DescribeInstances", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions",
        "ec2:DescribeRouteTables",
    ]
    private static let groups = [
        "ec2:CreateSecurityGroup", "ec2:DeleteSecurityGroup", "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", "ec2:CreateTags",
    ]

    static let serviceLinked: [(String, [String])] = [
        (
            "aws-service-role/AmazonEKSServiceRolePolicy",
            interfaces + described + groups + [
                "ec2:ModifyNetworkInterfaceAttribute", "ec2:DescribeAvailabilityZones", "iam:ListAttachedRolePolicies", "iam:GetRole",
                "route53:AssociateVPCWithHostedZone", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents",
                "cloudwatch:PutMetricData", "eks:DescribeAccessEntry",
            ]
        ),
        (
            "aws-service-role/AWSServiceRoleForAmazonEKSNodegroup",
            described + groups + [
                "ec2:CreateLaunchTemplate", "ec2:DeleteLaunchTemplate", "ec2:CreateLaunchTemplateVersion", "ec2:DescribeLaunchTemplates",
                "ec2:DescribeLaunchTemplateVersions", "ec2:DescribeInstanceTypes", "ec2:DescribeImages", "ec2:DescribeKeyPairs", "ec2:RunInstances",
                "ec2:TerminateInstances", "ec2:RebootInstances", "autoscaling:*", "iam:CreateServiceLinkedRole", "iam:GetRole", "iam:PassRole",
                "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile",
                "iam:GetInstanceProfile", "ssm:GetParameter",
            ]
        ),
        ("aws-service-role/AmazonEKSForFargateServiceRolePolicy", interfaces + described),
        (
            "aws-service-role/AutoScalingServiceRolePolicy",
            described + [
                "ec2:RunInstances", "ec2:TerminateInstances", "ec2:DescribeLaunchTemplates", "ec2:CreateTags", "elasticloadbalancing:*",
                "iam:PassRole",
                "cloudwatch:PutMetricAlarm", "sns:Publish",
            ]
        ),
        (
            "aws-service-role/AWSElasticLoadBalancingServiceRolePolicy",
            interfaces + described + groups + [
                "ec2:DescribeAddresses", "ec2:DescribeInternetGateways", "ec2:DescribeAccountAttributes", "ec2:AllocateAddress", "ec2:ReleaseAddress",
                "ec2:AssignPrivateIpAddresses", "logs:CreateLogDelivery",
            ]
        ),
        (
            "aws-service-role/AWSEC2SpotServiceRolePolicy",
            ["ec2:DescribeInstances", "ec2:StartInstances", "ec2:StopInstances", "ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"]
        ),
    ]

    static let drivers: [(String, [String])] = [
        (
            "service-role/AmazonEFSCSIDriverPolicy",
            [
                "elasticfilesystem:DescribeAccessPoints", "elasticfilesystem:DescribeFileSystems", "elasticfilesystem:DescribeMountTargets",
                "elasticfilesystem:CreateAccessPoint", "elasticfilesystem:DeleteAccessPoint", "elasticfilesystem:TagResource",
                "ec2:DescribeAvailabilityZones",
            ]
        ),
        (
            "CloudWatchAgentServerPolicy",
            [
                "cloudwatch:PutMetricData", "ec2:DescribeVolumes", "ec2:DescribeTags", "logs:PutLogEvents", "logs:PutRetentionPolicy",
                "logs:DescribeLogStreams", "logs:DescribeLogGroups", "logs:CreateLogStream", "logs:CreateLogGroup", "ssm:GetParameter",
            ] + tracing
        ),
        ("AWSXRayDaemonWriteAccess", tracing), ("AWSXrayWriteOnlyAccess", tracing),
        ("CloudWatchNetworkFlowMonitorAgentPublishPolicy", ["networkflowmonitor:Publish"]),
        (
            "AWSPrivateCAConnectorForKubernetesPolicy",
            ["acm-pca:DescribeCertificateAuthority", "acm-pca:GetCertificate", "acm-pca:IssueCertificate"]
        ),
        (
            "service-role/AmazonS3FilesCSIDriverPolicy",
            [
                "s3files:ListAccessPoints", "s3files:ListFileSystems", "s3files:CreateAccessPoint", "s3files:TagResource",
                "s3files:DeleteAccessPoint",
            ]
        ),
        ("AmazonFSxFullAccess", ["fsx:*", "iam:CreateServiceLinkedRole", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]),
        ("AmazonElasticFileSystemFullAccess", ["elasticfilesystem:*", "ec2:Describe*", "kms:DescribeKey", "kms:ListAliases"]),
        ("AmazonPrometheusRemoteWriteAccess", ["aps:RemoteWrite"]),
        ("AmazonS3ReadOnlyAccess", ["s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"]),
        ("AmazonS3FullAccess", ["s3:*", "s3-object-lambda:*"]),
        ("AmazonEC2ContainerRegistryFullAccess", ["ecr:*", "cloudtrail:LookupEvents", "iam:CreateServiceLinkedRole"]),
    ]

    /// Of pods in the examples of the EKS User Guide, eksctl and Terraform's modules.
    static let workloads: [(String, [String])] = [
        ("AmazonPrometheusQueryAccess", ["aps:GetLabels", "aps:GetMetricMetadata", "aps:GetSeries", "aps:QueryMetrics"]),
        ("AmazonPrometheusFullAccess", ["aps:*"]),
        ("AmazonRoute53FullAccess", ["route53:*", "route53domains:*", "elasticloadbalancing:DescribeLoadBalancers"]),
        ("AmazonRoute53ReadOnlyAccess", ["route53:Get*", "route53:List*", "route53:TestDNSAnswer"]),
        ("SecretsManagerReadWrite", ["secretsmanager:*", "kms:DescribeKey", "kms:ListAliases", "kms:ListKeys", "tag:GetResources"]),
        ("AmazonDynamoDBFullAccess", ["dynamodb:*", "dax:*"]),
        (
            "AmazonDynamoDBReadOnlyAccess",
            ["dynamodb:Describe*", "dynamodb:Get*", "dynamodb:List*", "dynamodb:BatchGet*", "dynamodb:Query", "dynamodb:Scan"]
        ),
        ("AmazonSQSFullAccess", ["sqs:*"]), ("AmazonSNSFullAccess", ["sns:*"]),
        (
            "AmazonSSMManagedEC2InstanceDefaultPolicy",
            [
                "ssm:DescribeAssociation", "ssm:DescribeDocument", "ssm:GetDeployablePatchSnapshotForInstance", "ssm:GetDocument", "ssm:GetManifest",
                "ssm:ListAssociations", "ssm:ListInstanceAssociations", "ssm:PutComplianceItems", "ssm:PutConfigurePackageResult",
                "ssm:PutInventory",
                "ssm:UpdateAssociationStatus", "ssm:UpdateInstanceAssociationStatus", "ssm:UpdateInstanceInformation", "ssmmessages:*",
                "ec2messages:*",
            ]
        ),
    ]

    static let administration: [(String, [String])] = [
        ("AWSCloudFormationFullAccess", ["cloudformation:*"]), ("AutoScalingFullAccess", ["autoscaling:*", "cloudwatch:PutMetricAlarm"]),
        ("ElasticLoadBalancingFullAccess", ["elasticloadbalancing:*", "ec2:Describe*"]),
        ("CloudWatchLogsFullAccess", ["logs:*", "cloudwatch:GenerateQuery"]),
        (
            "CloudWatchLogsReadOnlyAccess",
            ["logs:Describe*", "logs:Get*", "logs:List*", "logs:StartQuery", "logs:StopQuery", "logs:TestMetricFilter", "logs:FilterLogEvents"]
        ),
        (
            "CloudWatchFullAccess",
            ["autoscaling:Describe*", "cloudwatch:*", "logs:*", "sns:*", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole"]
        ),
        (
            "CloudWatchReadOnlyAccess",
            ["autoscaling:Describe*", "cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "logs:Get*", "logs:Describe*"]
        ),
        ("AmazonSSMReadOnlyAccess", ["ssm:Describe*", "ssm:Get*", "ssm:List*"]),
        ("AmazonSSMFullAccess", ["ssm:*", "ssmmessages:*", "ec2messages:*"]),
        ("ElasticLoadBalancingReadOnly", ["elasticloadbalancing:Describe*", "ec2:DescribeInstances", "ec2:DescribeSecurityGroups"]),
        ("AmazonVPCReadOnlyAccess", ["ec2:Describe*", "ec2:Get*", "ec2:Search*"]),
        (
            "AWSKeyManagementServicePowerUser",
            [
                "kms:CreateAlias", "kms:CreateKey", "kms:DeleteAlias", "kms:Describe*", "kms:GenerateRandom", "kms:Get*", "kms:List*",
                "kms:TagResource",
                "kms:UntagResource", "iam:ListGroups", "iam:ListRoles", "iam:ListUsers",
            ]
        ),
        ("AmazonEKSDashboardConsoleReadOnly", ["eks:ListDashboardData", "eks:ListDashboardResources", "eks:DescribeClusterVersions"]),
        (
            "AmazonEKSMCPReadOnlyAccess",
            [
                "eks:DescribeCluster", "eks:ListClusters", "eks:DescribeNodegroup", "eks:ListNodegroups", "eks:DescribeAddon", "eks:ListAddons",
                "eks:DescribeAccessEntry", "eks:ListAccessEntries", "eks:DescribeInsight", "eks:ListInsights", "eks:AccessKubernetesApi",
                "iam:GetRole",
                "iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:GetRolePolicy", "iam:GetPolicy", "iam:GetPolicyVersion",
                "ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeRouteTables", "sts:GetCallerIdentity", "logs:StartQuery",
                "logs:GetQueryResults", "cloudwatch:GetMetricData", "eks-mcp:InvokeMcp", "eks-mcp:CallReadOnlyTool",
            ]
        ),
        ("IAMReadOnlyAccess", ["iam:GenerateCredentialReport", "iam:Get*", "iam:List*", "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy"]),
        ("SecurityAudit", ["ec2:Describe*", "eks:Describe*", "eks:List*", "iam:Get*", "iam:List*", "logs:Describe*", "kms:Describe*", "kms:List*"]),
        ("job-function/ViewOnlyAccess", ["ec2:Describe*", "eks:List*", "iam:List*", "logs:Describe*", "kms:List*"]),
    ]
}
