import KubeAPI
import Testing

@testable import AutoMode

@Suite("Parts of Auto Mode's kinds") struct ModelTests {
    @Test(
        "a requirement says which values a label may have",
        arguments: [
            ("In", ["a", "b"], "a", true), ("In", ["a"], nil, false), ("NotIn", ["a"], "a", false), ("NotIn", ["a"], nil, true),
            ("Exists", [], "x", true), ("Exists", [], nil, false), ("DoesNotExist", [], nil, true), ("DoesNotExist", [], "x", false),
            ("Gt", ["4"], "5", true), ("Gt", ["4"], "4", false), ("Gte", ["4"], "4", true), ("Lt", ["4"], "3", true), ("Lte", ["4"], "5", false),
            ("Gt", ["4"], "five", false), ("Gt", ["99999999999999999999"], "5", false), ("Near", ["4"], "4", false),
        ] as [(String, [String], String?, Bool)])
    func requirements(_ op: String, _ values: [String], _ label: String?, _ isMet: Bool) {
        #expect(Requirement(key: "k", op: op, values: values).matches(label) == isMet)
    }

    @Test(
        "durations are read as Go's, Never is none",
        arguments: [("30s", 30), ("1h30m", 5_400), ("24h0m0s", 86_400), ("0s", 0), ("Never", nil), ("", nil), ("5", nil), ("1x", nil)]
            as [(String, Double?)])
    func durations(_ text: String, _ seconds: Double?) { #expect(DurationText.seconds(text) == seconds) }

    @Test("an instance type's labels say what it is, as Auto Mode names them")
    func labels() throws {
        let type = try #require(Fixtures.types.first { $0.name == "c6a.2xlarge" })
        #expect(type.labels["eks.amazonaws.com/instance-family"] == "c6a" && type.labels["eks.amazonaws.com/instance-category"] == "c")
        #expect(type.labels["eks.amazonaws.com/instance-generation"] == "6" && type.labels["eks.amazonaws.com/instance-size"] == "2xlarge")
        #expect(type.labels["eks.amazonaws.com/instance-cpu"] == "8" && type.labels["eks.amazonaws.com/instance-memory"] == "16384")
        #expect(type.labels["eks.amazonaws.com/instance-cpu-manufacturer"] == "amd" && type.labels["kubernetes.io/arch"] == "amd64")
    }

    @Test("types too small for Auto Mode are none", arguments: ["t3.nano", "t3.micro", "t3.small", "m6g.medium", "odd", "x.large"])
    func tooSmall(_ name: String) {
        let vcpus = name == "m6g.medium" ? 1 : 2
        #expect(InstanceType(name: name, vcpus: vcpus, memoryMiB: 4_096, architecture: "amd64", maxPods: 8, reserved: [:]) == nil)
    }

    @Test("a pool's hash is of its template, in whatever order it is written, and not of its requirements")
    func hashes() throws {
        let pool = try Fixtures.pool { $0[path: "spec", "template", "metadata"] = ["labels": ["a": "1", "b": "2"]] }
        let turned = try Fixtures.pool { $0[path: "spec", "template", "metadata"] = ["labels": ["b": "2", "a": "1"]] }
        let other = try Fixtures.pool { $0[path: "spec", "template", "metadata"] = ["labels": ["a": "1", "b": "3"]] }
        let narrower = try Fixtures.pool {
            $0[path: "spec", "template", "metadata"] = ["labels": ["a": "1", "b": "2"]]
            $0[path: "spec", "template", "spec", "requirements"] = []
        }
        #expect(pool.hash == turned.hash && pool.hash == narrower.hash && pool.hash != other.hash)
    }

    @Test("the definitions are YAML, each of its own kind, and EKS's own pools are as documented")
    func definitions() throws {
        let kinds = try Definitions.all.map { try Definitions.value($0)[path: "spec", "names", "kind"]?.string }
        #expect(kinds == ["NodeClass", "NodePool", "NodeClaim"])
        let settings = AutoModeSettings(
            nodePools: ["system", "general-purpose"], nodeRole: "node", subnetIDs: ["subnet-1"], securityGroupIDs: ["sg-1"])
        let pools = BuiltInObjects.nodePools(settings)
        #expect(pools.compactMap { $0[path: "metadata", "name"]?.string } == ["general-purpose", "system"])
        #expect(pools.last?[path: "spec", "template", "spec", "taints"] == [["key": "CriticalAddonsOnly", "effect": "NoSchedule"]])
        #expect(BuiltInObjects.nodeClass(settings)?[path: "spec", "role"] == "node")
        #expect(BuiltInObjects.nodeClass(AutoModeSettings(nodePools: [], nodeRole: nil, subnetIDs: [], securityGroupIDs: [])) == nil)
    }
}
