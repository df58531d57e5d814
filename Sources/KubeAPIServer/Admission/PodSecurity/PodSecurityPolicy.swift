import KubeAPI

/// The Pod Security Standards' levels, from loose to strict. Upstream: k8s.io/pod-security-admission/api.Level.
enum PodSecurityLevel: String, Sendable, Comparable {
    case privileged
    case baseline
    case restricted

    private var strictness: Int { self == .privileged ? 0 : self == .baseline ? 1 : 2 }
    static func < (a: Self, b: Self) -> Bool { a.strictness < b.strictness }
}

/// The release whose form of a level counts: `v1.25` or `latest`. Upstream: api.Version.
struct PodSecurityVersion: Sendable, Hashable, CustomStringConvertible {
    /// The minor of v1; nil: the newest.
    var minor: Int?
    static let latest = PodSecurityVersion(minor: nil)

    var description: String { minor.map { "v1.\($0)" } ?? "latest" }

    /// Nil for anything but `latest` and `v1.N`, where N has no leading zeros. Upstream: api.ParseVersion.
    init?(_ text: String) {
        if text == "latest" {
            minor = nil
            return
        }
        guard text.hasPrefix("v1.") else { return nil }
        let digits = text.dropFirst(3)
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), digits == "0" || digits.first != "0", let number = Int(digits)
        else { return nil }
        minor = number
    }

    init(minor: Int?) { self.minor = minor }
}

/// Upstream: api.LevelVersion.
struct PodSecurityLevelVersion: Sendable, Hashable, CustomStringConvertible {
    var level: PodSecurityLevel
    var version: PodSecurityVersion
    var description: String { "\(level.rawValue):\(version)" }
}

/// What a namespace's labels ask for. Upstream: api.Policy with PolicyToEvaluate.
struct PodSecurityPolicy: Sendable, Equatable {
    static let labelPrefix = "pod-security.kubernetes.io/"

    var enforce = PodSecurityLevelVersion(level: .privileged, version: .latest)
    var audit = PodSecurityLevelVersion(level: .privileged, version: .latest)
    var warn = PodSecurityLevelVersion(level: .privileged, version: .latest)
    /// Labels that cannot be read: enforcing falls back to the strictest, auditing and warning to nothing.
    var problems: [StatusError.Cause] = []

    init() {}

    /// Reads labels one by one: most namespaces have none of these, and then nothing is parsed.
    init(labels: JSONView?) {
        read("enforce", labels, \.enforce, fallback: .restricted)
        read("audit", labels, \.audit, fallback: .privileged)
        read("warn", labels, \.warn, fallback: .privileged)
    }

    private mutating func read(
        _ mode: String, _ labels: JSONView?, _ part: WritableKeyPath<PodSecurityPolicy, PodSecurityLevelVersion>, fallback: PodSecurityLevel
    ) {
        let levelLabel = Self.labelPrefix + mode
        if let text = labels[levelLabel].string {
            if let level = PodSecurityLevel(rawValue: text) {
                self[keyPath: part].level = level
            } else {
                self[keyPath: part].level = fallback
                note(levelLabel, text, "must be one of privileged, baseline, restricted")
            }
        }
        let versionLabel = levelLabel + "-version"
        if let text = labels[versionLabel].string {
            if let version = PodSecurityVersion(text) {
                self[keyPath: part].version = version
            } else {
                self[keyPath: part].version = .latest
                note(versionLabel, text, "must be \"latest\" or \"v1.x\"")
            }
        }
    }

    private mutating func note(_ label: String, _ value: String, _ rule: String) {
        problems.append(MetadataValidation.invalid("metadata.labels[\(label)]", .string(value), rule))
    }

    var asksForNothing: Bool { enforce.level == .privileged && audit.level == .privileged && warn.level == .privileged }
}
