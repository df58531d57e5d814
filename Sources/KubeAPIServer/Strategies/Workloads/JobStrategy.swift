import KubeAPI

/// Upstream: pkg/registry/batch/job.jobStrategy with batch/validation.ValidateJob.
struct JobStrategy: ResourceStrategy {
    static let controllerUID = "batch.kubernetes.io/controller-uid"
    static let jobName = "batch.kubernetes.io/job-name"
    /// Upstream: the names of these labels before 1.27, still written.
    static let formerControllerUID = "controller-uid"
    static let formerJobName = "job-name"
    static let restartPolicies = ["OnFailure", "Never"]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = [:]
        guard object[path: "spec", "manualSelector"]?.bool != true else { return }
        // Upstream: generateSelector: the Job's own uid picks its pods.
        let uid = object[path: "metadata", "uid"] ?? ""
        let name = object[path: "metadata", "name"] ?? ""
        for (key, value) in [(Self.controllerUID, uid), (Self.formerControllerUID, uid), (Self.jobName, name), (Self.formerJobName, name)] {
            object[path: "spec", "template", "metadata", "labels", key] = value
        }
        if object[path: "spec", "selector"] == nil { object[path: "spec", "selector"] = .object(Members()) }
        object[path: "spec", "selector", "matchLabels", Self.controllerUID] = uid
        // Upstream: SetDefaults_Job: a Job without labels has its pods'.
        if object[path: "metadata", "labels"]?.object?.isEmpty ?? true {
            object[path: "metadata", "labels"] = object[path: "spec", "template", "metadata", "labels"]
        }
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        Self.validateSpec(object["spec"], "spec", &errors)
        let spec = object["spec"]
        if spec["selector"].present == nil {
            errors.required("spec.selector")
        } else {
            errors.labelSelector("spec.selector", spec["selector"])
            let labels = spec["template"]["metadata"]["labels"].stringMap
            // One that does not read was complained of above.
            if let selector = try? LabelSelector(object: spec["selector"]), !selector.matches(labels) {
                errors.invalid("spec.template.metadata.labels", Value(labels), "`selector` does not match template `labels`")
            }
        }
        return errors.causes
    }

    /// The rules of a Job's spec, its own or in a CronJob's template.
    static func validateSpec(_ spec: JSONView?, _ path: String, _ errors: inout FieldErrors) {
        for field in [
            "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex",
            "maxFailedIndexes",
        ] {
            errors.nonnegative("\(path).\(field)", spec[field])
        }
        errors.oneOf("\(path).completionMode", spec["completionMode"], ["NonIndexed", "Indexed"])
        if spec["completionMode"].string == "Indexed", spec["completions"].int == nil {
            errors.required("\(path).completions", "when completion mode is Indexed")
        }
        if spec["template"].present == nil { errors.required("\(path).template") }
        let template = spec["template"]["spec"]
        PodSpecValidation(path: "\(path).template.spec").validate(template, &errors)
        let policy = template["restartPolicy"].string ?? ""
        if policy.isEmpty || policy == "Always" {
            errors.required("\(path).template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\"")
        }
        if spec["podFailurePolicy"].present != nil, policy != "Never" {
            errors.invalid("\(path).template.spec.restartPolicy", .string(policy), "only \"Never\" is supported when podFailurePolicy is specified")
        }
        errors.oneOf("\(path).podReplacementPolicy", spec["podReplacementPolicy"], ["Failed", "TerminatingOrFailed"])
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return [] }
        var errors = FieldErrors()
        errors.append(validate(object))
        let isIndexed = object["spec"]["completionMode"].string == "Indexed"
        // Elastic indexed jobs change both numbers together.
        if !isIndexed || object["spec"]["completions"].int != object["spec"]["parallelism"].int {
            errors.immutable("spec.completions", object["spec"]["completions"], old["spec"]["completions"])
        }
        errors.immutable("spec.selector", object["spec"]["selector"], old["spec"]["selector"])
        template(object, old, &errors)
        errors.immutable("spec.completionMode", object["spec"]["completionMode"], old["spec"]["completionMode"])
        errors.immutable("spec.podFailurePolicy", object["spec"]["podFailurePolicy"], old["spec"]["podFailurePolicy"])
        errors.immutable("spec.backoffLimitPerIndex", object["spec"]["backoffLimitPerIndex"], old["spec"]["backoffLimitPerIndex"])
        return errors.causes
    }

    private func template(_ new: Object, _ old: Object, _ errors: inout FieldErrors) {
        // A suspended job that never ran may still be sent elsewhere. Upstream: jobStrategy's MutableSchedulingDirectives.
        let mayMove = old["spec"]["suspend"].bool == true && old["status"]["startTime"].present == nil
        func comparable(_ job: Object) -> Value {
            var template = job["spec"]["template"].value ?? .null
            guard mayMove else { return template.pruned }
            for field in ["nodeSelector", "tolerations", "schedulingGates"] { template[path: "spec", field] = nil }
            template[path: "spec", "affinity", "nodeAffinity"] = nil
            for field in ["labels", "annotations"] { template[path: "metadata", field] = nil }
            return template.pruned
        }
        if comparable(new) != comparable(old) {
            errors.invalid("spec.template", new["spec"]["template"].value ?? .null, "field is immutable")
        }
    }
}

/// Upstream: pkg/registry/batch/cronjob with batch/validation.ValidateCronJob.
struct CronJobStrategy: ResourceStrategy {
    /// Upstream: a CronJob's jobs add eleven characters to its name.
    static let maximumName = 52

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        if object.metadata.name.utf8.count > Self.maximumName {
            errors.invalid("metadata.name", .string(object.metadata.name), "must be no more than \(Self.maximumName) characters")
        }
        let schedule = spec["schedule"].string ?? ""
        if schedule.isEmpty {
            errors.required("spec.schedule")
        } else if schedule.contains("TZ") {
            errors.invalid("spec.schedule", .string(schedule), "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
        } else if !schedule.hasPrefix("@") {
            let fields = schedule.split(separator: " ").count
            if fields != 5 {
                errors.invalid("spec.schedule", .string(schedule), "expected exactly 5 fields, found \(fields): \(quotedList([schedule]))")
            }
        }
        errors.nonnegative("spec.startingDeadlineSeconds", spec["startingDeadlineSeconds"])
        errors.oneOf("spec.concurrencyPolicy", spec["concurrencyPolicy"], ["Allow", "Forbid", "Replace"], isRequired: true)
        errors.nonnegative("spec.successfulJobsHistoryLimit", spec["successfulJobsHistoryLimit"])
        errors.nonnegative("spec.failedJobsHistoryLimit", spec["failedJobsHistoryLimit"])
        JobStrategy.validateSpec(spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { subresource.isEmpty ? validate(object) : [] }
}
