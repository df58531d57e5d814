import KubeAPI

/// The plugins that a profile switches on and off at one point. Upstream: config.PluginSet.
struct PluginSet: Sendable, Equatable {
    /// One that is switched on.
    struct Entry: Sendable, Equatable {
        var name: String
        /// 0: not given.
        var weight: Int64 = 0
    }

    /// The name that stands for all plugins in `disabled`.
    static let all = "*"

    var enabled: [Entry] = []
    var disabled: [String] = []

    /// A profile's own set over the default one: an entry that has the name of a default one takes its place, others follow. Upstream: mergePluginSet.
    func merged(with custom: PluginSet) -> PluginSet {
        var merged = PluginSet(enabled: [], disabled: custom.disabled + disabled)
        // Of several with one name the last counts, as in upstream's map.
        let places = Dictionary(custom.enabled.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { $1 })
        var replacing: Set<Int> = []
        if !merged.disabled.contains(Self.all) {
            for entry in enabled where !merged.disabled.contains(entry.name) {
                if let place = places[entry.name] {
                    replacing.insert(place)
                    merged.enabled.append(custom.enabled[place])
                } else {
                    merged.enabled.append(entry)
                }
            }
        }
        for (place, entry) in custom.enabled.enumerated() where !replacing.contains(place) { merged.enabled.append(entry) }
        return merged
    }
}

/// The plugins of a profile at all points. Upstream: config.Plugins.
struct PluginSets: Sendable, Equatable {
    /// For every point that a plugin can take part in.
    var multiPoint = PluginSet()
    /// Those that were said for one point alone.
    var points: [ExtensionPoint: PluginSet] = [:]

    /// Upstream: getDefaultPlugins.
    static let standard = PluginSets(multiPoint: PluginSet(enabled: PluginRow.all.map { PluginSet.Entry(name: $0.name, weight: $0.weight) }))

    /// A profile's own sets over these. Upstream: mergePlugins.
    func merged(with custom: PluginSets) -> PluginSets {
        var merged = PluginSets(multiPoint: multiPoint.merged(with: custom.multiPoint))
        for point in ExtensionPoint.allCases { merged.points[point] = self[point].merged(with: custom[point]) }
        return merged
    }

    subscript(point: ExtensionPoint) -> PluginSet { points[point] ?? PluginSet() }

    /// Which plugins act at each point, in order. Throws for names that are unknown, stand twice, or do not belong there.
    /// Upstream: NewFramework with updatePluginList and expandMultiPointPlugins.
    func expanded() throws(PluginSetError) -> [ExtensionPoint: [String]] {
        var acting: [ExtensionPoint: [String]] = [:]
        for point in ExtensionPoint.allCases { acting[point] = try own(point) }
        for point in ExtensionPoint.allCases where !self[point].disabled.contains(PluginSet.all) {
            acting[point] = try ordered(point, acting[point] ?? [])
        }
        return acting
    }

    /// What counts of a plugin's score: the weight said for scoring alone, else that for all points. Upstream: getScoreWeights.
    func weight(of plugin: String) -> Int64 {
        let entry = (self[.score].enabled + multiPoint.enabled).first { $0.name == plugin }
        guard let weight = entry?.weight, weight != 0 else { return 1 }
        return weight
    }

    private func own(_ point: ExtensionPoint) throws(PluginSetError) -> [String] {
        var names: [String] = []
        for entry in self[point].enabled {
            guard let row = PluginRow.byName[entry.name] else { throw PluginSetError("\(point.interface) \(entry.name.goQuoted) does not exist") }
            guard row.points.contains(point) else {
                throw PluginSetError("plugin \(entry.name.goQuoted) does not extend \(point.interface) plugin")
            }
            guard !names.contains(entry.name) else {
                throw PluginSetError("plugin \(entry.name.goQuoted) already registered as \(point.interface.goQuoted)")
            }
            names.append(entry.name)
        }
        return names
    }

    /// First those that were said for all points and again for this one, then the others of all points, then the point's own.
    private func ordered(_ point: ExtensionPoint, _ own: [String]) throws(PluginSetError) -> [String] {
        var overriding: Set<String> = []
        var shared: [String] = []
        for entry in multiPoint.enabled {
            guard let row = PluginRow.byName[entry.name] else { throw PluginSetError("\(point.interface) \(entry.name.goQuoted) does not exist") }
            guard row.points.contains(point), !self[point].disabled.contains(entry.name) else { continue }
            if own.contains(entry.name) {
                overriding.insert(entry.name)
                continue
            }
            guard !shared.contains(entry.name) else {
                throw PluginSetError("plugin \(entry.name.goQuoted) already registered as \(point.interface.goQuoted)")
            }
            shared.append(entry.name)
        }
        return own.filter(overriding.contains) + shared + own.filter { !overriding.contains($0) }
    }
}

/// Why sets of plugins make no profile, in upstream's words.
struct PluginSetError: Error, Equatable {
    var message: String
    init(_ message: String) { self.message = message }
}
