import KubeAPI

/// A pod as the checks see it: its own metadata or that of a template.
struct PodSecuritySubject {
    let metadata: JSONView?
    let spec: JSONView?
    /// All containers: init, ordinary, ephemeral. Upstream: policy.visitContainers.
    let containers: [JSONView]

    init(metadata: JSONView?, spec: JSONView?) {
        self.metadata = metadata
        self.spec = spec
        containers = ["initContainers", "containers", "ephemeralContainers"].flatMap { spec[$0].elements }
    }

    var context: JSONView? { spec["securityContext"] }
    var isWindows: Bool { spec["os"]["name"].string == "windows" }
    /// Root inside is nobody outside. Upstream: relaxPolicyForUserNamespacePod.
    var hasUserNamespace: Bool { spec["hostUsers"].bool == false }

    /// Names of the containers for which `isBad` holds.
    func names(_ isBad: (JSONView) -> Bool) -> [String] { containers.filter(isBad).map { $0["name"].string ?? "" } }
}

/// What a check has against a pod. Upstream: policy.CheckResult.
struct PodSecurityViolation: Sendable, Equatable {
    var reason: String
    /// Empty: there is no more to say.
    var detail: String
}

/// One control of the Pod Security Standards with the forms it had. Upstream: policy.Check, with the files check_*.go.
struct PodSecurityCheck: Sendable {
    typealias Function = @Sendable (PodSecuritySubject) -> PodSecurityViolation?
    /// The form that counts from a minor version on.
    struct Form: Sendable {
        var since: Int
        /// Checks of the baseline that this one includes.
        var overrides: [String] = []
        var check: Function
    }

    let id: String
    let level: PodSecurityLevel
    /// Oldest first.
    let forms: [Form]

    init(_ id: String, _ level: PodSecurityLevel, _ forms: [Form]) {
        self.id = id
        self.level = level
        self.forms = forms
    }

    func form(at minor: Int) -> Form? { forms.last { $0.since <= minor } }
}

/// The words of violations. Upstream: policy/helpers.go.
enum PodSecurityWords {
    static func quoted(_ names: [String]) -> String { names.map { "\"\($0)\"" }.joined(separator: ", ") }
    static func plural(_ one: String, _ many: String, _ count: Int) -> String { count == 1 ? one : many }
    static func containers(_ names: [String]) -> String { "\(plural("container", "containers", names.count)) \(quoted(names))" }

    /// `pod and container "a"`; empty when neither sets it.
    static func setters(pod: Bool, _ names: [String]) -> String {
        ((pod ? ["pod"] : []) + (names.isEmpty ? [] : [containers(names)])).joined(separator: " and ")
    }
}

/// Picks the checks of a level and version and runs them. Upstream: policy.checkRegistry.
enum PodSecurityEvaluator {
    /// Newer versions are checked as this one. It is the newest that any check has a form for.
    static let newestMinor = 35
    private static let checks = (PodSecurityBaseline.checks + PodSecurityRestricted.checks)

    /// The functions for a level and version, those of the baseline first, each part by id.
    private static let table: [[PodSecurityLevel: [PodSecurityCheck.Function]]] = (0...newestMinor).map { minor in
        func active(_ level: PodSecurityLevel) -> [(id: String, form: PodSecurityCheck.Form)] {
            checks.filter { $0.level == level }.compactMap { check in check.form(at: minor).map { (check.id, $0) } }.sorted { $0.id < $1.id }
        }
        let baseline = active(.baseline)
        let restricted = active(.restricted)
        let overridden = Set(restricted.flatMap(\.form.overrides))
        return [
            .baseline: baseline.map(\.form.check),
            .restricted: baseline.filter { !overridden.contains($0.id) }.map(\.form.check) + restricted.map(\.form.check),
        ]
    }

    static func evaluate(_ policy: PodSecurityLevelVersion, _ subject: PodSecuritySubject) -> [PodSecurityViolation] {
        guard policy.level != .privileged else { return [] }
        let minor = min(policy.version.minor ?? newestMinor, newestMinor)
        return (table[minor][policy.level] ?? []).compactMap { $0(subject) }
    }

    /// `reason (detail), reason`. Upstream: AggregateCheckResult.ForbiddenDetail.
    static func details(_ violations: [PodSecurityViolation]) -> String {
        violations.map { $0.detail.isEmpty ? $0.reason : "\($0.reason) (\($0.detail))" }.joined(separator: ", ")
    }

    static func reasons(_ violations: [PodSecurityViolation]) -> String { violations.map(\.reason).joined(separator: ", ") }
}
