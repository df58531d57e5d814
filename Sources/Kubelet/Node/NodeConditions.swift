import ContainerRuntime
import Glibc
import KubeAPI

/// What the node's conditions are made from.
struct NodeHealth: Sendable, Equatable {
    /// Nil when the runtime answers and is ready.
    var runtimeProblem: String?
    /// Nil when pods can have networks.
    var networkProblem: String?
    /// What the node is short of, as evictions see it.
    var pressures: Set<NodePressure> = []
    var isShuttingDown = false

    /// Reads the runtime's conditions, in upstream's words.
    static func problems(of conditions: [RuntimeCondition]) -> (runtime: String?, network: String?) {
        func text(_ type: String) -> String? {
            guard let condition = conditions.first(where: { $0.type == type }) else { return "\(type)=false reason:unknown message:not reported" }
            return condition.status ? nil : "\(type)=false reason:\(condition.reason) message:\(condition.message)"
        }
        return (text("RuntimeReady"), text("NetworkReady"))
    }
}

/// A node's conditions: pure. Upstream: pkg/kubelet/nodestatus/setters.go.
enum NodeConditions {
    /// In upstream's order; `old` gives the transition times.
    static func conditions(_ health: NodeHealth, old: [JSONView], now: Timestamp) -> [Value] {
        var made: [Value] = []
        func add(_ type: String, _ isTrue: Bool, _ reason: String, _ message: String) {
            let status = isTrue ? "True" : "False"
            let before = old.first { $0["type"].string == type }
            let since = before["status"].string == status ? before["lastTransitionTime"].string : nil
            made.append([
                "type": .string(type), "status": .string(status), "lastHeartbeatTime": .string(now.rfc3339),
                "lastTransitionTime": .string(since ?? now.rfc3339), "reason": .string(reason), "message": .string(message),
            ])
        }
        let memory = health.pressures.contains(.memory)
        add(
            "MemoryPressure", memory, memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
            memory ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available")
        let disk = health.pressures.contains(.disk)
        add(
            "DiskPressure", disk, disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
            disk ? "kubelet has disk pressure" : "kubelet has no disk pressure")
        let pids = health.pressures.contains(.pid)
        add(
            "PIDPressure", pids, pids ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
            pids ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available")
        var problems: [String] = []
        if let problem = health.runtimeProblem { problems.append("container runtime is down: \(problem)") }
        if let problem = health.networkProblem { problems.append("container runtime network not ready: \(problem)") }
        if health.isShuttingDown { problems.append("node is shutting down") }
        if problems.isEmpty {
            add("Ready", true, "KubeletReady", "kubelet is posting ready status")
        } else {
            add("Ready", false, "KubeletNotReady", problems.count == 1 ? problems[0] : "[\(problems.joined(separator: ", "))]")
        }
        return made
    }
}

/// Figures of this host. Functions block.
enum HostFigures {
    /// Memory the node may still use: what its cgroup leaves, no more than the host has.
    static func availableMemory(cgroupMount: String, cgroupRoot: String, capacity: Int64) -> Int64? {
        guard let meminfo = try? FileTree.read("/proc/meminfo") else { return nil }  // Cannot be told.
        var available: Int64?
        for line in String(decoding: meminfo, as: UTF8.self).split(separator: "\n") where line.hasPrefix("MemAvailable:") {
            available = line.split(separator: " ").dropFirst().first.flatMap { Int64($0) }.map { $0 &* 1024 }
        }
        guard capacity > 0, !cgroupRoot.isEmpty else { return available }
        guard let used = workingSet(cgroupMount: cgroupMount, path: cgroupRoot) else { return available }
        return min(available ?? .max, max(0, capacity &- used))
    }

    /// Memory of a cgroup that cannot be given back at once; nil when there is no such cgroup.
    static func workingSet(cgroupMount: String, path: String) -> Int64? {
        let (unified, legacy) = (cgroupMount + path, "\(cgroupMount)/memory\(path)")
        for (usage, statistics, cache) in [
            ("\(unified)/memory.current", "\(unified)/memory.stat", "inactive_file"),
            ("\(legacy)/memory.usage_in_bytes", "\(legacy)/memory.stat", "total_inactive_file"),
        ] {
            if let used = number(usage) { return max(0, used &- (field(cache, of: statistics) ?? 0)) }
        }
        return nil
    }

    /// Time that a cgroup's processes have had; nil when there is no such cgroup.
    static func cpuNanoseconds(cgroupMount: String, path: String) -> Int64? {
        if let microseconds = field("usage_usec", of: "\(cgroupMount)\(path)/cpu.stat") { return microseconds &* 1000 }
        return number("\(cgroupMount)/cpuacct\(path)/cpuacct.usage")
    }

    /// Processes and threads of the host, and how many there may be.
    static func processes() -> (running: Int64, maximum: Int64)? {
        // `0.20 0.18 0.12 1/80 11206`
        let load = text("/proc/loadavg").split(separator: " ").dropFirst(3).first?.split(separator: "/").last.flatMap { Int64($0) }
        guard let load, let pids = number("/proc/sys/kernel/pid_max"), let threads = number("/proc/sys/kernel/threads-max") else { return nil }
        return (load, min(pids, threads))
    }

    /// Bytes of the host's memory.
    static func memory() -> Int64? { field("MemTotal:", of: "/proc/meminfo").map { $0 &* 1024 } }

    /// Bytes of the host's swap.
    static func swap() -> Int64 {
        let bytes = (try? FileTree.read("/proc/swaps", limit: 64 << 10)) ?? []  // A kernel without swap.
        return NodeSwap.capacity(String(decoding: bytes, as: UTF8.self))
    }

    static func number(_ path: String) -> Int64? {
        guard let bytes = try? FileTree.read(path, limit: 64) else { return nil }  // No such file in this cgroup version.
        return Int64(String(decoding: bytes, as: UTF8.self).filter { $0.isNumber })
    }

    /// The words in a file; none where there is none.
    static func words(of path: String) -> [Substring] {
        let bytes = (try? FileTree.read(path, limit: 64 << 10)) ?? []  // No such file in this cgroup version.
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    }

    /// The numbers in a file of lines such as `anon 4096`, by their names.
    static func fields(of path: String) -> [String: Int64] {
        let words = words(of: path)
        var fields: [String: Int64] = [:]
        for at in stride(from: 0, to: words.count - 1, by: 2) { fields[String(words[at])] = Int64(words[at + 1]) }
        return fields
    }

    private static func field(_ name: String, of path: String) -> Int64? {
        guard let bytes = try? FileTree.read(path, limit: 64 << 10) else { return nil }  // As above.
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            // Some name a unit behind it.
            if words.count >= 2, words[0] == name { return Int64(words[1]) }
        }
        return nil
    }

    /// Free parts of a hundred of blocks and inodes.
    static func disk(_ path: String) -> (blocks: Double?, inodes: Double?, capacity: UInt64, available: UInt64) {
        var figures = statvfs()
        guard statvfs(path, &figures) == 0 else { return (nil, nil, 0, 0) }
        let blocks = figures.f_blocks > 0 ? 100 * Double(figures.f_bavail) / Double(figures.f_blocks) : nil
        // Filesystems without a table of inodes report none.
        let inodes = figures.f_files > 0 ? 100 * Double(figures.f_favail) / Double(figures.f_files) : nil
        let unit = UInt64(figures.f_frsize)
        return (blocks, inodes, UInt64(figures.f_blocks) &* unit, UInt64(figures.f_bavail) &* unit)
    }

    private static func text(_ path: String) -> String {
        let bytes = (try? FileTree.read(path, limit: 4096)) ?? []  // Containers and small machines lack some of these files.
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").first.map(String.init) ?? ""
    }

    /// nodeInfo, without the runtime's and the kubelet's versions.
    static func nodeInfo(nodeName: String) -> [(String, Value)] {
        var names = utsname()
        uname(&names)
        let kernel = withUnsafePointer(to: &names.release) { $0.withMemoryRebound(to: CChar.self, capacity: 65) { String(cString: $0) } }
        let machine = withUnsafePointer(to: &names.machine) { $0.withMemoryRebound(to: CChar.self, capacity: 65) { String(cString: $0) } }
        let release = (try? FileTree.read("/etc/os-release", limit: 64 << 10)).map { String(decoding: $0, as: UTF8.self) } ?? ""  // As above.
        let pretty = release.split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }.map { $0.dropFirst(12).filter { $0 != "\"" } } ?? "Linux"
        let architecture = machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine
        // Machines of one host share its files: the node's name tells them apart.
        let swap = swap()
        let swapInfo: [(String, Value)] = swap > 0 ? [("swap", ["capacity": .int(swap)])] : []
        return [
            ("machineID", .string(text("/etc/machine-id"))), ("systemUUID", .string(nodeName)),
            ("bootID", .string(text("/proc/sys/kernel/random/boot_id"))), ("kernelVersion", .string(kernel)), ("osImage", .string(pretty)),
            ("operatingSystem", "linux"), ("architecture", .string(architecture)),
        ] + swapInfo
    }
}
