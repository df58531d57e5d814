/// Defaults of the kinds that run pods. Upstream: pkg/apis/{apps,batch,autoscaling}/*/defaults.go and SetDefaults_ReplicationController.
enum WorkloadDefaults {
    static let rules: [(String, Defaults.Rule)] = [
        ("api.apps.v1.Deployment", { $0.fill("status", [:]) }),
        ("api.apps.v1.DeploymentSpec", deploymentSpec),
        ("api.apps.v1.ReplicaSet", { $0.fill("status", [:]) }),
        ("api.apps.v1.ReplicaSetSpec", { $0.fill("replicas", 1) }),
        ("api.apps.v1.ReplicaSetStatus", { $0.fill("replicas", 0) }),
        ("api.apps.v1.StatefulSet", { $0.fill("status", [:]) }),
        ("api.apps.v1.StatefulSetSpec", statefulSetSpec),
        ("api.apps.v1.StatefulSetStatus", { zeros(&$0, ["availableReplicas", "replicas"]) }),
        ("api.apps.v1.DaemonSet", { $0.fill("status", [:]) }),
        ("api.apps.v1.DaemonSetSpec", daemonSetSpec),
        ("api.apps.v1.DaemonSetStatus", { zeros(&$0, ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"]) }),
        ("api.core.v1.ReplicationController", replicationController),
        ("api.core.v1.ReplicationControllerStatus", { $0.fill("replicas", 0) }),
        ("api.batch.v1.Job", job),
        ("api.batch.v1.PodFailurePolicyOnPodConditionsPattern", { $0.fill("status", "True") }),
        ("api.batch.v1.CronJob", cronJob),
        ("api.batch.v1.JobTemplateSpec", { $0.fill("metadata", [:]) }),
        ("api.autoscaling.v1.HorizontalPodAutoscaler", { $0.fill("status", [:]) }),
        ("api.autoscaling.v1.HorizontalPodAutoscalerSpec", { $0.fill("minReplicas", 1) }),
        ("api.autoscaling.v1.HorizontalPodAutoscalerStatus", { zeros(&$0, ["currentReplicas", "desiredReplicas"]) }),
        ("api.autoscaling.v2.HorizontalPodAutoscaler", { $0.fill("status", [:]) }),
        ("api.autoscaling.v2.HorizontalPodAutoscalerSpec", horizontalPodAutoscalerSpec),
        ("api.autoscaling.v2.HorizontalPodAutoscalerStatus", horizontalPodAutoscalerStatus),
    ]

    /// Numbers that Go writes although they are zero.
    private static func zeros(_ value: inout Value, _ keys: [String]) {
        for key in keys { value.fill(key, 0) }
    }

    private static func deploymentSpec(_ spec: inout Value) {
        spec.fill("replicas", 1)
        spec.fill("strategy", [:])
        spec.withObject("strategy") { strategy in
            strategy.fill("type", "RollingUpdate")
            guard strategy["type"] == "RollingUpdate" else { return }
            strategy.fill("rollingUpdate", [:])
            strategy.withObject("rollingUpdate") {
                $0.fill("maxUnavailable", "25%")
                $0.fill("maxSurge", "25%")
            }
        }
        spec.fill("revisionHistoryLimit", 10)
        spec.fill("progressDeadlineSeconds", 600)
    }

    private static func statefulSetSpec(_ spec: inout Value) {
        spec.fill("podManagementPolicy", "OrderedReady")
        spec.fill("updateStrategy", [:])
        spec.withObject("updateStrategy") { strategy in
            strategy.fill("type", "RollingUpdate")
            guard strategy["type"] == "RollingUpdate" else { return }
            strategy.fill("rollingUpdate", [:])
            strategy.withObject("rollingUpdate") { $0.fill("partition", 0) }
        }
        spec.fill("persistentVolumeClaimRetentionPolicy", [:])
        spec.withObject("persistentVolumeClaimRetentionPolicy") {
            $0.fill("whenDeleted", "Retain")
            $0.fill("whenScaled", "Retain")
        }
        spec.fill("replicas", 1)
        spec.fill("revisionHistoryLimit", 10)
        spec.forEachElement("volumeClaimTemplates") { claim in
            claim.fill("apiVersion", "v1")
            claim.fill("kind", "PersistentVolumeClaim")
        }
    }

    private static func daemonSetSpec(_ spec: inout Value) {
        spec.fill("updateStrategy", [:])
        spec.withObject("updateStrategy") { strategy in
            strategy.fill("type", "RollingUpdate")
            guard strategy["type"] == "RollingUpdate" else { return }
            strategy.fill("rollingUpdate", [:])
            strategy.withObject("rollingUpdate") {
                $0.fill("maxUnavailable", 1)
                $0.fill("maxSurge", 0)
            }
        }
        spec.fill("revisionHistoryLimit", 10)
    }

    /// The template's labels select the pods, and label the controller, where it says nothing else.
    private static func replicationController(_ controller: inout Value) {
        controller.fill("status", [:])
        let labels = controller[path: "spec", "template", "metadata", "labels"]
        if let labels, labels.object?.isEmpty == false {
            if controller["spec"]?.hasElements("selector") != true { controller[path: "spec", "selector"] = labels }
            if controller["metadata"]?.hasElements("labels") != true { controller[path: "metadata", "labels"] = labels }
        }
        controller.withObject("spec") { $0.fill("replicas", 1) }
    }

    /// Only jobs of their own get these, not the templates of cron jobs. Upstream: SetDefaults_Job.
    private static func job(_ job: inout Value) {
        job.fill("status", [:])
        job.withObject("spec") { spec in
            if spec["completions"] == nil, spec["parallelism"] == nil { spec["completions"] = 1 }
            spec.fill("parallelism", 1)
            // With a limit per index there is none for the whole.
            spec.fill("backoffLimit", spec["backoffLimitPerIndex"] == nil ? 6 : .int(Int64(Int32.max)))
            spec.fill("completionMode", "NonIndexed")
            spec.fill("suspend", false)
            spec.fill("manualSelector", false)
            spec.fill("podReplacementPolicy", spec["podFailurePolicy"] == nil ? "TerminatingOrFailed" : "Failed")
        }
        if let labels = job[path: "spec", "template", "metadata", "labels"], labels.object?.isEmpty == false,
            job["metadata"]?.hasElements("labels") != true
        {
            job[path: "metadata", "labels"] = labels
        }
    }

    private static func cronJob(_ cronJob: inout Value) {
        cronJob.fill("status", [:])
        cronJob.withObject("spec") { spec in
            spec.fill("concurrencyPolicy", "Allow")
            spec.fill("suspend", false)
            spec.fill("successfulJobsHistoryLimit", 3)
            spec.fill("failedJobsHistoryLimit", 1)
        }
    }

    private static func horizontalPodAutoscalerSpec(_ spec: inout Value) {
        spec.fill("minReplicas", 1)
        if !spec.hasElements("metrics") {
            spec["metrics"] = [["resource": ["name": "cpu", "target": ["averageUtilization": 80, "type": "Utilization"]], "type": "Resource"]]
        }
        spec.withObject("behavior") { behavior in
            behavior.fill("scaleUp", [:])
            behavior.withObject("scaleUp") { rules in
                rules.fill("selectPolicy", "Max")
                rules.fill("stabilizationWindowSeconds", 0)
                if !rules.hasElements("policies") {
                    rules["policies"] = [["type": "Pods", "value": 4, "periodSeconds": 15], ["type": "Percent", "value": 100, "periodSeconds": 15]]
                }
            }
            behavior.fill("scaleDown", [:])
            behavior.withObject("scaleDown") { rules in
                rules.fill("selectPolicy", "Max")
                if !rules.hasElements("policies") { rules["policies"] = [["type": "Percent", "value": 100, "periodSeconds": 15]] }
            }
        }
    }

    private static func horizontalPodAutoscalerStatus(_ status: inout Value) {
        if status["currentMetrics"] == nil { status["currentMetrics"] = .null }
        status.fill("desiredReplicas", 0)
    }
}
