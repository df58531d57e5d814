import ContainerRuntime
import KubeAPI
import Testing

@testable import Kubelet

/// What containers may have of the host's swap.
struct SwapTests {
    @Test("the host's swap is that of all its areas")
    func capacity() {
        let text = "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-1  partition 1048576 0 -2\n/swap\\040file file 1024 5 -3\nbroken\n"
        #expect(NodeSwap.capacity(text) == (1 << 30) + (1 << 20))
        #expect(NodeSwap.capacity("Filename\tType\tSize\tUsed\tPriority\n") == 0 && NodeSwap.capacity("") == 0)
        #expect(NodeSwap.capacity("head\na b 9223372036854775807 0 0\n") == 1 << 60)
    }

    @Test("a kubelet starts with swap unless it is told not to, and limits it with cgroup v2 alone")
    func start() {
        func problem(_ swap: NodeSwap, failSwapOn: Bool = false) -> String? {
            do { try swap.check(failSwapOn: failSwapOn) } catch { return error.description }
            return nil
        }
        #expect(problem(NodeSwap(capacity: 1)) == nil && problem(NodeSwap(), failSwapOn: true) == nil)
        #expect(problem(NodeSwap(capacity: 1), failSwapOn: true)?.hasPrefix("running with swap on is not supported") == true)
        #expect(problem(NodeSwap(behavior: .limited)) == nil)
        #expect(problem(NodeSwap(behavior: .limited, isUnified: false)) == "swapBehavior LimitedSwap is not supported with cgroup v1")
    }

    private func pod(_ resources: String, priority: Int = 0) throws -> Pod {
        try Given.pod(#"{"priority":\#(priority),"containers":[{"name":"a","image":"i","resources":{\#(resources)}}]}"#)
    }

    private func limit(_ swap: NodeSwap, _ pod: Pod) throws -> LinuxResources {
        swap.limit(LinuxResources(memoryLimit: 64 << 20), try #require(pod.containers.first), pod: pod)
    }

    @Test("by default a container has none: as much memory and swap together as memory, or none at all with cgroup v2")
    func none() throws {
        let burstable = try pod(#""requests":{"memory":"32Mi"},"limits":{"memory":"64Mi"}"#)
        let legacy = NodeSwap(capacity: 1 << 30, hostMemory: 4 << 30, isUnified: false)
        #expect(try limit(legacy, burstable) == LinuxResources(memoryLimit: 64 << 20, memorySwapLimit: 64 << 20))
        let unified = NodeSwap(capacity: 1 << 30, hostMemory: 4 << 30)
        #expect(try limit(unified, burstable) == LinuxResources(memoryLimit: 64 << 20, unified: ["memory.swap.max": "0"]))
    }

    @Test("where the host has no swap, or cgroups cannot limit it, nothing is said of it")
    func silence() throws {
        let any = try pod(#""requests":{"memory":"1Gi"}"#)
        for swap in [NodeSwap(behavior: .limited, hostMemory: 4 << 30), NodeSwap(capacity: 1 << 30, hostMemory: 4 << 30, hasController: false)] {
            #expect(try limit(swap, any) == LinuxResources(memoryLimit: 64 << 20))
        }
    }

    @Test(
        "with LimitedSwap a container of a Burstable pod has the part of the swap that its request is of the memory",
        arguments: [
            (#""requests":{"memory":"1Gi"}"#, 0, 512 << 20), (#""requests":{"memory":"1Gi"},"limits":{"memory":"2Gi"}"#, 0, 512 << 20),
            (#""requests":{"memory":"1Gi"},"limits":{"memory":"1Gi"}"#, 0, 0), (#""requests":{"cpu":"1"}"#, 0, 0), ("", 0, 0),
            (#""requests":{"memory":"1Gi","cpu":"1"},"limits":{"memory":"1Gi","cpu":"1"}"#, 0, 0),
            (#""requests":{"memory":"1Gi"}"#, 2_000_000_000, 0), (#""requests":{"memory":"8Gi"}"#, 0, 0),
        ])
    func limited(resources: String, priority: Int, bytes: Int) throws {
        let swap = NodeSwap(behavior: .limited, capacity: 2 << 30, hostMemory: 4 << 30)
        #expect(try limit(swap, try pod(resources, priority: priority)).unified == ["memory.swap.max": String(bytes)])
    }

    @Test("the host's memory is read")
    func host() throws {
        #expect(try #require(HostFigures.memory()) > 1 << 20)
        #expect(HostFigures.swap() >= 0)
    }
}
