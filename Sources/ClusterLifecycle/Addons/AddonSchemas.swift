/// The settings of each add-on. Those that act are `corefile` and `enableNetworkPolicy`; those that size and place AWS's pods are taken and kept, since
/// charts and modules give them, and there are no such pods here. A value that would promise what is not there (IPVS, custom networking, pod security
/// groups) is none of the schema's. Upstream: DescribeAddonConfiguration of EKS's add-ons.
enum AddonSchemas {
    private static let labels = AddonSchema.map(.string)
    private static let replicas = AddonSchema.integer(1...1000)
    private static let seconds = AddonSchema.integer(1...3600)

    /// How AWS's pods are sized and placed.
    private static let pods: [String: AddonSchema] = [
        "affinity": .open, "nodeSelector": labels, "podAnnotations": labels, "podLabels": labels,
        "resources": .object(["limits": .open, "requests": .open]), "tolerations": .array(.open),
    ]
    private static let deployment = pods.merging(
        ["podDisruptionBudget": .open, "topologySpreadConstraints": .array(.open)]) { $1 }

    static let coredns = AddonSchema.object(
        deployment.merging([
            "autoScaling": .object(["enabled": .boolean, "maxReplicas": replicas, "minReplicas": replicas]), "computeType": .string,
            "corefile": .string, "replicaCount": replicas,
        ]) { $1 })

    static let kubeProxy = AddonSchema.object(pods.merging(["mode": .choice(["nftables"])]) { $1 })

    static let vpcCNI = AddonSchema.object(
        pods.merging([
            "enableNetworkPolicy": .flag, "env": .object(cniVariables), "init": .object(["env": .object(["DISABLE_TCP_EARLY_DEMUX": .flag])]),
            "livenessProbeTimeoutSeconds": seconds, "readinessProbeTimeoutSeconds": seconds,
            "nodeAgent": .object(["enableCloudWatchLogs": .choice(["false"]), "enablePolicyEventLogs": .choice(["false"])]),
        ]) { $1 })

    /// All of an instance's addresses are there from its launch, so every warm pool is full. Upstream: amazon-vpc-cni-k8s README.
    private static let cniVariables: [String: AddonSchema] = [
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": .choice(["false"]), "AWS_VPC_K8S_CNI_EXTERNALSNAT": .flag, "AWS_VPC_K8S_CNI_LOGLEVEL": .string,
        "AWS_VPC_K8S_PLUGIN_LOG_LEVEL": .string, "DISABLE_INTROSPECTION": .flag, "DISABLE_METRICS": .flag, "ENABLE_IPv4": .choice(["true"]),
        "ENABLE_IPv6": .choice(["false"]), "ENABLE_POD_ENI": .choice(["false"]), "ENABLE_PREFIX_DELEGATION": .flag, "MINIMUM_IP_TARGET": .string,
        "NETWORK_POLICY_ENFORCING_MODE": .choice(["standard"]), "WARM_ENI_TARGET": .string, "WARM_IP_TARGET": .string, "WARM_PREFIX_TARGET": .string,
    ]

    static let metricsServer = AddonSchema.object(deployment.merging(["replicas": replicas]) { $1 })

    static let podIdentityAgent = AddonSchema.object(pods.merging(["priorityClassName": .string]) { $1 })
}
