import Glibc
import KubeAPI

/// What clocks show somewhere, from the system's time zone database. Upstream: time.LoadLocation; the format is RFC 9636's TZif.
struct TimeZone: Sendable {
    private static let database = "/usr/share/zoneinfo/"
    /// No file of the database is larger than some kilobytes.
    private static let largestFile = 1 << 20

    static let utc = TimeZone(transitions: [], offsets: [0], rule: nil)

    /// Instants (seconds since 1970) from which an offset holds, ascending; `offsets` has the one before the first, too.
    private var transitions: [Int64]
    private var offsets: [Int64]
    /// What holds after the last transition; nil: the last offset.
    private var rule: PosixTimeZone?

    private init(transitions: [Int64], offsets: [Int64], rule: PosixTimeZone?) {
        self.transitions = transitions
        self.offsets = offsets
        self.rule = rule
    }

    /// Nil: there is no such zone. `Local` and the empty name are UTC, as the service keeps its own time in it.
    init?(named name: String) {
        if name.isEmpty || name == "UTC" || name == "Local" {
            self = .utc
            return
        }
        guard !name.hasPrefix("/"), !name.split(separator: "/").contains(".."), let bytes = Self.read(Self.database + name) else { return nil }
        self.init(tzif: bytes)
    }

    /// Reads the 64-bit part of a TZif file; nil when it is none.
    init?(tzif bytes: [UInt8]) {
        guard let first = Header(bytes, at: 0), first.version >= UInt8(ascii: "2"),
            let header = Header(bytes, at: Header.size + first.bodySize(timeSize: 4))
        else { return nil }
        let body = Header.size + first.bodySize(timeSize: 4) + Header.size
        let end = body + header.bodySize(timeSize: 8)
        guard end <= bytes.count, header.types > 0 else { return nil }
        func number(_ at: Int, _ count: Int) -> Int64 {
            // Big-endian, two's complement.
            bytes[at..<at + count].reduce(bytes[at] & 0x80 == 0 ? 0 : -1) { $0 << 8 | Int64($1) }
        }
        let kinds = body + header.times * 8
        let records = kinds + header.times
        let all = (0..<header.types).map { number(records + $0 * 6, 4) }
        transitions = (0..<header.times).map { number(body + $0 * 8, 8) }
        offsets = [all[0]]
        for place in 0..<header.times {
            let kind = Int(bytes[kinds + place])
            guard kind < all.count else { return nil }
            offsets.append(all[kind])
        }
        let footer = bytes[end...].split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: true).first ?? []
        rule = PosixTimeZone(String(decoding: footer, as: UTF8.self))
    }

    /// The lengths in a TZif file's header.
    private struct Header {
        static let size = 44
        var version: UInt8
        var utcs, standards, leaps, times, types, letters: Int

        init?(_ bytes: [UInt8], at start: Int) {
            guard start + Self.size <= bytes.count, bytes[start..<start + 4].elementsEqual("TZif".utf8) else { return nil }
            func count(_ place: Int) -> Int { bytes[start + 20 + place * 4..<start + 24 + place * 4].reduce(0) { $0 << 8 | Int($1) } }
            version = bytes[start + 4]
            (utcs, standards, leaps, times, types, letters) = (count(0), count(1), count(2), count(3), count(4), count(5))
        }

        /// Counts are of 32 bits: the sum cannot overflow.
        func bodySize(timeSize: Int) -> Int { times * (timeSize + 1) + types * 6 + letters + leaps * (timeSize + 4) + standards + utcs }
    }

    /// Seconds that clocks are ahead of UTC at an instant, in seconds since 1970.
    func offset(at instant: Int64) -> Int64 {
        if let rule, instant >= transitions.last ?? .min { return rule.offset(at: instant) }
        // The number of transitions not after the instant.
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] <= instant { low = middle + 1 } else { high = middle }
        }
        return offsets[low]
    }

    private static func read(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: largestFile)
        var size = 0
        while size < bytes.count {
            let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress.map { $0 + size }, $0.count - size) }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            size += count
        }
        return Array(bytes.prefix(size))
    }
}

/// A rule for summer time such as `CET-1CEST,M3.5.0,M10.5.0/3`: what holds in the years a TZif file does not list. Format: POSIX `TZ`, RFC 9636 3.3.
struct PosixTimeZone: Sendable {
    private var standard: Int64
    /// Nil: no summer time.
    private var summer: (offset: Int64, begins: Day, ends: Day)?

