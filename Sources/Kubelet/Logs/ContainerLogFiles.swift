import Glibc
import HTTPTransport
import KubeAPI

/// How much containers may log. Upstream: logs.LogRotatePolicy.
package struct LogPolicy: Sendable, Equatable {
    /// A running container's log that has reached this many bytes goes on in a new file; negative: it never does. Upstream: containerLogMaxSize.
    package var maximumBytes: Int64 = 10 << 20
    /// Files of each container's log, the one that is written among them. Upstream: containerLogMaxFiles.
    package var maximumFiles = 5
    /// Between looks at the files. Upstream: containerLogMonitorInterval.
    package var period: Duration = .seconds(10)

    package init() {}
}

/// What is to be done with the files that a log was before, so that it may go on in one more: pure. Upstream: filterUnusedLogs, removeExcessLogs.
struct LogRotationPlan: Sendable, Equatable {
    /// Temporary files, those that are there compressed as well, and the oldest.
    var removed: [String] = []
    var compressed: [String] = []

    /// `names` are the files beside the one that is written; their time is in their names, so that they sort by their age.
    init(_ names: [String], maximumFiles: Int) {
        let all = Set(names)
        var kept: [String] = []
        for name in names.sorted() {
            let isUnused = name.hasSuffix(ContainerLogFiles.temporary) || all.contains(name + ContainerLogFiles.gzip)
            if isUnused { removed.append(name) } else { kept.append(name) }
        }
        // Two more come: the file that is written now, and the one after it.
        let excess = max(0, kept.count - max(0, maximumFiles - 2))
        removed += kept.prefix(excess)
        compressed = kept.dropFirst(excess).filter { !$0.hasSuffix(ContainerLogFiles.gzip) }
    }
}

/// The files of one container's log: `0.log`, and what it was before: `0.log.20261123-010203`, and older ones with `.gz`. All functions block.
enum ContainerLogFiles {
    static let gzip = ".gz"
    static let temporary = ".tmp"

    /// The name that a log has from now on. Upstream: timestampFormat.
    static func rotatedName(_ path: String, _ now: Timestamp) -> String {
        let digits = now.rfc3339.prefix(19).filter { $0.isASCII && $0.isNumber }
        return "\(path).\(digits.prefix(8))-\(digits.dropFirst(8))"
    }

    /// The paths of the files that the log was before.
    static func rotated(_ path: String) throws(FileError) -> [String] {
        guard let slash = path.lastIndex(of: "/") else { return [] }
        let folder = path[..<slash]
        let start = path[path.index(after: slash)...] + "."
        return try FileTree.list(String(folder)).filter { $0.hasPrefix(start) }.map { "\(folder)/\($0)" }
    }

    /// Removes a log, whatever it was before included. Upstream: containerLogManager.Clean.
    static func removeAll(_ path: String) throws(FileError) {
        try FileTree.removeAll(path)
        for old in try rotated(path) { try FileTree.removeAll(old) }
    }

    /// Makes room for one more file. Throws `FileError`.
    static func makeRoom(_ path: String, maximumFiles: Int) throws(FileError) {
        let plan = LogRotationPlan(try rotated(path), maximumFiles: maximumFiles)
        for name in plan.removed { try FileTree.removeAll(name) }
        for name in plan.compressed { try compress(name) }
    }

    static func rename(_ from: String, _ to: String) throws(FileError) { try FileTree.check(Glibc.rename(from, to), "rename", from) }

    private static let block = 256 << 10

    /// Puts `PATH.gz` in the place of a file that nobody writes any more. Upstream: compressLog.
    static func compress(_ path: String) throws(FileError) {
        let source = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        try FileTree.check(source, "open", path)
        defer { close(source) }
        let draft = path + temporary
        let target = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o640)
        try FileTree.check(target, "open", draft)
        defer { close(target) }
        do {
            try copy(source, target, draft)
            try rename(draft, path + gzip)
        } catch {
            unlink(draft)
            throw error
        }
        try FileTree.removeAll(path)
    }

    private static func copy(_ source: Int32, _ target: Int32, _ path: String) throws(FileError) {
        guard let stream = GzipStream() else { throw FileError(operation: "compress", path: path, code: ENOMEM) }
        var buffer = [UInt8](repeating: 0, count: block)
        while true {
            let count = read(source, &buffer, block)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(operation: "read", path: path, code: errno) }
            var piece = Array(buffer[..<count])
            guard let bytes = stream.compress(&piece, isLast: count == 0) else { throw FileError(operation: "compress", path: path, code: EIO) }
            try FileTree.write(target, bytes, path)
            if count == 0 { return }
        }
    }
}
