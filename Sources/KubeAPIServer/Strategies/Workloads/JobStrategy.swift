import KubeAPI

/// Upstream: pkg/registry/batch/job.jobStrategy with batch/validation.ValidateJob.
struct JobStrategy: ResourceStrategy {
    static let controllerUID = "batch.kubernetes.io/controller-uid"
    static let jobName = "batch.kubernetes.io/job-name"
    /// Upstream: the names of these labels before 1.27, still written.
    static let formerControllerUID = "controller-uid"
    static let formerJobName = "job-name"

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = [:]
        guard object[path: "spec", "manualSelector"]?.bool != true else { return }
        // Upstream: generateSelector: the Job's own uid picks its pods.
        let uid = object[path: "metadata", "uid"] ?? ""
        let name = object[path: "metadata", "name"] ?? ""
        for (key, value) in [(Self.controllerUID, uid), (Self.formerControllerUID, uid), (Self.jobName, name), (Self.formerJobName, name)] {
            // A label that is there already is told of when it is not the Job's.
            if object[path: "spec", "template", "metadata", "labels", key] == nil {
                object[path: "spec", "template", "metadata", "labels", key] = value
            }
        }
        if object[path: "spec", "selector"] == nil { object[path: "spec", "selector"] = .object(Members()) }
        if object[path: "spec", "selector", "matchLabels", Self.controllerUID] == nil {
            object[path: "spec", "selector", "matchLabels", Self.controllerUID] = uid
        }
        // Upstream: SetDefaults_Job: a Job without labels has its pods'.
        if object[path: "metadata", "labels"]?.object?.isEmpty ?? true {
            object[path: "metadata", "labels"] = object[path: "spec", "template", "metadata", "labels"]
        }
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        generatedSelector(object, &errors)
        validateSpec(spec, &errors)
        if spec["completionMode"].string == "Indexed", let completions = spec["completions"].int, completions > 0 {
            let hostname = "\(object.metadata.name)-\(completions - 1)"
            if !Names.problems(hostname, .dnsLabel).isEmpty {
                errors.invalid(
                    "metadata.name", text: object.metadata.name, "will not able to create pod with invalid DNS label: \(hostname)")
            }
        }
        return errors.causes
    }

    private func validateSpec(_ spec: JSONView?, _ errors: inout FieldErrors) {
        JobValidation(path: "spec").validate(spec, &errors)
        guard let selector = spec["selector"].present else { return errors.required("spec.selector") }
        errors.labelSelector("spec.selector", selector)
        let labels = spec["template"]["metadata"]["labels"].stringMap
        // One that does not read was complained of above.
        if let parsed = try? LabelSelector(object: selector), !parsed.matches(labels) {
            errors.invalid("spec.template.metadata.labels", Value(labels), "`selector` does not match template `labels`")
        }
    }

    /// Upstream: batch/validation.validateGeneratedSelector.
    private func generatedSelector(_ object: Object, _ errors: inout FieldErrors) {
        let spec = object["spec"]
        guard spec["manualSelector"].bool != true, let selector = spec["selector"].present else { return }
        let uid = object.metadata.uid
        let name = object.metadata.name
        if uid.isEmpty { errors.required("metadata.uid") }
        let labels = spec["template"]["metadata"]["labels"].stringMap
        let expected = [(Self.formerControllerUID, uid), (Self.formerJobName, name), (Self.controllerUID, uid), (Self.jobName, name)]
        for (key, value) in expected where labels[key] != value {
            let field = "spec.template.metadata.labels[\(key)]"
            if labels[key] == nil {
                errors.required(field, "must be '\(value)'")
            } else {
                errors.invalid(field, Value(labels), "must be '\(value)'")
            }
        }
        // One that does not read is complained of elsewhere.
        if let parsed = try? LabelSelector(object: selector), !parsed.matches(Dictionary(expected) { first, _ in first }) {
            errors.invalid("spec.selector", selector.value, "`selector` not auto-generated")
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return JobStatusValidation.validate(object, old: old) }
        var errors = FieldErrors()
        let spec = object["spec"]
        let before = old["spec"]
        guard FieldErrors.differ(spec, before) else { return [] }
        validateSpec(spec, &errors)
        // Elastic indexed jobs change both numbers together.
        if spec["completionMode"].string != "Indexed" {
            errors.immutable("spec.completions", spec["completions"], before["completions"])
        } else if let completions = spec["completions"].int, completions != before["completions"].int, completions != spec["parallelism"].int {
            errors.invalid("spec.completions", .int(completions), "can only be modified in tandem with spec.parallelism")
        }
        errors.immutable("spec.selector", spec["selector"], before["selector"])
        template(object, old, &errors)
        for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
            errors.immutable("spec.\(field)", spec[field], before[field])
        }
        return errors.causes
    }

    private func template(_ new: Object, _ old: Object, _ errors: inout FieldErrors) {
        guard FieldErrors.differ(new["spec"]["template"], old["spec"]["template"]) else { return }
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

    func warnings(_ object: Object, old: Object?) -> [String] {
        var found: [String] = []
        let spec = object["spec"]
        if old == nil, spec["completionMode"].string == "Indexed", let completions = spec["completions"].int,
            let parallelism = spec["parallelism"].int, completions > JobValidation.manyCompletions, parallelism > JobValidation.parallelismOfMany
        {
            found.append(
                "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
                    + "Kubernetes might not be able to track "
                    + "completedIndexes when a big number of indexes fail")
        }
        return found + WorkloadValidation.templateWarnings(object, old: old)
    }
}

