import KubeAPI

/// The controls of the level `baseline`. Upstream: the baseline checks of k8s.io/pod-security-admission/policy.
enum PodSecurityBaseline {
    private typealias Words = PodSecurityWords

    static let checks: [PodSecurityCheck] = [
        PodSecurityCheck("appArmorProfile", .baseline, [.init(since: 0, check: appArmor)]),
        PodSecurityCheck("capabilities_baseline", .baseline, [.init(since: 0, check: capabilities)]),
        PodSecurityCheck("hostNamespaces", .baseline, [.init(since: 0, check: hostNamespaces)]),
        PodSecurityCheck("hostPathVolumes", .baseline, [.init(since: 0, check: hostPaths)]),
        PodSecurityCheck("hostPorts", .baseline, [.init(since: 0, check: hostPorts)]),
        PodSecurityCheck("hostProbesAndHostLifecycle", .baseline, [.init(since: 34, check: hostProbes)]),
        PodSecurityCheck("privileged", .baseline, [.init(since: 0, check: privileged)]),
        PodSecurityCheck(
            "procMount", .baseline,
            [.init(since: 0, check: procMount), .init(since: 35, check: { $0.hasUserNamespace ? nil : procMount($0) })]),
        PodSecurityCheck(
            "seLinuxOptions", .baseline,
            [
                .init(since: 0, check: { seLinux($0, allowed: seLinuxTypes) }),
                .init(since: 31, check: { seLinux($0, allowed: seLinuxTypes.union(["container_engine_t"])) }),
            ]),
        PodSecurityCheck(
            "seccompProfile_baseline", .baseline, [.init(since: 0, check: seccompAnnotations), .init(since: 19, check: seccomp)]),
        PodSecurityCheck(
            "sysctls", .baseline,
            [
                .init(since: 0, check: { sysctls($0, allowed: sysctls0) }), .init(since: 27, check: { sysctls($0, allowed: sysctls27) }),
                .init(since: 29, check: { sysctls($0, allowed: sysctls29) }), .init(since: 32, check: { sysctls($0, allowed: sysctls32) }),
            ]),
        PodSecurityCheck("windowsHostProcess", .baseline, [.init(since: 0, check: hostProcess)]),
    ]

