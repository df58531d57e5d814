/// Defaults of the core group's other kinds, and of networking, discovery and storage.
/// Upstream: pkg/apis/{core,networking,discovery,storage}/v1/defaults.go.
enum CoreDefaults {
    static let rules: [(String, Defaults.Rule)] = [
        ("api.core.v1.Service", service),
        ("api.core.v1.ServiceStatus", { $0.fill("loadBalancer", [:]) }),
        ("api.core.v1.LoadBalancerIngress", { if $0["ip"]?.string?.isEmpty == false { $0.fill("ipMode", "VIP") } }),
        ("api.core.v1.Secret", secret),
        ("api.core.v1.Namespace", namespace),
        ("api.core.v1.NamespaceStatus", { $0.fill("phase", "Active") }),
        ("api.core.v1.Node", node),
        ("api.core.v1.NodeStatus", nodeStatus),
        ("api.core.v1.NodeSystemInfo", nodeInfo),
        ("api.core.v1.LimitRangeItem", limitRangeItem),
        ("api.core.v1.ResourceQuota", { $0.fill("status", [:]) }),
        ("api.core.v1.EndpointPort", { $0.fill("protocol", "TCP") }),
        ("api.core.v1.Event", event),
        ("api.core.v1.PersistentVolume", { $0.fill("status", [:]) }),
        ("api.core.v1.PersistentVolumeSpec", persistentVolumeSpec),
        ("api.core.v1.PersistentVolumeStatus", { $0.fill("phase", "Pending") }),
        ("api.core.v1.PersistentVolumeClaim", { $0.fill("status", [:]) }),
        ("api.core.v1.PersistentVolumeClaimSpec", { $0.fill("volumeMode", "Filesystem") }),
        ("api.core.v1.PersistentVolumeClaimStatus", { $0.fill("phase", "Pending") }),
        ("api.discovery.v1.EndpointSlice", { $0.fill("endpoints", .null) }),
        ("api.discovery.v1.Endpoint", { $0.fill("conditions", [:]) }),
        ("api.discovery.v1.EndpointPort", endpointSlicePort),
        ("api.networking.v1.Ingress", { $0.fill("status", [:]) }),
        ("api.networking.v1.IngressStatus", { $0.fill("loadBalancer", [:]) }),
        ("api.networking.v1.IngressClassParametersReference", { $0.fill("scope", "Cluster") }),
        ("api.networking.v1.NetworkPolicySpec", networkPolicySpec),
        ("api.networking.v1.NetworkPolicyPort", { $0.fill("protocol", "TCP") }),
        ("api.storage.v1.StorageClass", storageClass),
        ("api.storage.v1.CSIDriverSpec", csiDriver),
        ("api.storage.v1.VolumeAttachment", { $0.fill("status", ["attached": false]) }),
        ("api.coordination.v1.Lease", { $0.fill("spec", [:]) }),
    ]

    private static func service(_ service: inout Value) {
        service.fill("status", [:])
        service.withObject("spec") { spec in
            spec.fill("sessionAffinity", "None")
            if spec["sessionAffinity"] == "None" { spec["sessionAffinityConfig"] = nil }
            if spec["sessionAffinity"] == "ClientIP", spec[path: "sessionAffinityConfig", "clientIP", "timeoutSeconds"] == nil {
                spec[path: "sessionAffinityConfig", "clientIP", "timeoutSeconds"] = 10800  // Upstream: v1.DefaultClientIPServiceAffinitySeconds.
            }
            spec.fill("type", "ClusterIP")
            spec.forEachElement("ports") { port in
                port.fill("protocol", "TCP")
                if let number = port["port"] { port.fillZero("targetPort", number) }
            }
            let type = spec["type"]?.string
            let external = type == "NodePort" || type == "LoadBalancer"
            if external || (type == "ClusterIP" && spec.hasElements("externalIPs")) { spec.fill("externalTrafficPolicy", "Cluster") }
            if external || type == "ClusterIP" { spec.fill("internalTrafficPolicy", "Cluster") }
            if type == "LoadBalancer" { spec.fill("allocateLoadBalancerNodePorts", true) }
        }
    }

