/// Defaults of the kinds that govern the API itself: RBAC, admission, priorities, flow control, extension, dynamic resources.
/// Upstream: pkg/apis/{rbac,admissionregistration,scheduling,flowcontrol,policy,resource}/*/defaults.go, apiextensions and apiregistration.
enum PolicyDefaults {
    private static let rbacGroup: Value = "rbac.authorization.k8s.io"

    static let rules: [(String, Defaults.Rule)] = [
        ("api.rbac.v1.RoleRef", { $0.fill("apiGroup", rbacGroup) }),
        ("api.rbac.v1.Subject", subject),
        ("api.rbac.v1.Role", { $0.fill("rules", .null) }),
        ("api.rbac.v1.ClusterRole", { $0.fill("rules", .null) }),
        ("api.scheduling.v1.PriorityClass", { $0.fill("preemptionPolicy", "PreemptLowerPriority") }),
        ("api.policy.v1.PodDisruptionBudget", { $0.fill("status", [:]) }),
        ("api.policy.v1.PodDisruptionBudgetStatus", budgetStatus),
        ("api.certificates.v1.CertificateSigningRequest", { $0.fill("status", [:]) }),
        ("api.admissionregistration.v1.ValidatingWebhook", webhook),
        ("api.admissionregistration.v1.MutatingWebhook", mutatingWebhook),
        ("api.admissionregistration.v1.RuleWithOperations", { $0.fill("scope", "*") }),
        ("api.admissionregistration.v1.NamedRuleWithOperations", { $0.fill("scope", "*") }),
        ("api.admissionregistration.v1.ServiceReference", { $0.fill("port", 443) }),
        ("api.admissionregistration.v1.MatchResources", matchResources),
        ("api.admissionregistration.v1.ValidatingAdmissionPolicy", { $0.fill("status", [:]) }),
        ("api.admissionregistration.v1.ValidatingAdmissionPolicySpec", { $0.fill("failurePolicy", "Fail") }),
        ("api.admissionregistration.v1.MutatingAdmissionPolicySpec", { $0.fill("failurePolicy", "Fail") }),
        ("apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionSpec", customResourceDefinition),
        ("apiextensions-apiserver.pkg.apis.apiextensions.v1.ServiceReference", { $0.fill("port", 443) }),
        ("kube-aggregator.pkg.apis.apiregistration.v1.APIService", { $0.fill("status", [:]) }),
        ("kube-aggregator.pkg.apis.apiregistration.v1.ServiceReference", { $0.fill("port", 443) }),
        ("api.flowcontrol.v1.FlowSchema", { $0.fill("status", [:]) }),
        ("api.flowcontrol.v1.FlowSchemaSpec", { $0.fillZero("matchingPrecedence", 1000) }),
        ("api.flowcontrol.v1.PriorityLevelConfiguration", { $0.fill("status", [:]) }),
        ("api.flowcontrol.v1.LimitedPriorityLevelConfiguration", limitedPriorityLevel),
        ("api.flowcontrol.v1.ExemptPriorityLevelConfiguration", exemptPriorityLevel),
        ("api.flowcontrol.v1.QueuingConfiguration", queuing),
        ("api.resource.v1.ResourceClaim", { $0.fill("status", [:]) }),
        ("api.resource.v1.ExactDeviceRequest", deviceRequest),
        ("api.resource.v1.DeviceSubRequest", deviceRequest),
        ("api.resource.v1.DeviceToleration", { $0.fill("operator", "Equal") }),
    ]

    private static func subject(_ subject: inout Value) {
        if subject["kind"] == "User" || subject["kind"] == "Group" { subject.fill("apiGroup", rbacGroup) }
    }

    private static func budgetStatus(_ status: inout Value) {
        for key in ["currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"] { status.fill(key, 0) }
    }

    private static func webhook(_ webhook: inout Value) {
        webhook.fill("failurePolicy", "Fail")
        matchResources(&webhook)
        webhook.fill("timeoutSeconds", 10)
    }

    private static func mutatingWebhook(_ webhook: inout Value) {
        self.webhook(&webhook)
        webhook.fill("reinvocationPolicy", "Never")
    }

    private static func matchResources(_ match: inout Value) {
        match.fill("matchPolicy", "Equivalent")
        match.fill("namespaceSelector", [:])
        match.fill("objectSelector", [:])
    }

    private static func customResourceDefinition(_ spec: inout Value) {
        spec.withObject("names") { names in
            guard let kind = names["kind"]?.string, !kind.isEmpty else { return }
            names.fill("singular", .string(kind.lowercased()))
            names.fill("listKind", .string(kind + "List"))
        }
        spec.fill("conversion", ["strategy": "None"])
    }

    private static func limitedPriorityLevel(_ limited: inout Value) {
        limited.fill("nominalConcurrencyShares", 30)
        limited.fill("lendablePercent", 0)
    }

    private static func exemptPriorityLevel(_ exempt: inout Value) {
        exempt.fill("nominalConcurrencyShares", 0)
        exempt.fill("lendablePercent", 0)
    }

    private static func queuing(_ queuing: inout Value) {
        queuing.fillZero("handSize", 8)
        queuing.fillZero("queues", 64)
        queuing.fillZero("queueLengthLimit", 50)
    }

    private static func deviceRequest(_ request: inout Value) {
        request.fill("allocationMode", "ExactCount")
        if request["allocationMode"] == "ExactCount" { request.fillZero("count", 1) }
    }
}
