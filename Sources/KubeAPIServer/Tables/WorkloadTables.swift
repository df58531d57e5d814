import KubeAPI

/// Rows of the kinds that run pods. Upstream: printDeployment and its neighbours in pkg/printers/internalversion.
enum WorkloadTables {
    static let printers: [(String, String, TablePrinter.Printer)] = [
        ("", "pods", PodTable.cells),
        ("", "podtemplates", podTemplate),
        ("", "replicationcontrollers", replicationController),
        ("apps", "deployments", deployment),
        ("apps", "replicasets", replicaSet),
        ("apps", "statefulsets", statefulSet),
        ("apps", "daemonsets", daemonSet),
        ("apps", "controllerrevisions", controllerRevision),
        ("batch", "jobs", job),
        ("batch", "cronjobs", cronJob),
        ("autoscaling", "horizontalpodautoscalers", horizontalPodAutoscaler),
    ]

    private static func podTemplate(_ object: Object, _ now: Timestamp) -> [Value] {
        [Cells.name(object)] + Cells.containers(object["template"]["spec"]) + [Cells.labels(object["template"]["metadata"]["labels"])]
    }

    private static func replicas(_ object: Object, _ now: Timestamp) -> [Value] {
        [
            Cells.name(object), Cells.int(object["spec"]["replicas"]), Cells.int(object["status"]["replicas"]),
            Cells.int(object["status"]["readyReplicas"]),
            Cells.age(object, now),
        ] + Cells.containers(object["spec"]["template"]["spec"])
    }

    private static func replicationController(_ object: Object, _ now: Timestamp) -> [Value] {
        replicas(object, now) + [Cells.labels(object["spec"]["selector"])]
    }

    private static func replicaSet(_ object: Object, _ now: Timestamp) -> [Value] {
        replicas(object, now) + [Cells.selector(object["spec"]["selector"])]
    }

    private static func readyOfDesired(_ object: Object) -> Value {
        .string("\(object["status"]["readyReplicas"].int ?? 0)/\(object["spec"]["replicas"].int ?? 0)")
    }

    private static func deployment(_ object: Object, _ now: Timestamp) -> [Value] {
        let status = object["status"]
        let selector = (try? LabelSelector(object: object["spec"]["selector"]))?.description ?? "<invalid>"  // The cell itself tells of the error.
        return [
            Cells.name(object), readyOfDesired(object), Cells.int(status["updatedReplicas"]), Cells.int(status["availableReplicas"]),
            Cells.age(object, now),
        ]
            + Cells.containers(object["spec"]["template"]["spec"]) + [.string(selector)]
    }

    private static func statefulSet(_ object: Object, _ now: Timestamp) -> [Value] {
        [Cells.name(object), readyOfDesired(object), Cells.age(object, now)] + Cells.containers(object["spec"]["template"]["spec"])
    }

    private static func daemonSet(_ object: Object, _ now: Timestamp) -> [Value] {
        let status = object["status"]
        let numbers = ["desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable"].map {
            Cells.int(status[$0])
        }
        let template = object["spec"]["template"]["spec"]
        return [Cells.name(object)] + numbers + [Cells.labels(template["nodeSelector"]), Cells.age(object, now)] + Cells.containers(template)
            + [Cells.selector(object["spec"]["selector"])]
    }

    private static func controllerRevision(_ object: Object, _ now: Timestamp) -> [Value] {
        var owner = "<none>"
        if let controller = object.metadata.controller {
            let kind = GroupVersionKind(apiVersion: controller.apiVersion, kind: controller.kind)
            owner = (kind.group.isEmpty ? kind.kind : "\(kind.kind).\(kind.group)").lowercased() + "/" + controller.name
        }
        return [Cells.name(object), .string(owner), Cells.int(object["revision"]), Cells.age(object, now)]
    }

    private static func job(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        let status = object["status"]
        let succeeded = status["succeeded"].int ?? 0
        let completions: String
        if let wanted = spec["completions"].int {
            completions = "\(succeeded)/\(wanted)"
        } else {
            let parallelism = spec["parallelism"].int ?? 0
            completions = parallelism > 1 ? "\(succeeded)/1 of \(parallelism)" : "\(succeeded)/1"
        }
        var duration = ""
        if let start = Cells.time(status["startTime"]) { duration = Cells.duration(from: start, to: Cells.time(status["completionTime"]) ?? now) }
        return [Cells.name(object), .string(jobState(object)), .string(completions), .string(duration), Cells.age(object, now)]
            + Cells.containers(spec["template"]["spec"]) + [Cells.selector(spec["selector"])]
    }

