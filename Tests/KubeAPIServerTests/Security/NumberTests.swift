import KubeAPI
import Testing

@testable import KubeAPIServer

/// Numbers that clients and kubelets may send, and that no sum or division of ours may trap on.
@Suite("Numbers that make no sense")
struct NumberTests {
    @Test("a LimitRange whose largest amount is negative is refused with 422, whatever its ratio")
    func limitRange() async throws {
        let test = try await TestServer.withStrategies()
        let item: Value = ["type": "Container", "min": ["cpu": "1"], "max": ["cpu": "-500m"], "maxLimitRequestRatio": ["cpu": "2"]]
        let error = await failure {
            try await test.create("limitranges", ["apiVersion": "v1", "kind": "LimitRange", "metadata": ["name": "l"], "spec": ["limits": [item]]])
        }
        #expect(error?.code == 422)
        #expect(error?.message.contains("ratio 2 is greater than max/min = -0.500000") == true)
    }

    @Test(
        "numbers are told with six digits as Go tells them",
        arguments: [(-0.5, "-0.500000"), (2, "2.000000"), (1.0 / 3, "0.333333"), (1e30, "1e+30")])
    func sixDigits(_ number: Double, _ text: String) { #expect(number.sixDigits == text) }

    @Test("no number traps where it is told", arguments: [Double.infinity, -.infinity, .nan, .greatestFiniteMagnitude, -.greatestFiniteMagnitude])
    func told(_ number: Double) { #expect(!number.sixDigits.isEmpty) }

    @Test("an autoscaler with a tolerance below nothing is refused with 422", arguments: ["scaleUp", "scaleDown"])
    func tolerance(_ direction: String) async throws {
        let test = try await TestServer.withStrategies()
        var autoscaler: Value = [
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": ["name": "h"],
            "spec": ["maxReplicas": 3, "scaleTargetRef": ["kind": "Deployment", "name": "d", "apiVersion": "apps/v1"]],
        ]
        autoscaler[path: "spec", "behavior", direction, "tolerance"] = "-1"
        let refused = autoscaler
        let error = await failure { try await test.create("autoscaling/v2/horizontalpodautoscalers", refused) }
        #expect(error?.code == 422)
        #expect(error?.message.contains("spec.behavior.\(direction).tolerance: Invalid value: \"-1\": must be greater than or equal to 0") == true)
        autoscaler[path: "spec", "behavior", direction, "tolerance"] = "0"
        try await test.create("autoscaling/v2/horizontalpodautoscalers", autoscaler)
    }

    @Test("a kubelet's counts below nothing are none, and the largest ones trap nothing")
    func usage() throws {
        func sample(cpu: Int64, memory: Int64, seconds: Int64) throws -> UsageSample {
            let figures: Value = ["cpu": ["usageCoreNanoSeconds": .int(cpu)], "memory": ["workingSetBytes": .int(memory)]]
            var container = figures
            container["name"] = "c"
            let pods: Value = [["podRef": ["name": "p", "namespace": "default"], "containers": [container]]]
            return UsageSample(try Object(["node": figures, "pods": pods]).root, at: Timestamp(seconds: seconds))
        }
        for (cpu, memory) in [(-1, 5), (5, -1), (.min, .min)] as [(Int64, Int64)] {
            let window = UsageWindow(older: try sample(cpu: 0, memory: 0, seconds: 1), newer: try sample(cpu: cpu, memory: memory, seconds: 2))
            #expect(window.containers(of: "default/p") == nil)
            // A node without a count of its own time is the sum of its pods: none.
            #expect(window.nodeUsage() == (memory < 0 ? nil : ["cpu": "0n", "memory": "0Ki"]))
        }
        let largest = UsageWindow(older: try sample(cpu: 0, memory: 0, seconds: 1), newer: try sample(cpu: .max, memory: .max, seconds: 2))
        #expect(largest.nodeUsage() == nil)
        // A node that says nothing of its own is what its pods are, however many there are.
        let pod: Value = [
            "podRef": ["name": "p", "namespace": "default"],
            "containers": [
                ["name": "a", "cpu": ["usageCoreNanoSeconds": .int(.max)], "memory": ["workingSetBytes": 1]],
                ["name": "b", "cpu": ["usageCoreNanoSeconds": .int(.max)], "memory": ["workingSetBytes": 1]],
            ],
        ]
        let summary = try Object(["node": ["memory": ["workingSetBytes": 1]], "pods": [pod]])
        let sums = UsageSample(summary.root, at: Timestamp(seconds: 2))
        #expect(UsageWindow(older: try sample(cpu: 0, memory: 0, seconds: 1), newer: sums).nodeUsage() == nil)
    }
}
