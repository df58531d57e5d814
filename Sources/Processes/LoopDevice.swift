#if canImport(Glibc)
    internal import Glibc
#endif

/// Files as block devices, by the kernel's loop devices. A file has one device on this host, whoever asks for it: two would not see each other's
/// writes. All functions block. Upstream: volumepathhandler's AttachFileDevice, GetLoopDevice, DetachFileDevice.
package enum LoopDevice {
    /// Whether the host has them: containers that are given no devices do not.
    package static var isAvailable: Bool { access("/dev/loop-control", R_OK | W_OK) == 0 }

    /// Makes a file of a size that takes room only for what is written, or a larger one of one that is there. Throws `CommandError`.
    package static func makeFile(_ path: String, bytes: Int64) throws(CommandError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw CommandError(arguments: ["open", path], code: -errno, output: "") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw CommandError(arguments: ["stat", path], code: -errno, output: "") }
        guard status.st_size < bytes else { return }
        guard ftruncate(descriptor, off_t(bytes)) == 0 else { throw CommandError(arguments: ["truncate", path], code: -errno, output: "") }
    }

    /// Does some work while no other process that asks the same changes what devices the file has. Throws `CommandError` for a file that cannot be
    /// opened, and what the work throws.
    package static func withLock<R>(on file: String, _ work: () throws -> R) throws -> R {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandError(arguments: ["open", file], code: -errno, output: "") }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX) == 0 else { throw CommandError(arguments: ["lock", file], code: -errno, output: "") }
        return try work()
    }

    /// The file's device (`/dev/loop0`); nil when it has none.
    package static func device(of file: String) throws(CommandError) -> String? {
        let found = try Command.runBlocking(["losetup", "--noheadings", "--output", "NAME", "--associated", file])
        return found.split(whereSeparator: \.isWhitespace).first.map(String.init)
    }

    /// The file's device, made when it has none. The lock is the caller's.
    package static func attach(_ file: String) throws(CommandError) -> String {
        if let device = try device(of: file) { return device }
        // What it says may be a warning, too: of a file that ends within a sector.
        try Command.runBlocking(["losetup", "--find", file])
        guard let device = try device(of: file) else { throw CommandError(arguments: ["losetup", file], code: -ENODEV, output: "") }
        return device
    }

    /// Takes the device from its file: now, or when the last mount and the last program let it go.
    package static func detach(_ device: String) throws(CommandError) {
        do { try Command.runBlocking(["losetup", "--detach", device]) } catch {
            guard error.output.contains("No such device") else { throw error }
        }
    }

    /// The device has as many bytes as its file from now on.
    package static func adopt(sizeOf device: String) throws(CommandError) { try Command.runBlocking(["losetup", "--set-capacity", device]) }

    /// Does some work with the file's device, which stays as long as what the work mounts of it, and no longer. Throws `CommandError`, and what the
    /// work throws.
    package static func withDevice<R>(of file: String, _ work: (String) throws -> R) throws -> R {
        try withLock(on: file) {
            let (device, descriptor) = try hold(file)
            defer { close(descriptor) }
            let result: R
            do { result = try work(device) } catch {
                try detach(device)
                throw error
            }
            // What is mounted keeps it; else it goes when it is closed here.
            try detach(device)
            return result
        }
    }

    /// Attempts to hold a device that others let go of at the same time.
    private static let attempts = 5

    /// The file's device, open: it is no other file's as long as it is.
    private static func hold(_ file: String) throws -> (String, Int32) {
        for _ in 0..<attempts {
            let device = try attach(file)
            let descriptor = open(device, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            // Its last mount may have ended between the look and the opening.
            if try self.device(of: file) == device { return (device, descriptor) }
            close(descriptor)
        }
        throw CommandError(arguments: ["losetup", file], code: -EBUSY, output: "")
    }
}
