import KubeAPI

/// The rules of a Job's spec, its own or in a CronJob's template. Upstream: batch/validation.validateJobSpec.
struct JobValidation {
    let path: String

    // Upstream: the constants of pkg/apis/batch/validation.
    static let maximumIndexedParallelism: Int64 = 100_000
    static let maximumFailedIndexes: Int64 = 100_000
    static let manyCompletions: Int64 = 100_000
    static let parallelismOfMany: Int64 = 10_000
    static let failedIndexesOfMany: Int64 = 10_000
    static let maximumRules = 20
    static let maximumExitCodes = 255
    static let maximumConditions = 20
    static let maximumManager = 63
    static let maximumIndexText = 64 * 1024
    static let actions = ["Count", "FailIndex", "FailJob", "Ignore"]

    private func at(_ field: String) -> String { "\(path).\(field)" }

    func validate(_ spec: JSONView?, _ errors: inout FieldErrors) {
        for field in [
            "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex",
            "maxFailedIndexes",
        ] {
            errors.nonnegative(at(field), spec[field])
        }
        if spec["maxFailedIndexes"].int != nil, spec["backoffLimitPerIndex"].int == nil {
            errors.required(at("backoffLimitPerIndex"), "when maxFailedIndexes is specified")
        }
        if let manager = spec["managedBy"].string {
            DomainRules.prefixedPath(at("managedBy"), manager, &errors)
            if manager.utf8.count > Self.maximumManager { errors.tooLong(at("managedBy"), maximum: Self.maximumManager) }
        }
        errors.oneOf(at("completionMode"), spec["completionMode"], ["NonIndexed", "Indexed"])
        let isIndexed = spec["completionMode"].string == "Indexed"
        if isIndexed { indexed(spec, &errors) }
        if spec["completionMode"].string ?? "NonIndexed" == "NonIndexed" {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let number = spec[field].int { errors.invalid(at(field), .int(number), "requires indexed completion mode") }
            }
        }
        if let policy = spec["podFailurePolicy"].present { failurePolicy(policy, spec, &errors) }
        if let policy = spec["successPolicy"].present {
            if isIndexed {
                successPolicy(policy, spec, &errors)
            } else {
                errors.invalid(at("successPolicy"), policy.value, "requires indexed completion mode")
            }
        }
        let hasFailurePolicy = spec["podFailurePolicy"].present != nil
        errors.oneOf(at("podReplacementPolicy"), spec["podReplacementPolicy"], hasFailurePolicy ? ["Failed"] : ["Failed", "TerminatingOrFailed"])
        PodTemplateValidation(path: at("template")).validate(spec["template"], &errors)
        restartPolicy(spec["template"]["spec"]["restartPolicy"].text, hasFailurePolicy: hasFailurePolicy, &errors)
    }

    private func restartPolicy(_ policy: String, hasFailurePolicy: Bool, _ errors: inout FieldErrors) {
        let field = at("template.spec.restartPolicy")
        switch policy {
        case "", "Always": errors.required(field, "valid values: \"OnFailure\", \"Never\"")
        case "OnFailure":
            if hasFailurePolicy { errors.invalid(field, text: policy, "only \"Never\" is supported when podFailurePolicy is specified") }
        case "Never": break
        default: errors.notSupported(field, policy, ["OnFailure", "Never"])
        }
    }

    private func indexed(_ spec: JSONView?, _ errors: inout FieldErrors) {
        let completions = spec["completions"].int
        let parallelism = spec["parallelism"].int
        let failed = spec["maxFailedIndexes"].int
        if completions == nil { errors.required(at("completions"), "when completion mode is Indexed") }
        if let parallelism, parallelism > Self.maximumIndexedParallelism {
            errors.invalid(
                at("parallelism"), .int(parallelism),
                "must be less than or equal to \(Self.maximumIndexedParallelism) when completion mode is Indexed")
        }
        if let failed, let completions, failed > completions {
            errors.invalid(at("maxFailedIndexes"), .int(failed), "must be less than or equal to completions")
        }
        if let failed, failed > Self.maximumFailedIndexes {
            errors.invalid(at("maxFailedIndexes"), .int(failed), "must be less than or equal to \(Self.maximumFailedIndexes)")
        }
        guard let completions, completions > Self.manyCompletions, spec["backoffLimitPerIndex"].int != nil else { return }
        let suffix = "when completions are above \(Self.manyCompletions) and used with backoff limit per index"
        if failed == nil { errors.required(at("maxFailedIndexes"), "must be specified when completions is above \(Self.manyCompletions)") }
        if let parallelism, parallelism > Self.parallelismOfMany {
            errors.invalid(at("parallelism"), .int(parallelism), "must be less than or equal to \(Self.parallelismOfMany) \(suffix)")
        }
        if let failed, failed > Self.failedIndexesOfMany {
            errors.invalid(at("maxFailedIndexes"), .int(failed), "must be less than or equal to \(Self.failedIndexesOfMany) \(suffix)")
        }
    }

    // MARK: Policies

    private func failurePolicy(_ policy: JSONView, _ spec: JSONView?, _ errors: inout FieldErrors) {
        let rules = policy["rules"].elements
        let path = at("podFailurePolicy.rules")
        if rules.count > Self.maximumRules { errors.tooMany(path, rules.count, maximum: Self.maximumRules) }
        let pod = spec["template"]["spec"]
        let names = Set((pod["containers"].elements + pod["initContainers"].elements).map { $0["name"].text })
        for (index, rule) in rules.enumerated() {
            let place = "\(path)[\(index)]"
            switch rule["action"].text {
            case "": errors.required("\(place).action", "valid values: \(quotedList(Self.actions))")
            case "FailIndex":
                if spec["backoffLimitPerIndex"].int == nil {
                    errors.invalid("\(place).action", text: "FailIndex", "requires the backoffLimitPerIndex to be set")
                }
            case let action: if !Self.actions.contains(action) { errors.notSupported("\(place).action", action, Self.actions) }
            }
            let codes = rule["onExitCodes"].present
            let conditions = rule["onPodConditions"].elements
            if let codes { exitCodes(codes, "\(place).onExitCodes", names, &errors) }
            if !conditions.isEmpty { podConditions(conditions, "\(place).onPodConditions", &errors) }
            if codes != nil, !conditions.isEmpty {
                errors.invalid(place, "specifying both OnExitCodes and OnPodConditions is not supported")
            }
            if codes == nil, conditions.isEmpty { errors.invalid(place, "specifying one of OnExitCodes and OnPodConditions is required") }
        }
    }

    private func podConditions(_ conditions: [JSONView], _ path: String, _ errors: inout FieldErrors) {
        if conditions.count > Self.maximumConditions { errors.tooMany(path, conditions.count, maximum: Self.maximumConditions) }
        let supported = ["False", "True", "Unknown"]
        for (index, pattern) in conditions.enumerated() {
            errors.qualifiedName("\(path)[\(index)].type", pattern["type"].text)
            let status = pattern["status"].text
            if status.isEmpty {
                errors.required("\(path)[\(index)].status", "valid values: \(quotedList(supported))")
            } else if !supported.contains(status) {
                errors.notSupported("\(path)[\(index)].status", status, supported)
            }
        }
    }

    private func exitCodes(_ codes: JSONView, _ path: String, _ names: Set<String>, _ errors: inout FieldErrors) {
        let operation = codes["operator"].text
        if operation.isEmpty {
            errors.required("\(path).operator", "valid values: [\"In\" \"NotIn\"]")
        } else if operation != "In", operation != "NotIn" {
            errors.notSupported("\(path).operator", operation, ["In", "NotIn"])
        }
        if let name = codes["containerName"].string, !names.contains(name) {
            errors.invalid(
                "\(path).containerName", text: name, "must be one of the container or initContainer names in the pod template")
        }
        let values = codes["values"].elements.map { $0.int ?? 0 }
        let list = Value.array(values.map { .int($0) })
        if values.isEmpty {
            errors.invalid("\(path).values", list, "at least one value is required")
        } else if values.count > Self.maximumExitCodes {
            errors.tooMany("\(path).values", values.count, maximum: Self.maximumExitCodes)
        }
        var seen: Set<Int64> = []
        for (index, value) in values.enumerated() {
            if operation == "In", value == 0 { errors.invalid("\(path).values[\(index)]", 0, "must not be 0 for the In operator") }
            if !seen.insert(value).inserted { errors.duplicate("\(path).values[\(index)]", .int(value)) }
        }
        if zip(values, values.dropFirst()).contains(where: { $0 > $1 }) { errors.invalid("\(path).values", list, "must be ordered") }
    }

    private func successPolicy(_ policy: JSONView, _ spec: JSONView?, _ errors: inout FieldErrors) {
        let path = at("successPolicy.rules")
        let rules = policy["rules"].elements
        if rules.isEmpty { errors.required(path, "at least one rules must be specified when the successPolicy is specified") }
        if rules.count > Self.maximumRules { errors.tooMany(path, rules.count, maximum: Self.maximumRules) }
        guard let completions = spec["completions"].int else { return }
        for (index, rule) in rules.enumerated() {
            let place = "\(path)[\(index)]"
            let indexes = rule["succeededIndexes"].string
            let count = rule["succeededCount"].int
            if indexes == nil, count == nil {
                errors.required(place, "at least one of succeededCount or succeededIndexes must be specified")
            }
            var total: Int64 = 0
            if let indexes {
                if indexes.utf8.count > Self.maximumIndexText { errors.tooLong("\(place).succeededIndexes", maximum: Self.maximumIndexText) }
                switch JobIndexes.count(indexes, completions: completions) {
                case .success(let found): total = found
                case .failure(let problem):
                    errors.invalid("\(place).succeededIndexes", text: indexes, "error parsing succeededIndexes: \(problem.text)")
                }
            }
            guard let count else { continue }
            errors.nonnegative("\(place).succeededCount", rule["succeededCount"])
            if count > completions {
                errors.invalid(
                    "\(place).succeededCount", .int(count), "must be less than or equal to \(completions) (the number of specified completions)")
            }
            if indexes != nil, count > total {
                errors.invalid(
                    "\(place).succeededCount", .int(count),
                    "must be less than or equal to \(total) (the number of indexes in the specified succeededIndexes field)")
            }
        }
    }
}

