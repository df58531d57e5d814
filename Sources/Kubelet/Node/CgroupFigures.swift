/// What a cgroup uses and is held to. Figures that cannot be told are nil. Upstream: cAdvisor's info.ContainerStats and ContainerSpec.
struct CgroupFigures: Sendable, Equatable {
    var cpuNanoseconds: Int64?
    /// Of the kernel's accounting periods: how many there were, in how many its processes had to wait, and for how long.
    var periods: Int64?
    var throttledPeriods: Int64?
    var throttledNanoseconds: Int64?
    /// Bytes.
    var memory: Int64?
    var workingSet: Int64?
    var rss: Int64?
    var cache: Int64?
    /// Zero: none.
    var memoryLimit: Int64?
    /// Microseconds of each period; nil: as many as there are.
    var cpuQuota: Int64?
    var cpuPeriod: Int64?

    init() {}

    /// Reads a cgroup's files; blocks. `path` begins at the hierarchy's root.
    init(cgroupMount mount: String, path: String, isUnified: Bool) {
        if isUnified { read(unified: mount + path) } else { read(mount, path) }
    }

    /// Larger limits are none. Upstream: cAdvisor's maxMemorySize.
    private static let largestLimit: Int64 = 1 << 62

    private mutating func read(unified folder: String) {
        let cpu = HostFigures.fields(of: "\(folder)/cpu.stat")
        cpuNanoseconds = cpu["usage_usec"].map { $0 &* 1000 }
        (periods, throttledPeriods, throttledNanoseconds) = (cpu["nr_periods"], cpu["nr_throttled"], cpu["throttled_usec"].map { $0 &* 1000 })
        let statistics = HostFigures.fields(of: "\(folder)/memory.stat")
        (rss, cache) = (statistics["anon"], statistics["file"])
        memory = HostFigures.number("\(folder)/memory.current")
        workingSet = memory.map { max(0, $0 &- (statistics["inactive_file"] ?? 0)) }
        let limit = HostFigures.words(of: "\(folder)/memory.max").first
        memoryLimit = limit.map { Int64($0) ?? 0 }
        let bandwidth = HostFigures.words(of: "\(folder)/cpu.max")
        cpuQuota = bandwidth.first.flatMap { Int64($0) }
        cpuPeriod = bandwidth.dropFirst().first.flatMap { Int64($0) }
    }

    private mutating func read(_ mount: String, _ path: String) {
        cpuNanoseconds = HostFigures.number("\(mount)/cpuacct\(path)/cpuacct.usage")
        let cpu = HostFigures.fields(of: "\(mount)/cpu\(path)/cpu.stat")
        (periods, throttledPeriods, throttledNanoseconds) = (cpu["nr_periods"], cpu["nr_throttled"], cpu["throttled_time"])
        let folder = "\(mount)/memory\(path)"
        let statistics = HostFigures.fields(of: "\(folder)/memory.stat")
        (rss, cache) = (statistics["total_rss"], statistics["total_cache"])
        memory = HostFigures.number("\(folder)/memory.usage_in_bytes")
        workingSet = memory.map { max(0, $0 &- (statistics["total_inactive_file"] ?? 0)) }
        memoryLimit = HostFigures.number("\(folder)/memory.limit_in_bytes").map { $0 > Self.largestLimit ? 0 : $0 }
        let quota = HostFigures.words(of: "\(mount)/cpu\(path)/cpu.cfs_quota_us").first.flatMap { Int64($0) }
        cpuQuota = quota.flatMap { $0 > 0 ? $0 : nil }
        cpuPeriod = HostFigures.number("\(mount)/cpu\(path)/cpu.cfs_period_us")
    }
}

/// What went through one interface of a pod. Upstream: cAdvisor's info.InterfaceStats.
struct InterfaceFigures: Sendable, Equatable {
    /// One direction.
    struct Direction: Sendable, Equatable {
        var bytes: UInt64
        var packets: UInt64
        var errors: UInt64
        var dropped: UInt64
    }

    var name: String
    var received: Direction
    var transmitted: Direction

    /// The interfaces in the text of `/proc/PID/net/dev`, but those within the host. Upstream: scanInterfaceStats, isIgnoredDevice.
    static func parse(_ text: String) -> [InterfaceFigures] {
        // `  eth0: 1296 16 0 0 0 0 0 0 816 9 0 0 0 0 0 0`
        text.split(separator: "\n").compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let name = String(line[..<colon].drop { $0 == " " })
            let numbers = line[line.index(after: colon)...].split(separator: " ").compactMap { UInt64($0) }
            guard numbers.count >= 12, !["lo", "veth", "docker"].contains(where: name.hasPrefix) else { return nil }
            func direction(_ at: Int) -> Direction {
                Direction(bytes: numbers[at], packets: numbers[at + 1], errors: numbers[at + 2], dropped: numbers[at + 3])
            }
            return InterfaceFigures(name: name, received: direction(0), transmitted: direction(8))
        }
    }

    /// Those that the processes of a cgroup see; blocks. Empty where there is no process.
    static func read(cgroupMount mount: String, path: String, isUnified: Bool) -> [InterfaceFigures] {
        let processes = HostFigures.words(of: isUnified ? "\(mount)\(path)/cgroup.procs" : "\(mount)/memory\(path)/cgroup.procs")
        guard let process = processes.first.flatMap({ Int32($0) }) else { return [] }
        return read("/proc/\(process)/net/dev")
    }

    /// Those of the node itself; blocks.
    static func own() -> [InterfaceFigures] { read("/proc/self/net/dev") }

    private static func read(_ path: String) -> [InterfaceFigures] {
        let bytes = (try? FileTree.read(path, limit: 1 << 20)) ?? []  // The process has ended.
        return parse(String(decoding: bytes, as: UTF8.self))
    }
}
