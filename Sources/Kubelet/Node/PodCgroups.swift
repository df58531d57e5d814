import Glibc
import KubeAPI

/// The cgroups of pods: `ROOT/kubepods[/burstable|/besteffort]/podUID`, in every hierarchy of cgroup v1 or in the one of v2. Functions block: call
/// them by `FileWork`. Upstream: pkg/kubelet/cm (driver cgroupfs).
struct PodCgroups: Sendable {
    let mount: String
    /// Path of the node's own cgroup from the hierarchy's root.
    let root: String
    /// Processes and threads that each pod may have; not positive: no limit of its own.
    let podPidsLimit: Int64

    init(mount: String, root: String, podPidsLimit: Int64 = -1) {
        self.mount = mount
        self.root = root
        self.podPidsLimit = podPidsLimit
    }

    init(_ configuration: KubeletConfiguration) {
        self.init(mount: configuration.cgroupMount, root: configuration.cgroupRoot, podPidsLimit: configuration.podPidsLimit)
    }

    /// Hierarchies of cgroup v1 in which pods get a cgroup; runc makes the containers' below them in all.
    static let controllers = [
        "cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer", "net_cls", "net_prio", "perf_event", "hugetlb", "systemd",
        "unified",
    ]

    var isUnified: Bool { FileTree.exists(mount + "/cgroup.controllers") }

    /// The path to hand to the runtime as cgroup parent.
    func path(_ pod: Pod) -> String { "\(classPath(pod.qosClass))/pod\(pod.uid)" }

    private func classPath(_ qos: QOSClass) -> String {
        let base = (root == "/" ? "" : root) + "/kubepods"
        switch qos {
        case .guaranteed: return base
        case .burstable: return base + "/burstable"
        case .bestEffort: return base + "/besteffort"
        }
    }

    private func hierarchies() -> [String] {
        if isUnified { return [mount] }
        // cpu and cpuacct are often two names of one hierarchy: links are followed, making it twice does no harm.
        return Self.controllers.map { "\(mount)/\($0)" }.filter { FileTree.exists($0) }
    }

    /// Makes the pod's cgroup and sets its limits. Throws `FileError`.
    func make(_ pod: Pod) throws(FileError) {
        for qos in [QOSClass.guaranteed, .burstable, .bestEffort] { try makeGroup(classPath(qos)) }
        try makeGroup(path(pod))
        try set(classPath(.bestEffort), .shares, CPUArithmetic.minimumShares)
        let limits = PodCgroupLimits(pod)
        try apply(limits, to: pod)
        try limitHugePages(path(pod), limits.hugePages)
        if podPidsLimit > 0 { try set(path(pod), .pids, podPidsLimit) }
    }

    /// Sets a pod's limits. `onlyRaising` leaves alone what would become less: its containers must become smaller first.
    func apply(_ limits: PodCgroupLimits, to pod: Pod, onlyRaising: Bool = false) throws(FileError) {
        let path = path(pod)
        // Zero: a limit once set cannot be taken back by a resize.
        for (setting, number) in [(Setting.quota, limits.cpuQuota), (.memory, limits.memory)] where number > 0 {
            if onlyRaising { guard let current = current(path, setting), number > current else { continue } }
            try set(path, setting, number)
        }
        if !onlyRaising { try set(path, .shares, limits.cpuShares) }
    }

    /// Whether cgroups here can limit huge pages.
    var limitsHugePages: Bool {
        guard isUnified else { return FileTree.exists("\(mount)/hugetlb") }
        let controllers = (try? FileTree.read("\(mount)\(root == "/" ? "" : root)/cgroup.controllers", limit: 4096)) ?? []  // No such group.
        return String(decoding: controllers, as: UTF8.self).split(whereSeparator: \.isWhitespace).contains("hugetlb")
    }

    /// Whether cgroups here can limit swap.
    var limitsSwap: Bool {
        FileTree.exists(isUnified ? "\(mount)\(classPath(.guaranteed))/memory.swap.max" : "\(mount)/memory/memory.memsw.limit_in_bytes")
    }

    /// Sets the limit of every size of page that the kernel knows. Upstream: cm's toResources, HugetlbLimit.
    private func limitHugePages(_ path: String, _ limits: [Int64: Int64]) throws(FileError) {
        guard limitsHugePages else { return }
        let byUnit = Dictionary(limits.map { (HugePages.unit($0.key), $0.value) }) { $1 }
        let directory = isUnified ? mount + path : "\(mount)/hugetlb\(path)"
        // `hugetlb.2MB.max`, but not `hugetlb.2MB.rsvd.max`.
        for name in try FileTree.list(directory) {
            let parts = name.split(separator: ".")
            guard parts.count == 3, parts[0] == "hugetlb", parts[2] == (isUnified ? "max" : "limit_in_bytes") else { continue }
            try writeControl("\(directory)/\(name)", String(byUnit[String(parts[1])] ?? 0))
        }
    }

    /// Makes the group of all pods and gives it the memory that is theirs, so that what the node itself needs stays free. Upstream: node allocatable
    /// enforcement.
    func makeRoot(memory: Int64?) throws(FileError) {
        try makeGroup(classPath(.guaranteed))
        if let memory, memory > 0 { try set(classPath(.guaranteed), .memory, memory) }
    }

