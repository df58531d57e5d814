import KubeAPI

/// The controls that the level `restricted` adds. Upstream: the restricted checks of k8s.io/pod-security-admission/policy.
enum PodSecurityRestricted {
    private typealias Words = PodSecurityWords

    static let checks: [PodSecurityCheck] = [
        PodSecurityCheck(
            "allowPrivilegeEscalation", .restricted,
            [.init(since: 8, check: escalation), .init(since: 25, check: { $0.isWindows ? nil : escalation($0) })]),
        PodSecurityCheck(
            "capabilities_restricted", .restricted,
            [
                .init(since: 22, overrides: ["capabilities_baseline"], check: capabilities),
                .init(since: 25, overrides: ["capabilities_baseline"], check: { $0.isWindows ? nil : capabilities($0) }),
            ]),
        PodSecurityCheck(
            "procMount_restricted", .restricted, [.init(since: 35, overrides: ["procMount"], check: PodSecurityBaseline.procMount)]),
        PodSecurityCheck("restrictedVolumes", .restricted, [.init(since: 0, overrides: ["hostPathVolumes"], check: volumes)]),
        PodSecurityCheck(
            "runAsNonRoot", .restricted,
            [.init(since: 0, check: nonRoot), .init(since: 35, check: { $0.hasUserNamespace ? nil : nonRoot($0) })]),
        PodSecurityCheck(
            "runAsUser", .restricted,
            [.init(since: 23, check: rootUser), .init(since: 35, check: { $0.hasUserNamespace ? nil : rootUser($0) })]),
        PodSecurityCheck(
            "seccompProfile_restricted", .restricted,
            [
                .init(since: 19, overrides: ["seccompProfile_baseline"], check: seccomp),
                .init(since: 25, overrides: ["seccompProfile_baseline"], check: { $0.isWindows ? nil : seccomp($0) }),
            ]),
    ]

    private static let allowedVolumes = [
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
    ]

    @Sendable private static func escalation(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        let names = pod.names { $0["securityContext"]["allowPrivilegeEscalation"].bool != false }
        return names.isEmpty
            ? nil
            : PodSecurityViolation(
                reason: "allowPrivilegeEscalation != false",
                detail: "\(Words.containers(names)) must set securityContext.allowPrivilegeEscalation=false")
    }

    @Sendable private static func capabilities(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        var added: Set<String> = []
        let keeping = pod.names { !$0["securityContext"]["capabilities"]["drop"].strings.contains("ALL") }
        let adding = pod.names { container in
            let bad = container["securityContext"]["capabilities"]["add"].strings.filter { $0 != "NET_BIND_SERVICE" }
            added.formUnion(bad)
            return !bad.isEmpty
        }
        var details: [String] = []
        if !keeping.isEmpty { details.append("\(Words.containers(keeping)) must set securityContext.capabilities.drop=[\"ALL\"]") }
        if !adding.isEmpty {
            details.append("\(Words.containers(adding)) must not include \(Words.quoted(added.sorted())) in securityContext.capabilities.add")
        }
        return details.isEmpty ? nil : PodSecurityViolation(reason: "unrestricted capabilities", detail: details.joined(separator: "; "))
    }

    @Sendable private static func volumes(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        var types: Set<String> = []
        var names: [String] = []
        for volume in pod.spec["volumes"].elements where !allowedVolumes.contains(where: { volume[$0]?.present != nil }) {
            names.append(volume["name"].string ?? "")
            types.insert(volume.members.first { $0.key != "name" && !$0.value.isNull }?.key ?? "unknown")
        }
        guard !names.isEmpty else { return nil }
        let what = "\(Words.plural("restricted volume type", "restricted volume types", types.count)) \(Words.quoted(types.sorted()))"
        let which = "\(Words.plural("volume", "volumes", names.count)) \(Words.quoted(names))"
        return PodSecurityViolation(
            reason: "restricted volume types", detail: "\(which) \(Words.plural("uses", "use", names.count)) \(what)")
    }

    @Sendable private static func nonRoot(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        let wish = pod.context["runAsNonRoot"].bool
        let explicit = pod.names { $0["securityContext"]["runAsNonRoot"].bool == false }
        let setters = Words.setters(pod: wish == false, explicit)
        if !setters.isEmpty {
            return PodSecurityViolation(reason: "runAsNonRoot != true", detail: "\(setters) must not set securityContext.runAsNonRoot=false")
        }
        guard wish != true else { return nil }
        let implicit = pod.names { $0["securityContext"]["runAsNonRoot"].bool == nil }
        return implicit.isEmpty
            ? nil
            : PodSecurityViolation(
                reason: "runAsNonRoot != true", detail: "pod or \(Words.containers(implicit)) must set securityContext.runAsNonRoot=true")
    }

    @Sendable private static func rootUser(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        let setters = Words.setters(pod: pod.context["runAsUser"].int == 0, pod.names { $0["securityContext"]["runAsUser"].int == 0 })
        return setters.isEmpty ? nil : PodSecurityViolation(reason: "runAsUser=0", detail: "\(setters) must not set runAsUser=0")
    }

    @Sendable private static func seccomp(_ pod: PodSecuritySubject) -> PodSecurityViolation? {
        var values: Set<String> = []
        /// True: a good profile; false: a bad one; nil: none.
        func judge(_ context: JSONView?) -> Bool? {
            guard let profile = context["seccompProfile"].present else { return nil }
            let type = profile["type"].string ?? ""
            if type == "RuntimeDefault" || type == "Localhost" { return true }
            values.insert(type)
            return false
        }
        let own = judge(pod.context)
        let explicit = pod.names { judge($0["securityContext"]) == false }
        let setters = Words.setters(pod: own == false, explicit)
        if !setters.isEmpty {
            return PodSecurityViolation(
                reason: "seccompProfile",
                detail: "\(setters) must not set securityContext.seccompProfile.type to \(Words.quoted(values.sorted()))")
        }
        guard own != true else { return nil }
        let implicit = pod.names { judge($0["securityContext"]) == nil }
        return implicit.isEmpty
            ? nil
            : PodSecurityViolation(
                reason: "seccompProfile",
                detail: "pod or \(Words.containers(implicit)) must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"")
    }
}
