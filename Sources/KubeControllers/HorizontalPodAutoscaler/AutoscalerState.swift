import KubeAPI

/// A HorizontalPodAutoscaler as its controller sees it. Upstream: autoscaling/v2.
struct AutoscalerState: Sendable {
    let object: Object
    var name: String
    var namespace: String
    var uid: String
    var target: GroupVersionKind
    var targetName: String
    var minReplicas: Int
    var maxReplicas: Int
    var metrics: [MetricSpec]
    /// Without, the rules below do not apply, but for their tolerance: see `AutoscalerHistory`.
    var hasBehavior: Bool
    var scaleUp: ScalingRules
    var scaleDown: ScalingRules

    init(_ object: Object) {
        let meta = object.metadata
        let spec = object["spec"]
        self.object = object
        name = meta.name
        namespace = meta.namespace
        uid = meta.uid
        let reference = spec["scaleTargetRef"]
        target = GroupVersionKind(apiVersion: reference["apiVersion"].string ?? "", kind: reference["kind"].string ?? "")
        targetName = reference["name"].string ?? ""
        minReplicas = Int(clamping: min(Int64(Int32.max), max(0, spec["minReplicas"].int ?? 1)))
        maxReplicas = Int(clamping: min(Int64(Int32.max), max(0, spec["maxReplicas"].int ?? 1)))
        metrics = spec["metrics"].elements.compactMap(MetricSpec.init)
        // Without metrics: cpu at 80 %. Upstream: SetDefaults_HorizontalPodAutoscaler.
        if metrics.isEmpty { metrics = [.defaultCPU] }
        hasBehavior = spec["behavior"].map { !$0.isNull } ?? false
        scaleUp = ScalingRules(spec["behavior"]["scaleUp"], or: .scaleUp)
        scaleDown = ScalingRules(spec["behavior"]["scaleDown"], or: .scaleDown)
    }
}

/// How fast an autoscaler may go in one direction. Upstream: autoscaling/v2 HPAScalingRules with defaults.go.
struct ScalingRules: Sendable, Equatable {
    struct Policy: Sendable, Equatable {
        /// Of the replicas, else a number of pods.
        var isPercent: Bool
        var value: Int
        var periodSeconds: Int64
    }

    enum Selection: String, Sendable {
        case max = "Max"
        case min = "Min"
        case disabled = "Disabled"
    }

    var windowSeconds: Int64
    var selection = Selection.max
    var policies: [Policy]
    /// How far from the target nothing is done. Upstream: --horizontal-pod-autoscaler-tolerance.
    var tolerance = 0.1

    static let scaleUp = ScalingRules(
        windowSeconds: 0,
        policies: [.init(isPercent: false, value: 4, periodSeconds: 15), .init(isPercent: true, value: 100, periodSeconds: 15)])
    /// Upstream: --horizontal-pod-autoscaler-downscale-stabilization is five minutes.
    static let scaleDown = ScalingRules(windowSeconds: 300, policies: [.init(isPercent: true, value: 100, periodSeconds: 15)])

    init(windowSeconds: Int64, policies: [Policy]) {
        self.windowSeconds = windowSeconds
        self.policies = policies
    }

    init(_ view: JSONView?, or standard: ScalingRules) {
        self = standard
        guard let view, !view.isNull else { return }
        if let seconds = view["stabilizationWindowSeconds"].int { windowSeconds = seconds }
        selection = view["selectPolicy"].string.flatMap(Selection.init(rawValue:)) ?? .max
        if let tolerance = view["tolerance"].quantity { self.tolerance = tolerance.double }
        let own = (view["policies"].map { Array($0.elements) } ?? []).map { policy in
            Policy(
                isPercent: policy["type"].string == "Percent", value: Int(clamping: min(Int64(Int32.max), policy["value"].int ?? 0)),
                periodSeconds: policy["periodSeconds"].int ?? 15)
        }
        if !own.isEmpty { policies = own }
    }
}

/// One metric an autoscaler goes by. Upstream: autoscaling/v2 MetricSpec.
struct MetricSpec: Sendable {
    enum Source: Sendable, Equatable {
        /// `container`: of that one alone.
        case resource(String, container: String?)
        case pods
        case object(GroupVersionKind, name: String)
        case external
    }

    enum Target: Sendable {
        /// Percent of what the pods request.
        case utilization(Int64)
        case averageValue(Quantity)
        case value(Quantity)
    }

    var source: Source
    var target: Target
    /// Of pods', objects' and external metrics, with the metric's own selector.
    var metricName = ""
    var selector: LabelSelector?
    /// The selector as Go prints it.
    var selectorText = "nil"

    static let defaultCPU = MetricSpec(source: .resource("cpu", container: nil), target: .utilization(80))

    private init(source: Source, target: Target) {
        self.source = source
        self.target = target
    }

    /// Nil: the API server refuses such.
    init?(_ view: JSONView) {
        let type = view["type"].string ?? ""
        let key = type.prefix(1).lowercased() + type.dropFirst()
        guard let body = view[key], let target = Self.target(body["target"]) else { return nil }
        self.target = target
        switch type {
        case "Resource": source = .resource(body["name"].string ?? "", container: nil)
        case "ContainerResource": source = .resource(body["name"].string ?? "", container: body["container"].string ?? "")
        case "Pods": source = .pods
        case "Object":
            let object = body["describedObject"]
            source = .object(
                GroupVersionKind(apiVersion: object["apiVersion"].string ?? "", kind: object["kind"].string ?? ""), name: object["name"].string ?? "")
        case "External": source = .external
        default: return nil
        }
        metricName = body["metric"]["name"].string ?? ""
        // The API server has checked that it can be read.
        if let selector = body["metric"]["selector"], !selector.isNull {
            self.selector = try? LabelSelector(object: selector)
            selectorText = Self.goText(of: selector)
        }
    }

    private static func target(_ view: JSONView?) -> Target? {
        if let percent = view["averageUtilization"].int { return .utilization(percent) }
        if let average = view["averageValue"].quantity { return .averageValue(average) }
        return view["value"].quantity.map { .value($0) }
    }
}
