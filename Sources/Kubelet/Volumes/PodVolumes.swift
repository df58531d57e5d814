import CLinux
import Glibc
import KubeAPI

/// A pod's folders and volumes on the node. All functions block: call them by `FileWork`. Upstream: volumemanager and the in-tree plugins.
struct PodVolumes: Sendable {
    let rootDirectory: String
    /// Whether tmpfs may be mounted.
    let mounts: Bool
    /// Whether what is in memory could be written to the host's swap.
    var hasSwap = false
    /// Bytes that all pods together may have; nil: not known. Upstream: Node Allocatable.
    var memory: Int64?
    /// Nodes of one host may have one disk; each is known by its name.
    var nodeName = "node"

    var disks: LocalDisks { LocalDisks(rootDirectory: rootDirectory, nodeName: nodeName) }
    func podDirectory(_ uid: String) -> String { "\(rootDirectory)/pods/\(uid)" }
    private func volumeDirectory(_ uid: String, plugin: String, name: String) -> String {
        "\(podDirectory(uid))/volumes/kubernetes.io~\(plugin)/\(name)"
    }

    func emptyDirectory(_ uid: String, _ name: String) -> String { volumeDirectory(uid, plugin: "empty-dir", name: name) }

    func imageDirectory(_ uid: String, _ name: String) throws(VolumeError) -> String {
        volumeDirectory(uid, plugin: "image", name: try Self.checked(name))
    }

    /// A name that stays in its folder.
    static func checked(_ name: String) throws(VolumeError) -> String {
        guard !name.isEmpty, !name.contains("/"), name != ".", name != ".." else { throw VolumeError("volume name \"\(name)\" is not valid") }
        return name
    }

    func makePodDirectories(_ uid: String) throws(FileError) {
        let directory = podDirectory(uid)
        try FileTree.makeDirectories(directory, mode: 0o750)
        for name in ["volumes", "containers", "plugins"] { try FileTree.makeDirectories(directory + "/" + name, mode: 0o750) }
    }

    /// Makes the volume, or brings its files up to date, and returns its path on the node. `files` are given for volumes made from API objects.
    /// Throws `VolumeError` and `FileError`.
    func setUp(_ volume: JSONView, pod: Pod, files: [String: VolumeFile]?, now: Timestamp) throws -> String {
        let name = try Self.checked(volume["name"].string ?? "")
        let group = pod.securityContext["fsGroup"].int.flatMap { gid_t(exactly: $0) }
        if let files {
            let plugin =
                volume["secret"] != nil
                ? "secret" : volume["configMap"] != nil ? "configmap" : volume["downwardAPI"] != nil ? "downward-api" : "projected"
            let directory = volumeDirectory(pod.uid, plugin: plugin, name: name)
            try FileTree.makeDirectories(directory, mode: 0o777)
            // Secrets never touch the disk.
            if plugin == "secret" || plugin == "projected" { try mountTmpfs(directory, size: nil) }
            try AtomicWriter.write(files, to: directory, now: now) { folder throws(FileError) in
                if let group { try FileTree.setGroup(folder, group: group, readOnly: true) }
            }
            return directory
        }
        if let source = volume["emptyDir"] {
            let directory = volumeDirectory(pod.uid, plugin: "empty-dir", name: name)
            let isNew = !FileTree.exists(directory)
            try FileTree.makeDirectories(directory, mode: 0o777)
            let medium = source["medium"].string ?? ""
            if medium == "Memory" { try mountTmpfs(directory, size: Self.memorySize(source, pod: pod, allocatable: memory)) }
            if medium.hasPrefix(HugePages.medium) { try mountHugePages(directory, pageSize: HugePages.pageSize(medium: medium, pod: pod)) }
            if isNew {
                try FileTree.check(chmod(directory, 0o777), "chmod", directory)
                if let group { try FileTree.setGroup(directory, group: group, readOnly: false) }
            }
            return directory
        }
        if let source = volume["local"] { return try local(source["path"].string ?? "", group: group) }
        if let source = volume["hostPath"] { return try hostPath(source["path"].string ?? "", type: source["type"].string ?? "") }
        let kind = volume.members.map(\.key).first { $0 != "name" } ?? "unknown"
        throw VolumeError("volume type \(kind) is not implemented by Eyrie yet")
    }

