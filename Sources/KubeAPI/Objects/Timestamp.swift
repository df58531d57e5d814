#if canImport(Glibc)
    internal import Glibc
#endif

/// A point in time as Kubernetes writes it: RFC 3339 in UTC. Whole seconds in metav1.Time, microseconds in metav1.MicroTime. Calendar arithmetic is
/// done here with integers (days from civil, Howard Hinnant's algorithm), so that no Foundation is needed on hot paths.
package struct Timestamp: Sendable, Hashable, Comparable {
    /// Microseconds since 1970-01-01T00:00:00Z.
    package var microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }
    package init(seconds: Int64) { microseconds = seconds &* 1_000_000 }

    /// Whole seconds since 1970, rounded down. No value traps, however it was made: protobuf says any.
    package var seconds: Int64 {
        let (whole, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return rest < 0 ? whole - 1 : whole
    }

    /// The seconds of the years 1 to 9999, which RFC 3339 can write.
    package static let writableSeconds: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

    /// The wall clock now.
    package static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    package static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }
    /// So many seconds later, no earlier than the year 1 and no later than 9999: users name any number of seconds.
    package func adding(seconds: Int64) -> Timestamp {
        let bounds = (Int128(Self.writableSeconds.lowerBound) * 1_000_000, Int128(Self.writableSeconds.upperBound) * 1_000_000)
        return Timestamp(microseconds: Int64(clamping: min(bounds.1, max(bounds.0, Int128(microseconds) + Int128(seconds) * 1_000_000))))
    }
    /// Seconds from `earlier` to this.
    package func timeInterval(since earlier: Timestamp) -> Double { Double(Int128(microseconds) - Int128(earlier.microseconds)) / 1_000_000 }

    /// `2026-11-23T01:02:03Z`: metav1.Time.
    package var rfc3339: String { date + "Z" }
    /// `2026-11-23T01:02:03.000004Z`: metav1.MicroTime, as in Leases.
    package var rfc3339Micro: String {
        let fraction = microseconds &- seconds &* 1_000_000
        let digits = String(fraction)
        return date + "." + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + "Z"
    }

    private var date: String {
        let days = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400
        let rest = seconds - days * 86400
        let (year, month, day) = Self.civil(days)
        func pad(_ n: Int64, _ width: Int = 2) -> String {
            let text = String(n)
            return text.count >= width ? text : String(repeating: "0", count: width - text.count) + text
        }
        return "\(pad(year, 4))-\(pad(month))-\(pad(day))T\(pad(rest / 3600)):\(pad(rest / 60 % 60)):\(pad(rest % 60))"
    }

    /// Reads RFC 3339 with `Z` or an offset and an optional fraction; nil for anything else.
    package init?(rfc3339 text: String) {
        let b = Array(text.utf8)
        guard b.count >= 20, b.count <= 40, b[4] == UInt8(ascii: "-"), b[7] == UInt8(ascii: "-"),
            b[10] == UInt8(ascii: "T") || b[10] == UInt8(ascii: "t"),
            b[13] == UInt8(ascii: ":"), b[16] == UInt8(ascii: ":")
        else { return nil }
        func number(_ from: Int, _ count: Int) -> Int64? {
            guard from + count <= b.count else { return nil }
            var value: Int64 = 0
            for c in b[from..<from + count] {
                guard c >= UInt8(ascii: "0"), c <= UInt8(ascii: "9") else { return nil }
                value = value * 10 + Int64(c - UInt8(ascii: "0"))
            }
            return value
        }
        guard let year = number(0, 4), let month = number(5, 2), let day = number(8, 2), let hour = number(11, 2), let minute = number(14, 2),
            let second = number(17, 2), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        var at = 19
        var fraction: Int64 = 0
        if b[at] == UInt8(ascii: ".") {
            at += 1
            var scale: Int64 = 100_000
            let first = at
            while at < b.count, b[at] >= UInt8(ascii: "0"), b[at] <= UInt8(ascii: "9") {
                fraction += Int64(b[at] - UInt8(ascii: "0")) * scale
                scale /= 10
                at += 1
            }
            guard at > first else { return nil }
        }
        guard at < b.count else { return nil }
        var offset: Int64 = 0
        if b[at] == UInt8(ascii: "Z") || b[at] == UInt8(ascii: "z") {
            at += 1
        } else {
            guard b[at] == UInt8(ascii: "+") || b[at] == UInt8(ascii: "-"), at + 6 <= b.count, b[at + 3] == UInt8(ascii: ":"),
                let hours = number(at + 1, 2), let minutes = number(at + 4, 2), hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (b[at] == UInt8(ascii: "-") ? -1 : 1)
            at += 6
        }
        guard at == b.count else { return nil }
        let total = Self.days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
        microseconds = total * 1_000_000 + fraction
    }

    /// Days since 1970-01-01 of a date of the Gregorian calendar.
    package static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468
    }

    /// The date (year, month, day) so many days after 1970-01-01.
    package static func civil(_ days: Int64) -> (Int64, Int64, Int64) {
        let z = days + 719468
        let era = (z >= 0 ? z : z - 146096) / 146097
        let dayOfEra = z - era * 146097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let m = (5 * dayOfYear + 2) / 153
        let month = m < 10 ? m + 3 : m - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * m + 2) / 5 + 1)
    }
}
