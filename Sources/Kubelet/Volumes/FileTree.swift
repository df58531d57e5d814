import CLinux
import Dispatch
import Glibc

/// A failed system call on a file, in words.
package struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
    var operation: String
    var path: String
    var code: Int32

    package var description: String { "\(operation) \(path): \(String(cString: strerror(code)))" }
}

/// Blocking file work on threads of its own, away from the cooperative pool.
enum FileWork {
    private static let queue = DispatchQueue(label: "kubelet.files", attributes: .concurrent)

    static func run<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try work() }) }
        }
    }
}

/// Plain calls on paths; all throw `FileError`. None follows a symbolic link in the last component unless it says so.
enum FileTree {
    static func check(_ result: Int32, _ operation: String, _ path: String) throws(FileError) {
        guard result >= 0 else { throw FileError(operation: operation, path: path, code: errno) }
    }

    /// For the CLinux functions, which return -errno.
    static func checkCode(_ result: Int32, _ operation: String, _ path: String) throws(FileError) {
        guard result >= 0 else { throw FileError(operation: operation, path: path, code: -result) }
    }

    /// Makes a directory and those above it. The last one gets exactly `mode`.
    static func makeDirectories(_ path: String, mode: mode_t = 0o755) throws(FileError) {
        var at = path.startIndex
        while let slash = path[at...].dropFirst().firstIndex(of: "/") {
            let part = String(path[..<slash])
            if mkdir(part, 0o755) != 0, errno != EEXIST { throw FileError(operation: "mkdir", path: part, code: errno) }
            at = slash
        }
        if mkdir(path, mode) == 0 {
            try check(chmod(path, mode), "chmod", path)
        } else if errno != EEXIST {
            throw FileError(operation: "mkdir", path: path, code: errno)
        }
    }

    /// Nil when nothing is there. Follows links when told to.
    static func status(_ path: String, follow: Bool = false) throws(FileError) -> stat? {
        var status = stat()
        let result = follow ? stat(path, &status) : lstat(path, &status)
        if result == 0 { return status }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw FileError(operation: "stat", path: path, code: errno)
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func read(_ path: String, limit: Int = 16 << 20) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        try check(descriptor, "open", path)
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < limit {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(operation: "read", path: path, code: errno) }
            if count == 0 { break }
            bytes.append(contentsOf: buffer[..<count])
        }
        return bytes
    }

    /// Writes a file whole, replacing what was there in place (bind mounts of it stay good).
    static func write(_ path: String, _ bytes: [UInt8], mode: mode_t = 0o644) throws(FileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        try check(descriptor, "open", path)
        defer { close(descriptor) }
        try write(descriptor, bytes, path)
        try check(fchmod(descriptor, mode), "chmod", path)
    }

    static func write(_ descriptor: Int32, _ bytes: [UInt8], _ path: String) throws(FileError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), bytes.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(operation: "write", path: path, code: errno) }
            written += count
        }
    }

    /// The names in a directory, without `.` and `..`; empty when there is none.
    static func list(_ path: String) throws(FileError) -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT || errno == ENOTDIR { return [] }
            throw FileError(operation: "opendir", path: path, code: errno)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func readLink(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        return count >= 0 ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// Makes the directory that a path is in.
    static func makeParent(of path: String, mode: mode_t = 0o755) throws(FileError) {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { try makeDirectories(String(path[..<slash]), mode: mode) }
    }

    /// Removes the directory that a path is in, if that was all in it.
    static func removeParentIfEmpty(of path: String) throws(FileError) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let parent = String(path[..<slash])
        if rmdir(parent) != 0, errno != ENOENT, errno != ENOTEMPTY { throw FileError(operation: "rmdir", path: parent, code: errno) }
    }

    /// Makes a symbolic link, in place of another.
    static func link(_ path: String, to target: String) throws(FileError) {
        if readLink(path) == target { return }
        if unlink(path) != 0, errno != ENOENT { throw FileError(operation: "unlink", path: path, code: errno) }
        try check(symlink(target, path), "symlink", path)
    }

    /// The path without links.
    static func resolved(_ path: String) throws(FileError) -> String {
        guard let found = realpath(path, nil) else { throw FileError(operation: "realpath", path: path, code: errno) }
        defer { free(found) }
        return String(cString: found)
    }

    /// Removes a file or a whole tree. Never crosses into another mounted filesystem: a mount still there is an error (EBUSY), not a loss of its
    /// data.
    static func removeAll(_ path: String) throws(FileError) {
        guard let status = try status(path) else { return }
        try remove(path, status, device: status.st_dev)
    }

    private static func remove(_ path: String, _ status: stat, device: dev_t) throws(FileError) {
        if status.st_mode & S_IFMT == S_IFDIR {
            guard status.st_dev == device else { throw FileError(operation: "remove", path: path, code: EBUSY) }
            for name in try list(path) {
                let child = path + "/" + name
                if let below = try self.status(child) { try remove(child, below, device: device) }
            }
            if rmdir(path) != 0, errno != ENOENT { throw FileError(operation: "rmdir", path: path, code: errno) }
        } else if unlink(path) != 0, errno != ENOENT {
            throw FileError(operation: "unlink", path: path, code: errno)
        }
    }

    /// Whether something is mounted at `path` itself. Asked of the path, not of the mount table, which grows with the pods and is made anew for each
    /// reader.
    static func isMountPoint(_ path: String) throws(FileError) -> Bool {
        let answer = clinux_is_mount_point(path)
        switch answer {
        case 0, 1: return answer == 1
        case -ENOENT, -ENOTDIR: return false
        // An old kernel, or a file system that is mounted and does not answer any more.
        default: return try mounts(below: path).contains(path)
        }
    }

    /// The mount points at or below `path`, the deepest first.
    static func mounts(below path: String) throws(FileError) -> [String] {
        let table = String(decoding: try read("/proc/self/mountinfo"), as: UTF8.self)
        return table.split(separator: "\n").compactMap { line -> String? in
            let fields = line.split(separator: " ", maxSplits: 5)
            guard fields.count > 4 else { return nil }
            let point = unescapeOctal(fields[4])
            return point == path || point.hasPrefix(path + "/") ? point : nil
        }.reversed()
    }

    /// The mount table writes spaces and the like as `\040`.
    private static func unescapeOctal(_ text: Substring) -> String {
        guard text.utf8.contains(UInt8(ascii: "\\")) else { return String(text) }
        var out: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let c = rest.popFirst() {
            if c == UInt8(ascii: "\\"), rest.count >= 3, let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
                out.append(code)
                rest = rest.dropFirst(3)
            } else {
                out.append(c)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    static func unmountAll(below path: String) throws(FileError) {
        for point in try mounts(below: path) { try checkCode(clinux_unmount(point, 1), "unmount", point) }
    }

    /// Gives a tree to a group, as fsGroup asks. Upstream: volume.SetVolumeOwnership.
    static func setGroup(_ path: String, group: gid_t, readOnly: Bool) throws(FileError) {
        guard let status = try status(path) else { return }
        try check(lchown(path, status.st_uid, group), "chown", path)
        let kind = status.st_mode & S_IFMT
        if kind == S_IFLNK { return }
        var mode = status.st_mode & 0o7777 | (readOnly ? 0o440 : 0o660)
        if kind == S_IFDIR { mode |= 0o2110 }  // Files made below belong to the group as well.
        try check(chmod(path, mode), "chmod", path)
        guard kind == S_IFDIR else { return }
        for name in try list(path) { try setGroup(path + "/" + name, group: group, readOnly: readOnly) }
    }
}
