import ContainerRuntime
import HTTPTransport
import KubeAPI
import KubeClient

/// Figures of CPU and memory in use, for metrics-server and `kubectl top`. Upstream: /stats/summary and /metrics/resource.
struct NodeStatistics: Sendable {
    let configuration: KubeletConfiguration
    let runtime: any ContainerRuntime
    let pods: Lister
    /// Nil: pods have no volumes.
    var volumes: VolumeStatistics?

    private var nodeCPU: Int64? { HostFigures.cpuNanoseconds(cgroupMount: configuration.cgroupMount, path: configuration.cgroupRoot) }

    /// What the running containers of this node's pods use.
    func byPod() async throws -> [(pod: Pod, containers: [RuntimeContainerStats])] {
        var byUID: [String: [RuntimeContainerStats]] = [:]
        for stats in try await runtime.containerStats(ContainerFilter()) {
            byUID[stats.labels[ContainerLabels.podUID] ?? "", default: []].append(stats)
        }
        return pods.list().map { Pod(shown: $0) }.map { ($0, byUID[$0.uid] ?? []) }
    }

    /// - Parameter onlyCPUAndMemory: what takes longer to find out is left out.
    func summary(onlyCPUAndMemory: Bool = false) async throws -> HTTPResponse {
        let configuration = configuration
        let now = Timestamp.now.rfc3339
        func usage(_ cpu: UInt64?, _ workingSet: UInt64?, _ memory: UInt64?, _ time: String) -> [(String, Value)] {
            var parts: [(String, Value)] = []
            if let cpu { parts.append(("cpu", ["time": .string(time), "usageCoreNanoSeconds": .int(Int64(clamping: cpu))])) }
            if let workingSet {
                parts.append(
                    (
                        "memory",
                        [
                            "time": .string(time), "workingSetBytes": .int(Int64(clamping: workingSet)),
                            "usageBytes": .int(Int64(clamping: memory ?? workingSet)),
                        ]
                    ))
            }
            return parts
        }
        let nodeCPU = nodeCPU
        let available = try await FileWork.run {
            HostFigures.availableMemory(
                cgroupMount: configuration.cgroupMount, cgroupRoot: configuration.cgroupRoot, capacity: configuration.capacity["memory"]?.value ?? 0)
        }
        let capacity = configuration.capacity["memory"]?.value ?? 0
        let used = available.map { UInt64(clamping: capacity &- $0) }
        var node: Value = ["nodeName": .string(configuration.nodeName)]
        for (key, value) in usage(nodeCPU.map { UInt64(clamping: $0) }, used, used, now) { node[key] = value }
        if let available { node[path: "memory", "availableBytes"] = .int(available) }
        let disk = HostFigures.disk(configuration.rootDirectory)
        node["fs"] = [
            "time": .string(now), "availableBytes": .int(Int64(clamping: disk.available)), "capacityBytes": .int(Int64(clamping: disk.capacity)),
            "usedBytes": .int(Int64(clamping: disk.capacity &- disk.available)),
        ]
        var list: [Value] = []
        for (pod, containers) in try await byPod() {
            var entry: Value = ["podRef": ["name": .string(pod.name), "namespace": .string(pod.namespace), "uid": .string(pod.uid)]]
            entry["startTime"] = .string(pod.status["startTime"].string ?? now)
            entry["containers"] = .array(
                containers.map { stats in
                    var value: Value = ["name": .string(stats.name)]
                    let time = Timestamp(microseconds: stats.timestamp / 1000).rfc3339
                    for (key, part) in usage(stats.cpuNanoseconds, stats.workingSetBytes, stats.memoryUsageBytes, time) { value[key] = part }
                    return value
                })
            let cpu = containers.reduce(UInt64(0)) { $0 &+ ($1.cpuNanoseconds ?? 0) }
            let memory = containers.reduce(UInt64(0)) { $0 &+ ($1.workingSetBytes ?? 0) }
            for (key, part) in usage(cpu, memory, memory, now) { entry[key] = part }
            if !onlyCPUAndMemory, let held = await volumes?.usage(of: pod.uid), !held.isEmpty {
                entry["volume"] = .array(held.map { Self.entry($0, namespace: pod.namespace) })
            }
            list.append(entry)
        }
        let summary: Value = ["node": node, "pods": .array(list)]
        return HTTPResponse(status: 200, fields: ["Content-Type": "application/json"], body: .bytes(summary.jsonBytes))
    }

