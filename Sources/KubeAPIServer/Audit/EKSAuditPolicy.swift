extension AuditPolicy {
    /// What Amazon EKS writes to its audit log, by its published policy: nothing of reads that nodes and components do all the time, the metadata
    /// of what may hold secrets, requests of reads and requests with responses of writes.
    package static let eksDefault: AuditPolicy = {
        let late: Set<AuditStage> = [.requestReceived]
        let nodes = [Resources(["nodes", "nodes/status"])]
        let statuses = [Resources(["nodes/status", "pods/status"])]
        let components = ["system:kube-controller-manager", "system:kube-scheduler", "system:serviceaccount:kube-system:endpoint-controller"]
        let problemDetectors = ["kubelet", "system:node-problem-detector", "system:serviceaccount:kube-system:node-problem-detector"]
        let known = [
            "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "authentication.k8s.io",
            "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io", "extensions", "metrics.k8s.io", "networking.k8s.io", "policy",
            "rbac.authorization.k8s.io", "scheduling.k8s.io", "settings.k8s.io", "storage.k8s.io",
        ].map { Resources(group: $0) }
        return AuditPolicy(rules: [
            Rule(
                .requestResponse, verbs: ["update", "patch", "delete"], resources: [Resources(["configmaps"], names: ["aws-auth"])],
                namespaces: ["kube-system"], omitStages: late),
            Rule(.none, users: ["system:kube-proxy"], verbs: ["watch"], resources: [Resources(["endpoints", "services", "services/status"])]),
            Rule(.none, users: ["kubelet"], verbs: ["get"], resources: nodes),
            Rule(.none, userGroups: ["system:nodes"], verbs: ["get"], resources: nodes),
            Rule(.none, users: components, verbs: ["get", "update"], resources: [Resources(["endpoints"])], namespaces: ["kube-system"]),
            Rule(
                .none, users: ["system:apiserver"], verbs: ["get"],
                resources: [Resources(["namespaces", "namespaces/status", "namespaces/finalize"])]),
            Rule(.none, users: ["system:kube-controller-manager"], verbs: ["get", "list"], resources: [Resources(group: "metrics.k8s.io")]),
            Rule(.none, nonResourceURLs: ["/healthz*", "/version", "/swagger*"]),
            Rule(.none, resources: [Resources(["events"])]),
            Rule(.request, users: problemDetectors, verbs: ["update", "patch"], resources: statuses, omitStages: late),
            Rule(.request, userGroups: ["system:nodes"], verbs: ["update", "patch"], resources: statuses, omitStages: late),
            Rule(
                .request, users: ["system:serviceaccount:kube-system:namespace-controller"], verbs: ["deletecollection"], omitStages: late),
            Rule(
                .metadata,
                resources: [Resources(["secrets", "configmaps"]), Resources(group: "authentication.k8s.io", ["tokenreviews"])],
                omitStages: late),
            Rule(.request, resources: [Resources(["serviceaccounts/token"])]),
            Rule(.request, verbs: ["get", "list", "watch"], resources: known, omitStages: late),
            Rule(.requestResponse, resources: known, omitStages: late),
            Rule(.metadata, omitStages: late),
        ])
    }()
}
