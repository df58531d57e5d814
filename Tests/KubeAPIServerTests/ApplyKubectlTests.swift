import Glibc
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("A real kubectl applies on the server's side", .enabled(if: access("/usr/bin/kubectl", X_OK) == 0))
struct ApplyKubectlTests {
    private static func manifest(replicas: Int, image: String) -> String {
        """
        {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":\(replicas),"selector":{"matchLabels":{"app":"web"}},\
        "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"main","image":"\(image)","ports":[{"containerPort":80}]}]}}}}
        """
    }

    @Test("kubectl apply --server-side creates, changes, meets conflicts, forces them and shows the owners")
    func serverSide() async throws {
        try await KubectlTests.withServer { kubectl in
            func apply(_ text: String, _ flags: String) async -> String { await kubectl("apply \(flags) -f - 2>&1 <<'EOF'\n\(text)\nEOF\n") }
            let first = Self.manifest(replicas: 1, image: "nginx:1")
            #expect(await apply(first, "--server-side") == "deployment.apps/web serverside-applied\n")
            let version = await kubectl("get deployment web -o jsonpath={.metadata.resourceVersion}")
            #expect(await apply(first, "--server-side") == "deployment.apps/web serverside-applied\n")
            #expect(await kubectl("get deployment web -o jsonpath={.metadata.resourceVersion}") == version)
            #expect(await kubectl("scale deployment web --replicas=3") == "deployment.apps/web scaled\n")
            let conflict = await apply(Self.manifest(replicas: 2, image: "nginx:1"), "--server-side")
            #expect(
                conflict.contains("Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\" using apps/v1: .spec.replicas"),
                "\(conflict)")
            #expect(
                await apply(Self.manifest(replicas: 2, image: "nginx:1"), "--server-side --force-conflicts")
                    == "deployment.apps/web serverside-applied\n")
            #expect(await kubectl("get deployment web -o jsonpath={.spec.replicas}") == "2")
            let shown = await kubectl("get deployment web -o yaml --show-managed-fields")
            #expect(shown.contains("operation: Apply"), "\(shown)")
            #expect(shown.contains("k:{\"containerPort\":80,\"protocol\":\"TCP\"}:"), "\(shown)")
            #expect(!(await kubectl("get deployment web -o yaml")).contains("managedFields"))
        }
    }

    @Test("an object of client-side apply moves to server-side apply without conflicts, and its fields go when applied no more")
    func migration() async throws {
        try await KubectlTests.withServer { kubectl in
            func apply(_ data: String, _ flags: String) async -> String {
                await kubectl(
                    "apply \(flags) -f - 2>&1 <<'EOF'\n{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},\"data\":\(data)}\nEOF\n"
                )
            }
            #expect(await apply("{\"k\":\"1\",\"l\":\"1\"}", "") == "configmap/a created\n")
            #expect(await apply("{\"k\":\"2\",\"l\":\"1\"}", "--server-side") == "configmap/a serverside-applied\n")
            #expect(await kubectl("get configmap a -o jsonpath={.data.k}") == "2")
            #expect(await apply("{\"k\":\"3\"}", "--server-side") == "configmap/a serverside-applied\n")
            #expect(await kubectl("get configmap a -o jsonpath={.data}") == "{\"k\":\"3\"}")
            #expect(await apply("{\"k\":\"4\"}", "--server-side --dry-run=server") == "configmap/a serverside-applied (server dry run)\n")
            #expect(await kubectl("get configmap a -o jsonpath={.data.k}") == "3")
        }
    }
}
