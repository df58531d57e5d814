import KubeAPI

/// What is told to who makes a Service that works, but hardly as meant. Upstream: pkg/api/service.GetWarningsForService.
enum ServiceWarnings {
    static func warnings(_ service: Object) -> [String] {
        var found: [String] = []
        let spec = service["spec"]
        if service.metadata.annotations["service.kubernetes.io/topology-aware-hints"] != nil {
            found.append(
                "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead")
        }
        let type = spec["type"].text
        let clusterIP = spec["clusterIP"].text
        let loadBalancerIP = spec["loadBalancerIP"].text
        let externalIPs = spec["externalIPs"].strings
        if !clusterIP.isEmpty, clusterIP != "None" {
            for (index, address) in spec["clusterIPs"].strings.enumerated() { found += AddressRules.warnings("spec.clusterIPs[\(index)]", address) }
        }
        if type == "ClusterIP", clusterIP == "None" {
            if !loadBalancerIP.isEmpty { found.append("spec.loadBalancerIP is ignored for headless services") }
            if !externalIPs.isEmpty { found.append("spec.externalIPs is ignored for headless services") }
            if spec["sessionAffinity"].text != "None" { found.append("spec.SessionAffinity is ignored for headless services") }
        }
        if !externalIPs.isEmpty { found.append("spec.externalIPs is deprecated") }
        for (index, address) in externalIPs.enumerated() { found += AddressRules.warnings("spec.externalIPs[\(index)]", address) }
        if !loadBalancerIP.isEmpty { found += AddressRules.warnings("spec.loadBalancerIP", loadBalancerIP) }
        for (index, range) in spec["loadBalancerSourceRanges"].strings.enumerated() {
            found += AddressRules.rangeWarnings("spec.loadBalancerSourceRanges[\(index)]", range)
        }
        if type == "ExternalName" {
            if !externalIPs.isEmpty { found.append("spec.externalIPs is ignored when spec.type is \"ExternalName\"") }
        } else if !spec["externalName"].text.isEmpty {
            found.append("spec.externalName is ignored when spec.type is not \"ExternalName\"")
        }
        if spec["trafficDistribution"].string == "PreferClose" {
            found.append("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"")
        }
        return found
    }
}
