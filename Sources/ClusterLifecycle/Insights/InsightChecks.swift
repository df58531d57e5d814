/// What the checks go by.
struct InsightFacts: Sendable {
    var cluster: ClusterRecord
    /// The cluster's add-ons.
    var addons: [AddonRecord] = []
    var inspection: ClusterInspection
    /// The next minor version; nil when there is none.
    var next: KubernetesVersion?
    /// The version that the cluster may go back to; nil when it may not.
    var previous: KubernetesVersion?
}

/// What a check found, before it is anybody's.
struct InsightFinding: Sendable, Equatable {
    var name: String
    var category = "UPGRADE_READINESS"
    var version: String?
    var status = InsightStatus.passing
    var reason: String
    var description: String
    var recommendation = ""
    var resources: [InsightResource] = []
    var deprecations: [InsightDeprecation] = []
    var addons: [InsightAddon] = []
    /// Whether the cluster must be asked; the records know the rest.
    var asksCluster = true
}

/// The checks, as functions of what the API server says. Upstream: EKS User Guide, "Prepare for Kubernetes version upgrades and troubleshoot
/// misconfigurations with cluster insights".
enum InsightChecks {
    static let all: [@Sendable (InsightFacts) -> InsightFinding?] = [
        kubeletSkew, proxySkew, deprecatedVersions, addonVersions, clusterHealth, rollbackSkew,
    ]

    /// Minors that a kubelet may be older than its API server. Upstream: Kubernetes, "Version Skew Policy".
    static let allowedSkew = 3

    /// The minor of `v1.36.2-eks-eyrie`.
    static func minor(_ release: String) -> Int? {
        let parts = release.drop { $0 == "v" }.split(separator: ".")
        return parts.count >= 2 ? Int(parts[1]) : nil
    }

    /// After the update nodes may be as much older as the policy allows, and those at its edge are told.
    private static func skew(_ minor: Int?, _ target: Int) -> InsightStatus {
        guard let minor else { return .unknown }
        let skew = target - minor
        if skew > allowedSkew || skew < 0 { return .error }
        return skew == allowedSkew ? .warning : .passing
    }

    private static func worst(_ statuses: [InsightStatus]) -> InsightStatus {
        [.error, .warning, .unknown].first(where: statuses.contains) ?? .passing
    }

    @Sendable static func kubeletSkew(_ facts: InsightFacts) -> InsightFinding? {
        guard let next = facts.next else { return nil }
        var finding = InsightFinding(
            name: "Kubelet version skew", version: next.name, reason: "Node kubelet versions match the cluster control plane version.",
            description: "Checks for kubelet versions of worker nodes in the cluster to see if upgrade would cause non compliance with supported "
                + "Kubernetes kubelet version skew policy.",
            recommendation: "Upgrade your worker nodes before upgrading the control plane.")
        for (node, release) in facts.inspection.kubelets.sorted(by: { $0.key < $1.key }) {
            let status = skew(minor(release), next.minor)
            guard status != .passing else { continue }
            let reason = "kubelet \(release) would be \(minor(release).map { "\(next.minor - $0) minor versions older" } ?? "of an unknown age")"
            finding.resources.append(InsightResource(status: status, reason: reason, uri: "/api/v1/nodes/\(node)"))
        }
        finding.status = worst(finding.resources.map(\.status))
        if finding.status != .passing { finding.reason = "Node kubelet versions are not compatible with Kubernetes \(next.name), or just so." }
        return finding
    }

    @Sendable static func proxySkew(_ facts: InsightFacts) -> InsightFinding? {
        guard let next = facts.next else { return nil }
        var finding = InsightFinding(
            name: "kube-proxy version skew", version: next.name, reason: "kube-proxy versions match the cluster control plane version.",
            description: "Checks version of kube-proxy in cluster to see if upgrade would cause non compliance with supported Kubernetes kube-proxy "
                + "version skew policy.",
            recommendation: "Upgrade kube-proxy before upgrading the control plane.")
        guard let proxy = facts.inspection.kubeProxy else {
            finding.reason = "kube-proxy is not installed as a DaemonSet."
            return finding
        }
        finding.status = skew(minor(proxy), next.minor)
        if finding.status != .passing {
            finding.reason = "kube-proxy \(proxy) is not compatible with Kubernetes \(next.name), or just so."
            finding.resources = [
                InsightResource(status: finding.status, reason: finding.reason, uri: "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy")
            ]
        }
        return finding
    }

