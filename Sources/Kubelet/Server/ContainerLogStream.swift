import ContainerRuntime
import Glibc
import HTTPTransport
import Processes

/// Sends a container's log: from where it is asked for to its end, and with `follow` on until the container has ended.
/// Upstream: pkg/kubelet/kuberuntime/logs.ReadLogs.
struct ContainerLogStream: Sendable {
    let runtime: any ContainerRuntime
    let pleg: PLEG
    let watcher: FileWatcher
    let options: ContainerLogOptions

    private static let block = 64 << 10

    /// A log file that is open. Closed when the last reference goes.
    private final class OpenLog: Sendable {
        let descriptor: Int32
        let inode: UInt64
        init(_ path: String) throws(FileError) {
            // The log folder is the kubelet's own; a link in place of the file is not followed.
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            try FileTree.check(descriptor, "open", path)
            var status = stat()
            fstat(descriptor, &status)
            self.descriptor = descriptor
            inode = UInt64(status.st_ino)
        }
        deinit { close(descriptor) }

        func read(at position: Int64) throws(FileError) -> [UInt8] {
            var buffer = [UInt8](repeating: 0, count: ContainerLogStream.block)
            let count = pread(descriptor, &buffer, buffer.count, off_t(position))
            guard count >= 0 else { throw FileError(operation: "read", path: "log", code: errno) }
            return Array(buffer[..<count])
        }

        var isEmpty: Bool {
            var status = stat()
            return fstat(descriptor, &status) == 0 && status.st_size == 0
        }

        func tailStart(_ lines: Int64?) -> Int64 {
            guard let lines else { return 0 }
            var status = stat()
            fstat(descriptor, &status)
            return LogReader.tailStart(descriptor, size: Int64(status.st_size), lines: lines)
        }
    }

    /// Throws when the client goes away, and `FileError`.
    func send(path: String, containerID: String, to writer: HTTPBodyWriter) async throws {
        var filter = ContainerLogFilter(options)
        var log = try await FileWork.run { try OpenLog(path) }
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "/"
        let tail = options.tailLines
        var position = try await FileWork.run { [log] in log.tailStart(tail) }
        let signals = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let feeders = [
            Task { for await _ in watcher.changes(of: [path, folder]) { signals.continuation.yield() } },
            Task { for await _ in await pleg.changes(of: containerID) { signals.continuation.yield() } },
        ]
        defer { for feeder in feeders { feeder.cancel() } }
        // Asked before each read of the rest: what was written before the end is then seen.
        var hasEnded = false
        // Where it goes on once the rest of the file is read.
        var next: OpenLog?
        signals.continuation.yield()
        for await _ in signals.stream {
            try Task.checkCancellation()
            if options.follow { hasEnded = await isOver(containerID) }
            while true {
                let bytes = try await FileWork.run { [log, position] in try log.read(at: position) }
                if bytes.isEmpty {
                    if let newer = next {
                        (log, position) = (newer, 0)
                        next = nil
                        continue
                    }
                    // A rotated log goes on in a new file of the same name. The runtime makes it before it turns to it, so that the old one is at its
                    // end only once something stands in the new one.
                    guard options.follow, let found = try? await FileWork.run({ try OpenLog(path) }), found.inode != log.inode, !found.isEmpty else {
                        break
                    }
                    next = found
                    continue
                }
                position += Int64(bytes.count)
                let text = filter.take(bytes[...])
                if !text.isEmpty { try await writer.write(text) }
                if filter.isFull { return }
            }
            if !options.follow || hasEnded { return }
        }
    }

    private func isOver(_ id: String) async -> Bool {
        do { return try await runtime.containerStatus(id).state != .running } catch let error as RuntimeError { return error.code == .notFound } catch
        { return false }
    }
}
