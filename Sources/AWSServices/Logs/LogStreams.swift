import AWSProtocol

extension LogsService {
    private func document(_ stream: LogStream, _ group: String) -> AWSJSON {
        .compact([
            "logStreamName": .string(stream.name), "creationTime": .integer(Int(stream.createdAt)),
            "firstEventTimestamp": stream.firstEvent.map { .integer(Int($0)) }, "lastEventTimestamp": stream.lastEvent.map { .integer(Int($0)) },
            "lastIngestionTime": stream.lastIngestion.map { .integer(Int($0)) }, "uploadSequenceToken": .string(LogsService.sequenceToken),
            "arn": .string(groupARN(group) + ":log-stream:" + stream.name), "storedBytes": 0,
        ])
    }

    static let streamHandlers: [String: LogsHandler] = [
        "CreateLogStream": { call in
            let (groupName, name, now) = (try call.groupName(), try call.streamName(), call.nowMilliseconds)
            try await call.store.change { database in
                let group = try database.requireGroup(groupName)
                guard try database.stream(named: name, in: group) == nil else {
                    throw AWSError("ResourceAlreadyExistsException", "The specified log stream already exists")
                }
                try database.insertStream(name, in: group, createdAt: now)
            }
            return nil
        },
        "DeleteLogStream": { call in
            let (groupName, name) = (try call.groupName(), try call.streamName())
            try await call.store.change { database in
                let group = try database.requireGroup(groupName)
                try database.deleteStream(try database.requireStream(name, in: group), in: group)
            }
            return nil
        },
        "DescribeLogStreams": { call in
            let (name, prefix) = (try call.groupName(), try call.call.string("logStreamNamePrefix"))
            let (limit, isDescending) = (try call.call.integer("limit", in: 1...50) ?? 50, try call.call.bool("descending") ?? false)
            let order = try call.call.string("orderBy") ?? "LogStreamName"
            guard order == "LogStreamName" || order == "LastEventTime" else {
                throw call.call.invalid("orderBy must be LogStreamName or LastEventTime")
            }
            guard order == "LogStreamName" || prefix == nil else {
                throw call.call.invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
            }
            var streams = try await call.store.read { try $0.streams(in: try $0.requireGroup(name), prefix: prefix ?? "") }
            if order == "LastEventTime" {
                streams.sort { ($0.lastEvent ?? Int64.min, $0.name) < ($1.lastEvent ?? Int64.min, $1.name) }
            }
            if isDescending { streams.reverse() }
            var rest = streams[...]
            if let token = try call.call.string("nextToken") {
                guard let cursor = pages.cursor(in: token, operation: "DescribeLogStreams" + order) else {
                    throw call.call.invalid("The specified nextToken is invalid.")
                }
                // The page goes on after the stream that ended the last one; if that is gone, from the beginning.
                if let at = rest.firstIndex(where: { $0.name == cursor }) { rest = rest[(at + 1)...] }
            }
            let page = rest.prefix(limit)
            let next = page.count < rest.count ? page.last.map { pages.token(operation: "DescribeLogStreams" + order, after: $0.name) } : nil
            return .compact([
                "logStreams": .array(page.map { call.service.document($0, name) }), "nextToken": next.map(AWSJSON.string),
            ])
        },
    ]
}
