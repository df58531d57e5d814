import KubeAPI

/// What a pod asks of a node's kind that this one does not have; ignoring it would run the pod with less protection than it asks for.
/// Upstream: lifecycle.predicateAdmitHandler.
enum FeatureAdmission {
    static func rejection(_ pod: Pod) -> PodRejection? {
        if let os = pod.spec["os"]["name"].string, os != "linux" {
            return PodRejection(reason: "PodOSNotSupported", message: "Failed to admit pod as the OS field doesn't match node OS")
        }
        // containerd before 2.0 adds the image's own groups whatever it is told.
        if pod.securityContext["supplementalGroupsPolicy"].string == "Strict" {
            return PodRejection(
                reason: "SupplementalGroupsPolicyNotSupported", message: "SupplementalGroupsPolicy=Strict is not supported in this node")
        }
        return nil
    }
}

/// Which kernel settings pods may have: those that are a namespace's own and harm no other pod. Upstream: pkg/kubelet/sysctl's SafeSysctlAllowlist and
/// its admission.
enum SysctlAdmission {
    private static let safe: Set<String> = [
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    ]

    static func rejection(_ pod: Pod) -> PodRejection? {
        for entry in pod.securityContext["sysctls"].elements {
            let given = entry["name"].string ?? ""
            let name = dotted(given)
            var problem: String?
            if !safe.contains(name) {
                problem = "not allowlisted"
            } else if name.hasPrefix("net."), pod.hostNetwork {
                problem = "not allowed with host net enabled"
            } else if name.hasPrefix("kernel."), pod.hostIPC {
                problem = "not allowed with host ipc enabled"
            }
            if let problem { return PodRejection(reason: "SysctlForbidden", message: "forbidden sysctl: \(given.goQuoted) \(problem)") }
        }
        return nil
    }

    /// `net/ipv4/x` is another way to write `net.ipv4.x`. Upstream: NormalizeName.
    static func dotted(_ name: String) -> String {
        guard let separator = name.first(where: { $0 == "." || $0 == "/" }), separator == "/" else { return name }
        return String(name.map { $0 == "/" ? "." : $0 == "." ? "/" : $0 })
    }
}