    private static func entry(_ usage: VolumeStatistics.Usage, namespace: String) -> Value {
        var value: Value = ["time": .string(usage.time.rfc3339)]
        for (key, number) in usage.figures.members { value[key] = number }
        value["name"] = .string(usage.volume.name)
        if let claim = usage.volume.claim { value["pvcRef"] = ["name": .string(claim), "namespace": .string(namespace)] }
        return value
    }

    /// Prometheus text: the volumes of claims. Upstream: /metrics, which has much more.
    func metrics() async -> HTTPResponse {
        var claims: [VolumeMetrics.Claim] = []
        for pod in pods.list().map({ Pod(shown: $0) }) {
            for usage in await volumes?.usage(of: pod.uid) ?? [] {
                guard let name = usage.volume.claim else { continue }
                claims.append(VolumeMetrics.Claim(namespace: pod.namespace, name: name, figures: usage.figures))
            }
        }
        let text = VolumeMetrics.text(claims)
        return HTTPResponse(status: 200, fields: ["Content-Type": "text/plain; version=0.0.4"], body: .bytes(Array(text.utf8)))
    }

    /// Prometheus text.
    func resourceMetrics() async throws -> HTTPResponse {
        var cpu = "# HELP container_cpu_usage_seconds_total Cumulative cpu time consumed by the container in core-seconds\n"
        cpu += "# TYPE container_cpu_usage_seconds_total counter\n"
        var memory = "# HELP container_memory_working_set_bytes Current working set of the container in bytes\n"
        memory += "# TYPE container_memory_working_set_bytes gauge\n"
        var podCPU =
            "# HELP pod_cpu_usage_seconds_total Cumulative cpu time consumed by the pod in core-seconds\n# TYPE pod_cpu_usage_seconds_total counter\n"
        var podMemory = "# HELP pod_memory_working_set_bytes Current working set of the pod in bytes\n# TYPE pod_memory_working_set_bytes gauge\n"
        for (pod, containers) in try await byPod() {
            var (cpuSum, memorySum, time): (UInt64, UInt64, Int64) = (0, 0, 0)
            for stats in containers {
                let labels = "{container=\"\(stats.name)\",namespace=\"\(pod.namespace)\",pod=\"\(pod.name)\"}"
                let at = stats.timestamp / 1_000_000
                if let used = stats.cpuNanoseconds { cpu += "container_cpu_usage_seconds_total\(labels) \(Double(used) / 1e9) \(at)\n" }
                if let bytes = stats.workingSetBytes { memory += "container_memory_working_set_bytes\(labels) \(bytes) \(at)\n" }
                cpuSum &+= stats.cpuNanoseconds ?? 0
                memorySum &+= stats.workingSetBytes ?? 0
                time = max(time, at)
            }
            guard !containers.isEmpty else { continue }
            let labels = "{namespace=\"\(pod.namespace)\",pod=\"\(pod.name)\"}"
            podCPU += "pod_cpu_usage_seconds_total\(labels) \(Double(cpuSum) / 1e9) \(time)\n"
            podMemory += "pod_memory_working_set_bytes\(labels) \(memorySum) \(time)\n"
        }
        var text = cpu + memory
        let configuration = configuration
        let available = try await FileWork.run {
            HostFigures.availableMemory(
                cgroupMount: configuration.cgroupMount, cgroupRoot: configuration.cgroupRoot, capacity: configuration.capacity["memory"]?.value ?? 0)
        }
        if let used = nodeCPU {
            text +=
                "# HELP node_cpu_usage_seconds_total Cumulative cpu time consumed by the node in core-seconds\n"
            text += "# TYPE node_cpu_usage_seconds_total counter\n"
            text += "node_cpu_usage_seconds_total \(Double(used) / 1e9)\n"
        }
        if let available {
            let capacity = configuration.capacity["memory"]?.value ?? 0
            text += "# HELP node_memory_working_set_bytes Current working set of the node in bytes\n# TYPE node_memory_working_set_bytes gauge\n"
            text += "node_memory_working_set_bytes \(max(0, capacity &- available))\n"
        }
        text += podCPU + podMemory
        text +=
            "# HELP resource_scrape_error 1 if there was an error while getting container metrics, 0 otherwise\n# TYPE resource_scrape_error gauge\n"
        text += "resource_scrape_error 0\n"
        return HTTPResponse(status: 200, fields: ["Content-Type": "text/plain; version=0.0.4"], body: .bytes(Array(text.utf8)))
    }
}