/// What a Job's status may say and become. Upstream: batch/validation.ValidateJobStatusUpdate with the options of jobStatusStrategy, which look
/// only at what an update changes.
enum JobStatusValidation {
    static func validate(_ new: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let status = new["status"]
        let before = old["status"]
        for field in ["active", "succeeded", "failed", "ready", "terminating"] { errors.nonnegative("status.\(field)", status[field]) }
        uncounted(status, &errors)
        func isTrue(_ status: JSONView?, _ type: String) -> Bool {
            status["conditions"].elements.contains { $0["type"].text == type && $0["status"].text == "True" }
        }
        let complete = isTrue(status, "Complete")
        let failed = isTrue(status, "Failed")
        let conditions = "status.conditions"
        let changesConditions = FieldErrors.differ(status["conditions"], before["conditions"])
        if changesConditions {
            let target = isTrue(status, "FailureTarget")
            let criteria = isTrue(status, "SuccessCriteriaMet")
            if complete, failed { errors.invalid(conditions, "cannot set Complete=True and Failed=true conditions") }
            if complete, target { errors.invalid(conditions, "cannot set Complete=True and FailureTarget=true conditions") }
            if complete, status["completionTime"].present == nil {
                errors.required("status.completionTime", "completionTime is required for Complete jobs")
            }
            if failed, !target { errors.invalid(conditions, "cannot set Failed=True condition without the FailureTarget=true condition") }
            if complete, !criteria { errors.invalid(conditions, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition") }
            if criteria, failed { errors.invalid(conditions, "cannot set SuccessCriteriaMet=True and Failed=true conditions") }
            if criteria, target { errors.invalid(conditions, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions") }
        }
        if complete || failed, changesConditions {
            if let active = status["active"].int, active > 0 {
                errors.invalid("status.active", .int(active), "active>0 is invalid for finished job")
            }
            if status["startTime"].present == nil { errors.required("status.startTime", "startTime is required for finished job") }
            if let terminating = status["terminating"].int, terminating > 0 {
                errors.invalid("status.terminating", .int(terminating), "terminating>0 is invalid for finished job")
            }
        }
        if FieldErrors.differ(status["completionTime"], before["completionTime"]), let time = status["completionTime"].present {
            if !complete {
                errors.invalid("status.completionTime", time.value, "cannot set completionTime when there is no Complete=True condition")
            }
            if before["completionTime"].present != nil {
                errors.invalid("status.completionTime", time.value, "completionTime cannot be mutated")
            }
        }
        indexes(new, before, &errors)
        for type in ["Failed", "Complete", "FailureTarget"] where isTrue(before, type) && !isTrue(status, type) {
            errors.invalid(conditions, "cannot disable the terminal \(type)=True condition")
        }
        if isTrue(before, "SuccessCriteriaMet"), !isTrue(status, "SuccessCriteriaMet") {
            errors.invalid(conditions, "cannot disable the SuccessCriteriaMet=True condition")
        }
        let isElastic = new["spec"]["completionMode"].string == "Indexed"
        for field in ["failed", "succeeded"] {
            let count = status[field].int ?? 0
            if count < before[field].int ?? 0, !(isElastic && field == "succeeded") {
                errors.invalid("status.\(field)", .int(count), "cannot decrease the \(field) counter")
            }
        }
        if let start = before["startTime"].string, status["startTime"].string != start, new["spec"]["suspend"].bool != true {
            errors.required("status.startTime", "startTime cannot be removed for unsuspended job")
        }
        return errors.causes
    }

    private static func uncounted(_ status: JSONView?, _ errors: inout FieldErrors) {
        var seen: Set<String> = []
        for list in ["succeeded", "failed"] {
            for (index, uid) in status["uncountedTerminatedPods"][list].strings.enumerated() {
                let place = "status.uncountedTerminatedPods.\(list)[\(index)]"
                if uid.isEmpty {
                    errors.invalid(place, text: "", "must not be empty")
                } else if !seen.insert(uid).inserted {
                    errors.duplicate(place, .string(uid))
                }
            }
        }
    }

    private static func indexes(_ new: Object, _ before: JSONView?, _ errors: inout FieldErrors) {
        let status = new["status"]
        let spec = new["spec"]
        let completed = status["completedIndexes"].text
        let failed = status["failedIndexes"].string
        if completed != before["completedIndexes"].text {
            if !completed.isEmpty, spec["completionMode"].string != "Indexed" {
                errors.invalid(
                    "status.completedIndexes", text: completed, "cannot set non-empty completedIndexes when non-indexed completion mode")
            }
            if let completions = spec["completions"].int, case .failure(let problem) = JobIndexes.count(completed, completions: completions) {
                errors.invalid("status.completedIndexes", text: completed, "error parsing completedIndexes: \(problem.text)")
            }
        }
        guard let failed, failed != before["failedIndexes"].string else { return }
        guard spec["backoffLimitPerIndex"].int != nil else {
            return errors.invalid("status.failedIndexes", text: failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null")
        }
        guard let completions = spec["completions"].int else { return }
        switch (JobIndexes.intervals(failed, completions: completions), JobIndexes.intervals(completed, completions: completions)) {
        case (.failure(let problem), _): errors.invalid("status.failedIndexes", text: failed, "error parsing failedIndexes: \(problem.text)")
        case (.success(let bad), .success(let good)):
            if let overlap = bad.lazy.compactMap({ bad in good.first { $0.overlaps(bad) }.map { max($0.lowerBound, bad.lowerBound) } }).first {
                errors.invalid("status.failedIndexes", text: failed, "failedIndexes and completedIndexes overlap at index: \(overlap)")
            }
        default: break
        }
    }
}
