internal import CLinux
internal import Dispatch

#if canImport(Glibc)
    internal import Glibc
#endif

/// A program could not be started, or ended with another code than 0.
package struct CommandError: Error, CustomStringConvertible, Sendable {
    package var arguments: [String]
    /// The exit code, 128 + a signal, or -errno when it could not be started.
    package var code: Int32
    package var output: String

    package init(arguments: [String], code: Int32, output: String) {
        self.arguments = arguments
        self.code = code
        self.output = output
    }

    package var description: String {
        let what = arguments.prefix(8).joined(separator: " ")
        if code < 0 {
            let hint = output.isEmpty ? "" : "; \(output.trimmingSuffix())"
            return "\"\(what)\" failed: \(String(cString: strerror(-code)))\(hint)"
        }
        return "\"\(what)\" ended with code \(code): \(output.trimmingSuffix())"
    }
}

extension String {
    fileprivate func trimmingSuffix() -> String {
        var text = Substring(self)
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}

/// Short-lived programs such as `ip` and `nft`: argv only, never a shell.
package enum Command {
    /// Bytes of output kept: enough for any answer read here, bounded against a program gone wild.
    private static let outputLimit = 4 << 20

    /// Runs a program to its end and returns its output. Blocks the calling thread. Throws `CommandError`.
    @discardableResult
    package static func runBlocking(_ arguments: [String], input: String = "") throws(CommandError) -> String {
        var output: UnsafeMutablePointer<CChar>?
        var length = 0
        var text = input
        let code = withArgv(arguments) { argv in
            text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { clinux_run(argv, $0.baseAddress, $0.count, outputLimit, &output, &length) }
            }
        }
        let result = output.map { String(decoding: UnsafeRawBufferPointer(start: $0, count: length), as: UTF8.self) } ?? ""
        free(output)
        guard code == 0 else { throw CommandError(arguments: arguments, code: code, output: result) }
        return result
    }

    /// Whether there is a program of that name where `run` looks for it.
    package static func isInstalled(_ program: String) -> Bool {
        let directories = (getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin").split(separator: ":")
        return directories.contains { access("\($0)/\(program)", X_OK) == 0 }
    }

    private static let queue = DispatchQueue(label: "eyrie.commands", attributes: .concurrent)

    /// Runs a program to its end off the cooperative pool. Throws `CommandError`.
    @discardableResult
    package static func run(_ arguments: [String], input: String = "") async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try runBlocking(arguments, input: input) }) }
        }
    }

    /// Starts a program in a session of its own, its output appended to `log`. It outlives the caller. Returns its process id.
    package static func spawnSession(_ arguments: [String], log: String) throws(CommandError) -> Int32 {
        let pid = withArgv(arguments) { clinux_spawn_session($0, log) }
        guard pid > 0 else { throw CommandError(arguments: arguments, code: pid, output: "") }
        return pid
    }
}

/// Calls `body` with a NULL-terminated array of C strings.
package func withArgv<R>(_ arguments: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> R) -> R {
    let strings = arguments.map { strdup($0) }
    defer { for string in strings { free(string) } }
    let argv: [UnsafePointer<CChar>?] = strings.map { $0.map { UnsafePointer($0) } } + [nil]
    return argv.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("an array that holds at least NULL has a base address") }
        return body(base)
    }
}

