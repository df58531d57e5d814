import ContainerRuntime
import HTTPTransport
import KubeAPI
import KubeClient
import Logging
import Processes
import Synchronization
import Testing

@testable import Kubelet

/// What a streamed response has written so far.
final class Written: Sendable {
    private let bytes = Mutex<[UInt8]>([])
    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
    var writer: HTTPBodyWriter { HTTPBodyWriter { piece in self.bytes.withLock { $0 += piece } } }
}

extension KubeletServer {
    /// A server without a listener. Callers are named by the bytes of their "certificate".
    static func test(
        _ runtime: any ContainerRuntime, pods: [Value], client: KubeClient = KubeClient(transport: ReviewingServer()),
        node: KubeletConfiguration = KubeletConfiguration(nodeName: "n1", nodeIP: "10.1.0.1", capacity: [:], kubeletVersion: "v1")
    ) throws -> KubeletServer {
        let indexer = Indexer()
        for pod in pods { indexer.set(try Object(pod)) }
        let configuration = KubeletConfiguration.Server(identity: TLSIdentity(certificateChainPEM: "", privateKeyPEM: ""), clientCAPEM: "") { leaf in
            let name = String(decoding: leaf, as: UTF8.self)
            return name.isEmpty ? nil : KubeletCaller(name: name, groups: name == "admin" ? ["system:masters"] : ["system:authenticated"])
        }
        let logger = Logger(label: "test")
        return KubeletServer(
            configuration: configuration, nodeName: "n1",
            nodeConfiguration: node, runtime: runtime,
            pleg: PLEG(runtime: runtime, relistPeriod: .seconds(60), logger: logger), watcher: try FileWatcher(),
            authority: KubeletAuthority(client: client, nodeName: "n1"), pods: Lister(indexer: indexer),
            logger: logger)
    }

    func ask(_ target: String, method: String = "GET", caller: String? = "kube-apiserver-kubelet-client", fields: HTTPFields = [:]) async
        -> HTTPResponse
    {
        let connection = ConnectionInfo(remoteAddress: "", localAddress: "", peerCertificates: caller.map { [Array($0.utf8)] } ?? [])
        return await respond(
            to: HTTPRequestHead(method: method, target: target, fields: fields, authority: "n1", connection: connection), body: .empty)
    }

    static func text(of response: HTTPResponse) async throws -> String {
        switch response.body {
        case .bytes(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .stream(let send):
            let written = Written()
            try await send(written.writer)
            return written.text
        case .upgrade: return "(upgrade)"
        }
    }
}

struct ServerTests {
    private let pod: Value = [
        "metadata": ["name": "web", "namespace": "default", "uid": "u1"], "spec": ["containers": [["name": "main", "image": "i"]]],
        "status": ["containerStatuses": [["name": "main", "state": ["waiting": ["reason": "ImagePullBackOff"]]]]],
    ]

    @Test(
        "the API server and administrators are served without asking, others that have no rights are not; health is open",
        arguments: [
            (nil, 401), ("", 401), ("system:node:n2", 403), ("admin", 200), ("kube-apiserver-kubelet-client", 200),
        ] as [(String?, Int)])
    func authorization(caller: String?, status: Int) async throws {
        let server = try KubeletServer.test(SimulatedRuntime(), pods: [pod])
        #expect(await server.ask("/pods", caller: caller).status == status)
        #expect(await server.ask("/healthz", caller: caller).status == 200)
        for path in [
            "/exec/default/web/main?command=x&output=1", "/containerLogs/default/web/main", "/stats/summary", "/metrics/resource", "/metrics",
        ]
        where status != 200 {
            #expect(await server.ask(path, caller: caller).status == status)
        }
    }

    @Test("logs of what is not there are refused in upstream's words")
    func logRefusals() async throws {
        let server = try KubeletServer.test(SimulatedRuntime(), pods: [pod])
        func answer(_ target: String) async throws -> String {
            let response = await server.ask(target)
            return "\(response.status) \(try await KubeletServer.text(of: response))"
        }
        #expect(try await answer("/containerLogs/default/gone/main") == "404 pod \"gone\" not found\n")
        #expect(try await answer("/containerLogs/default/web/other") == "404 container \"other\" not found in pod \"web\"\n")
        #expect(
            try await answer("/containerLogs/default/web/main")
                == "400 container \"main\" in pod \"web\" is waiting to start: trying and failing to pull image")
        #expect(
            try await answer("/containerLogs/default/web/main?previous=true") == "400 previous terminated container \"main\" in pod \"web\" not found"
        )
        #expect(try await answer("/containerLogs/default/web/main?tailLines=x").hasPrefix("400 "))
        #expect(try await answer("/nothing").hasPrefix("404 "))
    }

    @Test("WebSockets with subprotocols the runtime does not speak are refused, so that clients fall back to SPDY")
    func webSockets() async throws {
        let head: HTTPFields = ["Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": "v5.channel.k8s.io"]
        let connection = ConnectionInfo(remoteAddress: "", localAddress: "")
        let request = HTTPRequestHead(method: "GET", target: "/", fields: head, authority: "", connection: connection)
        let response = try await StreamingProxy.splice(request) { "http://127.0.0.1:1/never" }
        #expect(response.status == 400)
    }
}
