import ContainerRuntime
import KubeAPI
import Testing

@testable import Kubelet

/// In what order the containers of a pod end.
struct TerminationOrderTests {
    private func pod() throws -> Pod {
        try Given.pod(
            #"""
            {"initContainers":[{"name":"s1","image":"i","restartPolicy":"Always"},{"name":"init","image":"i"},
              {"name":"s2","image":"i","restartPolicy":"Always"}],"containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}]}
            """#)
    }

    @Test("main containers wait for nobody, sidecars for them and for the sidecars that follow; what does not run is not waited for")
    func prerequisites() async throws {
        let running = ["a", "s1", "s2", "init"].map { Given.container($0, .running) }
        let order = TerminationOrder(pod: try pod(), running: running)
        #expect(await order.prerequisites(of: "a-0").isEmpty)
        #expect(await order.prerequisites(of: "init-0").isEmpty)
        #expect(await order.prerequisites(of: "s2-0") == ["a-0"])
        #expect(await order.prerequisites(of: "s1-0") == ["a-0", "s2-0"])
    }

    @Test("a turn comes when the last of those before has ended, or when there is no time left")
    func turns() async throws {
        let order = TerminationOrder(pod: try pod(), running: ["a", "s1", "s2"].map { Given.container($0, .running) })
        await order.waitForTurn(of: "a-0", limit: .seconds(3600))
        await order.ended("a-0")
        await order.waitForTurn(of: "s2-0", limit: .seconds(3600))
        await order.waitForTurn(of: "s1-0", limit: .milliseconds(1))
        #expect(await order.prerequisites(of: "s1-0") == ["s2-0"], "its time was over before its turn")
        let waiting = Task {
            await order.waitForTurn(of: "s1-0", limit: .seconds(3600))
            return await order.prerequisites(of: "s1-0")
        }
        await order.ended("s2-0")
        #expect(await waiting.value.isEmpty)
    }
}
