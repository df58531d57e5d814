import KubeAPI

#if canImport(Glibc)
    internal import Glibc
#endif

/// Upstream: pkg/registry/batch/cronjob with batch/validation.ValidateCronJobCreate.
struct CronJobStrategy: ResourceStrategy {
    /// Upstream: a CronJob's jobs add eleven characters to its name.
    static let maximumName = 52

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        spec(object["spec"], old: nil, &errors)
        if object.metadata.name.utf8.count > Self.maximumName {
            errors.invalid("metadata.name", text: object.metadata.name, "must be no more than \(Self.maximumName) characters")
        }
        return errors.causes
    }

    private func spec(_ spec: JSONView?, old: JSONView?, _ errors: inout FieldErrors) {
        if let schedule = errors.requireText("spec.schedule", spec["schedule"]) {
            if let problem = CronSchedule.problem(schedule) { errors.invalid("spec.schedule", text: schedule, problem) }
            if schedule.contains("TZ") {
                let mayHave = old["schedule"].text.contains("TZ")
                if mayHave, spec["timeZone"].present != nil {
                    errors.invalid("spec.schedule", text: schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule")
                } else if !mayHave {
                    errors.invalid("spec.schedule", text: schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
                }
            }
        }
        errors.nonnegative("spec.startingDeadlineSeconds", spec["startingDeadlineSeconds"])
        if old == nil || spec["timeZone"].string != old["timeZone"].string { timeZone(spec["timeZone"], &errors) }
        errors.oneOf("spec.concurrencyPolicy", spec["concurrencyPolicy"], ["Allow", "Forbid", "Replace"], isRequired: true)
        let job = spec["jobTemplate"]["spec"]
        if old == nil || FieldErrors.differ(job, old["jobTemplate"]["spec"]) {
            JobValidation(path: "spec.jobTemplate.spec").validate(job, &errors)
            if let selector = job["selector"].present {
                errors.invalid("spec.jobTemplate.spec.selector", selector.value, "`selector` will be auto-generated")
            }
            if job["manualSelector"].bool == true {
                errors.append([
                    StatusError.Cause(
                        reason: "FieldValueNotSupported", message: "Unsupported value: true: supported values: \"nil\", \"false\"",
                        field: "spec.jobTemplate.spec.manualSelector")
                ])
            }
        }
        errors.nonnegative("spec.successfulJobsHistoryLimit", spec["successfulJobsHistoryLimit"])
        errors.nonnegative("spec.failedJobsHistoryLimit", spec["failedJobsHistoryLimit"])
    }

    private func timeZone(_ view: JSONView?, _ errors: inout FieldErrors) {
        guard let zone = view.string else { return }
        if zone.isEmpty { return errors.invalid("spec.timeZone", text: zone, "timeZone must be nil or non-empty string") }
        if !TimeZones.isWellFormed(zone) { return errors.invalid("spec.timeZone", text: zone, "unknown time zone \(zone)") }
        if zone.lowercased() == "local" {
            errors.invalid(
                "spec.timeZone", text: zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")
        }
        if !TimeZones.exists(zone) { errors.invalid("spec.timeZone", text: zone, "unknown time zone \(zone)") }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return [] }
        var errors = FieldErrors()
        spec(object["spec"], old: old["spec"], &errors)
        return errors.causes
    }

    func warnings(_ object: Object, old: Object?) -> [String] {
        var found: [String] = []
        if old == nil, !Names.problems(object.metadata.name, .dnsLabel).isEmpty {
            found.append(
                "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: "
                    + "\(quotedList(Names.problems(object.metadata.name, .dnsLabel)))")
        }
        let template = object["spec"]["jobTemplate"]["spec"]["template"]
        found += PodWarnings.warnings(
            template["spec"], template["metadata"], path: "spec.jobTemplate.spec.template",
            old: old?["spec"]["jobTemplate"]["spec"]["template"]["spec"])
        if object["spec"]["schedule"].text.contains("TZ") {
            found.append("cannot use TZ or CRON_TZ in spec.schedule, use timeZone instead")
        }
        return found
    }
}

/// Names of time zones. Upstream: batch/validation.validateTimeZone.
enum TimeZones {
    private static let database = "/usr/share/zoneinfo/"

    static func isWellFormed(_ name: String) -> Bool {
        name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            guard (1...14).contains(part.utf8.count), part != ".", part != "..", !part.hasPrefix("-") else { return false }
            return part.utf8.allSatisfy { c in
                let letter = c | 0x20
                return (letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z")) || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9"))
                    || c == UInt8(ascii: ".") || c == UInt8(ascii: "-") || c == UInt8(ascii: "_") || c == UInt8(ascii: "+")
            }
        }
    }

    /// Whether the system's database has the zone. A system without the database knows none and refuses none.
    static func exists(_ name: String) -> Bool {
        if name == "UTC" || name.lowercased() == "local" { return true }
        guard access(database, R_OK) == 0 else { return true }
        var status = stat()
        return stat(database + name, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}

/// What is wrong with a schedule, in the words of the parser upstream uses. Upstream: github.com/robfig/cron/v3.ParseStandard.
enum CronSchedule {
    private static let descriptors: Set<String> = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]
    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    private struct Bounds {
        var range: ClosedRange<Int>
        var names: [String] = []
    }
    private static let fields = [
        Bounds(range: 0...59), Bounds(range: 0...23), Bounds(range: 1...31), Bounds(range: 1...12, names: months), Bounds(range: 0...6, names: days),
    ]

    static func problem(_ schedule: String) -> String? {
        var text = schedule
        if text.hasPrefix("TZ=") || text.hasPrefix("CRON_TZ="), let equals = text.firstIndex(of: "=") {
            let rest = text[text.index(after: equals)...]
            let zone = String(rest.prefix { $0 != " " })
            if !TimeZones.exists(zone) { return "provided bad location \(zone): unknown time zone \(zone)" }
            text = String(rest.dropFirst(zone.count))
            while text.hasPrefix(" ") { text.removeFirst() }
        }
        if text.hasPrefix("@") { return descriptorProblem(text) }
        let parts = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard parts.count == fields.count else {
            return text.isEmpty
                ? "empty spec string"
                : "expected exactly \(fields.count) fields, found \(parts.count): [\(parts.joined(separator: " "))]"
        }
        for (part, bounds) in zip(parts, fields) {
            for range in part.split(separator: ",") { if let problem = rangeProblem(String(range), bounds) { return problem } }
        }
        return nil
    }

    private static func descriptorProblem(_ text: String) -> String? {
        if descriptors.contains(text) { return nil }
        let every = "@every "
        guard text.hasPrefix(every) else { return "unrecognized descriptor: \(text)" }
        let duration = String(text.dropFirst(every.count))
        return isDuration(duration) ? nil : "failed to parse duration \(text): time: invalid duration \(duration.goQuoted)"
    }

    /// Go's durations: numbers with units.
    private static func isDuration(_ text: String) -> Bool {
        var rest = Substring(text)
        if let sign = rest.first, sign == "-" || sign == "+" { rest = rest.dropFirst() }
        if rest == "0" { return true }
        guard !rest.isEmpty else { return false }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            guard !number.isEmpty, number != ".", number.filter({ $0 == "." }).count <= 1 else { return false }
            rest = rest.dropFirst(number.count)
            guard let unit = ["ns", "us", "µs", "ms", "s", "m", "h"].filter({ rest.hasPrefix($0) }).max(by: { $0.count < $1.count }) else {
                return false
            }
            rest = rest.dropFirst(unit.count)
        }
        return true
    }

    private static func rangeProblem(_ text: String, _ bounds: Bounds) -> String? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let limits = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        var low = bounds.range.lowerBound
        var high = bounds.range.upperBound
        if limits.first != "*", limits.first != "?" {
            var numbers: [Int] = []
            for limit in limits.prefix(2) {
                switch number(limit, bounds) {
                case .success(let found): numbers.append(found)
                case .failure(let problem): return problem.text
                }
            }
            if limits.count > 2 { return "too many hyphens: \(text)" }
            low = numbers.first ?? low
            high = numbers.last ?? low
        }
        var step = 1
        if parts.count == 2 {
            switch number(parts[1], Bounds(range: 0...0)) {
            case .success(let found): step = found
            case .failure(let problem): return problem.text
            }
            if limits.count == 1 { high = bounds.range.upperBound }
        } else if parts.count > 2 {
            return "too many slashes: \(text)"
        }
        if low < bounds.range.lowerBound { return "beginning of range (\(low)) below minimum (\(bounds.range.lowerBound)): \(text)" }
        if high > bounds.range.upperBound { return "end of range (\(high)) above maximum (\(bounds.range.upperBound)): \(text)" }
        if low > high { return "beginning of range (\(low)) beyond end of range (\(high)): \(text)" }
        return step == 0 ? "step of range should be a positive number: \(text)" : nil
    }

    private struct Problem: Error { var text: String }

    private static func number(_ text: String, _ bounds: Bounds) -> Result<Int, Problem> {
        if let place = bounds.names.firstIndex(of: text.lowercased()) { return .success(place + bounds.range.lowerBound) }
        guard let number = Int(text) else {
            return .failure(Problem(text: "failed to parse int from \(text): strconv.Atoi: parsing \(text.goQuoted): invalid syntax"))
        }
        return number < 0 ? .failure(Problem(text: "negative number (\(number)) not allowed: \(text)")) : .success(number)
    }
}
