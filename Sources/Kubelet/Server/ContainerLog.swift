import Glibc
import KubeAPI

/// One line of a container's log file: `2026-11-23T01:02:03.000000004Z stdout F text`. Upstream: the CRI's logging format.
struct ContainerLogLine: Sendable, Equatable {
    var timestamp: String
    var isStderr: Bool
    /// The text goes on in the next line.
    var isPartial: Bool
    var text: ArraySlice<UInt8>

    /// Reads a line without its newline; nil for one of another form.
    init?(_ line: ArraySlice<UInt8>) {
        let space = UInt8(ascii: " ")
        guard let first = line.firstIndex(of: space), let second = line[(first + 1)...].firstIndex(of: space) else { return nil }
        let stream = line[(first + 1)..<second]
        let tagEnd = line[(second + 1)...].firstIndex(of: space) ?? line.endIndex
        let tags = line[(second + 1)..<tagEnd]
        timestamp = String(decoding: line[..<first], as: UTF8.self)
        if stream.elementsEqual("stdout".utf8) {
            isStderr = false
        } else if stream.elementsEqual("stderr".utf8) {
            isStderr = true
        } else {
            return nil
        }
        isPartial = tags.first == UInt8(ascii: "P")
        text = tagEnd < line.endIndex ? line[(tagEnd + 1)...] : []
    }
}

/// What of a log is asked for. Upstream: core/v1 PodLogOptions.
struct ContainerLogOptions: Sendable, Equatable {
    var follow = false
    var previous = false
    var timestamps = false
    var since: Timestamp?
    var tailLines: Int64?
    var limitBytes: Int64?
    /// `All`, `Stdout` or `Stderr`.
    var stream = "All"
}

/// Turns log file bytes into what a reader of `kubectl logs` sees; kept between pieces of a file. Pure.
struct ContainerLogFilter: Sendable {
    let options: ContainerLogOptions
    private var rest: [UInt8] = []
    private var continuesLine = false
    private(set) var left: Int64?

    /// A line longer than this is passed on in pieces: containerd splits at 16 KiB already.
    static let maximumLine = 1 << 20

    init(_ options: ContainerLogOptions) {
        self.options = options
        left = options.limitBytes
    }

    var isFull: Bool { left == 0 }

    mutating func take(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        rest.append(contentsOf: bytes)
        var out: [UInt8] = []
        var start = rest.startIndex
        while let end = rest[start...].firstIndex(of: 0x0A) {
            append(rest[start..<end], to: &out)
            start = end + 1
        }
        rest.removeSubrange(..<start)
        if rest.count > Self.maximumLine { rest = [] }  // No log of ours: not kept in memory without end.
        if let left {
            if Int64(out.count) > left { out.removeSubrange(Int(left)...) }
            self.left = left - Int64(out.count)
        }
        return out
    }

    private mutating func append(_ bytes: ArraySlice<UInt8>, to out: inout [UInt8]) {
        guard let line = ContainerLogLine(bytes) else { return }
        if options.stream == "Stdout", line.isStderr { return }
        if options.stream == "Stderr", !line.isStderr { return }
        if let since = options.since, let time = Timestamp(rfc3339: line.timestamp), time < since { return }
        if options.timestamps, !continuesLine {
            out.append(contentsOf: line.timestamp.utf8)
            out.append(UInt8(ascii: " "))
        }
        out.append(contentsOf: line.text)
        if !line.isPartial { out.append(0x0A) }
        continuesLine = line.isPartial
    }
}

/// Reads of log files; all block.
enum LogReader {
    private static let block = 64 << 10

    /// Where the last `lines` lines of a file begin. Upstream: tail.FindTailLineStartIndex.
    static func tailStart(_ descriptor: Int32, size: Int64, lines: Int64) -> Int64 {
        guard lines > 0 else { return size }
        var position = size
        var found: Int64 = 0
        var buffer = [UInt8](repeating: 0, count: block)
        while position > 0 {
            let from = max(0, position - Int64(block))
            let count = pread(descriptor, &buffer, Int(position - from), off_t(from))
            guard count > 0 else { return 0 }
            var index = count - 1
            while index >= 0 {
                if buffer[index] == 0x0A {
                    // The newline that ends the file begins no line.
                    let at = from + Int64(index)
                    if at != size - 1 {
                        found += 1
                        if found == lines { return at + 1 }
                    }
                }
                index -= 1
            }
            position = from
        }
        return 0
    }

    /// The texts of the last lines of a log. Throws `FileError`.
    static func tail(_ path: String, lines: Int) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        try FileTree.check(descriptor, "open", path)
        defer { close(descriptor) }
        var status = stat()
        try FileTree.check(fstat(descriptor, &status), "stat", path)
        let size = Int64(status.st_size)
        var position = tailStart(descriptor, size: size, lines: Int64(lines))
        var filter = ContainerLogFilter(ContainerLogOptions())
        var out: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: block)
        while position < size {
            let count = pread(descriptor, &buffer, block, off_t(position))
            guard count > 0 else { break }
            out.append(contentsOf: filter.take(buffer[..<count]))
            position += Int64(count)
        }
        return out
    }
}
