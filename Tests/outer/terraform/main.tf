# A cluster as people write it with Terraform: the network, roles, cluster, node groups, add-ons and access that the modules vpc and eks of
# terraform-aws-modules make, by the resources themselves (the modules' registry cannot be reached by tests). test_terraform.py applies it, plans again,
# changes it and destroys it.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region                  = "us-west-2"
  skip_metadata_api_check = true

  default_tags {
    tags = {
      Environment = "test"
    }
  }
}

variable "name" { default = "tf" }
variable "kubernetes_version" { default = "1.35" }
variable "nodes" { default = 1 }
variable "labels" {
  type    = map(string)
  default = { tier = "general" }
}
variable "taints" {
  type    = list(object({ key = string, value = string, effect = string }))
  default = []
}
variable "log_types" {
  type    = list(string)
  default = ["api", "audit", "authenticator"]
}
variable "public_cidrs" {
  type    = list(string)
  default = ["0.0.0.0/0"]
}
# Null: the cluster's resource does not speak of it.
variable "auto_mode" {
  type    = bool
  default = null
}
variable "zonal_shift" { default = false }
variable "max_unavailable" { default = 1 }

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_availability_zones" "this" {
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}
data "aws_iam_session_context" "this" {
  arn = data.aws_caller_identity.this.arn
}

# --- network ---

resource "aws_vpc" "this" {
  cidr_block           = "10.60.0.0/16"
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = var.name }
}

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-default" }
}

resource "aws_default_network_acl" "this" {
  default_network_acl_id = aws_vpc.this.default_network_acl_id

  ingress {
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    protocol   = "-1"
    rule_no    = 100
    to_port    = 0
  }
  egress {
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    protocol   = "-1"
    rule_no    = 100
    to_port    = 0
  }
  lifecycle {
    ignore_changes = [subnet_ids]
  }
}

resource "aws_default_route_table" "this" {
  default_route_table_id = aws_vpc.this.default_route_table_id
  tags                   = { Name = "${var.name}-default" }
}

resource "aws_subnet" "public" {
  count                   = 2
  vpc_id                  = aws_vpc.this.id
  cidr_block              = cidrsubnet(aws_vpc.this.cidr_block, 8, count.index)
  availability_zone       = data.aws_availability_zones.this.names[count.index]
  map_public_ip_on_launch = true
  tags = {
    Name                     = "${var.name}-public-${count.index}"
    "kubernetes.io/role/elb" = "1"
  }
}

resource "aws_subnet" "private" {
  count             = 2
  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 8, 10 + count.index)
  availability_zone = data.aws_availability_zones.this.names[count.index]

  private_dns_hostname_type_on_launch         = "ip-name"
  enable_resource_name_dns_a_record_on_launch = true
  tags = {
    Name                              = "${var.name}-private-${count.index}"
    "kubernetes.io/role/internal-elb" = "1"
  }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

resource "aws_eip" "nat" {
  domain     = "vpc"
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route" "nat" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this.id
}

resource "aws_route_table_association" "private" {
  count          = 2
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.us-west-2.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
}

# --- security groups ---

