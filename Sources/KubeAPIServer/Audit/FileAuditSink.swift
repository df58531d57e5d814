import Dispatch
import Glibc
package import KubeAPI
import Synchronization

/// Writes audit events to a file of mode 0600 that is replaced when it is full, keeping some of its predecessors. Upstream: plugin/audit/log with
/// lumberjack.
///
/// Requests never wait for it: lines queue up to a bound, beyond which they are lost and counted, and are written by a thread of their own.
package final class FileAuditSink: AuditSink {
    /// The limits of the files.
    package struct Rotation: Sendable {
        /// Upstream: --audit-log-maxsize, 100 MiB.
        package var maximumBytes: Int = 100 * 1024 * 1024
        /// Days files are kept; 0: however old. Upstream: --audit-log-maxage.
        package var maximumDays: Int64 = 30
        /// Former files kept; 0: all. Upstream: --audit-log-maxbackup.
        package var maximumFiles: Int = 10

        package init() {}
    }

    /// Bytes that may wait to be written: some ten thousand events.
    static let queueLimit = 16 * 1024 * 1024

    private struct State {
        var pending: [[UInt8]] = []
        var bytes = 0
        var isWriting = false
        var isClosed = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// Touched on `queue` alone.
    private final class File: @unchecked Sendable {
        var descriptor: Int32 = -1
        var size = 0
    }

    private let path: String
    private let rotation: Rotation
    private let now: @Sendable () -> Timestamp
    private let queue = DispatchQueue(label: "eyrie.audit", qos: .utility)
    private let file = File()
    private let state = Mutex(State())

    /// `path` is created with the first event; its folder must be there.
    package init(path: String, rotation: Rotation = Rotation(), now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.path = path
        self.rotation = rotation
        self.now = now
    }

    package func accept(_ line: [UInt8]) -> Bool {
        let (isTaken, starts) = state.withLock { state -> (Bool, Bool) in
            guard !state.isClosed, state.bytes + line.count <= Self.queueLimit else { return (false, false) }
            state.pending.append(line)
            state.bytes += line.count
            defer { state.isWriting = true }
            return (true, !state.isWriting)
        }
        if starts { queue.async { self.drain() } }
        return isTaken
    }

    /// Writes what waits, until nothing does.
    private func drain() {
        while true {
            let (batch, waiters) = state.withLock { state -> ([[UInt8]], [CheckedContinuation<Void, Never>]) in
                let batch = state.pending
                state.pending = []
                state.bytes = 0
                guard batch.isEmpty else { return (batch, []) }
                state.isWriting = false
                defer { state.waiters = [] }
                return ([], state.waiters)
            }
            guard !batch.isEmpty else {
                for waiter in waiters { waiter.resume() }
                return
            }
            var block: [UInt8] = []
            for line in batch {
                if file.size + block.count + line.count > rotation.maximumBytes, file.size + block.count > 0 {
                    write(block)
                    block = []
                    rotate()
                }
                block.append(contentsOf: line)
            }
            write(block)
        }
    }

    package func close() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isDone = state.withLock { state in
                state.isClosed = true
                if state.isWriting { state.waiters.append(continuation) }
                return !state.isWriting
            }
            if isDone { continuation.resume() }
        }
        queue.async { [file] in
            if file.descriptor >= 0 { Glibc.close(file.descriptor) }
            file.descriptor = -1
        }
    }

    private func write(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        if file.descriptor < 0 {
            file.descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard file.descriptor >= 0 else { return }
            // A file from before may have another mode.
            fchmod(file.descriptor, 0o600)
            var status = stat()
            file.size = fstat(file.descriptor, &status) == 0 ? Int(status.st_size) : 0
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file.descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                // A full disk: what cannot be written is lost, and the server goes on.
                return
            }
            file.size += count
            rest = rest.dropFirst(count)
        }
    }

    /// `audit.log` becomes `audit-2026-11-23T01-02-03.000004.log`.
    private func rotate() {
        if file.descriptor >= 0 { Glibc.close(file.descriptor) }
        file.descriptor = -1
        file.size = 0
        let stamp = now().rfc3339Micro.dropLast().map { $0 == ":" ? "-" : String($0) }.joined()
        let (base, suffix) = split
        rename(path, "\(base)-\(stamp)\(suffix)")
        prune()
    }

    private var split: (base: String, suffix: String) {
        path.hasSuffix(".log") ? (String(path.dropLast(4)), ".log") : (path, "")
    }

    /// Removes former files that are too many or too old.
    private func prune() {
        let (base, suffix) = split
        let folder = base.lastIndex(of: "/").map { String(base[..<$0]) } ?? "."
        let prefix = (base.lastIndex(of: "/").map { String(base[base.index(after: $0)...]) } ?? base) + "-"
        guard let handle = opendir(folder) else { return }
        var former: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(prefix), name.hasSuffix(suffix) { former.append(name) }
        }
        closedir(handle)
        // Their names sort by time.
        former.sort(by: >)
        let oldest = now().seconds - rotation.maximumDays * 86_400
        for (index, name) in former.enumerated() {
            var status = stat()
            let path = "\(folder)/\(name)"
            let isOld = rotation.maximumDays > 0 && stat(path, &status) == 0 && Int64(status.st_mtim.tv_sec) < oldest
            if isOld || (rotation.maximumFiles > 0 && index >= rotation.maximumFiles) { unlink(path) }
        }
    }
}