    private static func jobState(_ object: Object) -> String {
        let conditions = object["status"]["conditions"]
        if Cells.isTrue(conditions, "Complete") { return "Complete" }
        if Cells.isTrue(conditions, "Failed") { return "Failed" }
        if object.metadata.isBeingDeleted { return "Terminating" }
        if Cells.isTrue(conditions, "Suspended") { return "Suspended" }
        if Cells.isTrue(conditions, "FailureTarget") { return "FailureTarget" }
        return "Running"
    }

    private static func cronJob(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        let template = spec["jobTemplate"]["spec"]
        let suspend = spec["suspend"].bool.map { $0 ? "True" : "False" } ?? "<unset>"
        let last = Cells.time(object["status"]["lastScheduleTime"]).map { Cells.since($0, now) } ?? "<none>"
        return [
            Cells.name(object), Cells.text(spec["schedule"]), Cells.text(spec["timeZone"], or: "<none>"), .string(suspend),
            .int(Cells.count(object["status"]["active"])), .string(last), Cells.age(object, now),
        ] + Cells.containers(template["template"]["spec"]) + [Cells.selector(template["selector"])]
    }

    private static func horizontalPodAutoscaler(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        let target = spec["scaleTargetRef"]
        return [
            Cells.name(object), .string("\(target["kind"].string ?? "")/\(target["name"].string ?? "")"), .string(metrics(object)),
            .string(spec["minReplicas"].int.map { String($0) } ?? "<unset>"), Cells.int(spec["maxReplicas"]),
            Cells.int(object["status"]["currentReplicas"]),
            Cells.age(object, now),
        ]
    }

    /// `cpu: 20%/80%`, two metrics at most. Upstream: formatHPAMetrics.
    private static func metrics(_ object: Object) -> String {
        let shown = 2
        if let target = object["spec"]["targetCPUUtilizationPercentage"].int {
            let current = object["status"]["currentCPUUtilizationPercentage"].int.map { "\($0)%" } ?? "<unknown>"
            return "cpu: \(current)/\(target)%"
        }
        let specs = object["spec"]["metrics"].elements
        if specs.isEmpty { return "<none>" }
        let statuses = object["status"]["currentMetrics"].elements
        let list = specs.enumerated().map { metric($0.element, $0.offset < statuses.count ? statuses[$0.offset] : nil) }
        let text = list.prefix(shown).joined(separator: ", ")
        return list.count > shown ? "\(text) + \(list.count - shown) more..." : text
    }

    private static func metric(_ spec: JSONView, _ status: JSONView?) -> String {
        func amount(_ view: JSONView?) -> String? { view.quantity.map(\.description) }
        let type = spec["type"].string ?? ""
        switch type {
        case "External", "Object":
            let member = type == "External" ? "external" : "object"
            let target = spec[member]["target"]
            let current = status[member]["current"]
            if let average = amount(target["averageValue"]) { return "\(amount(current["averageValue"]) ?? "<unknown>")/\(average) (avg)" }
            return "\(amount(current["value"]) ?? "<unknown>")/\(amount(target["value"]) ?? "0")"
        case "Pods":
            return "\(amount(status["pods"]["current"]["averageValue"]) ?? "<unknown>")/\(amount(spec["pods"]["target"]["averageValue"]) ?? "0")"
        case "Resource", "ContainerResource":
            let member = type == "Resource" ? "resource" : "containerResource"
            let target = spec[member]["target"]
            let current = status[member]["current"]
            let name = spec[member]["name"].string ?? ""
            if let average = amount(target["averageValue"]) { return "\(name): \(amount(current["averageValue"]) ?? "<unknown>")/\(average)" }
            let used = current["averageUtilization"].int.map { "\($0)%" } ?? "<unknown>"
            return "\(name): \(used)/\(target["averageUtilization"].int.map { "\($0)%" } ?? "<auto>")"
        default: return "<unknown type>"
        }
    }
}
