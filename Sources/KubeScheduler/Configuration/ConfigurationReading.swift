import KubeAPI

/// Reads the configuration's parts with their defaults and checks them. Upstream: pkg/scheduler/apis/config/v1 defaults.go, validation/validation.go.
struct ConfigurationReading {
    static let apiVersion = "kubescheduler.config.k8s.io/v1"
    static let kind = "KubeSchedulerConfiguration"

    /// `leaderElection`, `clientConnection` and those for profiling speak of a process of its own: accepted, without effect.
    private static let members: Set<String> = [
        "apiVersion", "kind", "parallelism", "leaderElection", "clientConnection", "enableProfiling", "enableContentionProfiling",
        "percentageOfNodesToScore", "podInitialBackoffSeconds", "podMaxBackoffSeconds", "profiles", "extenders", "delayCacheUntilActive",
    ]

    var reader = StrictReader()

    /// Nil when something is wrong with it; what, the reader's errors say.
    mutating func configuration(_ top: ConfigurationPlace, _ read: (String) -> String?) -> SchedulerConfiguration? {
        guard top.view?.kind == .object else {
            reader.errors.required("apiVersion", "the file holds no object")
            return nil
        }
        expect(top["apiVersion"], Self.apiVersion)
        expect(top["kind"], Self.kind)
        reader.object(top, of: Self.members)
        if let parallelism = reader.number(top["parallelism"]), parallelism <= 0 {
            reader.errors.invalid("parallelism", .int(parallelism), "should be an integer value greater than zero")
        }
        let percentage = percentage(top["percentageOfNodesToScore"]) ?? 0
        let backoff = backoff(top)
        let extenders = extenders(top["extenders"], read)
        // What extenders look after takes the place of what the profiles say is not looked at. Upstream: buildExtenders.
        let ignored = extenders.flatMap(\.ignoredByScheduler)
        let profiles = profiles(top["profiles"], percentage, ignored.isEmpty ? nil : Set(ignored))
        guard reader.errors.isEmpty, !profiles.isEmpty else { return nil }
        return SchedulerConfiguration(
            profiles: profiles, backoff: backoff, extenders: extenders.filter { !$0.isIgnorable } + extenders.filter(\.isIgnorable))
    }

    private mutating func expect(_ place: ConfigurationPlace, _ wanted: String) {
        guard let text = reader.text(place) else { return reader.errors.required(place.path, "must be \(wanted.goQuoted)") }
        if text != wanted { reader.errors.notSupported(place.path, text, [wanted]) }
    }

    private mutating func percentage(_ place: ConfigurationPlace) -> Int? {
        guard let number = reader.number(place) else { return nil }
        if !(0...100).contains(number) { reader.errors.invalid(place.path, .int(number), "not in valid range [0-100]") }
        return Int(number)
    }

    private mutating func backoff(_ top: ConfigurationPlace) -> PodBackoff {
        var backoff = PodBackoff.standard
        let (initial, maximum) = (top["podInitialBackoffSeconds"], top["podMaxBackoffSeconds"])
        backoff.initial = reader.number(initial, isLong: true) ?? backoff.initial
        backoff.maximum = reader.number(maximum, isLong: true) ?? backoff.maximum
        if backoff.initial <= 0 { reader.errors.invalid(initial.path, .int(backoff.initial), "must be greater than 0") }
        if backoff.maximum < backoff.initial {
            reader.errors.invalid(maximum.path, .int(backoff.maximum), "must be greater than or equal to PodInitialBackoffSeconds")
        }
        // A day is long enough: sums with the time of day cannot overflow.
        backoff.maximum = min(backoff.maximum, 86_400)
        return backoff
    }

    // MARK: Profiles

