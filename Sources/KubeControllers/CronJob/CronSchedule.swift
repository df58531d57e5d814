package import KubeAPI

/// The times a CronJob is due at: five fields (minute, hour, day of the month, month, weekday) or a descriptor, with the parser's reading of them.
/// Upstream: github.com/robfig/cron/v3 ParseStandard, SpecSchedule and ConstantDelaySchedule.
package struct CronSchedule: Sendable {
    private enum Form: Sendable {
        case fields(minutes: Field, hours: Field, days: Field, months: Field, weekdays: Field)
        /// Seconds between two times.
        case every(Int64)
    }

    /// The values a field names, as bits.
    private struct Field: Sendable {
        var bits: UInt64 = 0
        /// Written as `*` or `?`: it does not choose.
        var isStar = false

        func contains(_ value: Int64) -> Bool { (0..<64).contains(value) && bits & (1 << UInt64(value)) != 0 }
    }

    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
    private static let descriptors = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]
    /// A schedule that names no day within five years names none. Upstream: SpecSchedule.Next's yearLimit.
    private static let horizon: Int64 = 5 * 366 * 86400

    private let form: Form
    let zone: TimeZone

    /// Nil when the text is no schedule or the zone unknown. A zone in the text (`TZ=…` or `CRON_TZ=…`) goes before `timeZone`.
    package init?(_ text: String, timeZone: String?) {
        var text = text
        var name = timeZone ?? ""
        for prefix in ["TZ=", "CRON_TZ="] where text.hasPrefix(prefix) {
            name = String(text.dropFirst(prefix.count).prefix { $0 != " " })
            text = String(text.dropFirst(prefix.count + name.count).drop { $0 == " " })
        }
        guard let zone = TimeZone(named: name) else { return nil }
        self.zone = zone
        if text.hasPrefix("@every ") {
            guard let seconds = Self.duration(text.dropFirst(7)) else { return nil }
            form = .every(max(1, seconds))
            return
        }
        let parts = (Self.descriptors[text] ?? text).split(whereSeparator: \.isWhitespace)
        guard parts.count == 5, let minutes = Self.field(parts[0], 0...59), let hours = Self.field(parts[1], 0...23),
            let days = Self.field(parts[2], 1...31), let months = Self.field(parts[3], 1...12, Self.months),
            let weekdays = Self.field(parts[4], 0...6, Self.weekdays)
        else { return nil }
        form = .fields(minutes: minutes, hours: hours, days: days, months: months, weekdays: weekdays)
    }

    /// The first time after `time`; nil when there is none within five years. Upstream: Schedule.Next.
    package func next(after time: Timestamp) -> Timestamp? {
        let seconds = time.seconds
        switch form {
        case .every(let pause): return Timestamp(seconds: seconds + pause)
        case .fields(let minutes, let hours, let days, let months, let weekdays):
            var at = seconds - Self.modulo(seconds, 60) + 60
            while at - seconds < Self.horizon {
                let local = at + zone.offset(at: at)
                let day = (local - Self.modulo(local, 86400)) / 86400
                let minute = Self.modulo(local, 86400) / 60
                let (_, month, dayOfMonth) = Timestamp.civil(day)
                if !months.contains(month) || !Self.matches(dayOfMonth, Self.weekday(day), days, weekdays) {
                    at = startOfNextDay(after: at, local: local)
                } else if !hours.contains(minute / 60) {
                    at += (60 - minute % 60) * 60
                } else if !minutes.contains(minute % 60) {
                    at += 60
                } else {
                    return Timestamp(seconds: at)
                }
            }
            return nil
        }
    }

    /// The last of the times that follow `time` one after the other, no later than `now`; nil: none does. However many there are, few are looked at.
    package func last(after time: Timestamp, upTo now: Timestamp) -> Timestamp? {
        if case .every(let pause) = form {
            let count = (now.seconds - time.seconds) / pause
            return count > 0 ? Timestamp(seconds: time.seconds + count * pause) : nil
        }
        // The times do not depend on where one begins: looked for from now backwards, in steps that double.
        var at = time
        var back: Int64 = 60
        while back < now.seconds - time.seconds {
            let start = now.adding(seconds: -back)
            if let next = next(after: start), next <= now {
                at = start
                break
            }
            back *= 2
        }
        var last: Timestamp?
        while let next = next(after: at), next <= now { (last, at) = (next, next) }
        return last
    }

    /// When the local date changes next: clocks may be set forward or back on the way.
    private func startOfNextDay(after at: Int64, local: Int64) -> Int64 {
        let midnight = local - Self.modulo(local, 86400) + 86400
        let next = at + midnight - local
        let landed = next + zone.offset(at: next)
        if landed < midnight { return next + midnight - landed }
        // Set forward meanwhile: what was passed over of the new day counts, too.
        let back = next - (landed - midnight)
        return back > at && back + zone.offset(at: back) >= midnight ? back : next
    }

    /// Day of the month and weekday: both must match if one of them does not choose, either if both do. Upstream: dayMatches.
    private static func matches(_ day: Int64, _ weekday: Int64, _ days: Field, _ weekdays: Field) -> Bool {
        let (a, b) = (days.contains(day), weekdays.contains(weekday))
        return days.isStar || weekdays.isStar ? a && b : a || b
    }

    private static func modulo(_ a: Int64, _ b: Int64) -> Int64 { (a % b + b) % b }

    /// 0 is Sunday; 1970 began on a Thursday.
    static func weekday(_ day: Int64) -> Int64 { modulo(day + 4, 7) }

    // MARK: Reading

    private static func field(_ text: Substring, _ bounds: ClosedRange<Int>, _ names: [String] = []) -> Field? {
        var field = Field()
        for part in text.split(separator: ",") {
            guard let range = range(part, bounds, names) else { return nil }
            field.bits |= range.bits
            field.isStar = field.isStar || range.isStar
        }
        return field.bits == 0 ? nil : field
    }

    private static func range(_ text: Substring, _ bounds: ClosedRange<Int>, _ names: [String]) -> Field? {
        func number(_ text: Substring) -> Int? { names.firstIndex(of: text.lowercased()).map { $0 + bounds.lowerBound } ?? Int(text) }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count) else { return nil }
        let step = parts.count == 2 ? Int(parts[1]) ?? 0 : 1
        var (low, high) = (bounds.lowerBound, bounds.upperBound)
        let isStar = parts[0] == "*" || parts[0] == "?"
        if !isStar {
            let limits = parts[0].split(separator: "-", omittingEmptySubsequences: false)
            guard (1...2).contains(limits.count), let first = number(limits[0]), let last = number(limits[limits.count - 1]) else { return nil }
            low = first
            high = limits.count == 1 && parts.count == 2 ? bounds.upperBound : last
        }
        guard step > 0, bounds.contains(low), bounds.contains(high), low <= high else { return nil }
        return Field(bits: stride(from: low, through: high, by: step).reduce(0) { $0 | 1 << UInt64($1) }, isStar: isStar && step == 1)
    }

    /// Go's durations in whole seconds: `1h30m`.
    private static func duration(_ text: Substring) -> Int64? {
        let units: [(String, Double)] = [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600), ("m", 60), ("s", 1)]
        var rest = text
        var seconds = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            guard let amount = Double(number), let unit = units.first(where: { rest.hasPrefix($0.0) }) else { return nil }
            seconds += amount * unit.1
            rest = rest.dropFirst(unit.0.count)
        }
        return seconds < 1e9 ? Int64(seconds) : nil
    }
}
