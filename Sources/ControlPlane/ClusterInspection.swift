internal import KubeAPI
internal import KubeAPIServer
internal import KubeClient

/// What a running control plane knows of the versions in use. EKS's insights are computed from it.
package struct ControlPlaneInspection: Sendable, Equatable {
    /// One client's use of a deprecated version of a resource.
    package struct Deprecated: Sendable, Equatable {
        /// `/apis/example.com/v1beta1/widgets`
        package var path: String
        package var userAgent: String
        /// In the last 30 days.
        package var requests: Int
        /// Seconds since 1970.
        package var lastRequest: Double
        package var warning: String
    }
    /// The release of each node's kubelet, by node: `v1.36.2-eks-eyrie`.
    package var kubelets: [String: String] = [:]
    /// The release of the kube-proxy DaemonSet's image; nil when there is no such DaemonSet, or its image has no release in its tag.
    package var kubeProxy: String?
    package var deprecated: [Deprecated] = []
}

extension ControlPlane {
    /// Throws when the control plane does not run.
    package func inspect() async throws -> ControlPlaneInspection {
        let (client, server) = try inspected()
        var result = ControlPlaneInspection()
        for node in try await client.list(.nodes).items {
            result.kubelets[node.metadata.name] = node["status"]["nodeInfo"]["kubeletVersion"].string ?? ""
        }
        let daemons = try await client.list(.daemonSets, namespace: "kube-system").items
        if let proxy = daemons.first(where: { $0.metadata.name == "kube-proxy" }) {
            let image = proxy["spec"]["template"]["spec"]["containers"].elements.first?["image"].string
            result.kubeProxy = image?.split(separator: ":").last.map(String.init).flatMap { $0.hasPrefix("v") ? $0 : nil }
        }
        result.deprecated = server.deprecatedUses.map { use in
            ControlPlaneInspection.Deprecated(
                path: (use.group.isEmpty ? "/api/" : "/apis/\(use.group)/") + "\(use.version)/\(use.resource)", userAgent: use.userAgent,
                requests: use.requests, lastRequest: Double(use.lastRequest.seconds), warning: use.warning)
        }
        return result
    }
}
