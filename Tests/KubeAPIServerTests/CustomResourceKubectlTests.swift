import Glibc
import KubeAPI
import Testing

@testable import KubeAPIServer

/// Whether a kubectl is on PATH.
private let hasKubectl = (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").contains { access("\($0)/kubectl", X_OK) == 0 }

@Suite("A real kubectl with custom resources", .enabled(if: hasKubectl))
struct CustomResourceKubectlTests {
    /// The example of Kubernetes' documentation, with subresources and columns.
    private static let definition = """
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"crontabs.stable.example.com"},
        "spec":{"group":"stable.example.com","scope":"Namespaced",
        "names":{"plural":"crontabs","singular":"crontab","kind":"CronTab","shortNames":["ct"],"categories":["all"]},
        "versions":[{"name":"v1","served":true,"storage":true,
        "subresources":{"status":{},"scale":{"specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas"}},
        "additionalPrinterColumns":[{"name":"Spec","type":"string","description":"The cron spec","jsonPath":".spec.cronSpec"},
        {"name":"Replicas","type":"integer","jsonPath":".spec.replicas"},{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}],
        "schema":{"openAPIV3Schema":{"type":"object","properties":{
        "spec":{"type":"object","description":"What is wanted.","x-kubernetes-validations":[{"rule":"self.replicas <= 10","message":"too many"}],
        "properties":{"cronSpec":{"type":"string","description":"When."},"image":{"type":"string"},"replicas":{"type":"integer","default":1}}},
        "status":{"type":"object","properties":{"replicas":{"type":"integer"}}}}}}}]}}
        """

    private static func cronTab(_ spec: String) -> String {
        #"{"apiVersion":"stable.example.com/v1","kind":"CronTab","metadata":{"name":"my"},"spec":\#(spec)}"#
    }

    @Test("apply, wait, get, explain, scale, patch and delete work as the documentation shows them")
    func cronTabs() async throws {
        try await KubectlTests.withServer { kubectl in
            func send(_ verb: String, _ text: String) async -> String { await kubectl("\(verb) -f - 2>&1 <<'EOF'\n\(text)\nEOF\n") }
            let name = "customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com"
            #expect(await send("apply", Self.definition) == "\(name) created\n")
            #expect(await kubectl("wait --for=condition=Established crd/crontabs.stable.example.com --timeout=5s") == "\(name) condition met\n")
            #expect(await send("apply", Self.cronTab(#"{"cronSpec":"* * * * */5","image":"my"}"#)) == "crontab.stable.example.com/my created\n")
            #expect(await send("apply", Self.cronTab(#"{"cronSpec":"* * * * */6","image":"my"}"#)) == "crontab.stable.example.com/my configured\n")
            let rows = await kubectl("get ct")
            #expect(rows.hasPrefix("NAME   SPEC          REPLICAS   AGE\nmy     * * * * */6   1          "), "\(rows)")
            #expect(await kubectl("get all -o name").contains("crontab.stable.example.com/my"))
            let explained = await kubectl("explain crontab.spec")
            #expect(explained.contains("What is wanted.") && explained.contains("cronSpec\t<string>") && explained.contains("When."), "\(explained)")
            #expect(await kubectl("scale --replicas=3 crontab/my") == "crontab.stable.example.com/my scaled\n")
            #expect(await kubectl("get ct my -o jsonpath={.spec.replicas}") == "3")
            #expect(
                await kubectl("patch ct my --subresource=status --type=merge -p '{\"status\":{\"replicas\":2}}'")
                    == "crontab.stable.example.com/my patched\n")
            let refused = await kubectl("patch ct my --type=merge -p '{\"spec\":{\"replicas\":11}}'")
            #expect(refused == "The CronTab \"my\" is invalid: spec: Invalid value: \"object\": too many\n", "\(refused)")
            let unknown = await send("create --validate=strict", Self.cronTab(#"{"odd":1}"#).replacing("\"my\"", with: "\"b\""))
            #expect(unknown.contains("strict decoding error: unknown field \"spec.odd\""), "\(unknown)")
            #expect(
                await send("apply --server-side --force-conflicts", Self.cronTab(#"{"cronSpec":"@daily"}"#))
                    == "crontab.stable.example.com/my serverside-applied\n")
            #expect(await kubectl("delete crd crontabs.stable.example.com").hasPrefix("customresourcedefinition.apiextensions.k8s.io"))
            let gone = await kubectl("get crontabs.v1.stable.example.com")
            #expect(
                gone.contains("the server could not find the requested resource") || gone.contains("the server doesn't have a resource type"),
                "\(gone)")
        }
    }
}
