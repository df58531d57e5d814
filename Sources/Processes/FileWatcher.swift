internal import Dispatch
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// Tells of changes to files by inotify, for all who follow some: one descriptor and one thread.
package final class FileWatcher: Sendable {
    private struct State {
        var watches: [Int32: [Int: AsyncStream<Void>.Continuation]] = [:]
        var next = 0
    }

    private let descriptor: Int32
    private let state = Mutex(State())

    /// Throws `CommandError` when the kernel gives no inotify instance.
    package init() throws(CommandError) {
        descriptor = inotify_init1(Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { throw CommandError(arguments: ["inotify_init"], code: -errno, output: "") }
        let thread = DispatchQueue(label: "eyrie.inotify")
        thread.async { [weak self, descriptor] in
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0, let self else { break }
                self.deliver(buffer[..<count])
            }
            close(descriptor)
        }
    }

    private func deliver(_ bytes: ArraySlice<UInt8>) {
        // struct inotify_event: int wd; uint32 mask, cookie, len; char name[len].
        let headerSize = 16
        var numbers: Set<Int32> = []
        var at = bytes.startIndex
        while at + headerSize <= bytes.endIndex {
            func word(_ offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[at + offset + $1]) << UInt32($1 * 8) } }
            numbers.insert(Int32(bitPattern: word(0)))
            at += headerSize + Int(word(12))
        }
        let continuations = state.withLock { state in numbers.flatMap { Array((state.watches[$0] ?? [:]).values) } }
        for continuation in continuations { continuation.yield() }
    }

    /// Yields when one of the paths (files or folders) has changed. Paths that do not exist are passed over.
    package func changes(of paths: [String]) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let events = UInt32(IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVE_SELF | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE_SELF)
        let (number, watches) = state.withLock { state -> (Int, [Int32]) in
            state.next += 1
            let number = state.next
            var watches: [Int32] = []
            for path in paths {
                let watch = inotify_add_watch(descriptor, path, events)
                guard watch >= 0 else { continue }
                state.watches[watch, default: [:]][number] = continuation
                watches.append(watch)
            }
            return (number, watches)
        }
        continuation.onTermination = { [weak self] _ in self?.end(number, watches) }
        return stream
    }

    private func end(_ number: Int, _ watches: [Int32]) {
        state.withLock { state in
            for watch in watches {
                state.watches[watch]?[number] = nil
                if state.watches[watch]?.isEmpty == true {
                    state.watches[watch] = nil
                    inotify_rm_watch(descriptor, watch)
                }
            }
        }
    }
}