    private mutating func profiles(_ place: ConfigurationPlace, _ percentage: Int, _ ignored: Set<String>?) -> [Profile] {
        var places = reader.list(place)
        if places.isEmpty { places = [ConfigurationPlace(view: nil, path: "\(place.path)[0]")] }
        var names: [String: String] = [:]
        var sorts: [PluginSet] = []
        var profiles: [Profile] = []
        for profile in places {
            reader.object(profile, of: ["schedulerName", "percentageOfNodesToScore", "plugins", "pluginConfig"])
            let namePlace = profile["schedulerName"]
            let name = reader.text(namePlace) ?? (places.count == 1 ? Scheduler.defaultName : "")
            if name.isEmpty { reader.errors.required(namePlace.path) }
            if let first = names[name] { reader.errors.duplicate(namePlace.path, .string(first)) }
            names[name] = namePlace.path
            let own = self.percentage(profile["percentageOfNodesToScore"])
            let sets = PluginSets.standard.merged(with: pluginSets(profile["plugins"]))
            sorts.append(sets[.queueSort])
            var reading = PluginArgumentReading(reader: reader)
            var arguments = reading.arguments(profile["pluginConfig"])
            reader = reading.reader
            if let ignored { arguments.fit.ignoredResources = ignored }
            do throws(PluginSetError) {
                profiles.append(try Profile(name: name, sets: sets, arguments: arguments, percentageOfNodes: own ?? percentage))
            } catch {
                let message = "creating profile for scheduler name \(name): \(error.message)"
                reader.errors.append([.init(reason: "FieldValueInvalid", message: message, field: profile["plugins"].path)])
            }
        }
        checkQueueSort(places, sorts)
        return profiles
    }

    /// All profiles' pods wait in one queue. Upstream: validateCommonQueueSort.
    private mutating func checkQueueSort(_ places: [ConfigurationPlace], _ sorts: [PluginSet]) {
        guard let first = sorts.first else { return }
        if first.enabled.count > 1 {
            reader.errors.invalid(
                places[0]["plugins"]["queueSort"]["Enabled"].path, .int(Int64(first.enabled.count)), "only one queue sort plugin can be enabled")
        }
        for (place, sort) in zip(places, sorts).dropFirst() where sort != first {
            let queueSort = place["plugins"]["queueSort"]
            reader.errors.invalid(queueSort.path, queueSort.view?.value ?? .object(Members()), "must be the same for all profiles")
        }
    }

    private mutating func pluginSets(_ place: ConfigurationPlace) -> PluginSets {
        reader.object(place, of: Set(ExtensionPoint.allCases.map(\.rawValue)).union(["multiPoint"]))
        var sets = PluginSets(multiPoint: pluginSet(place["multiPoint"]))
        for point in ExtensionPoint.allCases { sets.points[point] = pluginSet(place[point.rawValue]) }
        return sets
    }

    private mutating func pluginSet(_ place: ConfigurationPlace) -> PluginSet {
        reader.object(place, of: ["enabled", "disabled"])
        var set = PluginSet()
        for plugin in reader.list(place["enabled"]) {
            reader.object(plugin, of: ["name", "weight"])
            let name = reader.text(plugin["name"]) ?? ""
            if Self.removed.contains(name) {
                reader.errors.invalid(
                    plugin.path, .string(name), "was invalid in version \"v1\" (KubeSchedulerConfiguration is version \(Self.apiVersion.goQuoted))")
            }
            set.enabled.append(.init(name: name, weight: reader.number(plugin["weight"]) ?? 0))
        }
        for plugin in reader.list(place["disabled"]) {
            reader.object(plugin, of: ["name", "weight"])
            set.disabled.append(reader.text(plugin["name"]) ?? "")
        }
        return set
    }

    /// Upstream: invalidPluginsByVersion.
    private static let removed: Set<String> = ["AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits"]

    // MARK: Extenders

    /// Upstream: validateExtenders.
    private mutating func extenders(_ place: ConfigurationPlace, _ read: (String) -> String?) -> [ExtenderConfiguration] {
        var binders = 0
        var managed: Set<String> = []
        var extenders: [ExtenderConfiguration] = []
        for extender in reader.list(place) {
            var reading = ExtenderReading(reader: reader, managed: managed)
            if let made = reading.extender(extender, read) { extenders.append(made) }
            (reader, managed) = (reading.reader, reading.managed)
            if !(extender["bindVerb"].view?.string ?? "").isEmpty { binders += 1 }
        }
        if binders > 1 {
            reader.errors.invalid(place.path, .string("found \(binders) extenders implementing bind"), "only one extender can implement bind")
        }
        return extenders
    }
}
