import CLinux
import Glibc

/// A file of variables that a container wrote: lines such as `NAME='value'`, a strict part of the shell's syntax. Upstream: pkg/kubelet/util/env.ParseEnv.
///
/// A value stands between single quotes, may go over several lines, and is taken as it is; behind it a comment may stand. Nothing but blanks stands before
/// a name, and nothing between it and its equals sign. Blanks behind the equals sign make the value empty, as in the shell.
enum EnvFile {
    /// Why a file is none of these.
    struct Malformed: Error, Equatable, CustomStringConvertible {
        var description: String

        init(_ line: Int, _ what: String) { description = "invalid environment variable format at line \(line): \(what)" }
        init(_ description: String) { self.description = description }
    }

    /// Bytes of a file that are read at most: no process takes more of them in its environment.
    static let maximumBytes = 1 << 20
    /// Upstream: bufio.MaxScanTokenSize.
    static let maximumLine = 64 << 10

    /// The first value of a name; empty when there is none: pure. Of what follows it nothing is looked at.
    static func value(of name: String, in bytes: [UInt8]) throws(Malformed) -> String {
        var lines = Lines(bytes)
        while let line = try lines.next() {
            let rest = line.drop(while: isBlank)
            guard let first = rest.first, first != UInt8(ascii: "#") else { continue }
            let number = lines.number
            guard let equals = rest.firstIndex(of: UInt8(ascii: "=")) else { throw Malformed(number, "missing '='") }
            let found = rest[..<equals]
            guard let last = found.last else { throw Malformed(number, "empty variable name") }
            guard !isBlank(last) else { throw Malformed(number, "whitespace before '=' is not allowed") }
            let isWanted = found.elementsEqual(name.utf8)
            let value = rest[(equals + 1)...]
            if let first = value.first, isBlank(first) {
                if isWanted { return "" }
                continue
            }
            guard value.first == quote else { throw Malformed(number, "value must be enclosed in single quotes") }
            let text = try quoted(value.dropFirst(), &lines, from: number)
            if isWanted { return String(decoding: text, as: UTF8.self) }
        }
        return ""
    }

    private static let quote = UInt8(ascii: "'")

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// What stands before the closing quote, which may be some lines further on.
    private static func quoted(_ begun: ArraySlice<UInt8>, _ lines: inout Lines, from start: Int) throws(Malformed) -> [UInt8] {
        var text: [UInt8] = []
        var rest = begun
        while true {
            if let end = rest.firstIndex(of: quote) {
                text += rest[..<end]
                let behind = rest[(end + 1)...].drop(while: isBlank)
                guard behind.first ?? UInt8(ascii: "#") == UInt8(ascii: "#") else {
                    throw Malformed(lines.number, "unexpected content after closing quote")
                }
                return text
            }
            text += rest
            text.append(0x0A)
            guard let next = try lines.next() else {
                throw Malformed("invalid environment variable format starting at line \(start): unclosed single quote")
            }
            rest = next
        }
    }

    /// The lines of a file, without their ends.
    private struct Lines {
        private var rest: ArraySlice<UInt8>
        private(set) var number = 0

        init(_ bytes: [UInt8]) { rest = bytes[...] }

        mutating func next() throws(Malformed) -> ArraySlice<UInt8>? {
            guard !rest.isEmpty else { return nil }
            number += 1
            let end = rest.firstIndex(of: 0x0A) ?? rest.endIndex
            var line = rest[..<end]
            rest = end < rest.endIndex ? rest[(end + 1)...] : []
            guard line.count < EnvFile.maximumLine else { throw Malformed("error reading environment variable file: token too long") }
            if line.last == 0x0D { line = line.dropLast() }
            return line
        }
    }

    /// Reads a file of a volume, and of nothing outside it, whatever links a container has put there. Blocks. Throws `FileError` and `Malformed`.
    static func read(_ path: String, volume: String) throws -> [UInt8] {
        let root = open(volume, CLINUX_O_PATH | O_DIRECTORY | O_CLOEXEC)
        try FileTree.check(root, "open", volume)
        defer { close(root) }
        // Looked at before it is opened: opening a device may do something, and a container may make devices.
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH) | UInt64(CLINUX_RESOLVE_NO_MAGICLINKS)
        let handle = clinux_openat2(root, path, CLINUX_O_PATH, 0, resolve)
        try FileTree.checkCode(handle, "open", path)
        defer { close(handle) }
        var status = stat()
        try FileTree.check(fstat(handle, &status), "stat", path)
        guard status.st_mode & S_IFMT == S_IFREG else { throw Malformed("\(path) is not a file") }
        guard status.st_size <= maximumBytes else { throw Malformed("\(path) is larger than \(maximumBytes) bytes") }
        let descriptor = open("/proc/self/fd/\(handle)", O_RDONLY | O_CLOEXEC)
        try FileTree.check(descriptor, "open", path)
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: maximumLine)
        // It may grow meanwhile.
        while bytes.count <= maximumBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            try FileTree.check(Int32(clamping: count), "read", path)
            if count == 0 { break }
            bytes.append(contentsOf: buffer[..<count])
        }
        return bytes
    }
}
