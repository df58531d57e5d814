import CLinux
import Glibc
import Testing

@testable import Kubelet

@Suite("Mount points")
struct MountPointTests {
    @Test("the kernel and its table of mounts say the same of a path")
    func paths() throws {
        for path in ["/", "/proc", "/proc/self", "/sys", "/tmp/is not there", "/proc/version/below a file"] {
            #expect(try FileTree.isMountPoint(path) == FileTree.mounts(below: path).contains(path), "\(path)")
        }
        #expect(try FileTree.isMountPoint("/proc"))
    }

    @Test("a folder and a file are mount points while something is mounted there", .enabled(if: geteuid() == 0))
    func mounted() throws {
        let folder = "/tmp/eyrie-mount-\(getpid())"
        try FileTree.makeDirectories("\(folder)/with a blank")
        defer { try? FileTree.removeAll(folder) }  // What is left is seen by the next look at /tmp.
        let (target, file) = ("\(folder)/with a blank", "\(folder)/file")
        try FileTree.write(file, [])
        #expect(try !FileTree.isMountPoint(target) && !FileTree.isMountPoint(file))
        try FileTree.checkCode(clinux_mount("tmpfs", target, "tmpfs", 0, ""), "mount", target)
        defer { _ = clinux_unmount(target, 1) }
        #expect(try FileTree.isMountPoint(target) && FileTree.mounts(below: folder) == [target])
        try FileTree.checkCode(clinux_mount("/proc/self/status", file, nil, UInt(CLINUX_MS_BIND), nil), "mount", file)
        defer { _ = clinux_unmount(file, 1) }
        #expect(try FileTree.isMountPoint(file))
        // A link is not what it leads to.
        #expect(symlink(target, "\(folder)/link") == 0)
        #expect(try !FileTree.isMountPoint("\(folder)/link"))
    }
}
