import AWSProtocol
import ControlPlane
internal import KubeAPI

/// The members of the kubelet's file that the node's agent goes by.
extension NodeKubelet {
    /// Takes over a member; returns whether it is one of these. Throws NodeCreationFailure for what a kubelet would not start with. Upstream:
    /// ValidateKubeletConfiguration.
    mutating func take(_ name: String, _ value: AWSJSON) throws(AWSError) -> Bool {
        switch name {
        case "podPidsLimit":
            guard let limit = value.intValue else { throw KubeletSettings.refuse("podPidsLimit must be a number") }
            podPidsLimit = Int64(limit)
        case "containerLogMaxSize":
            guard let text = value.stringValue, (try? Quantity(text)) != nil else {
                throw KubeletSettings.refuse("containerLogMaxSize must be a quantity, such as 10Mi")
            }
            containerLogMaxSize = text
        case "containerLogMaxFiles":
            guard let files = value.intValue, (2...Self.mostLogFiles).contains(files) else {
                throw KubeletSettings.refuse("containerLogMaxFiles must be a number, > 1 and at most \(Self.mostLogFiles)")
            }
            containerLogMaxFiles = Int64(files)
        case "memorySwap":
            let behavior = value["swapBehavior"]?.stringValue ?? ""
            guard ["", "NoSwap", "LimitedSwap"].contains(behavior) else {
                throw KubeletSettings.refuse(#"memorySwap.swapBehavior must be one of: "", "LimitedSwap" or "NoSwap""#)
            }
            swapBehavior = behavior.isEmpty ? nil : behavior
        case "failSwapOn":
            guard let isOn = value.boolValue else { throw KubeletSettings.refuse("failSwapOn must be true or false") }
            failSwapOn = isOn
        case "singleProcessOOMKill":
            guard let isSingle = value.boolValue else { throw KubeletSettings.refuse("singleProcessOOMKill must be true or false") }
            singleProcessOOMKill = isSingle
        case "evictionHard": evictionHard = (evictionHard ?? [:]).merging(try Self.thresholds(name, value)) { $1 }
        case "evictionSoft": evictionSoft = (evictionSoft ?? [:]).merging(try Self.thresholds(name, value)) { $1 }
        case "evictionMinimumReclaim":
            evictionMinimumReclaim = (evictionMinimumReclaim ?? [:]).merging(try Self.amounts(name, value)) { $1 }
        case "evictionSoftGracePeriod":
            evictionSoftGracePeriod = (evictionSoftGracePeriod ?? [:]).merging(try Self.gracePeriods(name, value)) { $1 }
        case "evictionPressureTransitionPeriod": evictionPressureTransitionPeriod = try Self.duration(name, value)
        case "evictionMaxPodGracePeriod":
            guard let seconds = value.intValue, seconds >= 0 else {
                throw KubeletSettings.refuse("evictionMaxPodGracePeriod must be a number of seconds")
            }
            evictionMaxPodGracePeriod = Int64(seconds)
        case "shutdownGracePeriod": shutdownGracePeriod = try Self.seconds(name, value)
        case "shutdownGracePeriodCriticalPods": shutdownGracePeriodCriticalPods = try Self.seconds(name, value)
        case "shutdownGracePeriodByPodPriority": shutdownGracePeriodByPodPriority = try Self.periods(name, value)
        default: return false
        }
        return true
    }

    /// More than anybody looks through.
    private static let mostLogFiles = 1000

    /// Nobody waits longer than a day for a node to end.
    private static let longestShutdown: Int64 = 86_400

    /// Amounts by signal. Upstream: eviction.parseMinimumReclaims.
    private static func amounts(_ name: String, _ value: AWSJSON) throws(AWSError) -> [String: String] {
        guard let amounts = value.stringMap else { throw KubeletSettings.refuse("\(name) must be a map of amounts by signal") }
        for (signal, amount) in amounts {
            try checkSignal(signal)
            guard EvictionAmount(amount) != nil else {
                throw KubeletSettings.refuse(
                    "invalid value \(KubeletSettings.short(amount)) of \(signal) in \(name): a quantity or a percentage from 0 to 100")
            }
        }
        return amounts
    }

    /// Upstream: eviction.parseThresholdStatement.
    private static func thresholds(_ name: String, _ value: AWSJSON) throws(AWSError) -> [String: String] {
        let amounts = try amounts(name, value)
        for (signal, amount) in amounts where EvictionAmount(amount) == .quantity(.zero) {
            throw KubeletSettings.refuse("eviction threshold \(signal) must be positive: \(KubeletSettings.short(amount))")
        }
        return amounts
    }

    /// Upstream: eviction.parseGracePeriods.
    private static func gracePeriods(_ name: String, _ value: AWSJSON) throws(AWSError) -> [String: Double] {
        guard let object = value.objectValue else { throw KubeletSettings.refuse("\(name) must be a map of durations by signal") }
        var periods: [String: Double] = [:]
        for (signal, period) in object.sorted(by: { $0.key < $1.key }) {
            try checkSignal(signal)
            periods[signal] = try duration(name, period)
        }
        return periods
    }

    /// Signals of a node. Upstream: eviction.OpForSignal; container filesystems of their own are not there.
    private static let signals: Set = [
        "memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree", "pid.available",
    ]

    private static func checkSignal(_ signal: String) throws(AWSError) {
        guard signals.contains(signal) else { throw KubeletSettings.refuse("unsupported eviction signal \(KubeletSettings.short(signal))") }
    }

    /// A duration as Go writes it, in seconds.
    private static func duration(_ name: String, _ value: AWSJSON) throws(AWSError) -> Double {
        guard let duration = value.stringValue.flatMap(GoDuration.parse), duration >= .zero else {
            throw KubeletSettings.refuse("\(name) must be a duration that is not negative, such as 30s")
        }
        return inSeconds(duration)
    }

    private static func inSeconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }

