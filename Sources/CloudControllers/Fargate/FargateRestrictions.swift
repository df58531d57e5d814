import KubeAPI

/// What keeps a pod from running on Fargate, in the words of its scheduler. A pure function of the pod and its claims.
/// Upstream: EKS User Guide, "AWS Fargate considerations"; the messages as EKS writes them to pods.
struct FargateRestrictions {
    /// Volumes that need nothing of a host.
    private static let volumeTypes: Set<String> = ["configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"]
    /// The only storage beside the pod's own.
    private static let driver = "efs.csi.aws.com"
    /// What a container has without asking. Upstream: containerd's default capabilities.
    private static let capabilities: Set<String> = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP",
        "SETUID", "SYS_CHROOT",
    ]
    private static let standardResources: Set<String> = ["cpu", "memory", "ephemeral-storage"]

    /// Claim or volume by name; the claim's namespace is the pod's.
    var claim: (_ name: String) -> Object?
    var volume: (_ name: String) -> Object?

    /// Nil for a pod that Fargate runs.
    func message(for pod: Object) -> String? {
        let problems = [fields(pod), securityContexts(pod), ports(pod), resources(pod), volumes(pod)].compactMap { $0 }
        return problems.isEmpty ? nil : "Pod not supported on Fargate: " + problems.joined(separator: ", ")
    }

    private func containers(_ pod: Object) -> [JSONView] {
        Array(pod["spec"]["initContainers"].elements) + Array(pod["spec"]["containers"].elements)
    }

    private func fields(_ pod: Object) -> String? {
        let names = ["HostNetwork", "HostPID", "HostIPC"].filter { name in
            pod["spec"]["h" + name.dropFirst()].bool == true
        }
        return names.isEmpty ? nil : "fields not supported: " + names.joined(separator: ",")
    }

    private func securityContexts(_ pod: Object) -> String? {
        let problems = containers(pod).flatMap { container -> [String] in
            let context = container["securityContext"]
            let added = context.flatMap { $0["capabilities"] }.flatMap { $0["add"] }.map { $0.strings } ?? []
            let foreign = added.filter { !Self.capabilities.contains($0) }
            return (context.flatMap { $0["privileged"] }?.bool == true ? ["Privileged"] : [])
                + (foreign.isEmpty ? [] : ["Capabilities added: " + foreign.joined(separator: ",")])
        }
        return problems.isEmpty ? nil : "invalid SecurityContext fields: " + problems.joined(separator: ",")
    }

    private func ports(_ pod: Object) -> String? {
        let isOfHost = containers(pod).contains { container in
            container["ports"].elements.contains { ($0["hostPort"].int ?? 0) != 0 || !($0["hostIP"].string ?? "").isEmpty }
        }
        return isOfHost ? "port contains HostIP or HostPort" : nil
    }

    private func resources(_ pod: Object) -> String? {
        let requests = PodResources.requests(pod)
        let others = requests.keys.filter { !Self.standardResources.contains($0) }.sorted()
        if !others.isEmpty { return "resources not supported: " + others.joined(separator: ",") }
        guard FargateCapacity(for: pod) == nil else { return nil }
        let (cpu, memory) = (requests["cpu"]?.description ?? "0", requests["memory"]?.description ?? "0")
        return "no vCPU and memory combination holds the requests: cpu \(cpu), memory \(memory)"
    }

    private func volumes(_ pod: Object) -> String? {
        let problems = pod["spec"]["volumes"].elements.compactMap { problem(ofVolume: $0) }
        return problems.isEmpty ? nil : "volumes not supported: " + problems.joined(separator: ", ")
    }

    private func problem(ofVolume view: JSONView) -> String? {
        let name = view["name"].string ?? ""
        guard view.members.allSatisfy({ $0.key == "name" || Self.volumeTypes.contains($0.key) }) else {
            return "\(name) is of an unsupported volume Type"
        }
        guard let claimName = view["persistentVolumeClaim"].flatMap({ $0["claimName"] })?.string else { return nil }
        guard let claim = claim(claimName) else { return "\(name) not supported because: persistentvolumeclaim \"\(claimName)\" not found" }
        guard claim["status"]["phase"].string == "Bound", let volumeName = claim["spec"]["volumeName"].string, let volume = volume(volumeName) else {
            return "\(name) not supported because: PVC \(claimName) not bound"
        }
        let driver = volume["spec"]["csi"]["driver"].string ?? ""
        return driver == Self.driver
            ? nil : "\(name) not supported because: PVC \(claimName) bound to invalid PV \(volumeName) with CSI Driver: \(driver)"
    }
}