    /// How a volume that `setUp` made is measured; nil for folders of the host, which are not the pod's.
    /// - Parameter isMount: its folder is a file system of its own.
    static func measure(_ volume: JSONView, isMount: Bool) -> MountedVolume.Measure? {
        if let source = volume["emptyDir"] { return (source["medium"].string ?? "").isEmpty ? .folder : .filesystem }
        if volume["local"] != nil { return isMount ? .filesystem : .folder }
        return volume["hostPath"] != nil ? nil : .folder
    }

    /// Bytes of an emptyDir in memory: the least of what all pods may have, the pod's limit and its own; nil: half of the host's, by the kernel.
    /// Upstream: calculateEmptyDirMemorySize.
    static func memorySize(_ source: JSONView, pod: Pod, allocatable: Int64?) -> Int64? {
        [allocatable, PodCgroupLimits(pod).memory, source["sizeLimit"].quantity?.value].compactMap { $0 }.filter { $0 > 0 }.min()
    }

    private func mountTmpfs(_ directory: String, size: Int64?) throws(FileError) {
        guard mounts, try !FileTree.isMountPoint(directory) else { return }
        let options = size.map { $0 > 0 ? ["size=\($0)"] : [] } ?? []
        func mount(_ options: [String]) -> Int32 { clinux_mount("tmpfs", directory, "tmpfs", 0, options.joined(separator: ",")) }
        var code = hasSwap ? mount(options + ["noswap"]) : mount(options)
        // Kernels before 6.3 do not know it. Upstream: IsTmpfsNoswapOptionSupported.
        if hasSwap, code == -EINVAL { code = mount(options) }
        try FileTree.checkCode(code, "mount tmpfs", directory)
        try FileTree.check(chmod(directory, 0o777), "chmod", directory)
    }

    /// Upstream: emptydir's setupHugepages.
    private func mountHugePages(_ directory: String, pageSize: Int64) throws(FileError) {
        guard mounts, try !FileTree.isMountPoint(directory) else { return }
        try FileTree.checkCode(clinux_mount("nodev", directory, "hugetlbfs", 0, "pagesize=\(pageSize)"), "mount hugetlbfs", directory)
        try FileTree.check(chmod(directory, 0o777), "chmod", directory)
    }

