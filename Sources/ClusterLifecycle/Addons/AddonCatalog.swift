/// One version of an add-on, and the Kubernetes versions it fits.
package struct AddonVersion: Sendable, Equatable {
    /// `v1.20.4-eksbuild.2`
    package var name: String
    /// `1.36`
    package var kubernetesVersions: [String]
    /// Those for which it is the one that CreateAddon takes when none is named.
    package var defaultFor: [String]
}

/// A service account of an add-on, and the managed policies its role should have.
package struct AddonServiceAccount: Sendable, Equatable {
    package var name: String
    package var policies: [String]

    init(_ name: String, policies: [String] = []) {
        self.name = name
        self.policies = policies
    }
}

/// An add-on that clusters may have. Upstream: eks AddonInfo.
package struct AddonDefinition: Sendable, Equatable {
    package var name: String
    /// `networking`, `security`, …
    package var type: String
    package var owner = "aws"
    package var publisher = "eks"
    package var namespace = "kube-system"
    package var serviceAccounts: [AddonServiceAccount]
    /// Newest first.
    package var versions: [AddonVersion]
    /// Whether it needs a node to run on; others run wherever there is one.
    package var needsNode = false
    /// False: it is listed as on AWS, and nothing here could run it.
    package var isBuilt = true
    /// The settings it takes.
    var schema = AddonSchema.object([:])

    package var requiresIAMPermissions: Bool { serviceAccounts.contains { !$0.policies.isEmpty } }

    func version(_ name: String) -> AddonVersion? { versions.first { $0.name == name } }

    /// The version for a cluster that asks for none.
    func standard(kubernetes: String) -> AddonVersion? { versions.first { $0.defaultFor.contains(kubernetes) } }

    /// The settings it takes, as JSON schema.
    package var configurationSchema: String { String(decoding: schema.document(title: name).encoded, as: UTF8.self) }
}

/// The add-ons there are. They are parts of Eyrie's nodes and control planes, so a version is a name that clients can match: one code serves all.
/// Upstream: EKS User Guide, "AWS add-ons" and "Community add-ons".
package enum AddonCatalog {
    package static let all: [AddonDefinition] = [coredns, podIdentityAgent, kubeProxy, metricsServer, vpcCNI, ebsCSIDriver]

    package static func named(_ name: String) -> AddonDefinition? { all.first { $0.name == name } }

    private static let kubernetes = KubernetesVersions.all.map(\.name)

    private static func versions(_ names: String...) -> [AddonVersion] {
        names.enumerated().map { index, name in
            AddonVersion(name: name, kubernetesVersions: kubernetes, defaultFor: index == 0 ? kubernetes : [])
        }
    }

    static let vpcCNI = AddonDefinition(
        name: "vpc-cni", type: "networking", serviceAccounts: [AddonServiceAccount("aws-node", policies: ["AmazonEKS_CNI_Policy"])],
        versions: versions("v1.20.4-eksbuild.2", "v1.20.3-eksbuild.1", "v1.19.6-eksbuild.7"), schema: AddonSchemas.vpcCNI)

    static let kubeProxy = AddonDefinition(
        name: "kube-proxy", type: "networking", serviceAccounts: [AddonServiceAccount("kube-proxy")],
        versions: KubernetesVersions.all.map { own in
            // It may be older than its API server by what the skew policy allows.
            let newer = KubernetesVersions.all.filter { (own.minor...own.minor + InsightChecks.allowedSkew).contains($0.minor) }
            return AddonVersion(name: "v\(own.patch)-eksbuild.2", kubernetesVersions: newer.map(\.name), defaultFor: [own.name])
        }, schema: AddonSchemas.kubeProxy)

    static let coredns = AddonDefinition(
        name: "coredns", type: "networking", serviceAccounts: [AddonServiceAccount("coredns")],
        versions: versions("v1.12.4-eksbuild.1", "v1.12.3-eksbuild.1", "v1.12.2-eksbuild.4"), needsNode: true, schema: AddonSchemas.coredns)

    static let podIdentityAgent = AddonDefinition(
        name: "eks-pod-identity-agent", type: "security", serviceAccounts: [AddonServiceAccount("eks-pod-identity-agent")],
        versions: versions("v1.3.10-eksbuild.1", "v1.3.9-eksbuild.5"), schema: AddonSchemas.podIdentityAgent)

    static let metricsServer = AddonDefinition(
        name: "metrics-server", type: "observability", owner: "community", serviceAccounts: [AddonServiceAccount("metrics-server")],
        versions: versions("v0.8.0-eksbuild.3", "v0.7.2-eksbuild.4"), needsNode: true, schema: AddonSchemas.metricsServer)

    static let ebsCSIDriver = AddonDefinition(
        name: "aws-ebs-csi-driver", type: "storage",
        serviceAccounts: [AddonServiceAccount("ebs-csi-controller-sa", policies: ["service-role/AmazonEBSCSIDriverPolicy"])],
        versions: versions("v1.53.0-eksbuild.1"), isBuilt: false)
}
