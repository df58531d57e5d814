import KubeAPI

/// What several tables' cells have in common. Upstream: the helper functions of pkg/printers/internalversion and
/// k8s.io/apimachinery/pkg/util/duration.
enum Cells {
    static func name(_ object: Object) -> Value { .string(object.metadata.name) }

    /// The time since creation.
    static func age(_ object: Object, _ now: Timestamp) -> Value { .string(since(object.metadata.creationTimestamp, now)) }

    /// Upstream: translateTimestampSince.
    static func since(_ time: Timestamp?, _ now: Timestamp) -> String { time.map { duration(from: $0, to: now) } ?? "<unknown>" }

    static func time(_ view: JSONView?) -> Timestamp? { view.string.flatMap(Timestamp.init(rfc3339:)) }

    static func duration(from start: Timestamp, to end: Timestamp) -> String {
        human(seconds: Int64((end.timeInterval(since: start)).rounded(.towardZero)))
    }

    /// `5s`, `3m20s`, `6h`, `2d4h`, `3y20d`: two units while the first is small. Upstream: duration.HumanDuration.
    static func human(seconds: Int64) -> String {
        // Clocks of machines may differ by less than two seconds.
        if seconds < -1 { return "<invalid>" }
        if seconds < 0 { return "0s" }
        if seconds < 120 { return "\(seconds)s" }
        let minutes = seconds / 60
        if minutes < 10 { return two(minutes, "m", seconds % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        let hours = minutes / 60
        if hours < 8 { return two(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        let days = hours / 24
        if hours < 24 * 8 { return two(days, "d", hours % 24, "h") }
        if hours < 24 * 365 * 2 { return "\(days)d" }
        if hours < 24 * 365 * 8 { return two(days / 365, "y", days % 365, "d") }
        return "\(days / 365)y"
    }

    private static func two(_ large: Int64, _ largeUnit: String, _ small: Int64, _ smallUnit: String) -> String {
        small == 0 ? "\(large)\(largeUnit)" : "\(large)\(largeUnit)\(small)\(smallUnit)"
    }

    static func int(_ view: JSONView?) -> Value { .int(view.int ?? 0) }
    static func text(_ view: JSONView?, or missing: String = "") -> Value { .string(view.string ?? missing) }
    /// As `text`, where an empty text counts as missing.
    static func nonEmpty(_ view: JSONView?, or missing: String) -> Value {
        guard let text = view.string, !text.isEmpty else { return .string(missing) }
        return .string(text)
    }
    /// Number of members or elements.
    static func count(_ view: JSONView?) -> Int64 {
        guard let view else { return 0 }
        var count: Int64 = 0
        if view.kind == .object { for _ in view.members { count += 1 } } else { for _ in view.elements { count += 1 } }
        return count
    }

    /// `a=b,c=d`, sorted; `<none>` for no labels. Upstream: labels.FormatLabels.
    static func labels(_ view: JSONView?) -> Value {
        let labels = view.stringMap
        if labels.isEmpty { return "<none>" }
        return .string(labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","))
    }

    /// Upstream: metav1.FormatLabelSelector.
    static func selector(_ view: JSONView?) -> Value {
        guard let selector = try? LabelSelector(object: view) else { return "<error>" }  // The cell itself tells of the invalid selector.
        let text = selector.description
        return .string(text.isEmpty ? "<none>" : text)
    }

    /// Names and images of a pod spec's containers.
    static func containers(_ podSpec: JSONView?) -> [Value] {
        let containers = podSpec["containers"].elements
        return [
            .string(containers.map { $0["name"].string ?? "" }.joined(separator: ",")),
            .string(containers.map { $0["image"].string ?? "" }.joined(separator: ",")),
        ]
    }

    /// Whether the condition `type` is True.
    static func isTrue(_ conditions: JSONView?, _ type: String) -> Bool {
        conditions.elements.first { $0["type"].string == type }?["status"].string == "True"
    }

    /// Up to `limit` items and how many more there are. Upstream: listWithMoreString.
    static func list(_ items: [String], limit: Int, total: Int) -> String {
        let text = items.prefix(limit).joined(separator: ",")
        if total > limit { return "\(text) + \(total - limit) more..." }
        return text.isEmpty ? "<unset>" : text
    }
}
