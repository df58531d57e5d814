import ContainerRuntime
import KubeAPI
import Testing

@testable import Kubelet

/// Huge pages: what a node has of them, and what pods get.
struct HugePageTests {
    @Test("a node has what its host has set apart, and zero of the sizes that its kernel knows beside")
    func capacity() throws {
        try withDirectory { directory in
            for (name, count) in [("hugepages-2048kB", "512\n"), ("hugepages-1048576kB", "0\n"), ("other", "1"), ("hugepages-xkB", "1")] {
                try FileTree.makeDirectories("\(directory)/\(name)")
                try FileTree.write("\(directory)/\(name)/nr_hugepages", Array(count.utf8))
            }
            let found = HugePages.capacity(directory: directory)
            #expect(found.mapValues(\.description) == ["hugepages-2Mi": "1Gi", "hugepages-1Gi": "0"])
            #expect(HugePages.capacity(directory: directory + "/none").isEmpty)
        }
    }

    @Test("sizes are named as cgroups name them", arguments: [(2 << 20, "2MB"), (1 << 30, "1GB"), (64 << 10, "64KB"), (1000, "1000B"), (0, "0B")])
    func units(size: Int64, name: String) { #expect(HugePages.unit(size) == name) }

    private func pod(_ requests: String...) throws -> Pod {
        let containers = requests.enumerated().map { index, list in
            #"{"name":"c\#(index)","image":"i","resources":{"requests":{"cpu":"1",\#(list)},"limits":{\#(list)}}}"#
        }
        return try Given.pod(#"{"containers":[\#(containers.joined(separator: ","))]}"#)
    }

    @Test("a volume has pages of the size that its medium or the pod's requests name")
    func volumes() throws {
        let one = try pod(#""hugepages-2Mi":"4Mi""#)
        let two = try pod(#""hugepages-2Mi":"4Mi""#, #""hugepages-1Gi":"1Gi""#)
        #expect(try HugePages.pageSize(medium: "HugePages", pod: one) == 2 << 20)
        #expect(try HugePages.pageSize(medium: "HugePages-2Mi", pod: one) == 2 << 20)
        #expect(try HugePages.pageSize(medium: "HugePages-1Gi", pod: two) == 1 << 30)
        func refusal(_ medium: String, _ pod: Pod) -> String? {
            do { _ = try HugePages.pageSize(medium: medium, pod: pod) } catch { return "\(error)" }
            return nil
        }
        #expect(refusal("HugePages", two) == "medium: HugePages can't be used if container requests multiple huge page sizes")
        let none = "hugePages storage requested, but there is no resource request for huge pages"
        #expect(refusal("HugePages-1Gi", one) == "medium HugePages-1Gi: \(none)")
        #expect(refusal("HugePages", try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#)) == "medium HugePages: \(none)")
        #expect(refusal("HugePages-x", one) == #"unknown storage medium "HugePages-x""#)
    }

    @Test("a container gets what it asks for, and none of the other sizes; where cgroups cannot limit them nothing is said")
    func containers() throws {
        let pod = try pod(#""hugepages-2Mi":"4Mi""#)
        let memory = HostMemory(hugePages: [2 << 20, 1 << 30])
        let container = try #require(pod.containers.first)
        #expect(
            memory.limit(LinuxResources(cpuShares: 5), container, pod: pod) == LinuxResources(cpuShares: 5, hugePages: ["2MB": 4 << 20, "1GB": 0]))
        #expect(HostMemory().limit(LinuxResources(), container, pod: pod).hugePages.isEmpty)
        #expect(PodCgroupLimits(try self.pod(#""hugepages-2Mi":"4Mi""#, #""hugepages-2Mi":"2Mi""#)).hugePages == [2 << 20: 6 << 20])
    }

    @Test("with cgroup v2 a container out of memory ends as a whole, unless the kubelet is told otherwise")
    func outOfMemory() throws {
        #expect(HostMemory.killsWhole(isUnified: true, singleProcess: nil) && HostMemory.killsWhole(isUnified: true, singleProcess: false))
        #expect(!HostMemory.killsWhole(isUnified: true, singleProcess: true) && !HostMemory.killsWhole(isUnified: false, singleProcess: nil))
        let pod = try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#)
        let container = try #require(pod.containers.first)
        #expect(HostMemory(killsWhole: true).limit(LinuxResources(), container, pod: pod).unified == ["memory.oom.group": "1"])
        #expect(HostMemory().limit(LinuxResources(), container, pod: pod).unified.isEmpty)
    }

    @Test("a node without enough of them refuses the pod, one without any too")
    func admission() {
        let wanted: ResourceList = ["hugepages-2Mi": Quantity(4 << 20)]
        let short = NodeRoom.shortfall(of: wanted, beside: [wanted], allocatable: ["hugepages-2Mi": Quantity(6 << 20)], countsPod: false)
        #expect(
            short?.rejection
                == PodRejection(
                    reason: "OutOfhugepages-2Mi",
                    message: "Node didn't have enough resource: hugepages-2Mi, requested: 4194304, used: 4194304, capacity: 6291456"))
        #expect(NodeRoom.shortfall(of: wanted, beside: [], allocatable: [:], countsPod: false)?.capacity == 0)
    }
}
