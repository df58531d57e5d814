import Dispatch
import Glibc
import HTTPTransport
import KubeAPI
import KubeStorage
import Testing

@testable import KubeAPIServer

/// Everyone is an administrator: over plain HTTP kubectl shows no credentials.
private struct Everyone: RequestAuthenticator {
    func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? { UserInfo(name: "admin", groups: ["system:masters"]) }
}

/// Whether a kubectl is on PATH; `make test` puts one of a fixed version there.
private let hasKubectl = (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").contains { access("\($0)/kubectl", X_OK) == 0 }

@Suite("A real kubectl over a socket", .enabled(if: hasKubectl))
struct KubectlTests {
    static func withServer(_ body: (_ kubectl: @escaping @Sendable (String) async -> String) async throws -> Void) async throws {
        let cidr = try #require(ServiceCIDR("10.100.0.0/16"))
        let issuer = try ServiceAccountTokenIssuer(issuer: "https://issuer", privateKeyPEM: ServiceAccountTokenIssuer.makePrivateKeyPEM())
        let settings = ClusterSettings(serviceCIDR: cidr, tokenIssuer: issuer)
        let server = APIServer(
            .init(store: MemoryStore(), version: VersionInfo(minor: "36", gitVersion: "v1.36.0-test")) { reader in
                var components = APIServer.Components.standard(settings, reader: reader)
                components.authenticators.append(Everyone())
                return components
            })
        try await server.start()
        try await server.bootstrap(.init(serviceCIDR: cidr))
        let http = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0)), responder: server)
        try await body { await run("kubectl --kubeconfig /dev/null --server http://127.0.0.1:\(http.port) \($0) 2>&1") }
        await http.stop(grace: .zero)
        await server.stop()
    }

    /// What a shell command prints, run off the cooperative pool.
    private static func run(_ command: String) async -> String {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                guard let pipe = popen(command, "r") else { return continuation.resume(returning: "popen failed") }
                var out: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 4096)
                while case let count = fread(&buffer, 1, buffer.count, pipe), count > 0 { out += buffer[..<count] }
                pclose(pipe)
                continuation.resume(returning: String(decoding: out, as: UTF8.self))
            }
        }
    }

    @Test("kubectl creates, patches, watches and deletes a ConfigMap")
    func configMaps() async throws {
        try await Self.withServer { kubectl in
            // Newer versions send `create` as protobuf.
            #expect(await kubectl("create configmap a --from-literal=k=v") == "configmap/a created\n")
            #expect(await kubectl("get configmap a -o jsonpath={.data.k}") == "v")
            #expect(await kubectl("patch configmap a -p '{\"data\":{\"k\":\"w\"}}'") == "configmap/a patched\n")
            #expect(await kubectl("get configmaps").hasPrefix("NAME   DATA   AGE\na      1"))
            async let watched = kubectl("get configmap a --watch --request-timeout=2s -o jsonpath='{.data.k} '")
            #expect(await kubectl("wait --for=jsonpath={.data.k}=w configmap/a --timeout=5s") == "configmap/a condition met\n")
            #expect(await watched.contains("w"))
            // Newer versions add the namespace.
            #expect(await kubectl("delete configmap a").hasPrefix("configmap \"a\" deleted"))
            #expect(await kubectl("get configmap a") == "Error from server (NotFound): configmaps \"a\" not found\n")
        }
    }

    @Test("kubectl makes namespaces, accounts, tokens and deployments, scales and asks what it may do")
    func more() async throws {
        try await Self.withServer { kubectl in
            #expect(await kubectl("create namespace n") == "namespace/n created\n")
            #expect(await kubectl("create serviceaccount robot -n n") == "serviceaccount/robot created\n")
            #expect(await kubectl("create token robot -n n").split(separator: ".").count == 3)
            #expect(await kubectl("create deployment web --image=nginx:1 --replicas=2 -n n") == "deployment.apps/web created\n")
            #expect(await kubectl("scale deployment web --replicas=5 -n n") == "deployment.apps/web scaled\n")
            #expect(await kubectl("get deployment web -n n -o jsonpath={.spec.replicas}") == "5")
            #expect(await kubectl("set image deployment/web nginx=nginx:2 -n n") == "deployment.apps/web image updated\n")
            #expect(await kubectl("auth can-i list pods") == "yes\n")
            #expect(await kubectl("get service kubernetes -o jsonpath={.spec.clusterIP}") == "10.100.0.1")
            #expect(await kubectl("get nodes") == "No resources found\n")
        }
    }
}