resource "aws_security_group" "cluster" {
  name_prefix = "${var.name}-cluster-"
  description = "EKS cluster security group"
  vpc_id      = aws_vpc.this.id
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "node" {
  name        = "${var.name}-node"
  description = "EKS node shared security group"
  vpc_id      = aws_vpc.this.id
  tags        = { "kubernetes.io/cluster/${var.name}" = "owned" }
}

resource "aws_security_group_rule" "nodes_to_cluster" {
  security_group_id        = aws_security_group.cluster.id
  type                     = "ingress"
  description              = "Node groups to cluster API"
  protocol                 = "tcp"
  from_port                = 443
  to_port                  = 443
  source_security_group_id = aws_security_group.node.id
}

resource "aws_vpc_security_group_ingress_rule" "cluster_to_nodes" {
  security_group_id            = aws_security_group.node.id
  description                  = "Cluster API to node kubelets"
  ip_protocol                  = "tcp"
  from_port                    = 10250
  to_port                      = 10250
  referenced_security_group_id = aws_security_group.cluster.id
}

resource "aws_vpc_security_group_ingress_rule" "node_to_node" {
  security_group_id            = aws_security_group.node.id
  ip_protocol                  = "-1"
  referenced_security_group_id = aws_security_group.node.id
}

resource "aws_vpc_security_group_egress_rule" "node" {
  security_group_id = aws_security_group.node.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

# --- roles ---

data "aws_iam_policy_document" "cluster" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "Service"
      identifiers = ["eks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "cluster" {
  name_prefix           = "${var.name}-cluster-"
  assume_role_policy    = data.aws_iam_policy_document.cluster.json
  force_detach_policies = true
}

resource "aws_iam_role_policy_attachment" "cluster" {
  for_each = toset([
    "AmazonEKSClusterPolicy", "AmazonEKSVPCResourceController", "AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy",
  ])
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/${each.value}"
  role       = aws_iam_role.cluster.name
}

data "aws_iam_policy_document" "node" {
  statement {
    sid     = "EKSNodeAssumeRole"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "node" {
  name               = "${var.name}-node"
  description        = "EKS managed node group IAM role"
  assume_role_policy = data.aws_iam_policy_document.node.json
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryReadOnly", "AmazonEKS_CNI_Policy", "AmazonSSMManagedInstanceCore"])
  policy_arn = "arn:aws:iam::aws:policy/${each.value}"
  role       = aws_iam_role.node.name
}

resource "aws_iam_policy" "extra" {
  name_prefix = "${var.name}-encryption-"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"], Resource = aws_kms_key.this.arn }]
  })
}

resource "aws_iam_role_policy_attachment" "extra" {
  policy_arn = aws_iam_policy.extra.arn
  role       = aws_iam_role.cluster.name
}

# --- cluster ---

resource "aws_kms_key" "this" {
  description             = "${var.name} cluster encryption key"
  deletion_window_in_days = 7
  enable_key_rotation     = true
}

resource "aws_kms_alias" "this" {
  name          = "alias/eks/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/eks/${var.name}/cluster"
  retention_in_days = 90
}

resource "aws_eks_cluster" "this" {
  name                          = var.name
  role_arn                      = aws_iam_role.cluster.arn
  version                       = var.kubernetes_version
  enabled_cluster_log_types     = var.log_types
  bootstrap_self_managed_addons = false

  access_config {
    authentication_mode                         = "API_AND_CONFIG_MAP"
    bootstrap_cluster_creator_admin_permissions = false
  }

  dynamic "compute_config" {
    for_each = var.auto_mode == null ? [] : [var.auto_mode]
    content {
      # Without pools of its own: the provider makes a cluster anew when it is to forget their role.
      enabled = compute_config.value
    }
  }

  dynamic "storage_config" {
    for_each = var.auto_mode == null ? [] : [var.auto_mode]
    content {
      block_storage {
        enabled = storage_config.value
      }
    }
  }

  vpc_config {
    security_group_ids      = [aws_security_group.cluster.id]
    subnet_ids              = aws_subnet.private[*].id
    endpoint_private_access = true
    endpoint_public_access  = true
    public_access_cidrs     = var.public_cidrs
  }

  kubernetes_network_config {
    ip_family         = "ipv4"
    service_ipv4_cidr = "172.20.0.0/16"
    dynamic "elastic_load_balancing" {
      for_each = var.auto_mode == null ? [] : [var.auto_mode]
      content {
        enabled = elastic_load_balancing.value
      }
    }
  }

  encryption_config {
    provider {
      key_arn = aws_kms_key.this.arn
    }
    resources = ["secrets"]
  }

  upgrade_policy {
    support_type = "EXTENDED"
  }

  zonal_shift_config {
    enabled = var.zonal_shift
  }

  timeouts {
    create = "3m"
    update = "3m"
    delete = "3m"
  }

  depends_on = [
    aws_iam_role_policy_attachment.cluster, aws_security_group_rule.nodes_to_cluster, aws_cloudwatch_log_group.this,
    aws_iam_role_policy_attachment.extra,
  ]
}

resource "aws_ec2_tag" "primary" {
  resource_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  key         = "Team"
  value       = "platform"
}

resource "aws_iam_openid_connect_provider" "this" {
  url            = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_eks_access_entry" "creator" {
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = data.aws_iam_session_context.this.issuer_arn
  type          = "STANDARD"
}

resource "aws_eks_access_policy_association" "creator" {
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.creator.principal_arn
  policy_arn    = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
  access_scope {
    type = "cluster"
  }
}

resource "aws_iam_role" "developer" {
  name               = "${var.name}-developer"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { AWS = data.aws_caller_identity.this.account_id }, Action = "sts:AssumeRole" }] })
}

resource "aws_eks_access_entry" "developer" {
  cluster_name      = aws_eks_cluster.this.name
  principal_arn     = aws_iam_role.developer.arn
  kubernetes_groups = ["developers"]
}

resource "aws_eks_access_policy_association" "developer" {
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.developer.principal_arn
  policy_arn    = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
  access_scope {
    type       = "namespace"
    namespaces = ["default"]
  }
}

# --- nodes ---

