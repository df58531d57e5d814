package import HTTPTransport
package import KubeAPI
internal import KubeAPIServer

/// What a node's agent starts from, beside its certificates: the file `node.json` of its machine. Upstream: nodeadm's NodeConfig and the kubelet's
/// flags.
package struct NodeSettings: Sendable {
    /// The file's name.
    package static let file = "node.json"

    package var name: String
    /// The node's own address.
    package var address: String
    /// The API server as the node reaches it.
    package var apiServerHost: String
    package var apiServerPort: Int
    /// `aws:///us-west-2a/i-0123456789abcdef0`, or `eks-hybrid:///us-west-2/demo/n1` of a node without an instance.
    package var providerID: String
    package var vcpus: Int
    package var memoryMiB: Int
    package var maxPods: Int
    /// `v1.36.2-eks-eyrie`
    package var kubeletVersion: String
    /// The addresses of its pods' DNS.
    package var clusterDNS: [String]
    package var labels: [String: String]
    package var taints: [ControlPlane.Taint]
    /// What is kept back, as quantities by resource; what is not named is EKS's.
    package var kubeReserved: [String: String] = [:]
    package var systemReserved: [String: String] = [:]
    package var kubelet = NodeKubelet()

    package init(
        name: String, address: String, apiServerHost: String, apiServerPort: Int, providerID: String, vcpus: Int, memoryMiB: Int, maxPods: Int,
        kubeletVersion: String, clusterDNS: [String], labels: [String: String], taints: [ControlPlane.Taint]
    ) {
        self.name = name
        self.address = address
        self.apiServerHost = apiServerHost
        self.apiServerPort = apiServerPort
        self.providerID = providerID
        self.vcpus = vcpus
        self.memoryMiB = memoryMiB
        self.maxPods = maxPods
        self.kubeletVersion = kubeletVersion
        self.clusterDNS = clusterDNS
        self.labels = labels
        self.taints = taints
    }

    /// The file's content.
    package var value: Value {
        [
            "nodeName": .string(name), "nodeIP": .string(address), "apiServerHost": .string(apiServerHost),
            "apiServerPort": .int(Int64(apiServerPort)),
            "providerID": .string(providerID), "vcpus": .int(Int64(vcpus)), "memoryMiB": .int(Int64(memoryMiB)), "maxPods": .int(Int64(maxPods)),
            "kubeletVersion": .string(kubeletVersion), "clusterDNS": Value(clusterDNS), "kubeReserved": Value(kubeReserved),
            "systemReserved": Value(systemReserved), "kubelet": kubelet.value, "labels": Value(labels),
            "taints": .array(taints.map { ["key": .string($0.key), "value": .string($0.value), "effect": .string($0.effect)] }),
        ]
    }
}

extension ClusterAuthorities {
    /// The content of `nodeFile`: whom a node believes, in PEM, and who it is towards the API server, as its kubelet's server and as its service
    /// proxy. `revision` is empty where nobody will replace the file.
    package static func nodeCertificates(
        revision: String, authorities: String, client: TLSIdentity, server: TLSIdentity, proxy: TLSIdentity
    ) -> Value {
        func value(_ identity: TLSIdentity) -> Value {
            ["certificate": .string(identity.certificateChainPEM), "key": .string(identity.privateKeyPEM)]
        }
        return [
            "revision": .string(revision), "authorities": .string(authorities), "client": value(client), "server": value(server),
            "proxy": value(proxy),
        ]
    }
}

/// Where a cluster's own Services are found.
package enum ClusterAddresses {
    /// The address of the Service `kube-dns`, the tenth of the range; nil for a range that is none.
    package static func dns(serviceCIDR: String) -> String? { ServiceCIDR(serviceCIDR)?.address(BuiltInAddon.dnsOffset) }
}
