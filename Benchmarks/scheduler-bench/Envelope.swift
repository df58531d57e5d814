import ControlPlane
import Glibc
import HTTPTransport
import KubeAPI
import KubeAPIServer
import KubeClient
import SimulatedNodes

/// A whole control plane in this process, with all controllers, on simulated nodes: what it holds and how it answers a client over TLS.
struct Envelope {
    private static let token = "bench"
    private static let replicas = 1000
    private static let namespaces = 15

    let controlPlane: ControlPlane
    let fleet: SimulatedFleet
    let client: KubeClient

    static func start(directory: String, nodes: Int) async throws -> Envelope {
        let configuration = ControlPlaneConfiguration(
            name: "bench", directory: "\(directory)/cluster", version: "1.36.2", serviceCIDR: "10.100.0.0/16", issuer: "https://bench.invalid",
            authenticate: { $0 == token ? TokenIdentity(userName: "bench", uid: "1", groups: ["system:masters"]) : nil },
            cloud: CloudInstances(instance: { _ in nil }, exists: { _ in true }, changes: AsyncStream { _ in }))
        let controlPlane = ControlPlane(configuration)
        let endpoint = try await controlPlane.start()
        guard let port = endpoint.url.split(separator: ":").last.flatMap({ Int($0) }) else { throw BenchError("no port in \(endpoint.url)") }
        let transport = try NetworkTransport(
            .init(
                address: .tcp(host: "127.0.0.1", port: port), certificateAuthorityPEM: endpoint.certificateAuthorityPEM,
                credentials: .bearerToken { token }))
        let envelope = Envelope(controlPlane: controlPlane, fleet: configuration.simulatedNodes, client: KubeClient(transport: transport))
        let start = ContinuousClock.now
        envelope.fleet.set((0..<nodes).map(node), ofGroup: "bench")
        try await envelope.eventually {
            let found = try await envelope.client.list(.nodes).items
            return found.count == nodes && found.allSatisfy { $0["spec"]["taints"].elements.isEmpty }
        }
        report("{\"what\":\"nodes\",\"nodes\":\(nodes),\"seconds\":\(Usage.seconds(since: start)),\"resident_bytes\":\(Usage.residentBytes())}")
        return envelope
    }

