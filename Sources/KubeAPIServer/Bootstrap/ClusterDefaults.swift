import KubeAPI

/// The objects of a new cluster that are not RBAC's: namespaces, priority classes, the service and endpoints of the API server itself.
enum ClusterDefaults {
    /// Upstream: systemnamespaces.Controller and the default namespace.
    static func namespaces() -> [Value] {
        ["default", "kube-system", "kube-public", "kube-node-lease"].map { (name: String) -> Value in
            [
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": ["name": .string(name), "labels": ["kubernetes.io/metadata.name": .string(name)]],
                "spec": ["finalizers": ["kubernetes"]],
            ]
        }
    }

    /// Upstream: scheduling.SystemPriorityClasses.
    static func priorityClasses() -> [Value] {
        let cluster: Value = [
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": ["name": "system-cluster-critical"], "value": 2_000_000_000,
            "description": "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
            "preemptionPolicy": "PreemptLowerPriority",
        ]
        let node: Value = [
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": ["name": "system-node-critical"], "value": 2_000_001_000,
            "description": "Used for system critical pods that must not be moved from their current node.",
            "preemptionPolicy": "PreemptLowerPriority",
        ]
        return [node, cluster]
    }

    /// The class of claims that name none: what EBS's gp3 is on AWS.
    static func storageClasses() -> [Value] {
        [
            [
                "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                "metadata": ["name": "gp3", "annotations": ["storageclass.kubernetes.io/is-default-class": "true"]],
                "provisioner": "ebs.csi.aws.com", "parameters": ["type": "gp3"], "reclaimPolicy": "Delete",
                "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
            ]
        ]
    }

    /// The range that the addresses of Services come from. Upstream: defaultservicecidr.Controller.
    static func serviceCIDR(_ cidr: ServiceCIDR) -> Value {
        [
            "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": ["name": "kubernetes"],
            "spec": ["cidrs": [.string(cidr.description)]],
        ]
    }

    /// The service `default/kubernetes` on the first address of the service range. Upstream: kubernetesservice.Controller.
    static func kubernetesService(clusterIP: String, isIPv6: Bool, targetPort: Int) -> Value {
        [
            "apiVersion": "v1", "kind": "Service",
            "metadata": ["name": "kubernetes", "namespace": "default", "labels": ["component": "apiserver", "provider": "kubernetes"]],
            "spec": [
                "clusterIP": .string(clusterIP), "clusterIPs": [.string(clusterIP)], "internalTrafficPolicy": "Cluster",
                "ipFamilies": [.string(isIPv6 ? "IPv6" : "IPv4")], "ipFamilyPolicy": "SingleStack",
                "ports": [["name": "https", "port": 443, "protocol": "TCP", "targetPort": .int(Int64(targetPort))]], "sessionAffinity": "None",
                "type": "ClusterIP",
            ],
        ]
    }

    /// Where pods and node proxies find the API server behind that service. Upstream: reconcilers.EndpointReconciler.
    static func kubernetesEndpoints(addresses: [String], isIPv6: Bool, port: Int) -> [Value] {
        let portNumber = Value.int(Int64(port))
        let endpoints: Value = [
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": ["name": "kubernetes", "namespace": "default", "labels": ["endpointslice.kubernetes.io/skip-mirror": "true"]],
            "subsets": [
                [
                    "addresses": .array(addresses.map { address -> Value in ["ip": .string(address)] }),
                    "ports": [["name": "https", "port": portNumber, "protocol": "TCP"]],
                ]
            ],
        ]
        let slice: Value = [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": ["name": "kubernetes", "namespace": "default", "labels": ["kubernetes.io/service-name": "kubernetes"]],
            "addressType": .string(isIPv6 ? "IPv6" : "IPv4"),
            "endpoints": [["addresses": Value(addresses), "conditions": ["ready": true]]],
            "ports": [["name": "https", "port": portNumber, "protocol": "TCP"]],
        ]
        return [endpoints, slice]
    }
}
