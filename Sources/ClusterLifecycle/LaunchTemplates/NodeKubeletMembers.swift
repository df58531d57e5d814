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

    /// A duration as Go writes it: `1m30s`.
    private static func seconds(_ name: String, _ value: AWSJSON) throws(AWSError) -> Double {
        guard let duration = value.stringValue.flatMap(GoDuration.parse), duration >= .zero, duration <= .seconds(longestShutdown) else {
            throw KubeletSettings.refuse("\(name) must be a duration of at most a day, such as 30s")
        }
        guard duration == .zero || duration >= .seconds(1) else {
            throw KubeletSettings.refuse("\(name) must be either zero or otherwise >= 1 sec")
        }
        return Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
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
        case "fail-swap-on": ("failSwapOn", ["": true, "true": true, "false": false][text].map(AWSJSON.bool) ?? .null)
        default: nil
        }
    }
}
