import Glibc

/// Where the AWS modules take the time from; tests move it.
package struct AWSClock: Sendable {
    private let read: @Sendable () -> Double

    /// `read` gives seconds since 1970.
    package init(_ read: @escaping @Sendable () -> Double) { self.read = read }

    /// Seconds since 1970.
    package var now: Double { read() }

    /// The machine's clock.
    package static let system = AWSClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// Timestamps in AWS's text forms. All UTC.
package enum AWSTimestamp {
    /// `20060102T150405Z`, as in `X-Amz-Date`.
    package static func basic(_ seconds: Double) -> String {
        let t = Civil(seconds)
        return "\(pad(t.year, 4))\(pad(t.month, 2))\(pad(t.day, 2))T\(pad(t.hour, 2))\(pad(t.minute, 2))\(pad(t.second, 2))Z"
    }

    /// `2006-01-02T15:04:05Z`, as IAM and STS write times.
    package static func extended(_ seconds: Double) -> String { extendedHead(Civil(seconds)) + "Z" }

    /// `2006-01-02T15:04:05.000Z`, as EC2 writes times.
    package static func extendedMilliseconds(_ seconds: Double) -> String {
        let t = Civil(seconds)
        return "\(extendedHead(t)).\(pad(t.millisecond, 3))Z"
    }

    private static func extendedHead(_ t: Civil) -> String {
        "\(pad(t.year, 4))-\(pad(t.month, 2))-\(pad(t.day, 2))T\(pad(t.hour, 2)):\(pad(t.minute, 2)):\(pad(t.second, 2))"
    }

    /// Parses `20060102T150405Z` to seconds since 1970; nil for anything else, impossible dates included.
    package static func parseBasic(_ text: some StringProtocol) -> Double? {
        let bytes = Array(text.utf8)
        guard bytes.count == 16, bytes[8] == 0x54, bytes[15] == 0x5A else { return nil }
        func number(_ from: Int, _ count: Int) -> Int? {
            var value = 0
            for byte in bytes[from..<(from + count)] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte - 0x30)
            }
            return value
        }
        guard let year = number(0, 4), let month = number(4, 2), let day = number(6, 2), let hour = number(9, 2), let minute = number(11, 2),
            let second = number(13, 2), (1...12).contains(month), day >= 1, hour < 24, minute < 60, second < 60
        else { return nil }
        let days = Civil.days(year: year, month: month, day: day)
        let seconds = Double(days * 86_400 + hour * 3_600 + minute * 60 + second)
        // A 31st of June would roll over into July: such a date is refused.
        guard Civil(seconds).day == day else { return nil }
        return seconds
    }

    private static func pad(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return text.utf8.count < width ? String(repeating: "0", count: width - text.utf8.count) + text : text
    }
}

/// A moment as a date of the proleptic Gregorian calendar.
private struct Civil {
    var year = 1970
    var month = 1
    var day = 1
    var hour = 0
    var minute = 0
    var second = 0
    var millisecond = 0

    /// Years outside 1970…9999 are clamped: no AWS timestamp lies there.
    init(_ seconds: Double) {
        let clamped = seconds.isFinite ? min(max(seconds, 0), 253_402_300_799) : 0
        let whole = Int(clamped)
        millisecond = min(999, Int((clamped - Double(whole)) * 1000))
        let rest = whole % 86_400
        (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60)
        let shifted = whole / 86_400 + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days since 1970-01-01.
    static func days(year: Int, month: Int, day: Int) -> Int {
        let y = month <= 2 ? year - 1 : year
        let era = y / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