    /// Memory in use that cannot be given back at once; nil when it cannot be told.
    func workingSet(_ pod: Pod) -> Int64? { HostFigures.workingSet(cgroupMount: mount, path: path(pod)) }
    func podsWorkingSet() -> Int64? { HostFigures.workingSet(cgroupMount: mount, path: classPath(.guaranteed)) }
    func processes(_ pod: Pod) -> Int64? {
        HostFigures.number(isUnified ? "\(mount)\(path(pod))/pids.current" : "\(mount)/pids\(path(pod))/pids.current")
    }

    private func makeGroup(_ path: String) throws(FileError) {
        for hierarchy in hierarchies() {
            let directory = hierarchy + path
            if FileTree.exists(directory) { continue }
            try FileTree.makeDirectories(directory)
            if isUnified { enableControllers(above: path) } else if hierarchy.hasSuffix("/cpuset") { try fillCpuset(path) }
        }
    }

    /// A new cpuset is empty and takes no process: it gets its parent's.
    private func fillCpuset(_ path: String) throws(FileError) {
        var at = ""
        for part in path.split(separator: "/") {
            let parent = "\(mount)/cpuset\(at)"
            at += "/\(part)"
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let own = "\(mount)/cpuset\(at)/\(file)"
                guard try FileTree.read(own).allSatisfy({ $0 == 0x0A }) else { continue }
                try writeControl(own, String(decoding: FileTree.read("\(parent)/\(file)"), as: UTF8.self))
            }
        }
    }

    /// In cgroup v2 a parent must pass its controllers on. A controller the kernel lacks is no error: limits of it are simply not set.
    private func enableControllers(above path: String) {
        var at = mount
        for part in [""] + path.split(separator: "/").map(String.init).dropLast() {
            if !part.isEmpty { at += "/" + part }
            for controller in ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"] {
                try? writeControl(at + "/cgroup.subtree_control", "+" + controller)  // The kernel may lack it: see above.
            }
        }
    }

    /// A number of a cgroup: its file in cgroup v1 and v2.
    private enum Setting {
        case shares, quota, memory, pids

        var legacy: (controller: String, file: String) {
            switch self {
            case .shares: ("cpu", "cpu.shares")
            case .quota: ("cpu", "cpu.cfs_quota_us")
            case .memory: ("memory", "memory.limit_in_bytes")
            case .pids: ("pids", "pids.max")
            }
        }
        var unified: String {
            switch self {
            case .shares: "cpu.weight"
            case .quota: "cpu.max"
            case .memory: "memory.max"
            case .pids: "pids.max"
            }
        }
    }

    private func file(_ path: String, _ setting: Setting) -> String {
        isUnified ? "\(mount)\(path)/\(setting.unified)" : "\(mount)/\(setting.legacy.controller)\(path)/\(setting.legacy.file)"
    }

    /// The limit that is set; nil when there is none, or it cannot be told.
    private func current(_ path: String, _ setting: Setting) -> Int64? {
        let text = (try? FileTree.read(file(path, setting), limit: 64)) ?? []  // No such controller.
        // `-1` and `max` are no limit.
        let number = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace).first.flatMap { Int64($0) }
        return number.flatMap { $0 < 0 ? nil : $0 }
    }

    private func set(_ path: String, _ setting: Setting, _ number: Int64) throws(FileError) {
        let file = file(path, setting)
        guard FileTree.exists(file) else { return }  // The kernel has no such controller.
        var text = String(number)
        if isUnified, setting == .shares { text = String(CPUArithmetic.weight(shares: number)) }
        if isUnified, setting == .quota { text = "\(number) \(CPUArithmetic.period)" }
        try writeControl(file, text)
    }

    private func writeControl(_ path: String, _ text: String) throws(FileError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        try FileTree.check(descriptor, "open", path)
        defer { close(descriptor) }
        try FileTree.write(descriptor, Array(text.utf8), path)
    }

    /// Removes the pod's cgroup and what is left below it. A process still in it makes this fail with EBUSY.
    func remove(_ pod: Pod) throws(FileError) { try remove(path(pod)) }

    private func remove(_ path: String) throws(FileError) {
        for hierarchy in hierarchies() { try removeTree(hierarchy + path) }
    }

    private func removeTree(_ directory: String) throws(FileError) {
        for name in try FileTree.list(directory) {
            let child = directory + "/" + name
            if let status = try FileTree.status(child), status.st_mode & S_IFMT == S_IFDIR { try removeTree(child) }
        }
        if rmdir(directory) != 0, errno != ENOENT { throw FileError(operation: "rmdir", path: directory, code: errno) }
    }

    /// The cgroups of pods in all hierarchies.
    func podGroups() -> [(uid: String, path: String)] {
        var groups: [(uid: String, path: String)] = []
        for qos in [QOSClass.guaranteed, .burstable, .bestEffort] {
            for hierarchy in hierarchies() {
                let folder = hierarchy + classPath(qos)
                let names = (try? FileTree.list(folder)) ?? []  // Cannot be read: nothing to remove.
                for name in names where name.hasPrefix("pod") { groups.append((String(name.dropFirst(3)), "\(folder)/\(name)")) }
            }
        }
        return groups
    }

    /// Removes cgroups as far as nothing is in them; what is still in use is tried again at the next look.
    func remove(_ groups: [(uid: String, path: String)]) {
        for group in groups { try? removeTree(group.path) }
    }
}
