import KubeAPI
import Testing

@testable import KubeControllers

@Suite("Aggregated ClusterRoles")
struct ClusterRoleAggregationTests {
    private func role(_ name: String, labels: String = "{}", rules: String = "[]", selects: String? = nil) throws -> Object {
        let aggregation = selects.map { #","aggregationRule":{"clusterRoleSelectors":[{"matchLabels":\#($0)}]}"# } ?? ""
        return try Object(json: #"{"kind":"ClusterRole","metadata":{"name":"\#(name)","labels":\#(labels)},"rules":\#(rules)\#(aggregation)}"#)
    }

    @Test("the rules are those of all roles the labels select, by name, each once, and nothing is written when they stand there")
    func rules() throws {
        let pods = #"{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}"#
        let jobs = #"{"verbs":["get"],"apiGroups":["batch"],"resources":["jobs"]}"#
        let all = try role("all", rules: "[]", selects: #"{"to":"all"}"#)
        let parts = [
            try role("b", labels: #"{"to":"all"}"#, rules: "[\(jobs),\(pods)]"), try role("a", labels: #"{"to":"all"}"#, rules: "[\(pods)]"),
            try role("c", labels: #"{"to":"other"}"#, rules: #"[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]"#),
        ]
        let wanted = [try Value(json: pods), try Value(json: jobs)]
        #expect(try AggregatedRole.rules(of: all, from: parts + [all]) == wanted)
        let done = try role("all", rules: "[\(pods),\(jobs)]", selects: #"{"to":"all"}"#)
        #expect(try AggregatedRole.rules(of: done, from: parts + [done]) == nil)
        #expect(try AggregatedRole.rules(of: done, from: [done]) == [], "what is selected no longer goes")
        #expect(!AggregatedRole.isAggregating(parts[0]))
    }

    @Test("a controller's service account is the one its bootstrap role is bound to")
    func accounts() {
        #expect(ControllerIdentity.account(of: "daemonset-controller") == "daemon-set-controller")
        #expect(ControllerIdentity.account(of: "deployment-controller") == "deployment-controller")
    }
}