/// A process named for good: its id and its start time, so that a reused id is not taken for it.
package struct ProcessIdentity: Sendable, Equatable {
    package var pid: Int32
    /// Clock ticks since boot.
    package var startTime: Int64

    package init(pid: Int32, startTime: Int64) {
        self.pid = pid
        self.startTime = startTime
    }

    /// The identity of a running process; nil when there is none of this id.
    package init?(pid: Int32) {
        let start = clinux_process_start_time(pid)
        guard pid > 0, start >= 0 else { return nil }
        self.init(pid: pid, startTime: Int64(start))
    }

    package var isRunning: Bool { ProcessIdentity(pid: pid) == self }

    package func kill(_ signal: Int32 = SIGKILL) { if isRunning { _ = Glibc.kill(pid, signal) } }

    /// Returns when the process has ended, told by its pidfd. A child of this process is reaped.
    package func waitForExit() async {
        let descriptor = clinux_pidfd_open(pid)
        guard descriptor >= 0, isRunning else {
            if descriptor >= 0 { close(descriptor) }
            reap()
            return
        }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .global())
            source.setEventHandler { source.cancel() }
            source.setCancelHandler {
                close(descriptor)
                continuation.resume()
            }
            source.activate()
        }
        reap()
    }

    private func reap() {
        var status: Int32 = 0
        _ = waitpid(pid, &status, WNOHANG)  // Not a child when the service was restarted: then init reaps it.
    }

    /// Asks the process to end, and ends it when it has not within `grace`. Returns once it is gone.
    package func end(within grace: Duration) async {
        kill(SIGTERM)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await waitForExit() }
            group.addTask {
                // Cut short when it ends first.
                do { try await Task.sleep(for: grace) } catch { return }
                kill()
                await waitForExit()
            }
            await group.next()
            group.cancelAll()
        }
    }
}

/// Files as this project's machine code needs them: whole, small, private.
package enum SmallFile {
    package static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let n = Glibc.read(descriptor, &buffer, buffer.count)
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { break }
            bytes.append(contentsOf: buffer[..<n])
        }
        return bytes
    }

    package static func readText(_ path: String) -> String? { read(path).map { String(decoding: $0, as: UTF8.self) } }

    /// Writes to a temporary file of `mode`, then renames it into place: readers see the old or the new, never a part. Throws `CommandError` naming
    /// the path.
    package static func write(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o600) throws(CommandError) {
        let temporary = "\(path).new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw CommandError(arguments: ["write", path], code: -errno, output: "") }
        defer { close(descriptor) }
        guard writeAll(descriptor, bytes), fsync(descriptor) == 0, rename(temporary, path) == 0 else {
            let code = -errno
            unlink(temporary)
            throw CommandError(arguments: ["write", path], code: code, output: "")
        }
    }

    /// Writes over a file that is no shorter: a full disk has room for that. Readers may see a part of it, and a crash may leave one. Throws
    /// `CommandError` naming the path.
    package static func overwrite(_ path: String, _ bytes: [UInt8]) throws(CommandError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandError(arguments: ["write", path], code: -errno, output: "") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, Int(status.st_size) >= bytes.count else {
            throw CommandError(arguments: ["write", path], code: -ENOSPC, output: "")
        }
        guard writeAll(descriptor, bytes), ftruncate(descriptor, off_t(bytes.count)) == 0, fsync(descriptor) == 0 else {
            throw CommandError(arguments: ["write", path], code: -errno, output: "")
        }
    }

    /// False: not all was written, as errno says.
    private static func writeAll(_ descriptor: CInt, _ bytes: [UInt8]) -> Bool {
        var written = 0
        while written < bytes.count {
            let n = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { return false }
            written += n
        }
        return true
    }

    /// Writes into an existing file as it stands, such as a control file of the kernel.
    package static func set(_ path: String, _ text: String) throws(CommandError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandError(arguments: ["set", path], code: -errno, output: "") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw CommandError(arguments: ["set", path], code: -errno, output: text)
        }
    }

    /// The names in a directory, without the two dots; nothing where there is none.
    package static func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Makes a directory with those above it.
    package static func makeDirectory(_ path: String, mode: UInt32 = 0o700) throws(CommandError) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw CommandError(arguments: ["mkdir", path], code: -errno, output: "")
        }
        try makeDirectory(String(path[..<slash]), mode: mode)
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw CommandError(arguments: ["mkdir", path], code: -errno, output: "") }
    }
}

/// Writes a line to standard error.
package func printError(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = Glibc.write(2, bytes, bytes.count)  // Nowhere to report that standard error is closed.
}
