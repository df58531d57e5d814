import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Usage of nodes and pods")
struct UsageTests {
    private static func sample(_ cpu: Int64, at seconds: Int64, node: Bool = true) throws -> UsageSample {
        let figures: Value = ["cpu": ["usageCoreNanoSeconds": .int(cpu)], "memory": ["workingSetBytes": 2_097_152]]
        var container = figures
        container["name"] = "c"
        let summary: Value = [
            "node": node ? figures : ["memory": ["workingSetBytes": 4_194_304]],
            "pods": [["podRef": ["name": "p", "namespace": "default"], "containers": [container]]],
        ]
        return UsageSample(try Object(summary).root, at: Timestamp(seconds: seconds))
    }

    @Test("cores are the difference of two samples")
    func rate() throws {
        let window = UsageWindow(older: try Self.sample(1_000_000_000, at: 100), newer: try Self.sample(2_500_000_000, at: 110))
        #expect(window.nodeUsage() == ["cpu": "150000000n", "memory": "2048Ki"])
        #expect(window.containers(of: "default/p") == [["name": "c", "usage": ["cpu": "150000000n", "memory": "2048Ki"]]])
        #expect(window.containers(of: "default/other") == nil)
        #expect(window.text == "10000ms")
    }

    @Test("a count that began anew gives no figure")
    func restarted() throws {
        let window = UsageWindow(older: try Self.sample(3_000_000_000, at: 100), newer: try Self.sample(1, at: 110))
        #expect(window.containers(of: "default/p") == nil)
    }

    @Test("a node that does not count its time is the sum of its pods")
    func sum() throws {
        let window = UsageWindow(older: try Self.sample(0, at: 0, node: false), newer: try Self.sample(10_000_000_000, at: 10, node: false))
        #expect(window.nodeUsage() == ["cpu": "1000000000n", "memory": "4096Ki"])
    }
}
