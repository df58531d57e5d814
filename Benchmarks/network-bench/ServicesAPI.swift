import KubeAPI
import KubeClient
import Synchronization

/// An API that holds Services with three endpoints each, and tells of changes to them.
final class ServicesAPI: KubeTransport {
    typealias Watch = AsyncThrowingStream<WatchEvent, any Error>

    static let namespace = "bench"
    static let endpointsOfService = 3
    static let endpointPort = 8080
    /// An address for each of so many Services.
    static let mostServices = 1 << 14

    private struct State {
        var revision = 1
        var watches: [GroupVersionResource: [Watch.Continuation]] = [:]
    }

    private let lists: [GroupVersionResource: Object]
    private let state = Mutex(State())

    /// `headless` Services come beside the others; `extra` is one more with an endpoint of its own.
    init(services: Int, headless: Int = 0, extra: (address: String, endpoint: String)? = nil) throws {
        guard services <= Self.mostServices, headless <= Self.mostServices else { throw BenchError("at most \(Self.mostServices) Services") }
        var all = (0..<services).map { Self.service("s\($0)", Self.address($0)) } + (0..<headless).map { Self.service("h\($0)", "None") }
        var slices = (0..<services).map { Self.slice("s\($0)", Self.endpoints($0)) } + (0..<headless).map { Self.slice("h\($0)", Self.endpoints($0)) }
        if let extra {
            all.append(Self.service("extra", extra.address))
            slices.append(Self.slice("extra", [extra.endpoint]))
        }
        let namespaces: [Value] = ["default", Self.namespace].map { ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string($0)]] }
        lists = [
            .services: try Self.list("Service", all), .endpointSlices: try Self.list("EndpointSlice", slices),
            .namespaces: try Self.list("Namespace", namespaces),
        ]
    }

    private static func list(_ kind: String, _ items: [Value]) throws -> Object {
        try Object(["apiVersion": "v1", "kind": .string(kind + "List"), "metadata": ["resourceVersion": "1"], "items": .array(items)])
    }

    static func address(_ number: Int) -> String { "10.96.\(number >> 8).\(number & 255)" }
    private static func endpoints(_ number: Int) -> [String] { (0..<endpointsOfService).map { "10.\(128 + $0).\(number >> 8).\(number & 255)" } }
    /// Where a Service's first endpoint is after it changed.
    static let changedPrefix = "10.200."

    private static func meta(_ name: String, _ revision: Int) -> Value {
        [
            "name": .string(name), "namespace": .string(namespace), "uid": .string("uid-\(name)"), "resourceVersion": .string(String(revision)),
            "generation": .int(Int64(revision)),
        ]
    }

    private static func service(_ name: String, _ address: String) -> Value {
        [
            "apiVersion": "v1", "kind": "Service", "metadata": meta(name, 1),
            "spec": [
                "type": "ClusterIP", "clusterIP": .string(address), "clusterIPs": [.string(address)], "selector": ["app": .string(name)],
                "ports": [["name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080]],
            ], "status": ["loadBalancer": [:]],
        ]
    }

    private static func slice(_ name: String, _ addresses: [String], revision: Int = 1) -> Value {
        var metadata = meta("\(name)-1", revision)
        metadata["labels"] = ["kubernetes.io/service-name": .string(name)]
        let endpoints: [Value] = addresses.map {
            ["addresses": [.string($0)], "conditions": ["ready": true, "serving": true, "terminating": false], "nodeName": "elsewhere"]
        }
        return [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4",
            "endpoints": .array(endpoints), "ports": [["name": "http", "port": .int(Int64(endpointPort)), "protocol": "TCP"]],
        ]
    }

    /// A Service's first endpoint is another one from now on.
    func changeEndpoint(ofService number: Int) throws {
        var addresses = Self.endpoints(number)
        addresses[0] = "\(Self.changedPrefix)\(number >> 8).\(number & 255)"
        try state.withLock { state in
            state.revision += 1
            let slice = try Object(Self.slice("s\(number)", addresses, revision: state.revision))
            for watch in state.watches[.endpointSlices] ?? [] { watch.yield(WatchEvent(kind: .modified, object: slice)) }
        }
    }

    func perform(_ request: KubeRequest) async throws -> Object {
        guard request.verb == .list else { throw BenchError("nothing but lists and watches is answered here: \(request.verb)") }
        return try lists[request.resource] ?? Self.list("Nothing", [])
    }

    func watch(_ request: KubeRequest) async throws -> Watch {
        let (stream, continuation) = Watch.makeStream(of: WatchEvent.self)
        state.withLock { $0.watches[request.resource, default: []].append(continuation) }
        return stream
    }
}