    private static func node(_ number: Int) -> SimulatedNode {
        let name = "sim-\(number)"
        return SimulatedNode(
            name: name, address: "100.64.\(number >> 8).\(number & 255)", providerID: "aws:///us-west-2\(number % 2 == 0 ? "a" : "b")/i-\(number)",
            vcpus: 8, memoryMiB: 32_768, maxPods: 110,
            labels: ["kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "us-west-2\(number % 2 == 0 ? "a" : "b")"], taints: [],
            kubeletVersion: "v1.36.2")
    }

    private func eventually(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(200)) }
    }

    private func namespace(_ number: Int) -> String { "bench-\(number % Self.namespaces)" }

    /// Deployments of a thousand until there are `pods` pods, all available.
    func deploy(pods: Int) async throws {
        let (start, cpu) = (ContinuousClock.now, Usage.cpuSeconds())
        for number in 0..<Self.namespaces {
            try await client.create(.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(namespace(number))]])
        }
        let count = (pods + Self.replicas - 1) / Self.replicas
        for number in 0..<count {
            let name: Value = .string("web-\(number)")
            try await client.create(
                .deployments,
                [
                    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": name, "namespace": .string(namespace(number))],
                    "spec": [
                        "replicas": .int(Int64(min(Self.replicas, pods - number * Self.replicas))), "selector": ["matchLabels": ["app": name]],
                        "template": [
                            "metadata": ["labels": ["app": name]],
                            "spec": [
                                "automountServiceAccountToken": false,
                                "containers": [["name": "web", "image": "nginx:1.15", "resources": ["requests": ["cpu": "10m", "memory": "16Mi"]]]],
                            ],
                        ],
                    ],
                ])
        }
        try await eventually {
            let found = try await client.list(.deployments).items
            return found.reduce(0) { $0 + ($1["status"]["availableReplicas"].int ?? 0) } == Int64(pods)
        }
        let seconds = Usage.seconds(since: start)
        report(
            "{\"what\":\"pods\",\"pods\":\(pods),\"seconds\":\(seconds),\"pods_per_second\":\(Double(pods) / seconds),"
                + "\"cpu_ms_per_pod\":\((Usage.cpuSeconds() - cpu) * 1000 / Double(pods)),\"resident_bytes\":\(Usage.residentBytes())}")
    }

    /// `rate` changes a second: pods deleted, which come again, and pods changed. Beside them a get for each, and a list of a namespace a second.
    func churn(rate: Int, seconds: Int, pods: Int) async throws {
        var names: [(namespace: String, name: String)] = []
        for number in 0..<Self.namespaces {
            let page = try await client.listPage(
                .pods, namespace: namespace(number), limit: 2 * rate * seconds / Self.namespaces + 20, continueToken: nil)
            names += page.items.map { ($0.metadata.namespace, $0.metadata.name) }
        }
        let cpu = Usage.cpuSeconds()
        let start = ContinuousClock.now
        var changes: [Double] = []
        var gets: [Double] = []
        var lists: [Double] = []
        for round in 0..<seconds * rate {
            let due = start + .milliseconds(Int64(round * 1000 / rate))
            if due > .now { try await Task.sleep(until: due, clock: .continuous) }
            guard let pod = names.popLast() else { break }
            gets.append(try await time { try await client.get(.pods, namespace: pod.namespace, name: pod.name) })
            if round % 2 == 0 {
                changes.append(
                    try await time {
                        try await client.delete(.pods, namespace: pod.namespace, name: pod.name, options: DeleteOptions(gracePeriodSeconds: 0))
                    })
            } else {
                changes.append(
                    try await time {
                        try await client.patch(
                            .pods, namespace: pod.namespace, name: pod.name, type: .merge, ["metadata": ["annotations": ["touched": "yes"]]])
                    })
            }
            if round % rate == 0 {
                lists.append(
                    try await time {
                        try await client.listPage(.pods, namespace: namespace(round / rate), limit: nil, continueToken: nil).items.count
                    })
            }
        }
        let elapsed = Usage.seconds(since: start)
        report(
            "{\"what\":\"churn\",\"seconds\":\(elapsed),\"changes_per_second\":\(Double(changes.count) / elapsed),"
                + "\"change_p50_ms\":\(Self.quantile(changes, 0.5) * 1000),\"change_p99_ms\":\(Self.quantile(changes, 0.99) * 1000),"
                + "\"get_p99_ms\":\(Self.quantile(gets, 0.99) * 1000),\"list_p50_s\":\(Self.quantile(lists, 0.5)),"
                + "\"list_p99_s\":\(Self.quantile(lists, 0.99)),\"cpu_percent\":\((Usage.cpuSeconds() - cpu) * 100 / elapsed),"
                + "\"resident_bytes\":\(Usage.residentBytes())}")
    }

    /// What the process uses when nobody asks for anything.
    func idle(seconds: Int, what: String) async throws {
        try await Task.sleep(for: .seconds(10))
        let (start, cpu) = (ContinuousClock.now, Usage.cpuSeconds())
        try await Task.sleep(for: .seconds(seconds))
        report(
            "{\"what\":\"\(what)\",\"cpu_percent\":\((Usage.cpuSeconds() - cpu) * 100 / Usage.seconds(since: start)),"
                + "\"resident_bytes\":\(Usage.residentBytes())}")
    }

    private func time<Result>(_ body: () async throws -> Result) async throws -> Double {
        let start = ContinuousClock.now
        _ = try await body()
        return Usage.seconds(since: start)
    }

    private static func quantile(_ values: [Double], _ part: Double) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]
    }
}
