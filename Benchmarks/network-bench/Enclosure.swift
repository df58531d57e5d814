import Glibc
import Processes

/// Namespaces of this program's own: network, mounts and processes. They are the kernel's to remove when its first process ends, however it ends.
enum Enclosure {
    /// Becomes this program within new namespaces; on one core if so told. Returns only to throw `BenchError`.
    static func enter(_ arguments: [String], core: Int? = nil) throws {
        // --kill-child: who kills `unshare` kills everything.
        var words = ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if let core { words += ["taskset", "-c", String(core)] }
        words += [arguments[0], "within"] + arguments.dropFirst()
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        execvp("unshare", &argv)
        throw BenchError("unshare: \(String(cString: strerror(errno))); it needs util-linux and root")
    }

    /// What every command needs within: a /run of its own, where `ip netns` keeps its names, and the loopback.
    static func begin() throws {
        guard getpid() == 1 else { throw BenchError("`within` is for this program's own namespaces") }
        try Command.runBlocking(["mount", "-t", "tmpfs", "tmpfs", "/run"])
        try Command.runBlocking(["ip", "link", "set", "lo", "up"])
    }
}

/// Prints a line at once, wherever it goes.
func report(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }  // Nobody reads.
        rest = rest.dropFirst(count)
    }
}

/// Why a measurement could not be made.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Time that only goes forward.
enum Stopwatch {
    static func microseconds() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
    }
}
