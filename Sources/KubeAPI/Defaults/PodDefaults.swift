/// Defaults of pods, their containers, probes and volumes. Upstream: pkg/apis/core/v1/defaults.go.
enum PodDefaults {
    /// Files of configMap, secret, projected and downwardAPI volumes: rw-r--r--. Upstream: v1.ConfigMapVolumeSourceDefaultMode and its like.
    static let volumeMode: Value = 420

    static let rules: [(String, Defaults.Rule)] = [
        ("api.core.v1.Pod", pod),
        ("api.core.v1.PodTemplateSpec", { $0.fill("metadata", [:]) }),
        ("api.core.v1.PodSpec", podSpec),
        ("api.core.v1.Container", container),
        ("api.core.v1.EphemeralContainer", container),
        ("api.core.v1.ContainerPort", { $0.fill("protocol", "TCP") }),
        ("api.core.v1.Probe", probe),
        ("api.core.v1.HTTPGetAction", httpGet),
        ("api.core.v1.GRPCAction", { if $0["service"] == nil { $0["service"] = "" } }),
        ("api.core.v1.ObjectFieldSelector", { $0.fill("apiVersion", "v1") }),
        ("api.core.v1.Volume", volume),
        ("api.core.v1.ImageVolumeSource", { $0.fill("pullPolicy", pullPolicy(of: $0["reference"]?.string ?? "")) }),
        ("api.core.v1.ConfigMapVolumeSource", { $0.fill("defaultMode", volumeMode) }),
        ("api.core.v1.SecretVolumeSource", { $0.fill("defaultMode", volumeMode) }),
        ("api.core.v1.DownwardAPIVolumeSource", { $0.fill("defaultMode", volumeMode) }),
        ("api.core.v1.ProjectedVolumeSource", { $0.fill("defaultMode", volumeMode) }),
        ("api.core.v1.ServiceAccountTokenProjection", { $0.fill("expirationSeconds", 3600) }),
        ("api.core.v1.HostPathVolumeSource", { if $0["type"] == nil { $0["type"] = "" } }),
        ("api.core.v1.ISCSIVolumeSource", { $0.fill("iscsiInterface", "default") }),
        ("api.core.v1.ISCSIPersistentVolumeSource", { $0.fill("iscsiInterface", "default") }),
        ("api.core.v1.RBDVolumeSource", rbd),
        ("api.core.v1.RBDPersistentVolumeSource", rbd),
        ("api.core.v1.AzureDiskVolumeSource", azureDisk),
        ("api.core.v1.ScaleIOVolumeSource", scaleIO),
        ("api.core.v1.ScaleIOPersistentVolumeSource", scaleIO),
    ]

    /// What only pods get, not templates of pods. Upstream: SetDefaults_Pod.
    private static func pod(_ pod: inout Value) {
        pod.fill("status", [:])
        pod.withObject("spec") { spec in
            spec.fill("enableServiceLinks", true)
            let hostNetwork = spec["hostNetwork"]?.bool == true
            for list in ["containers", "initContainers"] {
                spec.forEachElement(list) { container in
                    requestsFromLimits(&container)
                    if hostNetwork {
                        container.forEachElement("ports") { port in
                            if let number = port["containerPort"] { port.fillZero("hostPort", number) }
                        }
                    }
                }
            }
            PodResourceDefaults.apply(&spec)
        }
    }

    /// A limit without a request is its own request.
    private static func requestsFromLimits(_ container: inout Value) {
        container.withObject("resources") { resources in
            guard let limits = resources["limits"]?.object, !limits.isEmpty else { return }
            resources["requests"] = .object((resources["requests"]?.object ?? Members()).adding(limits))
        }
    }

    private static func podSpec(_ spec: inout Value) {
        spec.fill("dnsPolicy", "ClusterFirst")
        spec.fill("restartPolicy", "Always")
        spec.fill("securityContext", [:])
        spec.fill("terminationGracePeriodSeconds", 30)
        spec.fill("schedulerName", "default-scheduler")
        // The old name of the field is kept equal to the new one. Upstream: Convert_core_PodSpec_To_v1_PodSpec.
        if let name = spec["serviceAccountName"]?.string, !name.isEmpty {
            spec["serviceAccount"] = .string(name)
        } else if let name = spec["serviceAccount"]?.string, !name.isEmpty {
            spec["serviceAccountName"] = .string(name)
        }
    }

    private static func container(_ container: inout Value) {
        container.fill("imagePullPolicy", pullPolicy(of: container["image"]?.string ?? ""))
        container.fill("terminationMessagePath", "/dev/termination-log")
        container.fill("terminationMessagePolicy", "File")
        container.fill("resources", [:])
    }

    /// `Always` for the tag latest, which is also what an image without tag and digest means.
    private static func pullPolicy(of image: String) -> Value {
        if image.isEmpty { return "IfNotPresent" }
        let parts = image.split(separator: "@", maxSplits: 1)
        guard let name = parts.first?.split(separator: "/").last else { return "IfNotPresent" }
        if let colon = name.firstIndex(of: ":") { return name[name.index(after: colon)...] == "latest" ? "Always" : "IfNotPresent" }
        return parts.count == 2 ? "IfNotPresent" : "Always"
    }

    private static func probe(_ probe: inout Value) {
        probe.fillZero("timeoutSeconds", 1)
        probe.fillZero("periodSeconds", 10)
        probe.fillZero("successThreshold", 1)
        probe.fillZero("failureThreshold", 3)
    }

    private static func httpGet(_ action: inout Value) {
        action.fill("path", "/")
        action.fill("scheme", "HTTP")
    }

    /// A volume that names no source is an emptyDir.
    private static func volume(_ volume: inout Value) {
        guard let members = volume.object, !members.contains(where: { $0.0 != "name" && !$0.1.isNull }) else { return }
        volume["emptyDir"] = [:]
    }

    private static func rbd(_ source: inout Value) {
        source.fill("pool", "rbd")
        source.fill("user", "admin")
        source.fill("keyring", "/etc/ceph/keyring")
    }

    private static func azureDisk(_ source: inout Value) {
        source.fill("cachingMode", "ReadWrite")
        source.fill("kind", "Shared")
        source.fill("fsType", "ext4")
        source.fill("readOnly", false)
    }

    private static func scaleIO(_ source: inout Value) {
        source.fill("storageMode", "ThinProvisioned")
        source.fill("fsType", "xfs")
    }
}
