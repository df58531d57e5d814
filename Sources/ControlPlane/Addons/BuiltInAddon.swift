internal import ClusterDNS
internal import KubeAPI
internal import KubeAPIServer
internal import KubeClient

/// The add-ons of EKS that every node's agent has built in. Each is on while its object stands in kube-system; they are made with the cluster, and a
/// user may take them away as in EKS. Upstream: the self-managed add-ons that EKS installs (`bootstrapSelfManagedAddons`).
package enum BuiltInAddon: String, CaseIterable, Sendable {
    /// On while the ConfigMap `kube-proxy-config` stands.
    case kubeProxy = "kube-proxy"
    /// On while the Service `kube-dns` stands and has no endpoints of its own.
    case coreDNS = "coredns"

    /// Who writes the add-ons' objects. Upstream: EKS's user of this name.
    static let user = "eks:addon-manager"

    /// The client that writes them.
    static func client(_ server: APIServer) -> KubeClient {
        KubeClient(transport: InProcessTransport(server, user: UserInfo(name: user, groups: [])), fieldManager: "eks")
    }

    /// The objects, the one that switches last.
    func objects(_ cidr: ServiceCIDR) -> [(resource: GroupVersionResource, object: Value)] {
        func metadata(_ name: String, _ labels: [String: String]) -> Value {
            ["name": .string(name), "namespace": "kube-system", "labels": Value(labels)]
        }
        let account: Value = ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(rawValue, labels)]
        switch self {
        case .kubeProxy:
            let settings = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n"
            let map: Value = [
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("kube-proxy-config", labels), "data": ["config": .string(settings)],
            ]
            return [(.serviceAccounts, account), (.configMaps, map)]
        case .coreDNS:
            let serviceLabels = labels.merging(["kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"]) { $1 }
            let address = cidr.address(Self.dnsOffset)
            let service: Value = [
                "apiVersion": "v1", "kind": "Service", "metadata": metadata("kube-dns", serviceLabels),
                "spec": [
                    "clusterIP": .string(address), "clusterIPs": [.string(address)], "selector": ["k8s-app": "kube-dns"],
                    "ports": [
                        ["name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53],
                        ["name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53],
                    ],
                ],
            ]
            let map: Value = [
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("coredns", labels),
                "data": ["Corefile": .string(Corefile.standardText)],
            ]
            return [(.serviceAccounts, account), (.configMaps, map), (.services, service)]
        }
    }

    /// The tenth usable address of the Services' range is the cluster's DNS, as in EKS.
    static let dnsOffset: UInt128 = 9

    private var labels: [String: String] {
        switch self {
        case .kubeProxy: ["eks.amazonaws.com/component": "kube-proxy", "k8s-app": "kube-proxy"]
        case .coreDNS: ["eks.amazonaws.com/component": "kube-dns", "k8s-app": "kube-dns"]
        }
    }

    /// Makes what is missing. Throws the first refusal.
    func install(_ client: KubeClient, _ cidr: ServiceCIDR) async throws {
        for (resource, object) in objects(cidr) {
            let name = object[path: "metadata", "name"]?.string ?? ""
            // Looked for first: making a Service that is there is refused for its address, which is taken.
            do {
                _ = try await client.get(resource, namespace: "kube-system", name: name)
                continue
            } catch let error as StatusError where error.isNotFound {}
            // Settings are applied, so that the add-on, which has them by the same manager, may change them.
            if resource == .configMaps {
                try await client.patch(resource, namespace: "kube-system", name: name, type: .apply, object)
            } else {
                do { try await client.create(resource, object) } catch let error as StatusError where error.isAlreadyExists {}
            }
        }
    }

    /// Takes the objects away, the switch first. What is gone already is no error.
    func remove(_ client: KubeClient, _ cidr: ServiceCIDR) async throws {
        for (resource, object) in objects(cidr).reversed() {
            let name = object[path: "metadata", "name"]?.string ?? ""
            do { try await client.delete(resource, namespace: "kube-system", name: name) } catch let error as StatusError where error.isNotFound {}
        }
    }
}
