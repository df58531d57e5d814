import ContainerRuntime
import KubeAPI
import Testing

@testable import Kubelet

/// What is written into pods' cgroups, in folders that look like the kernel's.
struct PodCgroupTests {
    /// Folders with the named files, which a pod's cgroup has from the kernel.
    private func hierarchy(_ files: [String], _ body: (String) throws -> Void) throws {
        try withDirectory { mount in
            for file in files {
                let parts = file.split(separator: "/").dropLast().joined(separator: "/")
                try FileTree.makeDirectories("\(mount)/\(parts)")
                try FileTree.write("\(mount)/\(file)", [])
            }
            try body(mount)
        }
    }

    private func text(_ path: String) throws -> String { String(decoding: try FileTree.read(path), as: UTF8.self) }

    private static let pod = "n/kubepods/besteffort/podu1"

    @Test(
        "a pod's processes are limited where the kubelet says so, in both versions of cgroups",
        arguments: [("pids/", ""), ("", "cgroup.controllers")])
    func processes(hierarchy prefix: String, marker: String) throws {
        let file = "\(prefix)\(Self.pod)/pids.max"
        let pod = try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#)
        try hierarchy([file] + (marker.isEmpty ? [] : [marker])) { mount in
            try PodCgroups(mount: mount, root: "/n").make(pod)
            #expect(try text("\(mount)/\(file)").isEmpty, "-1 is no limit")
            try PodCgroups(mount: mount, root: "/n", podPidsLimit: 1024).make(pod)
            #expect(try text("\(mount)/\(file)") == "1024")
        }
    }
}
