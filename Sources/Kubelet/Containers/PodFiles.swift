import KubeAPI

/// Texts of files that the kubelet keeps for a pod.
enum PodFiles {
    /// The pod's /etc/hosts. Upstream: managedHostsFileContent, nodeHostsFileContent.
    static func hosts(pod: Pod, ips: [String], hostname: String, domain: String, nodeHosts: String) -> String {
        var text: String
        if pod.hostNetwork {
            text = "# Kubernetes-managed hosts file (host network).\n" + nodeHosts
        } else {
            text = """
                # Kubernetes-managed hosts file.
                127.0.0.1\tlocalhost
                ::1\tlocalhost ip6-localhost ip6-loopback
                fe00::0\tip6-localnet
                fe00::0\tip6-mcastprefix
                fe00::1\tip6-allnodes
                fe00::2\tip6-allrouters

                """
            for ip in ips { text += domain.isEmpty ? "\(ip)\t\(hostname)\n" : "\(ip)\t\(hostname).\(domain)\t\(hostname)\n" }
        }
        let aliases = pod.spec["hostAliases"].elements
        if !aliases.isEmpty {
            text += "\n# Entries added by HostAliases.\n"
            for alias in aliases { text += "\(alias["ip"].string ?? "")\t\(alias["hostnames"].strings.joined(separator: "\t"))\n" }
        }
        return text
    }
}