/// Lists of a Job's indexes such as `1,3-5`. Upstream: batch/validation.validateIndexesFormat.
enum JobIndexes {
    struct Problem: Error { var text: String }

    /// How many indexes the list has.
    static func count(_ text: String, completions: Int64) -> Result<Int64, Problem> {
        intervals(text, completions: completions).map { $0.reduce(0) { $0 + $1.count64 } }
    }

    static func intervals(_ text: String, completions: Int64) -> Result<[ClosedRange<Int64>], Problem> {
        var found: [ClosedRange<Int64>] = []
        if text.isEmpty { return .success(found) }
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            switch interval(String(part), completions) {
            case .failure(let problem): return .failure(problem)
            case .success(let interval):
                if let last = found.last?.upperBound, last >= interval.lowerBound {
                    return .failure(Problem(text: "non-increasing order, previous: \(last), current: \(interval.lowerBound)"))
                }
                found.append(interval)
            }
        }
        return .success(found)
    }

    private static func interval(_ text: String, _ completions: Int64) -> Result<ClosedRange<Int64>, Problem> {
        let limits = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        if limits.count > 2 {
            return .failure(
                Problem(
                    text:
                        "the fragment \(text.goQuoted) violates the requirement that an index interval can have at most two parts separated by '-'"))
        }
        var numbers: [Int64] = []
        for limit in limits {
            guard let number = Int64(limit) else { return .failure(Problem(text: "cannot convert string to integer for index: \(limit.goQuoted)")) }
            if number >= completions { return .failure(Problem(text: "too large index: \(limit.goQuoted)")) }
            numbers.append(number)
        }
        guard let first = numbers.first, let last = numbers.last else {
            return .failure(Problem(text: "cannot convert string to integer for index: \"\""))
        }
        if numbers.count == 2, first >= last {
            return .failure(Problem(text: "non-increasing order, previous: \(first), current: \(last)"))
        }
        return .success(first...last)
    }
}

extension ClosedRange<Int64> {
    fileprivate var count64: Int64 { upperBound &- lowerBound &+ 1 }
}
