import KubeAPI

/// Reads what a profile's plugins are told. Upstream: apis/config/v1 defaults.go, validation/validation_pluginargs.go.
struct PluginArgumentReading {
    var reader: StrictReader

    /// Arguments of plugins that take none are not looked at, as upstream has it for those it does not know.
    mutating func arguments(_ place: ConfigurationPlace) -> PluginArguments {
        var arguments = PluginArguments()
        var seen: Set<String> = []
        for entry in reader.list(place) {
            reader.object(entry, of: ["name", "args"])
            let name = reader.text(entry["name"]) ?? ""
            if !seen.insert(name).inserted { reader.errors.duplicate(entry.path, .string(name)) }
            let args = entry["args"]
            switch name {
            case "NodeResourcesFit": arguments.fit = fit(args)
            case "NodeResourcesBalancedAllocation": arguments.balanced = balanced(args)
            case "InterPodAffinity": arguments.interPodAffinity = interPodAffinity(args)
            case "PodTopologySpread": arguments.spread = spread(args)
            case "NodeAffinity": arguments.nodeAffinity = nodeAffinity(args)
            case "DefaultPreemption": arguments.preemption = preemption(args)
            case "VolumeBinding":
                arguments.bindTimeout = bindTimeout(args)
                if args["shape"].isThere { arguments.storageShape = shape(args["shape"]) }
            default: continue
            }
            checkType(args, "\(name)Args")
        }
        return arguments
    }

    private mutating func checkType(_ args: ConfigurationPlace, _ kind: String) {
        if let version = reader.text(args["apiVersion"]), version != ConfigurationReading.apiVersion {
            reader.errors.notSupported(args["apiVersion"].path, version, [ConfigurationReading.apiVersion])
        }
        if let other = reader.text(args["kind"]), other != kind { reader.errors.invalid(args.path, .string(other), "has to match plugin args") }
    }

    private mutating func object(_ args: ConfigurationPlace, _ members: String...) {
        reader.object(args, of: Set(members).union(["apiVersion", "kind"]))
    }

    private mutating func bounded(_ place: ConfigurationPlace, _ standard: Int64, _ range: ClosedRange<Int64>, _ shown: String) -> Int64 {
        guard let number = reader.number(place) else { return standard }
        if !range.contains(number) { reader.errors.invalid(place.path, .int(number), "not in valid range \(shown)") }
        return number
    }

    // MARK: Resources

    private mutating func fit(_ args: ConfigurationPlace) -> NodeResourcesFitArguments {
        object(args, "ignoredResources", "ignoredResourceGroups", "scoringStrategy")
        var arguments = NodeResourcesFitArguments()
        for place in reader.list(args["ignoredResources"]) {
            guard let name = reader.text(place) else { continue }
            labelName(place.path, name)
            arguments.ignoredResources.insert(name)
        }
        for place in reader.list(args["ignoredResourceGroups"]) {
            guard let group = reader.text(place) else { continue }
            if group.contains("/") { reader.errors.invalid(place.path, .string(group), "resource group name can't contain '/'") }
            labelName(place.path, group)
            arguments.ignoredGroups.insert(group)
        }
        if args["scoringStrategy"].isThere { arguments.scoring = scoring(args["scoringStrategy"]) }
        return arguments
    }

