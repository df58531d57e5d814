import Glibc

/// Files that only their owner may read: keys, tokens, passwords.
package enum SecretFile {
    /// Replaces the file at `path` with `bytes`, mode 0600, in one step: after a crash there is the old content or the new, never a part.
    /// Blocks on the disk. Throws `CertificateError.file` naming the path and the cause.
    package static func write(_ path: String, _ bytes: [UInt8]) throws {
        try write(path, bytes, mode: 0o600)
    }

    /// The same for a file that everybody may read (a CA certificate): mode 0644.
    package static func writePublic(_ path: String, _ bytes: [UInt8]) throws {
        try write(path, bytes, mode: 0o644)
    }

    /// Reads the whole file. Refuses one that others than its owner may read or write. Throws `CertificateError.file`.
    package static func read(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("examine", path) }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw CertificateError.file("\(path) is a secret that others may read (mode \(mode)): run chmod 600 on it")
        }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read", path)
            }
            bytes.append(contentsOf: piece.prefix(count))
        }
    }

    private static func write(_ path: String, _ bytes: [UInt8], mode: mode_t) throws {
        // In the same folder, so that the rename stays within one file system; a random name, so that two writers do not meet.
        let temporary = "\(path).\(String(UInt64.random(in: .min ... .max), radix: 36)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw failure("create", temporary) }
        do {
            defer { close(descriptor) }
            // The umask may have taken more than meant.
            guard fchmod(descriptor, mode) == 0 else { throw failure("protect", temporary) }
            try writeAll(descriptor, bytes, temporary)
            guard fsync(descriptor) == 0 else { throw failure("sync", temporary) }
            guard rename(temporary, path) == 0 else { throw failure("replace", path) }
        } catch {
            unlink(temporary)
            throw error
        }
        try syncFolder(of: path)
    }

    private static func writeAll(_ descriptor: CInt, _ bytes: [UInt8], _ path: String) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write", path)
            }
            rest = rest.dropFirst(count)
        }
    }

    /// The rename itself must survive a power cut.
    private static func syncFolder(of path: String) throws {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("sync", folder) }
    }

    private static func failure(_ action: String, _ path: String) -> CertificateError {
        let cause = strerror(errno).map { String(cString: $0).lowercased() } ?? "unknown error"
        return .file("cannot \(action) \(path): \(cause)")
    }
}
