import KubeAPI

/// What a pod's status may say. Upstream: core/validation.ValidatePodStatusUpdate.
enum PodStatusValidation {
    private static let ownConditions: Set<String> = ["PodScheduled", "Ready", "Initialized"]

    static func validate(_ new: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        PodAnnotationValidation.validateUpdate(new, old: old, &errors)
        let status = new["status"]
        let before = old["status"]
        for (index, condition) in status["conditions"].elements.enumerated() {
            let type = condition["type"].text
            if !ownConditions.contains(type) { errors.qualifiedName("metadata.conditions[\(index)].Type", type) }
        }
        let nominated = status["nominatedNodeName"].text
        if !nominated.isEmpty, nominated != before["nominatedNodeName"].text { errors.name("status.nominatedNodeName", nominated, .dnsSubdomain) }
        if status["qosClass"].text != before["qosClass"].text {
            errors.invalid("status.qosClass", text: status["qosClass"].text, "field is immutable")
        }
        let policy = old["spec"]["restartPolicy"].string ?? "Always"
        transitions(status, before, "containerStatuses", policy: policy, sidecars: [], &errors)
        let sidecars = Set(old["spec"]["initContainers"].elements.filter { $0["restartPolicy"].string == "Always" }.map { $0["name"].text })
        transitions(status, before, "initContainerStatuses", policy: policy, sidecars: sidecars, &errors)
        transitions(status, before, "ephemeralContainerStatuses", policy: "Never", sidecars: [], &errors)
        claims(status["resourceClaimStatuses"].elements, new["spec"]["resourceClaims"].elements, &errors)
        addresses(status, &errors)
        return errors.causes
    }

    /// A container that has ended for good may not run again. Upstream: ValidateContainerStateTransition.
    private static func transitions(
        _ status: JSONView?, _ before: JSONView?, _ list: String, policy: String, sidecars: Set<String>, _ errors: inout FieldErrors
    ) {
        guard policy != "Always" else { return }
        for (index, earlier) in before[list].elements.enumerated() {
            guard let ended = earlier["state"]["terminated"].present, !sidecars.contains(earlier["name"].text) else { continue }
            if policy == "OnFailure", ended["exitCode"].int ?? 0 != 0 { continue }
            let runs = status[list].elements.contains { $0["name"].text == earlier["name"].text && $0["state"]["terminated"].present == nil }
            if runs { errors.forbidden("status.\(list)[\(index)].state", "may not be transitioned to non-terminated state") }
        }
    }

    private static func claims(_ statuses: [JSONView], _ claims: [JSONView], _ errors: inout FieldErrors) {
        guard !statuses.isEmpty else { return }
        let known = Set(claims.map { $0["name"].text })
        var seen: Set<String> = []
        for (index, status) in statuses.enumerated() {
            let place = "status.resourceClaimStatuses[\(index)].name"
            let name = status["name"].text
            if !known.contains(name) { errors.invalid(place, text: name, "must match the name of an entry in `spec.resourceClaims`") }
            if !seen.insert(name).inserted { errors.duplicate(place, .string(name)) }
            if let claim = status["resourceClaimName"].string { errors.name(place, claim, .dnsSubdomain) }
        }
    }

    private static func addresses(_ status: JSONView?, _ errors: inout FieldErrors) {
        for field in ["podIPs", "hostIPs"] {
            let list = status[field].elements.map { $0["ip"].text }
            if field == "hostIPs", let first = list.first, status["hostIP"].text != first {
                errors.invalid("status.hostIPs[0].ip", text: first, "must be equal to `hostIP`")
            }
            for (index, address) in list.enumerated() { errors.invalid("status.\(field)[\(index)]", address, AddressRules.legacyProblems(address)) }
            guard list.count > 1 else { continue }
            let families = Set(list.compactMap { AddressRules.parse($0)?.isIPv6 })
            if families.count < 2 || list.count > 2 {
                errors.invalid("status.\(field)", status[field].value ?? .null, "may specify no more than one IP for each IP family")
            }
            var seen: Set<String> = []
            for (index, address) in list.enumerated() where !seen.insert(address).inserted {
                errors.duplicate("status.\(field)[\(index)]", ["ip": .string(address)])
            }
        }
    }
}