    /// What the API server served of versions that are on their way out, and to whom.
    @Sendable static func deprecatedVersions(_ facts: InsightFacts) -> InsightFinding? {
        guard let next = facts.next else { return nil }
        var finding = InsightFinding(
            name: "Deprecated APIs in use", version: next.name, reason: "No deprecated API usage detected within the last 30 days.",
            description: "Checks for usage of deprecated APIs within the last 30 days. Upgrading your cluster before migrating to the updated APIs "
                + "could cause application impact.",
            recommendation: "Update manifests and API clients to use newer Kubernetes APIs before upgrading.")
        for (path, uses) in Dictionary(grouping: facts.inspection.deprecated, by: \.path).sorted(by: { $0.key < $1.key }) {
            finding.deprecations.append(InsightDeprecation(usage: path, clients: uses))
            finding.resources.append(InsightResource(status: .warning, reason: uses.first?.warning ?? "", uri: path))
        }
        guard !finding.deprecations.isEmpty else { return finding }
        finding.status = .warning
        finding.reason = "Deprecated API usage detected within the last 30 days."
        return finding
    }

    /// Whether the versions of the add-ons fit the next minor, by the catalogue; one that is not in it is unknown.
    @Sendable static func addonVersions(_ facts: InsightFacts) -> InsightFinding? {
        guard let next = facts.next else { return nil }
        var finding = InsightFinding(
            name: "EKS add-on version compatibility", version: next.name,
            reason: "All installed EKS add-on versions are compatible with next Kubernetes version.",
            description: "Checks version of installed EKS add-ons to ensure they are compatible with the next version of Kubernetes. ",
            recommendation: "Update EKS add-ons to versions that are compatible with the next Kubernetes version before upgrading.",
            asksCluster: false)
        for addon in facts.addons.sorted(by: { $0.name < $1.name }) {
            let definition = AddonCatalog.named(addon.name)
            let fitting = (definition?.versions ?? []).filter { $0.kubernetesVersions.contains(next.name) }.map(\.name)
            finding.addons.append(InsightAddon(name: addon.name, compatibleVersions: fitting))
            guard !fitting.contains(addon.version) else { continue }
            let status: InsightStatus = definition?.version(addon.version) == nil ? .unknown : .error
            let reason = "\(addon.name) \(addon.version) is not known to be compatible with Kubernetes \(next.name)"
            finding.resources.append(InsightResource(status: status, reason: reason, arn: addon.arn))
        }
        finding.status = worst(finding.resources.map(\.status))
        if finding.status != .passing { finding.reason = "EKS add-on versions are not compatible with next Kubernetes version." }
        return finding
    }

    @Sendable static func clusterHealth(_ facts: InsightFacts) -> InsightFinding? {
        guard let next = facts.next else { return nil }
        var finding = InsightFinding(
            name: "Cluster health issues", version: next.name, reason: "No cluster health issues detected.",
            description: "Checks for any cluster health issues that prevent successful upgrade to the next Kubernetes version on EKS.",
            recommendation: "Resolve the issues that DescribeCluster shows before upgrading.", asksCluster: false)
        guard let issue = facts.cluster.health.first else { return finding }
        finding.status = .error
        finding.reason = "\(issue.code): \(issue.message)"
        finding.resources = [InsightResource(status: .error, reason: finding.reason, arn: facts.cluster.arn)]
        return finding
    }

    /// A kubelet is never newer than its API server.
    @Sendable static func rollbackSkew(_ facts: InsightFacts) -> InsightFinding? {
        guard let previous = facts.previous else { return nil }
        var finding = InsightFinding(
            name: "Kubelet version skew", category: "ROLLBACK_READINESS", version: previous.name,
            reason: "No node has a kubelet that is newer than \(previous.name).",
            description: "Checks for kubelet versions of worker nodes that would be newer than the control plane after a rollback.",
            recommendation: "Replace nodes by ones of the earlier version before rolling back.")
        for (node, release) in facts.inspection.kubelets.sorted(by: { $0.key < $1.key }) {
            guard let minor = minor(release), minor > previous.minor else { continue }
            finding.resources.append(
                InsightResource(status: .error, reason: "kubelet \(release) is newer than \(previous.name)", uri: "/api/v1/nodes/\(node)"))
        }
        guard !finding.resources.isEmpty else { return finding }
        finding.status = .error
        finding.reason = "Nodes have kubelets that are newer than \(previous.name)."
        return finding
    }
}
