import ContainerRuntime
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Logging
import Synchronization
import Testing

@testable import Kubelet

/// A device plug-in as others write them: its own socket, and a word to the agent's.
private final class TestPlugin: HTTPResponder {
    let (devices, tell) = AsyncStream<[UInt8]>.makeStream()
    let calls = Mutex<[String]>([])
    private let folder: String
    private let server = Mutex<HTTPServer?>(nil)

    init(folder: String) { self.folder = folder }

    func start() async throws {
        let server = try await HTTPServer.start(.init(address: .unix(path: "\(folder)/test.sock")), responder: self)
        self.server.withLock { $0 = server }
    }

    func stop() async {
        tell.finish()
        if let server = server.withLock({ $0 }) { await server.stop(grace: .zero) }
    }

    func register(_ resource: String, version: String = "v1beta1") async throws {
        let channel = GRPCChannel(address: .unix(path: "\(folder)/kubelet.sock"))
        let message = ProtobufFields.field(1, version) + ProtobufFields.field(2, "test.sock") + ProtobufFields.field(3, resource)
        _ = try await channel.unary("/v1beta1.Registration/Register", message, timeout: .seconds(5))
        await channel.close()
    }

    static func list(_ devices: [(String, Bool)]) -> [UInt8] {
        devices.reduce(into: []) { list, device in
            list += ProtobufFields.field(1, ProtobufFields.field(1, device.0) + ProtobufFields.field(2, device.1 ? "Healthy" : "Unhealthy"))
        }
    }

    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        calls.withLock { $0.append(String(head.path.split(separator: "/").last ?? "")) }
        switch head.path {
        case "/v1beta1.DevicePlugin/ListAndWatch":
            let devices = devices
            var response = HTTPResponse(
                status: 200, fields: ["Content-Type": "application/grpc"],
                body: .stream { writer in
                    for await list in devices { try await writer.write(GRPCService.frame(list)) }
                })
            response.trailers = ["grpc-status": "0"]
            return response
        case "/v1beta1.DevicePlugin/Allocate":
            return await GRPCService { _, message in
                let ids = try ProtobufFields(message).messages(1).flatMap { ($0.bytes[1] ?? []).map { String(decoding: $0, as: UTF8.self) } }
                let variable = ProtobufFields.field(1, "DEVICES") + ProtobufFields.field(2, ids.joined(separator: ","))
                let device = ProtobufFields.field(1, "/dev/test") + ProtobufFields.field(2, "/dev/null") + ProtobufFields.field(3, "rw")
                return ProtobufFields.field(1, ProtobufFields.field(1, variable) + ProtobufFields.field(3, device))
            }.respond(to: head, body: body)
        case "/v1beta1.DevicePlugin/GetDevicePluginOptions":
            return await GRPCService { _, _ in ProtobufFields.field(1, true) }.respond(to: head, body: body)
        default: return await GRPCService { _, _ in [] }.respond(to: head, body: body)
        }
    }
}