resource "aws_launch_template" "node" {
  name_prefix            = "${var.name}-general-"
  update_default_version = true
  vpc_security_group_ids = [aws_security_group.node.id, aws_eks_cluster.this.vpc_config[0].cluster_security_group_id]

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 30
      volume_type           = "gp3"
      delete_on_termination = true
    }
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_put_response_hop_limit = 2
    http_tokens                 = "required"
  }
  monitoring {
    enabled = true
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-general" }
  }
  lifecycle {
    create_before_destroy = true
  }
}

data "aws_ssm_parameter" "release" {
  name = "/aws/service/eks/optimized-ami/${var.kubernetes_version}/amazon-linux-2023/x86_64/standard/recommended/release_version"
}

resource "aws_eks_node_group" "general" {
  cluster_name           = aws_eks_cluster.this.name
  node_group_name_prefix = "general-"
  node_role_arn          = aws_iam_role.node.arn
  subnet_ids             = aws_subnet.private[*].id
  ami_type               = "AL2023_x86_64_STANDARD"
  instance_types         = ["t3.medium"]
  capacity_type          = "ON_DEMAND"
  version                = var.kubernetes_version
  release_version        = nonsensitive(data.aws_ssm_parameter.release.value)
  labels                 = var.labels

  launch_template {
    id      = aws_launch_template.node.id
    version = aws_launch_template.node.default_version
  }

  scaling_config {
    min_size     = 0
    max_size     = 4
    desired_size = var.nodes
  }

  update_config {
    max_unavailable = var.max_unavailable
  }

  dynamic "taint" {
    for_each = var.taints
    content {
      key    = taint.value.key
      value  = taint.value.value
      effect = taint.value.effect
    }
  }

  timeouts {
    create = "3m"
    update = "5m"
    delete = "3m"
  }

  depends_on = [aws_iam_role_policy_attachment.node]

  tags = { "eyrie.dev/runtime" = "simulated" }
  lifecycle {
    create_before_destroy = true
  }
}

# --- add-ons and workload identity ---

data "aws_eks_addon_version" "this" {
  for_each           = toset(["coredns", "kube-proxy", "vpc-cni", "eks-pod-identity-agent"])
  addon_name         = each.value
  kubernetes_version = aws_eks_cluster.this.version
  most_recent        = true
}

resource "aws_eks_addon" "this" {
  for_each                    = data.aws_eks_addon_version.this
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = each.value.version
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  preserve                    = false
  configuration_values        = each.key == "vpc-cni" ? jsonencode({ enableNetworkPolicy = "true" }) : null
  depends_on                  = [aws_eks_node_group.general]
}

resource "aws_iam_role" "workload" {
  name = "${var.name}-workload"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
    }]
  })
}

resource "aws_eks_pod_identity_association" "workload" {
  cluster_name    = aws_eks_cluster.this.name
  namespace       = "default"
  service_account = "workload"
  role_arn        = aws_iam_role.workload.arn
}

resource "aws_iam_role" "fargate" {
  name               = "${var.name}-fargate"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { Service = "eks-fargate-pods.amazonaws.com" }, Action = "sts:AssumeRole" }] })
}

resource "aws_eks_fargate_profile" "this" {
  cluster_name           = aws_eks_cluster.this.name
  fargate_profile_name   = "serverless"
  pod_execution_role_arn = aws_iam_role.fargate.arn
  subnet_ids             = aws_subnet.private[*].id
  selector {
    namespace = "serverless"
    labels    = { compute = "fargate" }
  }
}

resource "aws_eks_identity_provider_config" "this" {
  cluster_name = aws_eks_cluster.this.name
  oidc {
    identity_provider_config_name = "corporate"
    client_id                     = "kubernetes"
    issuer_url                    = "https://login.example.com"
    username_claim                = "email"
    groups_claim                  = "groups"
  }
}

# --- what others read ---

data "aws_eks_cluster" "this" {
  name = aws_eks_cluster.this.name
}

data "aws_eks_cluster_auth" "this" {
  name = aws_eks_cluster.this.name
}

data "aws_eks_clusters" "all" {
  depends_on = [aws_eks_cluster.this]
}

data "aws_eks_node_group" "general" {
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = aws_eks_node_group.general.node_group_name
}

data "aws_eks_cluster_versions" "standard" {
  version_status = "STANDARD_SUPPORT"
}

output "endpoint" { value = data.aws_eks_cluster.this.endpoint }
output "certificate_authority" { value = data.aws_eks_cluster.this.certificate_authority[0].data }
output "clusters" { value = data.aws_eks_clusters.all.names }
output "node_group" { value = aws_eks_node_group.general.node_group_name }
output "node_group_status" { value = data.aws_eks_node_group.general.status }
output "versions" { value = [for version in data.aws_eks_cluster_versions.standard.cluster_versions : version.cluster_version] }
