import KubeAPI

/// Holds pods to the Pod Security Standards that their namespace's labels name. Upstream: plugin/security/podsecurity with
/// k8s.io/pod-security-admission/admission.
struct PodSecurityAdmission: AdmissionPlugin {
    let name = "PodSecurity"
    let reader: any ObjectReader
    /// Who and what is not checked. Upstream: PodSecurityConfiguration.exemptions, empty by default.
    var exemptNamespaces: Set<String> = []
    var exemptUsers: Set<String> = []
    var exemptRuntimeClasses: Set<String> = []
    /// Pods looked at when a namespace's labels change, at most. Upstream: defaultNamespaceMaxPodsToCheck.
    static let maximumPods = 3000
    /// And for so long at most. Upstream: defaultNamespacePodCheckTimeout.
    static let patience = Duration.seconds(1)
    private static let annotationPrefix = "pod-security.kubernetes.io/"

    init(reader: any ObjectReader) { self.reader = reader }

    /// Where the pod's template stands in the kinds that have one.
    private static let templates: [GroupResource: [String]] = [
        GroupResource(group: "", resource: "podtemplates"): ["template"],
        GroupResource(group: "", resource: "replicationcontrollers"): ["spec", "template"],
        GroupResource(group: "apps", resource: "replicasets"): ["spec", "template"],
        GroupResource(group: "apps", resource: "deployments"): ["spec", "template"],
        GroupResource(group: "apps", resource: "statefulsets"): ["spec", "template"],
        GroupResource(group: "apps", resource: "daemonsets"): ["spec", "template"],
        GroupResource(group: "batch", resource: "jobs"): ["spec", "template"],
        GroupResource(group: "batch", resource: "cronjobs"): ["spec", "jobTemplate", "spec", "template"],
    ]
    /// Subresources of pods that cannot change what a pod may do. Any other is checked, to be on the safe side.
    private static let ignoredSubresources: Set<String> = [
        "exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status",
    ]

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.operation == .create || attributes.operation == .update else { return }
        let resource = attributes.resource.groupResource
        if resource == .namespaces { return try validateNamespace(attributes) }
        if resource == .pods {
            guard !Self.ignoredSubresources.contains(attributes.subresource) else { return }
            return try validatePod(attributes)
        }
        guard let path = Self.templates[resource], attributes.subresource.isEmpty else { return }
        try validateTemplate(attributes, path)
    }

    /// The namespace's policy; nil when nothing is to be checked.
    private func policy(_ attributes: AdmissionAttributes) throws -> PodSecurityPolicy? {
        if exemptNamespaces.contains(attributes.namespace) {
            attributes.annotate(Self.annotationPrefix + "exempt", "namespace")
            return nil
        }
        if exemptUsers.contains(attributes.user.name) {
            attributes.annotate(Self.annotationPrefix + "exempt", "user")
            return nil
        }
        guard let namespace = reader.get(.namespaces, namespace: "", name: attributes.namespace) else {
            throw StatusError.internalError("failed to lookup namespace \(attributes.namespace.goQuoted)")
        }
        return PodSecurityPolicy(labels: namespace["metadata"]["labels"])
    }

    // MARK: Pods

    private func validatePod(_ attributes: AdmissionAttributes) throws {
        guard let policy = try policy(attributes), !(policy.asksForNothing && policy.problems.isEmpty) else { return }
        let pod = try Object(attributes.object)
        if attributes.operation == .update, let old = attributes.oldObject, !Self.isSignificant(pod, old) { return }
        try evaluate(policy, PodSecuritySubject(metadata: pod["metadata"], spec: pod["spec"]), attributes, enforce: true)
    }

    private func validateTemplate(_ attributes: AdmissionAttributes, _ path: [String]) throws {
        guard let policy = try policy(attributes) else { return }
        if policy.problems.isEmpty, policy.warn.level == .privileged, policy.audit.level == .privileged { return }
        guard let template = attributes.object[path: path], case .object = template else { return }
        let object = try Object(template)
        try evaluate(policy, PodSecuritySubject(metadata: object["metadata"], spec: object["spec"]), attributes, enforce: false)
    }

    /// Upstream: Admission.EvaluatePod.
    private func evaluate(
        _ policy: PodSecurityPolicy, _ subject: PodSecuritySubject, _ attributes: AdmissionAttributes, enforce: Bool
    ) throws {
        if let runtimeClass = subject.spec["runtimeClassName"].string, exemptRuntimeClasses.contains(runtimeClass) {
            return attributes.annotate(Self.annotationPrefix + "exempt", "runtimeClass")
        }
        if !policy.problems.isEmpty {
            let texts = policy.problems.map { "\($0.field): \($0.message)" }
            let list = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
            attributes.annotate(Self.annotationPrefix + "error", "Failed to parse policy: \(list)")
        }
        var known: [PodSecurityLevelVersion: [PodSecurityViolation]] = [:]
        func violations(_ wanted: PodSecurityLevelVersion) -> [PodSecurityViolation] {
            if let found = known[wanted] { return found }
            let found = PodSecurityEvaluator.evaluate(wanted, subject)
            known[wanted] = found
            return found
        }
        func text(_ verb: String, _ wanted: PodSecurityLevelVersion) -> String? {
            let found = violations(wanted)
            return found.isEmpty ? nil : "\(verb) PodSecurity \("\(wanted)".goQuoted): \(PodSecurityEvaluator.details(found))"
        }
        if enforce { attributes.annotate(Self.annotationPrefix + "enforce-policy", "\(policy.enforce)") }
        if let audit = text("would violate", policy.audit) { attributes.annotate(Self.annotationPrefix + "audit-violations", audit) }
        if enforce, let refusal = text("violates", policy.enforce) { throw attributes.forbidden(refusal) }
        if let warning = text("would violate", policy.warn) { attributes.context?.warn([warning]) }
    }

    /// Whether an update touches what the checks look at. Upstream: isSignificantPodUpdate.
    static func isSignificant(_ new: Object, _ old: Object) -> Bool {
        let podKey = "seccomp.security.alpha.kubernetes.io/pod"
        let (annotations, before) = (new.metadata.annotations, old.metadata.annotations)
        if annotations[podKey] != before[podKey] { return true }
        func differs(_ container: JSONView, _ previous: JSONView) -> Bool {
            let key = "container.seccomp.security.alpha.kubernetes.io/\(container["name"].string ?? "")"
            return container["image"].string != previous["image"].string || annotations[key] != before[key]
        }
        for list in ["containers", "initContainers"] {
            let (now, then) = (new["spec"][list].elements, old["spec"][list].elements)
            if now.count != then.count || zip(now, then).contains(where: differs) { return true }
        }
        let then = old["spec"]["ephemeralContainers"].elements
        return new["spec"]["ephemeralContainers"].elements.contains { container in
            guard let previous = then.first(where: { $0["name"].string == container["name"].string }) else { return true }
            return differs(container, previous)
        }
    }

    // MARK: Namespaces

    /// Upstream: Admission.ValidateNamespace.
    private func validateNamespace(_ attributes: AdmissionAttributes) throws {
        guard attributes.subresource.isEmpty else { return }
        let namespace = try Object(attributes.object)
        let new = PodSecurityPolicy(labels: namespace["metadata"]["labels"])
        func refuse() -> StatusError { .invalid(attributes.kind, attributes.name, new.problems) }
        guard attributes.operation == .update, let oldObject = attributes.oldObject else {
            if !new.problems.isEmpty { throw refuse() }
            return warnOfExemption(new, attributes)
        }
        let old = PodSecurityPolicy(labels: oldObject["metadata"]["labels"])
        // Labels that were bad before do not stand in the way of other changes.
        if !new.problems.isEmpty, new.problems != old.problems { throw refuse() }
        if exemptNamespaces.contains(attributes.name) { return warnOfExemption(new, attributes) }
        guard new.enforce != old.enforce, new.enforce.level != .privileged else { return }
        if new.enforce.version == old.enforce.version, new.enforce.level <= old.enforce.level { return }
        attributes.context?.warn(
            Self.warnings(of: reader.list(.pods, namespace: attributes.name), in: attributes.name, new.enforce, exemptRuntimeClasses))
    }

    private func warnOfExemption(_ policy: PodSecurityPolicy, _ attributes: AdmissionAttributes) {
        guard exemptNamespaces.contains(attributes.name), !policy.asksForNothing else { return }
        attributes.context?.warn([
            "namespace \(attributes.name.goQuoted) is exempt from Pod Security, and the policy (enforce=\(policy.enforce), audit=\(policy.audit), "
                + "warn=\(policy.warn)) will be ignored"
        ])
    }

    /// What the pods of a namespace have against its new level, pods with the same faults together. Upstream: EvaluatePodsInNamespace.
    static func warnings(
        of pods: [Object], in namespace: String, _ policy: PodSecurityLevelVersion, _ exemptRuntimeClasses: Set<String> = []
    ) -> [String] {
        var faults: [String: (first: String, count: Int)] = [:]
        let end = ContinuousClock.now + patience
        var checked = 0
        for pod in prioritized(pods).prefix(maximumPods) {
            checked += 1
            if let runtimeClass = pod["spec"]["runtimeClassName"].string, exemptRuntimeClasses.contains(runtimeClass) { continue }
            let found = PodSecurityEvaluator.evaluate(policy, PodSecuritySubject(metadata: pod["metadata"], spec: pod["spec"]))
            if !found.isEmpty {
                let name = pod.metadata.name
                let reasons = PodSecurityEvaluator.reasons(found)
                let known = faults[reasons]
                faults[reasons] = (min(known?.first ?? name, name), (known?.count ?? 0) + 1)
            }
            if ContinuousClock.now > end { break }
        }
        var warnings: [String] = []
        if checked < pods.count {
            warnings.append("new PodSecurity enforce level only checked against the first \(checked) of \(pods.count) existing pods")
        }
        guard !faults.isEmpty else { return warnings }
        warnings.append("existing pods in namespace \(namespace.goQuoted) violate the new PodSecurity enforce level \("\(policy)".goQuoted)")
        let texts = faults.map { reasons, pods in
            switch pods.count {
            case 1: "\(pods.first): \(reasons)"
            case 2: "\(pods.first) (and 1 other pod): \(reasons)"
            default: "\(pods.first) (and \(pods.count - 1) other pods): \(reasons)"
            }
        }
        return warnings + texts.sorted()
    }

    /// One pod of each controller first: its others are alike. Upstream: prioritizePods.
    private static func prioritized(_ pods: [Object]) -> [Object] {
        guard pods.count > maximumPods else { return pods }
        var seen: Set<String> = []
        var first: [Object] = []
        var rest: [Object] = []
        for pod in pods {
            if let owner = pod.metadata.controller, !seen.insert(owner.uid).inserted { rest.append(pod) } else { first.append(pod) }
        }
        return first + rest
    }
}