struct DeviceTests {
    @Test("devices are given out once, init containers' again, and too few are upstream's error")
    func ledger() throws {
        var ledger = DeviceLedger()
        ledger.set(["a": true, "b": true, "c": false], of: "x/y")
        #expect(ledger.capacity["x/y"] == Quantity(3) && ledger.allocatable["x/y"] == Quantity(2))
        let (first, setup, other) = (
            DeviceLedger.Holder(podUID: "1", container: "main"), DeviceLedger.Holder(podUID: "1", container: "setup"),
            DeviceLedger.Holder(podUID: "2", container: "main")
        )
        #expect(try ledger.take(1, of: "x/y", for: setup, reusing: []) == ["a"])
        #expect(try ledger.take(1, of: "x/y", for: first, reusing: ["a"]) == ["a"])
        #expect(try ledger.take(1, of: "x/y", for: first, reusing: []) == ["a"], "it has it")
        #expect(try ledger.take(1, of: "x/y", for: other, reusing: []) == ["b"])
        let third = DeviceLedger.Holder(podUID: "3", container: "main")
        #expect(
            throws: PodRejection(
                reason: "UnexpectedAdmissionError",
                message:
                    "Allocate failed due to requested number of devices unavailable for x/y. Requested: 1, Available: 0, which is unexpected")
        ) { try ledger.take(1, of: "x/y", for: third, reusing: []) }
        ledger.release(podUID: "2")
        #expect(try ledger.take(1, of: "x/y", for: third, reusing: []) == ["b"])
        ledger.lose("x/y")
        #expect(ledger.capacity["x/y"] == Quantity(3) && ledger.allocatable["x/y"] == .zero)
    }

    @Test("registrations of other versions, of Kubernetes' own resources and of sockets elsewhere are refused")
    func registrations() throws {
        func problem(_ version: String, _ endpoint: String, _ resource: String) throws -> String? {
            try DeviceRegistration(ProtobufFields.field(1, version) + ProtobufFields.field(2, endpoint) + ProtobufFields.field(3, resource)).problem
        }
        #expect(try problem("v1beta1", "gpu.sock", "example.com/gpu") == nil)
        #expect(try problem("v1", "gpu.sock", "example.com/gpu")?.contains("is not supported by kubelet") == true)
        for resource in ["gpu", "kubernetes.io/gpu", "", "a/b/c", "/x"] { #expect(try problem("v1beta1", "gpu.sock", resource) != nil) }
        for endpoint in ["", "../x.sock", "/x.sock", ".."] { #expect(try problem("v1beta1", endpoint, "example.com/gpu") != nil) }
        for message: [UInt8] in [[0x0A, 0x05, 0x61], [0xFF], [0x0B], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]] {
            #expect(throws: (any Error).self) { try DeviceRegistration(message) }
        }
    }

    @Test("a plug-in registers, the node shows its devices, a container gets one, and a pod too many is refused")
    func plugin() async throws {
        var template = Array("/tmp/devices-XXXXXX".utf8CString)
        #expect(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileTree.removeAll(folder) }
        let (runtime, api) = (SimulatedRuntime(), FakeAPIServer())
        var settings = KubeletConfiguration(
            nodeName: "n1", nodeIP: "10.1.0.1", capacity: ["cpu": Quantity(4), "memory": Quantity(8 << 30), "pods": Quantity(9)], kubeletVersion: "v1"
        )
        (settings.managesCgroups, settings.managesPodFiles, settings.devicePluginPath) = (false, false, folder)
        var logger = Logger(label: "kubelet")
        logger.logLevel = .critical
        let kubelet = Kubelet(configuration: settings, client: api.client, runtime: runtime, logger: logger)
        let task = Task { try await kubelet.run() }
        #expect(await eventually { FileTree.exists(folder + "/kubelet.sock") })
        let plugin = TestPlugin(folder: folder)
        try await plugin.start()
        plugin.tell.yield(TestPlugin.list([("d1", true), ("d2", false)]))
        try await plugin.register("example.com/toy")
        func node(_ list: String) -> Value? { api.get(.nodes, nil, "n1")?[path: "status", list, "example.com/toy"] }
        #expect(await eventually { node("capacity") == "2" && node("allocatable") == "1" })

        func pod(_ name: String) -> Value {
            [
                "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "namespace": "default", "uid": .string("uid-\(name)")],
                "spec": [
                    "nodeName": "n1", "terminationGracePeriodSeconds": 1,
                    "containers": [["name": "main", "image": "i:1", "resources": ["limits": ["example.com/toy": "1"]]]],
                ],
            ]
        }
        func status(_ name: String) -> Value? { api.get(.pods, "default", name)?["status"] }
        try api.put(.pods, pod("first"))
        #expect(await eventually { status("first")?["phase"] == "Running" })
        let container = try #require(try await runtime.containers(ContainerFilter()).first)
        #expect(container.annotations["eyrie.dev/devices"] == #"{"example.com/toy":["d1"]}"#)
        #expect(plugin.calls.withLock { $0 } == ["GetDevicePluginOptions", "ListAndWatch", "Allocate", "PreStartContainer"])
        try api.put(.pods, pod("second"))
        #expect(await eventually { status("second")?["reason"] == "UnexpectedAdmissionError" && status("second")?["phase"] == "Failed" })

        await plugin.stop()
        #expect(await eventually { node("allocatable") == "0" })
        task.cancel()
        _ = await task.result
    }
}