    private static let seLinuxTypes: Set<String> = ["", "container_t", "container_init_t", "container_kvm_t"]
    private static let sysctls0: Set<String> = [
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    ]
    private static let sysctls27 = sysctls0.union(["net.ipv4.ip_local_reserved_ports"])
    private static let sysctls29 = sysctls27.union([
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    ])
    private static let sysctls32 = sysctls29.union(["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"])
    private static let defaultCapabilities: Set<String> = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
        "SYS_CHROOT",
    ]

    @Sendable private static func appArmor(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        let prefix = "container.apparmor.security.beta.kubernetes.io/"
        var bad: Set<String> = []
        func isBad(_ context: JSONView?) -> Bool {
            guard let profile = context["appArmorProfile"].present else { return false }
            let type = profile["type"].string ?? ""
            guard type != "RuntimeDefault", type != "Localhost" else { return false }
            bad.insert(type)
            return true
        }
        let badPod = isBad(pod.context)
        let badContainers = pod.names { isBad($0["securityContext"]) }
        let annotations = pod.metadata["annotations"].stringMap.filter { key, value in
            key.hasPrefix(prefix) && !value.isEmpty && value != "runtime/default" && !value.hasPrefix("localhost/")
        }.map { "\($0.key)=\($0.value.goQuoted)" }.sorted()
        var setters = Words.setters(pod: badPod, badContainers)
        if !annotations.isEmpty {
            setters += (setters.isEmpty ? "" : " and ") + Words.plural("annotation", "annotations", annotations.count)
        }
        guard !setters.isEmpty else { return nil }
        let values = bad.sorted() + annotations
        return PodSecurityViolation(
            reason: Words.plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.count),
            detail: "\(setters) must not set AppArmor profile type to \(Words.quoted(values))")
    }

    @Sendable private static func capabilities(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        var added: Set<String> = []
        let names = pod.names { container in
            let bad = container["securityContext"]["capabilities"]["add"].strings.filter { !defaultCapabilities.contains($0) }
            added.formUnion(bad)
            return !bad.isEmpty
        }
        guard !names.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "non-default capabilities",
            detail: "\(Words.containers(names)) must not include \(Words.quoted(added.sorted())) in securityContext.capabilities.add")
    }

    @Sendable private static func hostNamespaces(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        let shared = ["hostNetwork", "hostPID", "hostIPC"].filter { pod.spec[$0].bool == true }
        return shared.isEmpty
            ? nil : PodSecurityViolation(reason: "host namespaces", detail: shared.map { "\($0)=true" }.joined(separator: ", "))
    }

    @Sendable private static func hostPaths(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        let names = pod.spec["volumes"].elements.filter { $0["hostPath"].present != nil }.map { $0["name"].string ?? "" }
        return names.isEmpty
            ? nil
            : PodSecurityViolation(
                reason: "hostPath volumes", detail: "\(Words.plural("volume", "volumes", names.count)) \(Words.quoted(names))")
    }

    @Sendable private static func hostPorts(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        var ports: Set<String> = []
        let names = pod.names { container in
            let taken: [Int64] = container["ports"].elements.compactMap { $0["hostPort"].int }.filter { $0 != 0 }
            for port in taken { ports.insert("\(port)") }
            return !taken.isEmpty
        }
        guard !names.isEmpty else { return nil }
        let uses = "\(Words.plural("uses", "use", names.count)) \(Words.plural("hostPort", "hostPorts", ports.count))"
        return PodSecurityViolation(reason: "hostPort", detail: "\(Words.containers(names)) \(uses) \(ports.sorted().joined(separator: ", "))")
    }

    @Sendable private static func hostProbes(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        var hosts: Set<String> = []
        let names = pod.names { container in
            let handlers =
                ["livenessProbe", "readinessProbe", "startupProbe"].map { container[$0] }
                + ["postStart", "preStop"].map { container["lifecycle"][$0] }
            let found = handlers.flatMap { handler in ["httpGet", "tcpSocket"].compactMap { handler[$0]["host"].string } }.filter { !$0.isEmpty }
            hosts.formUnion(found)
            return !found.isEmpty
        }
        guard !names.isEmpty else { return nil }
        let distinct = Set(names).sorted()
        let what = Words.plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.count)
        return PodSecurityViolation(
            reason: "probe or lifecycle host",
            detail: "\(Words.containers(distinct)) \(Words.plural("uses", "use", distinct.count)) \(what) \(Words.quoted(hosts.sorted()))")
    }

    @Sendable private static func privileged(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        let names = pod.names { $0["securityContext"]["privileged"].bool == true }
        return names.isEmpty
            ? nil
            : PodSecurityViolation(reason: "privileged", detail: "\(Words.containers(names)) must not set securityContext.privileged=true")
    }

    @Sendable static func procMount(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        var types: Set<String> = []
        let names = pod.names { container in
            guard let type = container["securityContext"]["procMount"].string, type != "Default" else { return false }
            types.insert(type)
            return true
        }
        return names.isEmpty
            ? nil
            : PodSecurityViolation(
                reason: "procMount", detail: "\(Words.containers(names)) must not set securityContext.procMount to \(Words.quoted(types.sorted()))")
    }

    private static func seLinux(_ pod: PodSecuritySubject, allowed: Set<String>) -> PodSecurityViolation? {
        var types: Set<String> = []
        var setsUser = false
        var setsRole = false
        func isBad(_ context: JSONView?) -> Bool {
            guard let options = context["seLinuxOptions"].present else { return false }
            let type = options["type"].string ?? ""
            let badType = !allowed.contains(type)
            if badType { types.insert(type) }
            let user = !(options["user"].string ?? "").isEmpty
            let role = !(options["role"].string ?? "").isEmpty
            setsUser = setsUser || user
            setsRole = setsRole || role
            return badType || user || role
        }
        let badPod = isBad(pod.context)
        let names = pod.names { isBad($0["securityContext"]) }
        let setters = Words.setters(pod: badPod, names)
        guard !setters.isEmpty else { return nil }
        var data: [String] = []
        if !types.isEmpty { data.append("\(Words.plural("type", "types", types.count)) \(Words.quoted(types.sorted()))") }
        if setsUser { data.append("user may not be set") }
        if setsRole { data.append("role may not be set") }

        return PodSecurityViolation(
            reason: "seLinuxOptions", detail: "\(setters) set forbidden securityContext.seLinuxOptions: \(data.joined(separator: "; "))")
    }

    private static func isValidSeccomp(_ type: String) -> Bool { type == "RuntimeDefault" || type == "Localhost" }

    @Sendable private static func seccompAnnotations(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        let podKey = "seccomp.security.alpha.kubernetes.io/pod"
        let keys = [podKey] + pod.containers.map { "container.seccomp.security.alpha.kubernetes.io/\($0["name"].string ?? "")" }
        let annotations = pod.metadata["annotations"]
        let bad = Set(
            keys.compactMap { key -> String? in
                guard let value = annotations[key].string, value != "runtime/default", value != "docker/default", !value.hasPrefix("localhost/")
                else { return nil }
                return "\(key)=\(value.goQuoted)"
            })
        guard !bad.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "seccompProfile",
            detail: "forbidden \(Words.plural("annotation", "annotations", bad.count)) \(bad.sorted().joined(separator: ", "))")
    }

    @Sendable private static func seccomp(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        var values: Set<String> = []
        func isBad(_ context: JSONView?) -> Bool {
            guard let profile = context["seccompProfile"].present else { return false }
            let type = profile["type"].string ?? ""
            guard !isValidSeccomp(type) else { return false }
            values.insert(type)
            return true
        }
        let badPod = isBad(pod.context)
        let names = pod.names { isBad($0["securityContext"]) }
        let setters = Words.setters(pod: badPod, names)
        return setters.isEmpty
            ? nil
            : PodSecurityViolation(
                reason: "seccompProfile",
                detail: "\(setters) must not set securityContext.seccompProfile.type to \(Words.quoted(values.sorted()))")
    }

    private static func sysctls(_ pod: PodSecuritySubject, allowed: Set<String>) -> PodSecurityViolation? {
        let names = pod.context["sysctls"].elements.map { $0["name"].string ?? "" }.filter { !allowed.contains($0) }
        return names.isEmpty ? nil : PodSecurityViolation(reason: "forbidden sysctls", detail: names.joined(separator: ", "))
    }

    @Sendable private static func hostProcess(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        func isSet(_ context: JSONView?) -> Bool { context["windowsOptions"]["hostProcess"].bool == true }
        let setters = Words.setters(pod: isSet(pod.context), pod.names { isSet($0["securityContext"]) })
        return setters.isEmpty
            ? nil : PodSecurityViolation(reason: "hostProcess", detail: "\(setters) must not set securityContext.windowsOptions.hostProcess=true")
    }
}
