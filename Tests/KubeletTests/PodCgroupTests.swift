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

    @Test("the time that a node's processes have had is read in both versions of cgroups")
    func cpuTime() throws {
        try hierarchy(["n/cpu.stat"]) { mount in
            try FileTree.write("\(mount)/n/cpu.stat", Array("usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n".utf8))
            #expect(HostFigures.cpuNanoseconds(cgroupMount: mount, path: "/n") == 1_234_000)
            #expect(HostFigures.cpuNanoseconds(cgroupMount: mount, path: "/m") == nil)
        }
        try hierarchy(["cpuacct/n/cpuacct.usage"]) { mount in
            try FileTree.write("\(mount)/cpuacct/n/cpuacct.usage", Array("567\n".utf8))
            #expect(HostFigures.cpuNanoseconds(cgroupMount: mount, path: "/n") == 567)
        }
    }

    @Test("a pod's huge pages are limited, those of sizes it has none of to none")
    func hugePages() throws {
        let pod = try Given.pod(
            #"{"containers":[{"name":"a","image":"i","resources":{"requests":{"hugepages-2Mi":"4Mi"},"limits":{"hugepages-2Mi":"4Mi"}}}]}"#)
        func check(_ folder: String, _ limit: String, _ controllers: String?) throws {
            let files = ["hugetlb.2MB.\(limit)", "hugetlb.1GB.\(limit)", "hugetlb.2MB.rsvd.\(limit)", "hugetlb.2MB.failcnt"]
            try hierarchy(files.map { "\(folder)\(Self.pod)/\($0)" }) { mount in
                if let controllers {
                    for group in ["", "/n"] { try FileTree.write("\(mount)\(group)/cgroup.controllers", Array(controllers.utf8)) }
                }
                try PodCgroups(mount: mount, root: "/n").make(pod)
                let isLimited = controllers != "cpu"
                #expect(
                    try files.map { try text("\(mount)/\(folder)\(Self.pod)/\($0)") } == [isLimited ? "4194304" : "", isLimited ? "0" : "", "", ""])
            }
        }
        try check("hugetlb/", "limit_in_bytes", nil)
        try check("", "max", "cpu hugetlb\n")
        try check("", "max", "cpu")
    }
}