    private static let strategies = ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]

    private mutating func scoring(_ place: ConfigurationPlace) -> ResourceScoring {
        reader.object(place, of: ["type", "resources", "requestedToCapacityRatio"])
        var scoring = ResourceScoring()
        let type = reader.text(place["type"]) ?? ""
        if !Self.strategies.contains(type) { reader.errors.notSupported(place["type"].path, type, Self.strategies) }
        let resources = reader.list(place["resources"]).map {
            resource($0) { name, weight in
                (1...100).contains(weight) ? nil : "resource weight of \(name) not in valid range (0, 100]"
            }
        }
        if !resources.isEmpty { scoring.resources = resources.map { .init(kind: .init($0.name), weight: $0.weight) } }
        let ratio = place["requestedToCapacityRatio"]
        reader.object(ratio, of: ["shape"])
        switch type {
        case "RequestedToCapacityRatio":
            if ratio.isThere {
                scoring.strategy = .requestedToCapacityRatio(shape(ratio["shape"]))
            } else {
                reader.errors.required(ratio.path, "must be specified when type is RequestedToCapacityRatio")
            }
        default:
            if ratio.isThere { reader.errors.forbidden(ratio.path, "must be nil when type is not RequestedToCapacityRatio") }
            if type == "MostAllocated" { scoring.strategy = .mostAllocated }
        }
        return scoring
    }

    /// A resource with its weight, 1 when none or 0 is given. Upstream: config.ResourceSpec with its defaults.
    private mutating func resource(
        _ place: ConfigurationPlace, problem: (_ name: String, _ weight: Int64) -> String?
    ) -> (name: String, weight: Int64) {
        reader.object(place, of: ["name", "weight"])
        let name = reader.text(place["name"]) ?? ""
        let given = reader.number(place["weight"], isLong: true) ?? 0
        let weight = given == 0 ? 1 : given
        if let problem = problem(name, weight) { reader.errors.invalid(place["weight"].path, .int(weight), problem) }
        return (name, weight)
    }

    /// Scores of 0 to 10 in the file, of 0 to 100 here. Upstream: validateFunctionShape, requestedToCapacityRatioScorer.
    private mutating func shape(_ place: ConfigurationPlace) -> ResourceScoring.Shape {
        let points = reader.list(place).map { point in
            reader.object(point, of: ["utilization", "score"])
            return (
                place: point, utilization: reader.number(point["utilization"]) ?? 0, score: reader.number(point["score"]) ?? 0
            )
        }
        if points.isEmpty { reader.errors.required(place.path, "at least one point must be specified") }
        if let (_, second) = zip(points, points.dropFirst()).first(where: { $0.utilization >= $1.utilization }) {
            reader.errors.invalid(second.place["utilization"].path, .int(second.utilization), "values must be sorted in increasing order")
        }
        for point in points {
            if !(0...100).contains(point.utilization) {
                reader.errors.invalid(point.place["utilization"].path, .int(point.utilization), "not in valid range [0, 100]")
            }
            if !(0...10).contains(point.score) {
                reader.errors.invalid(point.place["score"].path, .int(point.score), "not in valid range [0, 10]")
            }
        }
        return ResourceScoring.Shape(points: points.map { ($0.utilization, $0.score * (maxNodeScore / 10)) })
    }

    private mutating func balanced(_ args: ConfigurationPlace) -> BalancedAllocationArguments {
        object(args, "resources")
        var seen: Set<String> = []
        var kinds: [ResourceScoring.Kind] = []
        for place in reader.list(args["resources"]) {
            let (name, _) = resource(place) { _, weight in weight == 1 ? nil : "must be 1" }
            if !seen.insert(name).inserted { reader.errors.duplicate(place["name"].path, .string(name)) }
            kinds.append(.init(name))
        }
        return kinds.isEmpty ? .standard : BalancedAllocationArguments(resources: kinds)
    }

    // MARK: Others

    private mutating func interPodAffinity(_ args: ConfigurationPlace) -> InterPodAffinityArguments {
        object(args, "hardPodAffinityWeight", "ignorePreferredTermsOfExistingPods")
        return InterPodAffinityArguments(
            hardPodAffinityWeight: bounded(args["hardPodAffinityWeight"], 1, 0...100, "[0, 100]"),
            ignoresPreferencesOfOthers: reader.flag(args["ignorePreferredTermsOfExistingPods"]) ?? false)
    }

    private mutating func preemption(_ args: ConfigurationPlace) -> DefaultPreemptionArguments {
        let (percentage, absolute) = (args["minCandidateNodesPercentage"], args["minCandidateNodesAbsolute"])
        object(args, "minCandidateNodesPercentage", "minCandidateNodesAbsolute")
        let arguments = DefaultPreemptionArguments(
            minPercentage: Int(bounded(percentage, 10, 0...100, "[0, 100]")),
            minAbsolute: Int(bounded(absolute, 100, 0...Int64(Int32.max), "[0, inf)")))
        if arguments.minPercentage == 0, arguments.minAbsolute == 0 {
            reader.errors.invalid(percentage.path, .int(0), "cannot be zero at the same time as minCandidateNodesAbsolute")
            reader.errors.invalid(absolute.path, .int(0), "cannot be zero at the same time as minCandidateNodesPercentage")
        }
        return arguments
    }

    /// `shape` belongs to a feature that is off upstream, too.
    private mutating func bindTimeout(_ args: ConfigurationPlace) -> Duration {
        object(args, "bindTimeoutSeconds", "shape")
        let place = args["bindTimeoutSeconds"]
        let seconds = reader.number(place, isLong: true) ?? 600
        if seconds < 0 { reader.errors.invalid(place.path, .int(seconds), "invalid BindTimeoutSeconds, should not be a negative value") }
        // A day is long enough.
        return .seconds(min(86_400, max(0, seconds)))
    }

    private mutating func spread(_ args: ConfigurationPlace) -> PodTopologySpreadArguments {
        object(args, "defaultConstraints", "defaultingType")
        let typePlace = args["defaultingType"]
        let given = reader.text(typePlace) ?? ""
        let type = given.isEmpty ? "System" : given
        let places = reader.list(args["defaultConstraints"])
        if !["System", "List"].contains(type) {
            reader.errors.notSupported(typePlace.path, type, ["System", "List"])
        } else if type == "System", !places.isEmpty {
            reader.errors.invalid(typePlace.path, .string(type), "when .defaultConstraints are not empty")
        }
        var seen: Set<String> = []
        var constraints: [TopologySpreadConstraint] = []
        for place in places {
            if let constraint = constraint(place, &seen) { constraints.append(constraint) }
        }
        if type == "System" { return .standard }
        return PodTopologySpreadArguments(
            hard: constraints.filter(\.doNotSchedule), soft: constraints.filter { !$0.doNotSchedule }, isSystem: false)
    }

    private static let actions = ["DoNotSchedule", "ScheduleAnyway"]

    private mutating func constraint(_ place: ConfigurationPlace, _ seen: inout Set<String>) -> TopologySpreadConstraint? {
        reader.object(
            place,
            of: [
                "maxSkew", "topologyKey", "whenUnsatisfiable", "labelSelector", "minDomains", "nodeAffinityPolicy", "nodeTaintsPolicy",
                "matchLabelKeys",
            ])
        let skew = reader.number(place["maxSkew"]) ?? 0
        if skew <= 0 { reader.errors.invalid(place["maxSkew"].path, .int(skew), "not in valid range (0, inf)") }
        let key = reader.text(place["topologyKey"]) ?? ""
        if key.isEmpty { reader.errors.required(place["topologyKey"].path, "can not be empty") } else { labelName(place["topologyKey"].path, key) }
        let action = reader.text(place["whenUnsatisfiable"]) ?? ""
        if action.isEmpty {
            reader.errors.required(place["whenUnsatisfiable"].path, "can not be empty")
        } else if !Self.actions.contains(action) {
            reader.errors.notSupported(place["whenUnsatisfiable"].path, action, Self.actions)
        }
        if place["labelSelector"].isThere {
            reader.errors.forbidden(place["labelSelector"].path, "constraint must not define a selector, as they deduced for each pod")
        }
        let pair = "{\(key), \(action)}"
        if !seen.insert(pair).inserted { reader.errors.duplicate(place.path, .string(pair)) }
        return place.view.flatMap { TopologySpreadConstraint($0, labels: [:]) }
    }

    // MARK: Node affinity

    private mutating func nodeAffinity(_ args: ConfigurationPlace) -> AddedNodeAffinity {
        object(args, "addedAffinity")
        let place = args["addedAffinity"]
        let (required, preferred) = (
            place["requiredDuringSchedulingIgnoredDuringExecution"], place["preferredDuringSchedulingIgnoredDuringExecution"]
        )
        reader.object(place, of: ["requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"])
        reader.object(required, of: ["nodeSelectorTerms"])
        var added = AddedNodeAffinity()
        if required.isThere { added.required = reader.list(required["nodeSelectorTerms"]).compactMap { term($0) } }
        for entry in reader.list(preferred) {
            reader.object(entry, of: ["weight", "preference"])
            guard let term = term(entry["preference"]) else { continue }
            added.preferred.append(PreferredNodes(weight: reader.number(entry["weight"]) ?? 0, term: term))
        }
        return added
    }

    /// Upstream: nodeaffinity.newNodeSelectorTerm.
    private mutating func term(_ place: ConfigurationPlace) -> NodeSelectorTerm? {
        reader.object(place, of: ["matchExpressions", "matchFields"])
        for requirement in reader.list(place["matchExpressions"]) {
            check(requirement, LabelSelector.Operator.ofNodes)
        }
        for requirement in reader.list(place["matchFields"]) {
            check(requirement, ["In": .in, "NotIn": .notIn])
            if let key = requirement.view?["key"].string, key != "metadata.name" {
                reader.errors.invalid(requirement["key"].path, .string(key), "not a valid field selector key")
            }
            if let values = requirement.view?["values"].strings, values.count != 1 {
                reader.errors.required(requirement["values"].path, "must have one element")
            }
        }
        return place.view.map(NodeSelectorTerm.init)
    }

    private mutating func check(_ place: ConfigurationPlace, _ operators: [String: LabelSelector.Operator]) {
        reader.object(place, of: ["key", "operator", "values"])
        let name = reader.text(place["operator"]) ?? ""
        let (key, values) = (reader.text(place["key"]) ?? "", reader.strings(place["values"]))
        guard let op = operators[name] else { return reader.errors.notSupported(place["operator"].path, name, operators.keys.sorted()) }
        do throws(SelectorError) { _ = try LabelSelector.Requirement(key: key, op: op, values: values) } catch {
            reader.errors.append([.init(reason: "FieldValueInvalid", message: error.description, field: place.path)])
        }
    }

    /// Upstream: metav1validation.ValidateLabelName.
    private mutating func labelName(_ path: String, _ name: String) {
        if let problem = LabelSyntax.problemOfKey(name) { reader.errors.invalid(path, .string(name), problem) }
    }
}

extension LabelSelector.Operator {
    /// Upstream: core/v1 NodeSelectorOperator.
    fileprivate static let ofNodes: [String: LabelSelector.Operator] = [
        "In": .in, "NotIn": .notIn, "Exists": .exists, "DoesNotExist": .doesNotExist, "Gt": .greaterThan, "Lt": .lessThan,
    ]
}