    /// A folder that somebody made before. It is given to the pod's group once, not again each time. Upstream: pkg/volume/local.
    private func local(_ path: String, group: gid_t?) throws -> String {
        guard let status = try FileTree.status(path, follow: true) else { throw VolumeError("path \"\(path)\" does not exist") }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw VolumeError("path \"\(path)\" is not a directory") }
        if let group, status.st_gid != group || status.st_mode & 0o2000 == 0 { try FileTree.setGroup(path, group: group, readOnly: false) }
        return path
    }

    /// Upstream: hostpath's checkType, in its words.
    private func hostPath(_ path: String, type: String) throws -> String {
        let failure = "hostPath type check failed: \(path) is not"
        let status = try FileTree.status(path, follow: true)
        let kind = (status?.st_mode ?? 0) & S_IFMT
        switch type {
        case "": break
        case "DirectoryOrCreate":
            if status == nil {
                try FileTree.makeDirectories(path, mode: 0o755)
            } else if kind != S_IFDIR {
                throw VolumeError("\(failure) a directory")
            }
        case "Directory": guard kind == S_IFDIR else { throw VolumeError("\(failure) a directory") }
        case "FileOrCreate":
            if status == nil { try FileTree.write(path, []) } else if kind != S_IFREG { throw VolumeError("\(failure) a file") }
        case "File": guard kind == S_IFREG else { throw VolumeError("\(failure) a file") }
        case "Socket": guard kind == S_IFSOCK else { throw VolumeError("\(failure) a socket file") }
        case "CharDevice": guard kind == S_IFCHR else { throw VolumeError("\(failure) a character device") }
        case "BlockDevice": guard kind == S_IFBLK else { throw VolumeError("\(failure) a block device") }
        default: throw VolumeError("\(type) is an invalid volume type")
        }
        return path
    }

    // MARK: sub paths

    /// The path to mount for `subPath` of a volume: the folder or file is opened without leaving the volume, and that very file is bind-mounted, so
    /// that a link put in its place meanwhile leads nowhere. Upstream: pkg/volume/util/subpath.
    func subPath(_ subPath: String, volume: String, volumeName: String, pod: Pod, container: String, index: Int) throws -> String {
        guard !subPath.hasPrefix("/"), !subPath.split(separator: "/").contains("..") else {
            throw VolumeError("subPath \"\(subPath)\" must stay in its volume")
        }
        let root = open(volume, CLINUX_O_PATH | O_DIRECTORY | O_CLOEXEC)
        try FileTree.check(root, "open", volume)
        defer { close(root) }
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH) | UInt64(CLINUX_RESOLVE_NO_MAGICLINKS)
        var descriptor = clinux_openat2(root, subPath, CLINUX_O_PATH, 0, resolve)
        if descriptor == -ENOENT {
            try makeBeneath(root, subPath, resolve: resolve)
            descriptor = clinux_openat2(root, subPath, CLINUX_O_PATH, 0, resolve)
        }
        if descriptor == -EXDEV || descriptor == -ELOOP { throw VolumeError("subpath \"\(subPath)\" not within volume path \(volume)") }
        try FileTree.checkCode(descriptor, "open", volume + "/" + subPath)
        defer { close(descriptor) }
        guard mounts else { return volume + "/" + subPath }
        var status = stat()
        try FileTree.check(fstat(descriptor, &status), "stat", subPath)
        let directory = "\(podDirectory(pod.uid))/volume-subpaths/\(volumeName)/\(container)"
        try FileTree.makeDirectories(directory, mode: 0o750)
        let target = "\(directory)/\(index)"
        if try FileTree.isMountPoint(target) { try FileTree.checkCode(clinux_unmount(target, 1), "unmount", target) }
        if FileTree.exists(target) { try FileTree.removeAll(target) }
        if status.st_mode & S_IFMT == S_IFDIR { try FileTree.makeDirectories(target, mode: 0o750) } else { try FileTree.write(target, []) }
        let source = "/proc/self/fd/\(descriptor)"
        try FileTree.checkCode(clinux_mount(source, target, nil, UInt(CLINUX_MS_BIND | CLINUX_MS_REC), nil), "bind mount", target)
        return target
    }

    /// Makes the folders of a relative path one by one, each within the volume and with the mode of its root: who may write there may write here.
    /// Upstream: makeMounts takes GetMode of the volume, doSafeMakeDir sets it.
    private func makeBeneath(_ root: Int32, _ path: String, resolve: UInt64) throws {
        var volume = stat()
        try FileTree.check(fstat(root, &volume), "stat", path)
        let mode = volume.st_mode & 0o7777
        var made = ""
        for name in path.split(separator: "/") where name != "." {
            let parent = made.isEmpty ? dup(root) : clinux_openat2(root, made, CLINUX_O_PATH | O_DIRECTORY, 0, resolve)
            if parent == -EXDEV || parent == -ELOOP { throw VolumeError("subpath \"\(path)\" not within volume path") }
            try FileTree.checkCode(parent, "open", made)
            defer { close(parent) }
            if mkdirat(parent, String(name), mode) == 0 {
                // Opened without following a link that was put in its place meanwhile, and set by its descriptor: the umask has narrowed it.
                let folder = openat(parent, String(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                try FileTree.check(folder, "open", path)
                defer { close(folder) }
                try FileTree.check(fchmod(folder, mode), "chmod", path)
            } else if errno != EEXIST {
                throw FileError(operation: "mkdir", path: path, code: errno)
            }
            made += made.isEmpty ? String(name) : "/\(name)"
        }
    }

    // MARK: end

    /// Unmounts and removes a pod's volumes; its folder goes by `removePodDirectory`. Throws `FileError`, `CommandError`.
    func tearDown(_ uid: String) throws {
        let directory = podDirectory(uid)
        guard FileTree.exists(directory) else { return }
        try FileTree.unmountAll(below: directory)
        try disks.unmap(uid)
        for name in ["volume-subpaths", "volumeDevices", "volumes"] { try FileTree.removeAll(directory + "/" + name) }
    }

    func removePodDirectory(_ uid: String) throws {
        guard !uid.isEmpty, !uid.contains("/"), uid != ".", uid != ".." else { return }
        try tearDown(uid)
        try FileTree.removeAll(podDirectory(uid))
    }

    /// The uids of pods that have a folder.
    func knownUIDs() throws(FileError) -> [String] { try FileTree.list(rootDirectory + "/pods") }
}
