import KubeAPI

/// What is said to extenders, and what they answer. Upstream: k8s.io/kube-scheduler/extender/v1.
enum ExtenderMessages {
    /// Nodes an extender leaves, and why others will not do.
    struct Filtered: Sendable, Equatable {
        /// In the extender's order.
        var nodes: [String] = []
        var failed: [String: String] = [:]
        /// Those for which no making of room would help. They go before `failed`.
        var unresolvable: [String: String] = [:]
    }

    /// ExtenderArgs. The objects are sent as they are stored.
    static func arguments(_ pod: Object, _ nodes: [Object], byName: Bool) -> [UInt8] {
        var out = Array("{\"Pod\":".utf8)
        out.append(contentsOf: pod.bytes)
        if byName {
            out.append(contentsOf: ",\"Nodes\":null,\"NodeNames\":".utf8)
            Value(nodes.map(\.metadata.name)).write(to: &out)
        } else {
            out.append(contentsOf: ",\"Nodes\":{\"metadata\":{},\"items\":".utf8)
            list(nodes, &out)
            out.append(contentsOf: "},\"NodeNames\":null".utf8)
        }
        out.append(UInt8(ascii: "}"))
        return out
    }

    /// ExtenderFilterResult to a question about `asked`. Throws `ExtenderError`.
    static func filtered(_ answer: JSONView, asked: Set<String>, byName: Bool, _ extender: String) throws(ExtenderError) -> Filtered {
        if let text = answer.goMember("Error")?.string, !text.isEmpty { throw ExtenderError(text) }
        var names: [String] = []
        if byName, let list = answer.goMember("NodeNames"), !list.isNull {
            names = list.strings
        } else if let list = answer.goMember("Nodes"), !list.isNull {
            names = list["items"].elements.map { $0["metadata"]["name"].string ?? "" }
        }
        for name in names where !asked.contains(name) {
            throw ExtenderError("extender \(extender.goQuoted) claims a filtered node \(name.goQuoted) which is not found in the input node list")
        }
        return Filtered(
            nodes: names, failed: answer.goMember("FailedNodes").stringMap,
            unresolvable: answer.goMember("FailedAndUnresolvableNodes").stringMap)
    }

    /// HostPriorityList, with scores brought to the scheduler's scale and weighted; bounded so that no sum overflows.
    /// Upstream: prioritizeNodes.
    static func scores(_ answer: JSONView, weight: Int64) -> [String: Int64] {
        var scores: [String: Int64] = [:]
        for entry in answer.elements {
            guard let host = entry.goMember("Host")?.string else { continue }
            // Extenders' scores go to 10, the scheduler's to 100.
            let weighted = Int64(clamping: Int128(entry.goMember("Score")?.int ?? 0) * Int128(weight))
            scores[host] = sum(scores[host] ?? 0, Int64(clamping: Int128(weighted) * 10))
        }
        return scores
    }

    /// Adds scores; what would be beyond 2 to the 60th stays there.
    static func sum(_ a: Int64, _ b: Int64) -> Int64 {
        let limit: Int64 = 1 << 60
        return min(limit, max(-limit, Int64(clamping: Int128(a) + Int128(b))))
    }

    /// ExtenderBindingArgs.
    static func binding(_ pod: PodInfo, node: String) -> [UInt8] {
        let arguments: Value = [
            "PodName": .string(pod.name), "PodNamespace": .string(pod.namespace), "PodUID": .string(pod.uid), "Node": .string(node),
        ]
        return arguments.jsonBytes
    }

    /// ExtenderBindingResult. Throws `ExtenderError`.
    static func checkBound(_ answer: JSONView) throws(ExtenderError) {
        if let text = answer.goMember("Error")?.string, !text.isEmpty { throw ExtenderError(text) }
    }

    /// ExtenderPreemptionArgs. `objects` gives pods by uid.
    static func preemption(
        _ pod: Object, _ candidates: [DefaultPreemption.Candidate], byName: Bool, _ objects: (PodInfo) -> Object?
    ) -> [UInt8] {
        var out = Array("{\"Pod\":".utf8)
        out.append(contentsOf: pod.bytes)
        out.append(
            contentsOf: (byName
                ? ",\"NodeNameToVictims\":null,\"NodeNameToMetaVictims\":{" : ",\"NodeNameToMetaVictims\":null,\"NodeNameToVictims\":{").utf8)
        for (index, candidate) in candidates.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            Value.write(candidate.node, to: &out)
            out.append(contentsOf: ":{\"Pods\":".utf8)
            if byName {
                Value.array(candidate.victims.map { ["UID": .string($0.uid)] }).write(to: &out)
            } else {
                list(candidate.victims.compactMap(objects), &out)
            }
            out.append(contentsOf: ",\"NumPDBViolations\":\(candidate.violations)}".utf8)
        }
        out.append(contentsOf: "}}".utf8)
        return out
    }

    /// ExtenderPreemptionResult to a question about `asked`; `pods` gives the pods on a node. Throws `ExtenderError`.
    /// Upstream: convertToVictims, convertPodUIDToPod, callExtenders.
    static func victims(
        _ answer: JSONView, _ extender: ExtenderConfiguration, pods: (_ node: String) -> [PodInfo]?
    ) throws(ExtenderError) -> [DefaultPreemption.Candidate] {
        var candidates: [DefaultPreemption.Candidate] = []
        for (node, victims) in answer.goMember("NodeNameToMetaVictims").memberList {
            guard let there = pods(node) else { throw ExtenderError("nodeinfo not found for node name \(node.goQuoted)") }
            var chosen: [PodInfo] = []
            for uid in victims.goMember("Pods").elements.map({ $0.goMember("UID")?.string ?? "" }) {
                guard let pod = there.first(where: { $0.uid == uid }) else {
                    throw ExtenderError(
                        "extender: \(extender.urlPrefix) claims to preempt pod (UID: \(uid)) on node: \(node), but the pod is not found on that node")
                }
                chosen.append(pod)
            }
            if chosen.isEmpty {
                if extender.isIgnorable { continue }
                throw ExtenderError("expected at least one victim pod on node \(node.goQuoted)")
            }
            let violations = victims.goMember("NumPDBViolations")?.int ?? 0
            candidates.append(.init(node: node, victims: chosen.sorted { $0.isMoreImportant(than: $1) }, violations: Int(clamping: violations)))
        }
        return candidates.sorted { $0.node < $1.node }
    }

    private static func list(_ objects: [Object], _ out: inout [UInt8]) {
        out.append(UInt8(ascii: "["))
        for (index, object) in objects.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            out.append(contentsOf: object.bytes)
        }
        out.append(UInt8(ascii: "]"))
    }
}

/// Why an extender gave no answer that can be used.
struct ExtenderError: Error, Sendable, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

extension JSONView {
    /// A member as Go finds it for a field without a tag: by its name, else without regard to case. Upstream: encoding/json.
    func goMember(_ name: String) -> JSONView? {
        if let exact = self[name] { return exact }
        let lower = name.lowercased()
        return members.first { $0.key.lowercased() == lower }?.value
    }
}

extension Optional where Wrapped == JSONView {
    /// See `JSONView.goMember`.
    func goMember(_ name: String) -> JSONView? { flatMap { $0.goMember(name) } }
    /// The members of an object.
    var memberList: [(key: String, value: JSONView)] { map { Array($0.members) } ?? [] }
}
