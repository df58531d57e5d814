import ContainerRuntime
import KubeAPI

/// What pod and container say about users, capabilities and namespaces, joined. Upstream: securitycontext.DetermineEffectiveSecurityContext.
struct SecuritySettings: Sendable {
    let pod: Pod
    let container: ContainerSpec

    private func setting(_ name: String) -> JSONView? { container.securityContext[name] ?? pod.securityContext[name] }

    var runAsUser: Int64? { setting("runAsUser").int }
    var runAsGroup: Int64? { setting("runAsGroup").int }
    var runAsNonRoot: Bool { setting("runAsNonRoot").bool ?? false }
    var isPrivileged: Bool { container.securityContext["privileged"].bool ?? false }

    /// Hidden or made read-only in `/proc` and `/sys` unless procMount is Unmasked. Upstream: securitycontext's defaultMaskedPaths,
    /// defaultReadonlyPaths.
    private static let maskedPaths = [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
        "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
    ]
    private static let readOnlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

    /// The container's settings. `image` tells the user it runs as by itself. Throws `ContainerConfigError` when runAsNonRoot is not kept.
    func containerSecurity(image: RuntimeImage?) throws(ContainerConfigError) -> ContainerSecurity {
        try verifyNonRoot(image: image)
        var security = ContainerSecurity()
        let context = container.securityContext
        security.addCapabilities = context["capabilities"]["add"].strings
        security.dropCapabilities = context["capabilities"]["drop"].strings
        security.privileged = isPrivileged
        security.namespaces = Self.namespaces(pod)
        security.runAsUser = runAsUser
        security.runAsGroup = runAsGroup
        if security.runAsUser == nil {
            // With runAsGroup, or to be exact about it, the image's own user is passed on.
            if let uid = image?.uid { security.runAsUser = uid } else { security.runAsUsername = image?.username ?? "" }
        }
        if security.runAsGroup != nil, security.runAsUser == nil, security.runAsUsername.isEmpty { security.runAsUser = 0 }
        security.readOnlyRootFilesystem = context["readOnlyRootFilesystem"].bool ?? false
        security.supplementalGroups = Self.supplementalGroups(pod)
        security.noNewPrivileges = context["allowPrivilegeEscalation"].bool == false && !isPrivileged
        if context["procMount"].string != "Unmasked", !isPrivileged {
            security.maskedPaths = Self.maskedPaths
            security.readOnlyPaths = Self.readOnlyPaths
        }
        security.seccomp = Self.profile(setting("seccompProfile")) ?? .unconfined
        security.appArmor = Self.profile(setting("appArmorProfile"))
        return security
    }

    static func namespaces(_ pod: Pod) -> NamespaceOptions {
        NamespaceOptions(
            network: pod.hostNetwork ? .node : .pod, pid: pod.hostPID ? .node : pod.shareProcessNamespace ? .pod : .container,
            ipc: pod.hostIPC ? .node : .pod)
    }

    static func supplementalGroups(_ pod: Pod) -> [Int64] {
        var groups = pod.securityContext["supplementalGroups"].elements.compactMap(\.int)
        if let group = pod.securityContext["fsGroup"].int, !groups.contains(group) { groups.append(group) }
        return groups
    }

    static func profile(_ view: JSONView?) -> SecurityProfile? {
        switch view["type"].string {
        case "RuntimeDefault": .runtimeDefault
        case "Unconfined": .unconfined
        case "Localhost": .localhost(view["localhostProfile"].string ?? "")
        default: nil
        }
    }

    /// Seccomp profiles are files below the kubelet's folder: the runtime is told where. Upstream: fieldSeccompProfile.
    static func seccomp(_ profile: SecurityProfile, rootDirectory: String) -> SecurityProfile {
        guard case .localhost(let path) = profile else { return profile }
        return .localhost("\(rootDirectory)/seccomp/\(path)")
    }

    /// Upstream: verifyRunAsNonRoot, in its words.
    private func verifyNonRoot(image: RuntimeImage?) throws(ContainerConfigError) {
        guard runAsNonRoot else { return }
        let place = "(pod: \"\(pod.fullName)\", container: \(container.name))"
        if let runAsUser {
            if runAsUser == 0 { throw ContainerConfigError("container's runAsUser breaks non-root policy \(place)") }
            return
        }
        if let uid = image?.uid {
            if uid == 0 { throw ContainerConfigError("container has runAsNonRoot and image will run as root \(place)") }
            return
        }
        let username = image?.username ?? ""
        if username.isEmpty { throw ContainerConfigError("container has runAsNonRoot and image will run as root \(place)") }
        throw ContainerConfigError(
            "container has runAsNonRoot and image has non-numeric user (\(username)), cannot verify user is non-root \(place)")
    }
}