    /// A day of the year with a time on it.
    private struct Day {
        enum Form {
            /// Month, week (5: the last), weekday (0: Sunday).
            case weekday(month: Int64, week: Int64, day: Int64)
            /// 1 to 365, 29 February never counted.
            case julian(Int64)
            /// 0 to 365.
            case ordinal(Int64)
        }
        var form: Form
        var seconds: Int64 = 7200

        /// Days since 1970 of the day in a year.
        func day(in year: Int64) -> Int64 {
            let january = Timestamp.days(year, 1, 1)
            switch form {
            case .ordinal(let number): return january + number
            case .julian(let number):
                let isLeap = Timestamp.days(year + 1, 1, 1) - january == 366
                return january + number - 1 + (isLeap && number >= 60 ? 1 : 0)
            case .weekday(let month, let week, let wanted):
                let first = Timestamp.days(year, month, 1)
                let next = month == 12 ? Timestamp.days(year + 1, 1, 1) : Timestamp.days(year, month + 1, 1)
                var day = first + (wanted - CronSchedule.weekday(first) + 7) % 7 + (week - 1) * 7
                while day >= next { day -= 7 }
                return day
            }
        }
    }

    init?(_ text: String) {
        var rest = Substring(text)
        guard Self.name(&rest), let west = Self.time(&rest) else { return nil }
        standard = -west
        guard !rest.isEmpty else { return }
        guard Self.name(&rest) else { return nil }
        var offset = standard + 3600
        if !rest.hasPrefix(",") {
            guard let west = Self.time(&rest) else { return nil }
            offset = -west
        }
        let parts = rest.split(separator: ",", omittingEmptySubsequences: true)
        guard parts.count == 2, let begins = Self.day(parts[0]), let ends = Self.day(parts[1]) else { return nil }
        summer = (offset, begins, ends)
    }

    func offset(at instant: Int64) -> Int64 {
        guard let summer else { return standard }
        let local = instant + standard
        let year = Timestamp.civil(local >= 0 ? local / 86400 : (local - 86399) / 86400).0
        let begins = summer.begins.day(in: year) * 86400 + summer.begins.seconds - standard
        let ends = summer.ends.day(in: year) * 86400 + summer.ends.seconds - summer.offset
        // South of the equator summer goes over the turn of the year.
        let isSummer = begins < ends ? instant >= begins && instant < ends : instant >= begins || instant < ends
        return isSummer ? summer.offset : standard
    }

    /// Takes a zone's abbreviation off: letters, or anything in angle brackets.
    private static func name(_ rest: inout Substring) -> Bool {
        if rest.hasPrefix("<") {
            guard let end = rest.firstIndex(of: ">") else { return false }
            rest = rest[rest.index(after: end)...]
            return true
        }
        let letters = rest.prefix(while: \.isLetter)
        rest = rest.dropFirst(letters.count)
        return letters.count >= 3
    }

    /// Takes `[+-]hh[:mm[:ss]]` off, in seconds.
    private static func time(_ rest: inout Substring) -> Int64? {
        let text = rest.prefix { $0.isNumber || $0 == ":" || $0 == "-" || $0 == "+" }
        rest = rest.dropFirst(text.count)
        let isNegative = text.hasPrefix("-")
        let parts = text.drop { $0 == "-" || $0 == "+" }.split(separator: ":").map { Int64($0) }
        guard (1...3).contains(parts.count), let hours = parts[0], hours <= 167 else { return nil }
        var seconds = hours * 3600
        for (part, unit) in zip(parts.dropFirst(), [60, 1] as [Int64]) {
            guard let part, part < 60 else { return nil }
            seconds += part * unit
        }
        return isNegative ? -seconds : seconds
    }

    private static func day(_ text: Substring) -> Day? {
        let parts = text.split(separator: "/", maxSplits: 1)
        guard let date = parts.first else { return nil }
        var day: Day
        if date.hasPrefix("M") {
            let numbers = date.dropFirst().split(separator: ".").compactMap { Int64($0) }
            guard numbers.count == 3, (1...12).contains(numbers[0]), (1...5).contains(numbers[1]), (0...6).contains(numbers[2]) else { return nil }
            day = Day(form: .weekday(month: numbers[0], week: numbers[1], day: numbers[2]))
        } else if date.hasPrefix("J") {
            guard let number = Int64(date.dropFirst()), (1...365).contains(number) else { return nil }
            day = Day(form: .julian(number))
        } else {
            guard let number = Int64(date), (0...365).contains(number) else { return nil }
            day = Day(form: .ordinal(number))
        }
        if parts.count == 2 {
            var rest = parts[1]
            guard let seconds = time(&rest) else { return nil }
            day.seconds = seconds
        }
        return day
    }
}