    /// `stringData` becomes `data`. Upstream: Convert_v1_Secret_To_core_Secret.
    private static func secret(_ secret: inout Value) {
        if let texts = secret["stringData"]?.object {
            var data = secret["data"]?.object ?? Members()
            for (key, text) in texts { data[key] = .string(Base64.encode((text.string ?? "").utf8)) }
            if !data.isEmpty { secret["data"] = .object(data) }
            secret["stringData"] = nil
        }
        secret.fill("type", "Opaque")
    }

    private static func namespace(_ namespace: inout Value) {
        if let name = namespace[path: "metadata", "name"]?.string, !name.isEmpty {
            namespace[path: "metadata", "labels", "kubernetes.io/metadata.name"] = .string(name)
        }
        namespace.fill("spec", [:])
        namespace.fill("status", [:])
    }

    private static func node(_ node: inout Value) {
        node.fill("spec", [:])
        node.fill("status", [:])
    }

    private static func nodeStatus(_ status: inout Value) {
        if !status.hasElements("allocatable"), let capacity = status["capacity"], status.hasElements("capacity") { status["allocatable"] = capacity }
        status.fill("daemonEndpoints", ["kubeletEndpoint": ["Port": 0]])
        status.fill("nodeInfo", [:])
    }

    /// Go writes all of these, empty or not.
    private static func nodeInfo(_ info: inout Value) {
        for key in [
            "architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion", "machineID",
            "operatingSystem", "osImage",
            "systemUUID",
        ] { info.fill(key, "") }
    }

    private static func limitRangeItem(_ item: inout Value) {
        guard item["type"] == "Container" else { return }
        let defaults = (item["default"]?.object ?? Members()).adding(item["max"]?.object)
        let requests = (item["defaultRequest"]?.object ?? Members()).adding(defaults).adding(item["min"]?.object)
        if !defaults.isEmpty { item["default"] = .object(defaults) }
        if !requests.isEmpty { item["defaultRequest"] = .object(requests) }
    }

    /// Go writes these, empty or not.
    private static func event(_ event: inout Value) {
        for key in ["eventTime", "firstTimestamp", "lastTimestamp"] where event[key] == nil { event[key] = .null }
        for key in ["reportingComponent", "reportingInstance"] where event[key] == nil { event[key] = "" }
        event.fill("source", [:])
    }

    private static func persistentVolumeSpec(_ spec: inout Value) {
        spec.fill("persistentVolumeReclaimPolicy", "Retain")
        spec.fill("volumeMode", "Filesystem")
    }

    private static func endpointSlicePort(_ port: inout Value) {
        if port["name"] == nil { port["name"] = "" }
        port.fill("protocol", "TCP")
    }

    private static func networkPolicySpec(_ spec: inout Value) {
        guard !spec.hasElements("policyTypes") else { return }
        spec["policyTypes"] = spec.hasElements("egress") ? ["Ingress", "Egress"] : ["Ingress"]
    }

    private static func storageClass(_ storageClass: inout Value) {
        storageClass.fill("reclaimPolicy", "Delete")
        storageClass.fill("volumeBindingMode", "Immediate")
    }

    private static func csiDriver(_ spec: inout Value) {
        spec.fill("attachRequired", true)
        spec.fill("podInfoOnMount", false)
        spec.fill("storageCapacity", false)
        spec.fill("fsGroupPolicy", "ReadWriteOnceWithFSType")
        if !spec.hasElements("volumeLifecycleModes") { spec["volumeLifecycleModes"] = ["Persistent"] }
        spec.fill("requiresRepublish", false)
        spec.fill("seLinuxMount", false)
    }
}
