package import AWSProtocol

/// How the instances of a warm pool wait. Upstream: eks WarmPoolState.
package enum WarmPoolState: String, Codable, Sendable {
    case stopped = "STOPPED"
    case running = "RUNNING"
    /// As stopped ones: what was in memory is not kept.
    case hibernated = "HIBERNATED"
}

/// The prepared instances that a node group has beside those in service. Upstream: eks WarmPoolConfig.
package struct WarmPoolConfig: Codable, Sendable, Equatable {
    /// False for a pool that was taken away.
    package var isEnabled = true
    /// So many are kept whatever the group's size is.
    package var minSize = 0
    /// How many instances there are at most, those in service among them; nil for the group's maximum size.
    package var maxPrepared: Int?
    package var state = WarmPoolState.stopped
    /// Whether instances that the group no longer needs go back into the pool.
    package var reusesOnScaleIn = false

    package init() {}

    /// No pool.
    static let disabled: WarmPoolConfig = {
        var config = WarmPoolConfig()
        config.isEnabled = false
        return config
    }()

    package var json: AWSJSON {
        guard isEnabled else { return ["enabled": false] }
        return .compact([
            "enabled": true, "minSize": .integer(minSize), "maxGroupPreparedCapacity": maxPrepared.map(AWSJSON.integer),
            "poolState": .string(state.rawValue), "reuseOnScaleIn": .bool(reusesOnScaleIn),
        ])
    }
}

/// What a request says of a warm pool; what it leaves out stays as it is. Upstream: eks WarmPoolConfig in CreateNodegroupRequest and
/// UpdateNodegroupConfigRequest.
package struct WarmPoolChange: Sendable, Equatable {
    package var isEnabled: Bool?
    package var minSize: Int?
    /// -1 for the group's maximum size. Upstream: autoscaling PutWarmPool.
    package var maxPrepared: Int?
    package var state: WarmPoolState?
    package var reusesOnScaleIn: Bool?

    static let unlimited = -1

    package init() {}

    /// A request's, already of the right form.
    package init(_ input: AWSJSON) {
        isEnabled = input["enabled"]?.boolValue
        minSize = input["minSize"]?.intValue
        maxPrepared = input["maxGroupPreparedCapacity"]?.intValue
        state = input["poolState"]?.stringValue.flatMap(WarmPoolState.init)
        reusesOnScaleIn = input["reuseOnScaleIn"]?.boolValue
    }

    /// The configuration of a group that had `old`. Of a pool that is taken away nothing is kept. A new group that is asked for a pool without a
    /// word on whether has one.
    func applied(to old: WarmPoolConfig?, isNew: Bool) -> WarmPoolConfig {
        guard isEnabled ?? old?.isEnabled ?? isNew else { return .disabled }
        var config = WarmPoolConfig()
        if let old, old.isEnabled { config = old }
        if let minSize { config.minSize = minSize }
        if let maxPrepared { config.maxPrepared = maxPrepared == Self.unlimited ? nil : maxPrepared }
        if let state { config.state = state }
        if let reusesOnScaleIn { config.reusesOnScaleIn = reusesOnScaleIn }
        return config
    }

    /// Upstream: eks UpdateParamType.
    var parameters: [UpdateParameter] {
        var parameters: [UpdateParameter] = []
        if let isEnabled { parameters.append(UpdateParameter(type: "WarmPoolEnabled", value: String(isEnabled))) }
        if let minSize { parameters.append(UpdateParameter(type: "WarmPoolMinSize", value: String(minSize))) }
        if let maxPrepared { parameters.append(UpdateParameter(type: "WarmPoolMaxGroupPreparedCapacity", value: String(maxPrepared))) }
        if let state { parameters.append(UpdateParameter(type: "WarmPoolState", value: state.rawValue)) }
        if let reusesOnScaleIn { parameters.append(UpdateParameter(type: "WarmPoolReuseOnScaleIn", value: String(reusesOnScaleIn))) }
        return parameters
    }
}
