import Glibc
import KubeAPI

/// A file of a volume made from API objects.
struct VolumeFile: Sendable, Equatable {
    var data: [UInt8]
    /// Permission bits.
    var mode: UInt32
    /// The user the file belongs to; nil leaves root.
    var user: UInt32?

    init(data: [UInt8], mode: UInt32, user: UInt32? = nil) {
        self.data = data
        self.mode = mode
        self.user = user
    }
}

/// Replaces all files of a volume at once: they are written to a new folder, and the link `..data` is renamed over to it. A reader sees all old or
/// all new files. Upstream: pkg/volume/util.AtomicWriter.
///
///     volume/file         -> ..data/file
///     volume/..data       -> ..2026_11_23_01_02_03.123456
///     volume/..2026_11_23_01_02_03.123456/file
enum AtomicWriter {
    static let dataName = "..data"
    static let newDataName = "..data_tmp"
    /// Upstream: maxFileNameLength, maxPathLength.
    static let maximumPathBytes = 4096
    static let maximumNameBytes = 255

    /// A path that may stand in a payload: relative, without `..`, not beginning with `..`. Upstream: validatePath.
    static func isValid(_ path: String) -> Bool {
        guard !path.isEmpty, !path.hasPrefix("/"), !path.hasPrefix(".."), path.utf8.count <= maximumPathBytes else { return false }
        return path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && $0 != ".." && $0 != "." && $0.utf8.count <= maximumNameBytes
        }
    }

    /// Returns whether anything was changed. `prepare` is called on the new folder before it is shown. Throws `FileError`.
    @discardableResult
    static func write(
        _ payload: [String: VolumeFile], to target: String, now: Timestamp, prepare: (String) throws(FileError) -> Void = { _ throws(FileError) in }
    ) throws(FileError) -> Bool {
        for path in payload.keys where !isValid(path) { throw FileError(operation: "write", path: target + "/" + path, code: EINVAL) }
        let dataPath = target + "/" + dataName
        let oldName = FileTree.readLink(dataPath)
        let old = oldName.map { target + "/" + $0 }
        if let old, try isSame(payload, as: old) {
            try link(payload, in: target)
            return false
        }
        let folder = try newFolder(in: target, now: now)
        let folderPath = target + "/" + folder
        for (path, file) in payload.sorted(by: { $0.key < $1.key }) {
            let full = folderPath + "/" + path
            if let slash = full.lastIndex(of: "/") { try FileTree.makeDirectories(String(full[..<slash])) }
            try FileTree.write(full, file.data, mode: file.mode)
            if let user = file.user { try FileTree.check(lchown(full, user, gid_t.max), "chown", full) }
        }
        try prepare(folderPath)
        let temporary = target + "/" + newDataName
        unlink(temporary)  // A leftover of a writer that was killed; the link is made anew next.
        try FileTree.check(symlink(folder, temporary), "symlink", temporary)
        try FileTree.check(rename(temporary, dataPath), "rename", temporary)
        try link(payload, in: target)
        try removeStale(payload, in: target)
        if let old, old != folderPath { try FileTree.removeAll(old) }
        return true
    }

    private static func newFolder(in target: String, now: Timestamp) throws(FileError) -> String {
        let base = ".." + String(now.rfc3339.dropLast().map { $0 == "-" || $0 == "T" || $0 == ":" ? "_" : $0 })
        var number = now.microseconds % 1_000_000_000
        for _ in 0..<1000 {
            let name = "\(base).\(number)"
            if mkdir(target + "/" + name, 0o755) == 0 {
                try FileTree.check(chmod(target + "/" + name, 0o755), "chmod", name)
                return name
            }
            guard errno == EEXIST else { throw FileError(operation: "mkdir", path: target + "/" + name, code: errno) }
            number += 1
        }
        throw FileError(operation: "mkdir", path: target, code: EEXIST)
    }

    private static func isSame(_ payload: [String: VolumeFile], as folder: String) throws(FileError) -> Bool {
        var present: Set<String> = []
        func walk(_ relative: String) throws(FileError) {
            for name in try FileTree.list(relative.isEmpty ? folder : folder + "/" + relative) {
                let path = relative.isEmpty ? name : relative + "/" + name
                if let status = try FileTree.status(folder + "/" + path), status.st_mode & S_IFMT == S_IFDIR {
                    try walk(path)
                } else {
                    present.insert(path)
                }
            }
        }
        guard FileTree.exists(folder) else { return false }
        try walk("")
        guard present == Set(payload.keys) else { return false }
        for (path, file) in payload {
            if try FileTree.read(folder + "/" + path, limit: file.data.count + 1) != file.data { return false }
        }
        return true
    }

    private static func tops(_ payload: [String: VolumeFile]) -> Set<String> {
        Set(payload.keys.map { String($0.prefix { $0 != "/" }) })
    }

    private static func link(_ payload: [String: VolumeFile], in target: String) throws(FileError) {
        for name in tops(payload) {
            let path = target + "/" + name
            if FileTree.readLink(path) != nil { continue }
            try FileTree.check(symlink(dataName + "/" + name, path), "symlink", path)
        }
    }

    private static func removeStale(_ payload: [String: VolumeFile], in target: String) throws(FileError) {
        let wanted = tops(payload)
        for name in try FileTree.list(target) where !name.hasPrefix("..") && !wanted.contains(name) {
            if FileTree.readLink(target + "/" + name) != nil { try FileTree.check(unlink(target + "/" + name), "unlink", target + "/" + name) }
        }
    }
}
