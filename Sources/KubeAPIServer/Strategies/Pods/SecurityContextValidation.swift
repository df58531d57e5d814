import KubeAPI

/// Security contexts of pods and containers. Upstream: core/validation.validatePodSpecSecurityContext, ValidateSecurityContext.
struct SecurityContextValidation {
    let path: String

    private func at(_ field: String) -> String { "\(path).\(field)" }

    func container(_ context: JSONView?, sharesHostUsers: Bool, _ errors: inout FieldErrors) {
        guard let context = context.present else { return }
        errors.identity(at("runAsUser"), context["runAsUser"])
        errors.identity(at("runAsGroup"), context["runAsGroup"])
        if let mount = context["procMount"].string {
            if !["Default", "Unmasked"].contains(mount) { errors.notSupported(at("procMount"), mount, ["Default", "Unmasked"]) }
            if sharesHostUsers, mount == "Unmasked" {
                errors.invalid(at("procMount"), text: mount, "`hostUsers` must be false to use `Unmasked`")
            }
        }
        seccomp(context["seccompProfile"], &errors)
        if context["allowPrivilegeEscalation"].bool == false {
            if context["privileged"].bool == true {
                errors.invalid(path, context.value, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
            }
            for capability in context["capabilities"]["add"].strings where capability == "CAP_SYS_ADMIN" {
                errors.invalid(path, context.value, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
            }
        }
        windows(context["windowsOptions"], &errors)
        appArmor(context["appArmorProfile"], &errors)
    }

    /// `spec`: the pod's, for the fields that go together with the context's.
    func pod(_ context: JSONView?, _ spec: JSONView?, _ errors: inout FieldErrors) {
        guard let context = context.present, context.members.hasNext else { return shareProcesses(spec, &errors) }
        for field in ["fsGroup", "runAsUser", "runAsGroup"] { errors.identity(at(field), context[field]) }
        for (index, group) in context["supplementalGroups"].elements.enumerated() { errors.identity(at("supplementalGroups[\(index)]"), group) }
        shareProcesses(spec, &errors)
        sysctls(context["sysctls"].elements, spec, &errors)
        errors.oneOf(at("fsGroupChangePolicy"), context["fsGroupChangePolicy"], ["Always", "OnRootMismatch"])
        seccomp(context["seccompProfile"], &errors)
        windows(context["windowsOptions"], &errors)
        appArmor(context["appArmorProfile"], &errors)
        errors.oneOf(at("supplementalGroupsPolicy"), context["supplementalGroupsPolicy"], ["Merge", "Strict"])
        errors.oneOf(at("seLinuxChangePolicy"), context["seLinuxChangePolicy"], ["MountOption", "Recursive"])
    }

    private func shareProcesses(_ spec: JSONView?, _ errors: inout FieldErrors) {
        if spec["shareProcessNamespace"].bool == true, spec["hostPID"].bool == true {
            errors.invalid(at("shareProcessNamespace"), true, "ShareProcessNamespace and HostPID cannot both be enabled")
        }
    }

    private func sysctls(_ sysctls: [JSONView], _ spec: JSONView?, _ errors: inout FieldErrors) {
        var names: Set<String> = []
        for (index, sysctl) in sysctls.enumerated() {
            let field = at("sysctls[\(index)].name")
            let name = sysctl["name"].text
            if name.isEmpty {
                errors.required(field)
            } else if !Self.isSysctl(name) {
                errors.invalid(
                    field, text: name,
                    "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$")
            } else if names.contains(name) {
                errors.duplicate(field, .string(name))
            }
            let normal = name.replacing("/", with: ".")
            if spec["hostNetwork"].bool == true, normal.hasPrefix("net.") {
                errors.invalid(field, text: name, "may not be specified when 'hostNetwork' is true")
            } else if spec["hostIPC"].bool == true,
                ["kernel.sem"].contains(normal) || normal.hasPrefix("kernel.shm") || normal.hasPrefix("kernel.msg")
                    || normal.hasPrefix("fs.mqueue.")
            {
                errors.invalid(field, text: name, "may not be specified when 'hostIPC' is true")
            }
            names.insert(name)
        }
    }

    private static func isSysctl(_ name: String) -> Bool {
        guard name.utf8.count <= 253 else { return false }
        return name.split(omittingEmptySubsequences: false) { $0 == "." || $0 == "/" }.allSatisfy { segment in
            guard segment.utf8.first != UInt8(ascii: "_"), segment.utf8.last != UInt8(ascii: "_") else { return false }
            return Names.isLabel(segment.utf8.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 })
        }
    }

    private func seccomp(_ profile: JSONView?, _ errors: inout FieldErrors) {
        guard let profile = profile.present else { return }
        let type = profile["type"].text
        let localhost = profile["localhostProfile"].string
        if type.isEmpty {
            errors.required(at("seccompProfile.type"), "type is required when seccompProfile is set")
        } else if !Self.profileTypes.contains(type) {
            errors.notSupported(at("seccompProfile.type"), type, Self.profileTypes)
        }
        if type == "Localhost" {
            if let localhost {
                PathRule.localDescending(localhost, at("seccompProfile.localhostProfile"), &errors)
            } else {
                errors.required(at("seccompProfile.localhostProfile"), "must be set when seccomp type is Localhost")
            }
        } else if localhost != nil {
            errors.invalid(at("seccompProfile.localhostProfile"), profile.value, "can only be set when seccomp type is Localhost")
        }
    }

    static let profileTypes = ["Localhost", "RuntimeDefault", "Unconfined"]
    /// Upstream: PATH_MAX - 1.
    private static let maximumProfile = 4095

    private func appArmor(_ profile: JSONView?, _ errors: inout FieldErrors) {
        guard let profile = profile.present else { return }
        let field = at("appArmorProfile.localhostProfile")
        let localhost = profile["localhostProfile"].string
        switch profile["type"].text {
        case "Localhost":
            guard let localhost else { return errors.required(field, "must be set when AppArmor type is Localhost") }
            if localhost.first?.isWhitespace == true || localhost.last?.isWhitespace == true {
                errors.invalid(field, text: localhost, "must not be padded with whitespace")
            } else if localhost.isEmpty {
                errors.required(field, "must be set when AppArmor type is Localhost")
            }
            if localhost.utf8.count > Self.maximumProfile { errors.tooLong(field, maximum: Self.maximumProfile) }
        case "RuntimeDefault", "Unconfined":
            if let localhost { errors.invalid(field, text: localhost, "can only be set when AppArmor type is Localhost") }
        case "": errors.required(at("appArmorProfile.type"), "type is required when appArmorProfile is set")
        case let other: errors.notSupported(at("appArmorProfile.type"), other, Self.profileTypes)
        }
    }

    // MARK: Windows

    private func windows(_ options: JSONView?, _ errors: inout FieldErrors) {
        guard let options = options.present else { return }
        let path = at("windowsOptions")
        if let name = options["gmsaCredentialSpecName"].string { errors.name("\(path).gmsaCredentialSpecName", name, .dnsSubdomain) }
        if let spec = options["gmsaCredentialSpec"].string {
            if spec.isEmpty {
                errors.invalid("\(path).gmsaCredentialSpec", text: spec, "gmsaCredentialSpec cannot be an empty string")
            } else if spec.utf8.count > 64 * 1024 {
                errors.invalid("\(path).gmsaCredentialSpec", text: spec, "gmsaCredentialSpec size must be under 64 KiB")
            }
        }
        if let name = options["runAsUserName"].string {
            for problem in Self.userProblems(name) { errors.invalid("\(path).runAsUserName", text: name, problem) }
        }
    }

    private static func userProblems(_ name: String) -> [String] {
        if name.isEmpty { return ["runAsUserName cannot be an empty string"] }
        if name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
            return ["runAsUserName cannot contain control characters"]
        }
        let parts = name.split(separator: "\\", omittingEmptySubsequences: false)
        if parts.count > 2 { return ["runAsUserName cannot contain more than one backslash"] }
        var problems: [String] = []
        let user = parts.last ?? ""
        if parts.count == 2 {
            let domain = parts[0]
            if domain.utf8.count >= 256 { problems.append("runAsUserName's Domain length must be under 256 characters") }
            let isNetBIOS = (1...15).contains(domain.count) && domain.first != "." && !domain.contains { "\\/:*?\"<>|".contains($0) }
            let isDNS = domain.split(separator: ".", omittingEmptySubsequences: false).allSatisfy {
                $0.utf8.count <= 63 && Names.isLabel($0.lowercased().utf8)
            }
            if !isNetBIOS, !isDNS { problems.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format") }
        }
        if user.isEmpty {
            problems.append("runAsUserName's User cannot be empty")
        } else if user.utf8.count > 104 {
            problems.append("runAsUserName's User length must not be longer than 104 characters")
        }
        if !user.isEmpty, user.allSatisfy({ $0 == "." || $0 == " " }) {
            problems.append("runAsUserName's User cannot contain only periods or spaces")
        }
        if user.contains(where: { "\"/\\:;|=,+*?<>@[]".contains($0) }) {
            problems.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
        }
        return problems
    }
}
