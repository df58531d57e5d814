internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The machine's control group in every hierarchy: v1 with one mount per controller, or v2. The instance type's size is its limit.
///
/// Below it, `system` holds the init, containerd and the agent, `kubepods` the pods: in v2 only leaves may hold processes.
struct ControlGroups {
    private static let root = "/sys/fs/cgroup"
    private static let period = 100_000  // microseconds: the kernel's default cfs period

    let path: String

    private static var isUnified: Bool { access("\(root)/cgroup.controllers", F_OK) == 0 }

    /// Roots of the v1 hierarchies that are mounted.
    private static var hierarchies: [String] {
        ["cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer", "hugetlb", "net_cls", "net_prio", "perf_event", "systemd"]
            .map { "\(root)/\($0)" }.filter { access("\($0)/cgroup.procs", F_OK) == 0 }
    }

    /// Makes the groups with their limits and returns the cgroup.procs files that the machine's init must join. Throws `CommandError`.
    func create(milliCPU: Int, memoryMiB: Int) throws -> [String] {
        let bytes = String(memoryMiB << 20)
        let quota = String(milliCPU * Self.period / 1_000)
        if Self.isUnified {
            var parent = Self.root
            for part in path.split(separator: "/") {
                // Controllers that the kernel lacks or a parent withholds cannot be handed down; one write per controller tells them apart.
                for controller in ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"] {
                    try? SmallFile.set("\(parent)/cgroup.subtree_control", "+\(controller)")
                }
                parent += "/\(part)"
                try SmallFile.makeDirectory(parent, mode: 0o755)
            }
            try SmallFile.set("\(parent)/memory.max", bytes)
            try SmallFile.set("\(parent)/cpu.max", "\(quota) \(Self.period)")
            for controller in ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"] {
                try? SmallFile.set("\(parent)/cgroup.subtree_control", "+\(controller)")
            }
            try SmallFile.makeDirectory("\(parent)/system", mode: 0o755)
            return ["\(parent)/system/cgroup.procs"]
        }
        guard !Self.hierarchies.isEmpty else {
            throw CommandError(arguments: ["cgroup", Self.root], code: -ENOENT, output: "no cgroup hierarchy is mounted")
        }
        var procs: [String] = []
        for hierarchy in Self.hierarchies {
            var directory = hierarchy
            for part in (path + "/system").split(separator: "/") {
                let parent = directory
                directory += "/\(part)"
                try SmallFile.makeDirectory(directory, mode: 0o755)
                guard hierarchy.hasSuffix("/cpuset") else { continue }
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    // A new cpuset is empty and admits nobody: it inherits by hand.
                    try SmallFile.set("\(directory)/\(file)", SmallFile.readText("\(parent)/\(file)") ?? "0")
                }
            }
            procs.append("\(directory)/cgroup.procs")
        }
        try SmallFile.set("\(Self.root)/memory\(path)/memory.limit_in_bytes", bytes)
        try SmallFile.set("\(Self.root)/cpu\(path)/cpu.cfs_quota_us", quota)
        return procs
    }

    /// Removes the groups. Processes that were killed leave them a moment later, and the kernel tells nobody when: it is tried again until then.
    /// Throws `CommandError` when they are still there after `patience`.
    func remove(patience: Duration = .seconds(10)) async throws {
        // With v1 mounted, runc leaves empty groups in the v2 hierarchy beside it, too.
        let bases = Self.isUnified ? [Self.root] : Self.hierarchies + ["\(Self.root)/unified"]
        let deadline = ContinuousClock.now + patience
        var pause = Duration.milliseconds(2)
        while true {
            for base in bases { Self.removeTree(base + path) }
            let remaining = bases.filter { access($0 + path, F_OK) == 0 }
            if remaining.isEmpty { break }
            guard ContinuousClock.now < deadline else {
                throw CommandError(
                    arguments: ["rmdir", (remaining.first ?? "") + path], code: -EBUSY, output: "processes \(processes()) are still in it")
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(200))
        }
        // The parent goes with its last machine; while others stand in it the kernel refuses.
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { for base in bases { rmdir(base + path[..<slash]) } }
    }

    /// Ends what is left in the groups of a machine whose init has ended, and waits for it.
    func end() async {
        // The kernel kills the namespace's processes with its init; the cgroup is empty when the last is gone.
        for pid in processes() {
            if let process = ProcessIdentity(pid: pid) {
                process.kill()
                await process.waitForExit()
            }
        }
    }

    /// Process ids in the group and below it.
    func processes() -> [Int32] {
        let base = Self.isUnified ? Self.root : "\(Self.root)/pids"
        return Self.walk(base + path).flatMap { directory in
            (SmallFile.readText("\(directory)/cgroup.procs") ?? "").split(separator: "\n").compactMap { Int32($0) }
        }
    }

    /// A directory and those below it, parents first. Depth is bounded by what pods can make: a fixed limit guards the recursion.
    private static func walk(_ path: String, depth: Int = 0) -> [String] {
        guard depth < 16, let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var found = [path]
        while let entry = readdir(directory) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { found += walk("\(path)/\(name)", depth: depth + 1) }
        }
        return found
    }

    private static func removeTree(_ path: String) {
        for directory in walk(path).reversed() { rmdir(directory) }
    }
}
