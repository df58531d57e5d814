import KubeAPI

/// What a node's containers had used at one moment. Upstream: metrics-server's storage.MetricsBatch, out of a kubelet's summary.
struct UsageSample: Sendable {
    /// Nanoseconds of a core since the start, and bytes in use.
    struct Counter: Sendable, Equatable {
        var cpu: Int64
        var memory: Int64
    }

    var time: Timestamp
    var node: Counter?
    /// By `namespace/name` of the pod, then by name of the container.
    var pods: [String: [String: Counter]] = [:]

    init(_ summary: JSONView, at time: Timestamp) {
        self.time = time
        for pod in summary["pods"].map({ Array($0.elements) }) ?? [] {
            let reference = pod["podRef"]
            let key = "\(reference["namespace"].string ?? "")/\(reference["name"].string ?? "")"
            for container in pod["containers"].map({ Array($0.elements) }) ?? [] {
                if let counter = Counter(container) { pods[key, default: [:]][container["name"].string ?? ""] = counter }
            }
        }
        node = summary["node"].flatMap(Counter.init)
        // A node that does not count its own processor time is what its pods are.
        if node == nil, let memory = summary["node"]["memory"]["workingSetBytes"].int, memory >= 0 {
            let cpu = pods.values.joined().reduce(Int64(0)) { $0.addingReportingOverflow($1.value.cpu).partialValue }
            node = Counter(cpu: cpu, memory: memory)
        }
    }
}

extension UsageSample.Counter {
    /// Nil: one of the figures is missing, or none that can be.
    init?(_ view: JSONView) {
        guard let cpu = view["cpu"]["usageCoreNanoSeconds"].int, let memory = view["memory"]["workingSetBytes"].int, cpu >= 0, memory >= 0 else {
            return nil
        }
        self.init(cpu: cpu, memory: memory)
    }

    /// What is used now, as a ResourceList: cores from the difference to an earlier count. Nil when the count began anew meanwhile.
    func usage(since earlier: UsageSample.Counter?, seconds: Double) -> Value? {
        guard let earlier, cpu >= earlier.cpu, seconds > 0 else { return nil }
        let nanocores = (Double(cpu) - Double(earlier.cpu)) / seconds
        guard nanocores < 1e15 else { return nil }
        return ["cpu": .string("\(Int64(nanocores))n"), "memory": .string("\(memory / 1024)Ki")]
    }
}

/// Two samples of a node: what was used between them.
struct UsageWindow: Sendable {
    var older: UsageSample
    var newer: UsageSample

    var seconds: Double { newer.time.timeInterval(since: older.time) }
    /// As `window` of the API's objects.
    var text: String { "\(Int64((seconds * 1000).rounded()))ms" }

    func nodeUsage() -> Value? { newer.node?.usage(since: older.node, seconds: seconds) }

    /// The containers of a pod; nil when one of them is not known long enough.
    func containers(of key: String) -> [Value]? {
        guard let now = newer.pods[key], !now.isEmpty else { return nil }
        var list: [Value] = []
        for (name, counter) in now.sorted(by: { $0.key < $1.key }) {
            guard let usage = counter.usage(since: older.pods[key]?[name], seconds: seconds) else { return nil }
            list.append(["name": .string(name), "usage": usage])
        }
        return list
    }
}
