import Glibc

/// Offsets of time zones from UTC. Upstream: types.timeZone: a name of the tz database, or `+01:30`.
enum CELTimeZone {
    /// Seconds east of UTC. Throws for an unknown zone.
    static func offset(_ name: String, at seconds: Int64) throws(CELError) -> Int64 {
        if name.isEmpty || name == "UTC" { return 0 }
        let negative = name.hasPrefix("-")
        let digits = negative || name.hasPrefix("+") ? String(name.dropFirst()) : name
        let parts = digits.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count == 2, parts[0].utf8.count <= 2, let hours = Int64(parts[0]), let minutes = Int64(parts[1]), hours < 24,
            (0..<60).contains(minutes)
        {
            return (hours * 3600 + minutes * 60) * (negative ? -1 : 1)
        }
        guard let offset = zoneFile(name).flatMap({ offset($0, seconds) }) else { throw CELError("unknown time zone \(name)") }
        return offset
    }

    /// The zone's file of the system's database; names may not leave its directory.
    private static func zoneFile(_ name: String) -> [UInt8]? {
        let safe = name.utf8.allSatisfy { c in
            (65...90).contains(c) || (97...122).contains(c) || (48...57).contains(c) || "_+-/".utf8.contains(c)
        }
        guard safe, name.utf8.count < 64, !name.hasPrefix("/"), let file = fopen("/usr/share/zoneinfo/\(name)", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 * 1024)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }

    /// The offset at a time by a TZif file's 64-bit transitions, or its last rule's first. Upstream: time.LoadLocation.
    private static func offset(_ b: [UInt8], _ seconds: Int64) -> Int64? {
        func number(_ at: Int, _ width: Int) -> Int64? {
            guard at >= 0, at + width <= b.count else { return nil }
            var value: Int64 = 0
            for byte in b[at..<at + width] { value = value << 8 | Int64(byte) }
            return width == 4 ? Int64(Int32(truncatingIfNeeded: value)) : value
        }
        func counts(_ at: Int) -> [Int]? {
            guard b.count >= at + 44, b[at..<at + 4].elementsEqual("TZif".utf8) else { return nil }
            return (0..<6).map { Int(number(at + 20 + $0 * 4, 4) ?? 0) }
        }
        // isutc, isstd, leap, times, types, characters
        guard let first = counts(0), first.allSatisfy({ (0..<100_000).contains($0) }) else { return nil }
        let second = 44 + first[3] * 5 + first[4] * 6 + first[5] + first[2] * 8 + first[1] + first[0]
        guard let counts = counts(second), counts.allSatisfy({ (0..<100_000).contains($0) }), counts[4] > 0 else { return nil }
        let times = second + 44
        let indices = times + counts[3] * 8
        let types = indices + counts[3]
        var type = 0
        for place in 0..<counts[3] {
            guard let time = number(times + place * 8, 8), time <= seconds, indices + place < b.count else { break }
            type = Int(b[indices + place])
        }
        return number(types + type * 6, 4)
    }
}
