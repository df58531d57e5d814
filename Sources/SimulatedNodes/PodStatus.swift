import KubeAPI

/// The status a simulated node writes for a pod, as a strategic merge patch: pure. Upstream: pkg/kubelet/status, generateAPIPodStatus.
enum PodStatus {
    static func running(_ pod: Object, podIP: String, hostIP: String, now: Timestamp) -> Value {
        let spec = pod["spec"]
        let gates = spec["readinessGates"].elements.compactMap { $0["conditionType"].string }
        let met = Set(pod["status"]["conditions"].elements.filter { $0["status"].string == "True" }.compactMap { $0["type"].string })
        let isReady = gates.allSatisfy(met.contains)
        var status: Value = [
            "phase": "Running", "hostIP": .string(hostIP), "hostIPs": [["ip": .string(hostIP)]], "podIP": .string(podIP),
            "podIPs": [["ip": .string(podIP)]], "startTime": .string(now.rfc3339),
            "conditions": [
                condition("PodReadyToStartContainers", true, now), condition("Initialized", true, now),
                isReady
                    ? condition("Ready", true, now)
                    : condition("Ready", false, now, reason: "ReadinessGatesNotReady", message: "a readiness gate's condition is not \"True\""),
                condition("ContainersReady", true, now),
            ],
            "containerStatuses": .array(spec["containers"].elements.map { container($0, pod, running(now), isRunning: true) }),
        ]
        let initContainers = spec["initContainers"].elements
        if !initContainers.isEmpty {
            status["initContainerStatuses"] = .array(
                initContainers.map { item in
                    let isSidecar = item["restartPolicy"].string == "Always"
                    return container(item, pod, isSidecar ? running(now) : terminated(0, since: now, now), isRunning: isSidecar)
                })
        }
        return ["status": status]
    }

    static func restarted(_ pod: Object, code: Int64, now: Timestamp) -> Value {
        let containers = statuses(pod) { old in
            var status = old.value
            status["lastState"] = terminated(code, since: since(old) ?? now, now)
            status["state"] = running(now)
            status["restartCount"] = .int((old["restartCount"].int ?? 0) &+ 1)
            return status
        }
        return ["status": ["containerStatuses": .array(containers)]]
    }

    static func finished(_ pod: Object, code: Int64, now: Timestamp) -> Value {
        let containers = statuses(pod) { old in
            var status = old.value
            status["state"] = terminated(code, since: since(old) ?? now, now)
            status["ready"] = false
            status["started"] = false
            return status
        }
        let reason = code == 0 ? "PodCompleted" : "PodFailed"
        return [
            "status": [
                "phase": code == 0 ? "Succeeded" : "Failed", "containerStatuses": .array(containers),
                "conditions": [
                    condition("Ready", false, now, reason: reason), condition("ContainersReady", false, now, reason: reason),
                ],
            ]
        ]
    }

    private static func statuses(_ pod: Object, _ change: (JSONView) -> Value) -> [Value] {
        pod["status"]["containerStatuses"].elements.map(change)
    }

    private static func since(_ status: JSONView) -> Timestamp? { status["state"]["running"]["startedAt"].string.flatMap(Timestamp.init(rfc3339:)) }

    private static func container(_ container: JSONView, _ pod: Object, _ state: Value, isRunning: Bool) -> Value {
        let name = container["name"].string ?? ""
        let image = container["image"].string ?? ""
        return [
            "name": .string(name), "image": .string(image), "imageID": .string(image),
            "containerID": .string("\(SimulatedNode.runtime)://\(pod.metadata.uid)/\(name)"), "ready": .bool(true), "started": .bool(isRunning),
            "restartCount": 0, "state": state, "lastState": [:],
        ]
    }

    private static func running(_ now: Timestamp) -> Value { ["running": ["startedAt": .string(now.rfc3339)]] }

    private static func terminated(_ code: Int64, since: Timestamp, _ now: Timestamp) -> Value {
        [
            "terminated": [
                "exitCode": .int(code), "reason": code == 0 ? "Completed" : "Error", "startedAt": .string(since.rfc3339),
                "finishedAt": .string(now.rfc3339),
            ]
        ]
    }

    private static func condition(_ type: String, _ isTrue: Bool, _ now: Timestamp, reason: String? = nil, message: String? = nil) -> Value {
        var condition: Value = [
            "type": .string(type), "status": isTrue ? "True" : "False", "lastProbeTime": .null, "lastTransitionTime": .string(now.rfc3339),
        ]
        if let reason { condition["reason"] = .string(reason) }
        if let message { condition["message"] = .string(message) }
        return condition
    }
}
