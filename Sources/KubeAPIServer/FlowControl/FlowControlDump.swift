import KubeAPI

/// The pages of `/debug/api_priority_and_fairness`. Upstream: flowcontrol.configController.Install.
enum FlowControlDump {
    /// Nil when `path` is none of them.
    static func text(_ path: String, _ query: QueryParameters, _ controller: FlowController) -> String? {
        let prefix = "/debug/api_priority_and_fairness/"
        guard path.hasPrefix(prefix) else { return nil }
        switch path.dropFirst(prefix.count) {
        case "dump_priority_levels": return levels(controller)
        case "dump_queues": return queues(controller)
        case "dump_requests": return requests(controller, details: !(query["includeRequestDetails"] ?? "").isEmpty)
        default: return nil
        }
    }

    private static func levels(_ controller: FlowController) -> String {
        let report = controller.report
        var rows = [["PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests"]]
        for level in report.levels {
            let active = level.queues.filter { !$0.waiting.isEmpty }.count
            rows.append([
                level.name, String(active), String(level.waiting == 0 && level.executing == 0), "false", String(level.waiting),
                String(level.executing),
            ])
        }
        for name in report.exempt { rows.append([name] + Array(repeating: "<none>", count: 5)) }
        return table(rows)
    }

    private static func queues(_ controller: FlowController) -> String {
        let report = controller.report
        var rows = [
            [
                "PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR", "InitialSeatsSum", "MaxSeatsSum",
                "TotalWorkSum",
            ]
        ]
        for level in report.levels {
            for (index, queue) in level.queues.enumerated() {
                let seats = queue.waiting.reduce(0) { $0 + $1.seats }
                rows.append([
                    level.name, String(index), String(queue.waiting.count), String(queue.executing), String(queue.seatsInUse),
                    "\(queue.waiting.first?.startTag ?? queue.finishTag)ss", String(seats), String(seats),
                    "\(Double(seats) * FairQueues.guessedSeconds)ss",
                ])
            }
        }
        for name in report.exempt { rows.append([name] + Array(repeating: "<none>", count: 8)) }
        return table(rows)
    }

    private static func requests(_ controller: FlowController, details: Bool) -> String {
        let report = controller.report
        var header = [
            "PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher", "ArriveTime", "InitialSeats", "FinalSeats",
            "AdditionalLatency",
        ]
        if details { header += ["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"] }
        var rows = [header]
        var places: [String: Int] = [:]
        let now = Timestamp.now
        for request in report.waiting {
            let place = places["\(request.level)/\(request.queue)", default: 0]
            places["\(request.level)/\(request.queue)"] = place + 1
            let arrived = Timestamp(microseconds: now.microseconds - Int64(request.waited * 1_000_000))
            var row = [
                request.level, request.schema, String(request.queue), String(place), request.flow, arrived.rfc3339Micro, String(request.seats), "0",
                "0s",
            ]
            if details { row.append(request.request) }
            rows.append(row)
        }
        return table(rows)
    }

    /// Columns as Go's tabwriter aligns them: cells of at least eight characters, padded by one blank.
    private static func table(_ rows: [[String]]) -> String {
        var widths: [Int] = []
        for row in rows {
            for (index, cell) in row.dropLast().enumerated() {
                if index == widths.count { widths.append(8) }
                widths[index] = max(widths[index], cell.count + 2)
            }
        }
        var out = ""
        for row in rows {
            for (index, cell) in row.dropLast().enumerated() {
                out += cell + ","
                out += String(repeating: " ", count: max(0, widths[index] - cell.count - 1))
            }
            out += (row.last ?? "") + "\n"
        }
        return out
    }
}
