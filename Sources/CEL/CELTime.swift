/// A point in time to the nanosecond, of years 1 to 9999. Upstream: types.Timestamp.
package struct CELTimestamp: Sendable, Hashable, Comparable {
    /// Since 1970-01-01T00:00:00Z.
    package let seconds: Int64
    /// 0 to 999,999,999.
    package let nanoseconds: Int64

    static let minimum: Int64 = -62_135_596_800
    static let maximum: Int64 = 253_402_300_799

    /// Nil outside the years.
    init?(seconds: Int64, nanoseconds: Int64 = 0) {
        guard nanoseconds >= 0, nanoseconds < 1_000_000_000, seconds >= Self.minimum, seconds <= Self.maximum else { return nil }
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package static func < (a: CELTimestamp, b: CELTimestamp) -> Bool { (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds) }

    /// RFC 3339 with a fraction of up to nine digits; nil for anything else.
    package init?(_ text: String) {
        let b = Array(text.utf8)
        guard b.count >= 20, b.count <= 64, b[4] == 45, b[7] == 45, b[10] == 84, b[13] == 58, b[16] == 58 else { return nil }
        func number(_ from: Int, _ count: Int) -> Int64? { Self.number(b, from, count) }
        guard let year = number(0, 4), let month = number(5, 2), let day = number(8, 2), let hour = number(11, 2), let minute = number(14, 2),
            let second = number(17, 2), (1...12).contains(month), day >= 1, day <= CELCalendar.days(in: month, year), hour < 24, minute < 60,
            second < 60
        else { return nil }
        var at = 19
        var fraction: Int64 = 0
        if at < b.count, b[at] == UInt8(ascii: ".") || b[at] == UInt8(ascii: ",") {
            at += 1
            let first = at
            var scale: Int64 = 100_000_000
            while at < b.count, b[at] >= 48, b[at] <= 57 {
                fraction += Int64(b[at] - 48) * scale
                scale /= 10
                at += 1
            }
            guard at > first else { return nil }
        }
        var offset: Int64 = 0
        guard at < b.count else { return nil }
        if b[at] == UInt8(ascii: "Z") {
            at += 1
        } else {
            guard b[at] == 43 || b[at] == 45, at + 6 == b.count, b[at + 3] == 58, let hours = number(at + 1, 2), let minutes = number(at + 4, 2),
                hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (b[at] == 45 ? -1 : 1)
            at += 6
        }
        guard at == b.count else { return nil }
        self.init(seconds: CELCalendar.days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset, nanoseconds: fraction)
    }

    /// A date alone, `2006-01-02`. Upstream: strfmt.ParseDate, for `format: date`.
    package init?(date text: String) {
        let b = Array(text.utf8)
        guard b.count == 10 else { return nil }
        self.init(text + "T00:00:00Z")
    }

    private static func number(_ b: [UInt8], _ from: Int, _ count: Int) -> Int64? {
        guard from + count <= b.count else { return nil }
        var value: Int64 = 0
        for c in b[from..<from + count] {
            guard c >= 48, c <= 57 else { return nil }
            value = value * 10 + Int64(c - 48)
        }
        return value
    }

    func adding(_ nanoseconds: Int64) -> CELTimestamp? {
        var nanos = self.nanoseconds + nanoseconds % 1_000_000_000
        var (seconds, overflow) = self.seconds.addingReportingOverflow(nanoseconds / 1_000_000_000)
        if nanos < 0 {
            nanos += 1_000_000_000
            seconds -= 1
        } else if nanos >= 1_000_000_000 {
            nanos -= 1_000_000_000
            seconds += 1
        }
        return overflow ? nil : CELTimestamp(seconds: seconds, nanoseconds: nanos)
    }

    /// Nanoseconds since `other`; nil when they do not fit.
    func since(_ other: CELTimestamp) -> Int64? {
        let (product, overflow) = (seconds - other.seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow2) = product.addingReportingOverflow(nanoseconds - other.nanoseconds)
        return overflow || overflow2 ? nil : sum
    }

    /// RFC 3339 in UTC with as many digits of the fraction as needed. Upstream: time.RFC3339Nano.
    var text: String {
        let parts = CELCalendar.Parts(seconds)
        func pad(_ number: Int64, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        var fraction = ""
        if nanoseconds > 0 {
            fraction = pad(nanoseconds, 9)
            while fraction.hasSuffix("0") { fraction.removeLast() }
            fraction = "." + fraction
        }
        let date = "\(pad(parts.year, 4))-\(pad(parts.month, 2))-\(pad(parts.day, 2))"
        return "\(date)T\(pad(parts.hour, 2)):\(pad(parts.minute, 2)):\(pad(parts.second, 2))\(fraction)Z"
    }
}

/// Days and dates of the Gregorian calendar, by Howard Hinnant's algorithms.
enum CELCalendar {
    struct Parts {
        let year, month, day, hour, minute, second: Int64
        /// 0: Sunday.
        let weekday: Int64
        /// From 0.
        let dayOfYear: Int64

        init(_ seconds: Int64) {
            let days = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400
            let rest = seconds - days * 86400
            let z = days + 719468
            let era = (z >= 0 ? z : z - 146096) / 146097
            let dayOfEra = z - era * 146097
            let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
            let shifted = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
            let m = (5 * shifted + 2) / 153
            month = m < 10 ? m + 3 : m - 9
            year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
            day = shifted - (153 * m + 2) / 5 + 1
            hour = rest / 3600
            minute = rest / 60 % 60
            second = rest % 60
            weekday = ((days % 7) + 11) % 7
            dayOfYear = days - CELCalendar.days(year, 1, 1)
        }
    }

    static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468
    }

    static func days(in month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }
}

/// Durations in nanoseconds. Upstream: types.Duration with time.ParseDuration.
enum CELDuration {
    private static let units: [(String, Int64)] = [
        ("ns", 1), ("us", 1000), ("µs", 1000), ("μs", 1000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// `1h30m`, `-1.5s`; nil for anything else and for what does not fit.
    static func parse(_ text: String) -> Int64? {
        var rest = Substring(text)
        var negative = false
        if let sign = rest.first, sign == "-" || sign == "+" {
            negative = sign == "-"
            rest = rest.dropFirst()
        }
        if rest == "0" { return 0 }
        guard !rest.isEmpty else { return nil }
        var total: Int64 = 0
        while !rest.isEmpty {
            let whole = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(whole.count)
            var fraction: Substring = ""
            if rest.first == "." {
                rest = rest.dropFirst()
                fraction = rest.prefix { $0.isASCII && $0.isNumber }
                rest = rest.dropFirst(fraction.count)
            }
            guard !whole.isEmpty || !fraction.isEmpty, let value = whole.isEmpty ? 0 : Int64(whole) else { return nil }
            let unitText = rest.prefix { $0 != "." && !($0.isASCII && $0.isNumber) }
            rest = rest.dropFirst(unitText.count)
            guard let unit = units.first(where: { $0.0 == unitText })?.1 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: unit)
            var part = 0.0
            if !fraction.isEmpty { part = (Double("0." + fraction.prefix(18)) ?? 0) * Double(unit) }
            let (sum, overflow2) = product.addingReportingOverflow(Int64(part))
            let (next, overflow3) = total.addingReportingOverflow(sum)
            if overflow || overflow2 || overflow3 { return nil }
            total = next
        }
        return negative ? -total : total
    }

    /// Seconds with an `s`. Upstream: Duration.ConvertToType(StringType).
    static func text(_ nanoseconds: Int64) -> String {
        let magnitude = nanoseconds.magnitude
        var fraction = String(magnitude % 1_000_000_000)
        fraction = String(repeating: "0", count: 9 - fraction.utf8.count) + fraction
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(nanoseconds < 0 ? "-" : "")\(magnitude / 1_000_000_000)\(fraction.isEmpty ? "" : "." + fraction)s"
    }
}
