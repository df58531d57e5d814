extension StandardLibrary {
    private typealias Getter = @Sendable (CELCalendar.Parts, Int64) -> Int64

    /// Parts of timestamps, in UTC or a named or numbered time zone, and of durations. Upstream: stdlib's time functions.
    static let times: [CELOverload?] = {
        let parts: [(String, Getter)] = [
            ("getFullYear", { parts, _ in parts.year }), ("getMonth", { parts, _ in parts.month - 1 }),
            ("getDayOfYear", { parts, _ in parts.dayOfYear }),
            ("getDayOfMonth", { parts, _ in parts.day - 1 }), ("getDate", { parts, _ in parts.day }), ("getDayOfWeek", { parts, _ in parts.weekday }),
            ("getHours", { parts, _ in parts.hour }), ("getMinutes", { parts, _ in parts.minute }), ("getSeconds", { parts, _ in parts.second }),
            ("getMilliseconds", { _, nanoseconds in nanoseconds / 1_000_000 }),
        ]
        var all: [CELOverload?] = []
        for (name, getter) in parts {
            all.append(
                CELOverload("timestamp_\(name)", "timestamp.\(name)() int") { arguments throws(CELError) in
                    guard case .timestamp(let time) = arguments[0] else { throw .noSuchOverload }
                    return .int(getter(CELCalendar.Parts(time.seconds), time.nanoseconds))
                })
            all.append(
                CELOverload("timestamp_\(name)_with_tz", "timestamp.\(name)(string) int") { arguments throws(CELError) in
                    guard case .timestamp(let time) = arguments[0] else { throw .noSuchOverload }
                    let offset = try CELTimeZone.offset(arguments[1].string ?? "", at: time.seconds)
                    return .int(getter(CELCalendar.Parts(time.seconds + offset), time.nanoseconds))
                })
        }
        let spans: [(String, Int64)] = [
            ("getHours", 3_600_000_000_000), ("getMinutes", 60_000_000_000), ("getSeconds", 1_000_000_000), ("getMilliseconds", 1_000_000),
        ]
        for (name, unit) in spans {
            all.append(
                CELOverload("duration_\(name)", "duration.\(name)() int") { arguments throws(CELError) in
                    guard case .duration(let span) = arguments[0] else { throw .noSuchOverload }
                    return .int(span / unit)
                })
        }
        return all
    }()
}