    /// A duration as Go writes it: `1m30s`.
    private static func seconds(_ name: String, _ value: AWSJSON) throws(AWSError) -> Double {
        guard let duration = value.stringValue.flatMap(GoDuration.parse), duration >= .zero, duration <= .seconds(longestShutdown) else {
            throw KubeletSettings.refuse("\(name) must be a duration of at most a day, such as 30s")
        }
        guard duration == .zero || duration >= .seconds(1) else {
            throw KubeletSettings.refuse("\(name) must be either zero or otherwise >= 1 sec")
        }
        return inSeconds(duration)
    }

    private static func periods(_ name: String, _ value: AWSJSON) throws(AWSError) -> [PriorityPeriod] {
        var periods: [PriorityPeriod] = []
        for entry in value.arrayValue ?? [.null] {
            guard let priority = entry["priority"]?.intValue, Int32(exactly: priority) != nil,
                let seconds = entry["shutdownGracePeriodSeconds"]?.intValue,
                (0...longestShutdown).contains(Int64(seconds)), periods.count < mostPeriods
            else {
                throw KubeletSettings.refuse(
                    "\(name) must be a list of at most \(mostPeriods) priorities with shutdownGracePeriodSeconds of at most a day")
            }
            periods.append(PriorityPeriod(priority: Int64(priority), seconds: Int64(seconds)))
        }
        return periods
    }

    /// More than anybody tells apart.
    private static let mostPeriods = 100

    /// Throws NodeCreationFailure for members that do not go together. Upstream: ValidateKubeletConfiguration.
    func check() throws(AWSError) {
        for signal in (evictionSoft ?? [:]).keys.sorted() where evictionSoftGracePeriod?[signal] == nil {
            throw KubeletSettings.refuse("grace period must be specified for the soft eviction threshold \(signal)")
        }
        let (whole, critical) = (shutdownGracePeriod ?? 0, shutdownGracePeriodCriticalPods ?? 0)
        guard critical <= whole else {
            throw KubeletSettings.refuse("shutdownGracePeriodCriticalPods must be <= shutdownGracePeriod")
        }
        guard whole == 0 || shutdownGracePeriodByPodPriority?.isEmpty ?? true else {
            throw KubeletSettings.refuse("cannot specify shutdownGracePeriodByPodPriority and shutdownGracePeriod at the same time")
        }
    }

    /// Seconds that the pods of all priorities have together.
    var shutdownGrace: Int64 { shutdownPeriods.reduce(0) { $0 &+ $1.seconds } }

    /// The member that a flag of the kubelet stands for; nil for any other flag. Upstream: AddKubeletConfigFlags.
    static func member(ofFlag name: String, _ text: Substring) -> (name: String, value: AWSJSON)? {
        switch name {
        case "pod-max-pids": ("podPidsLimit", Int(text).map(AWSJSON.integer) ?? .null)
        case "container-log-max-size": ("containerLogMaxSize", .string(String(text)))
        case "container-log-max-files": ("containerLogMaxFiles", Int(text).map(AWSJSON.integer) ?? .null)
        case "eviction-hard":
            // In place of the file's, so that signals that are not named have no threshold.
            ("evictionHard", map(text, "<", beside: ["memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"]))
        case "eviction-soft": ("evictionSoft", map(text, "<"))
        case "eviction-soft-grace-period": ("evictionSoftGracePeriod", map(text, "="))
        case "eviction-minimum-reclaim": ("evictionMinimumReclaim", map(text, "="))
        case "eviction-pressure-transition-period": ("evictionPressureTransitionPeriod", .string(String(text)))
        case "eviction-max-pod-grace-period": ("evictionMaxPodGracePeriod", Int(text).map(AWSJSON.integer) ?? .null)
        case "fail-swap-on": ("failSwapOn", ["": true, "true": true, "false": false][text].map(AWSJSON.bool) ?? .null)
        default: nil
        }
    }

    /// `a<1,b<2` as a member's map, null for anything else. Upstream: cliflag.LangleSeparatedMapStringString.
    private static func map(_ text: Substring, _ separator: Character, beside: [String: AWSJSON] = [:]) -> AWSJSON {
        var members = beside
        for pair in text.split(separator: ",") {
            let words = pair.split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false)
            guard words.count == 2 else { return .null }
            members[String(words[0])] = .string(String(words[1]))
        }
        return .object(members)
    }
}
