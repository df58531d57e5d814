import AWSProtocol

extension LogsService {
    /// Sequence tokens are accepted whatever they are and given out all the same. Upstream: logs PutLogEvents.
    static let sequenceToken = "49600000000000000000000000000000000000000000000000000000"

    static let eventHandlers: [String: LogsHandler] = [
        "PutLogEvents": { try await $0.putEvents() }, "GetLogEvents": { try await $0.getEvents() },
        "FilterLogEvents": { try await $0.filterEvents() },
    ]
}

extension LogsCall {
    private func inputEvents() throws(AWSError) -> [LogEvent] {
        guard let list = call.input["logEvents"]?.arrayValue, !list.isEmpty else {
            throw call.invalid(
                "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length greater than or equal to 1")
        }
        guard list.count <= LogLimits.batchEvents else {
            throw call.invalid(
                "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length less than or equal to 10000")
        }
        var events: [LogEvent] = []
        var bytes = 0
        for entry in list {
            guard let time = entry["timestamp"]?.intValue, time >= 0, let message = entry["message"]?.stringValue, !message.isEmpty else {
                throw call.invalid("Each of the logEvents must have a timestamp and a message")
            }
            guard message.utf8.count <= LogLimits.messageBytes else {
                throw call.invalid("Log event too large: \(message.utf8.count) bytes exceeds limit of \(LogLimits.messageBytes)")
            }
            bytes += message.utf8.count + LogLimits.eventOverhead
            events.append(LogEvent(timestamp: Int64(time), message: message))
        }
        guard bytes <= LogLimits.batchBytes else { throw call.invalid("Upload too large: \(bytes) bytes exceeds limit of \(LogLimits.batchBytes)") }
        guard zip(events, events.dropFirst()).allSatisfy({ $0.timestamp <= $1.timestamp }) else {
            throw call.invalid("Log events in a single PutLogEvents request must be in chronological order.")
        }
        if let first = events.first, let last = events.last, last.timestamp - first.timestamp > LogLimits.batchSpan {
            throw call.invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
        }
        return events
    }

    fileprivate func putEvents() async throws -> AWSJSON? {
        let (groupName, streamName, events, now) = (try groupName(), try streamName(), try inputEvents(), nowMilliseconds)
        let (answer, written) = try await store.change { database -> (AWSJSON, [LogEvent]) in
            let group = try database.requireGroup(groupName)
            let stream = try database.requireStream(streamName, in: group)
            // The events are in order: those that are refused are at the two ends.
            let expired = events.prefix { $0.timestamp < group.horizon(now: now) }.count
            let tooOld = events.prefix { $0.timestamp < now - LogLimits.past }.count
            let tooNew = events.firstIndex { $0.timestamp > now + LogLimits.future }
            let kept = events[..<(tooNew ?? events.count)].dropFirst(max(expired, tooOld))
            try database.append(kept, to: stream, of: group, now: now)
            let rejected: [String: AWSJSON?] = [
                "tooNewLogEventStartIndex": tooNew.map { .integer($0) }, "tooOldLogEventEndIndex": tooOld > 0 ? .integer(tooOld) : nil,
                "expiredLogEventEndIndex": expired > 0 ? .integer(expired) : nil,
            ]
            let isRejected = rejected.values.contains { $0 != nil }
            let info = isRejected ? AWSJSON.compact(rejected) : nil
            return (.compact(["nextSequenceToken": .string(LogsService.sequenceToken), "rejectedLogEventsInfo": info]), Array(kept))
        }
        store.tails.publish(written, group: groupName, stream: streamName, ingestedAt: now)
        return answer
    }

    /// `startTime`, inclusive, never before the group's retention.
    private func start(_ group: LogGroup) throws(AWSError) -> LogPosition {
        let given = Int64(try call.integer("startTime", in: 0...Int.max) ?? 0)
        return LogPosition(time: max(given, group.horizon(now: nowMilliseconds)), sequence: Int64.min)
    }

    fileprivate func getEvents() async throws -> AWSJSON? {
        let (groupName, streamName) = (try groupName(), try streamName())
        let end = try call.integer("endTime", in: 0...Int.max).map { LogPosition(time: Int64($0), sequence: Int64.min) } ?? .last
        let (limit, isFromHead) = (
            try call.integer("limit", in: 1...LogLimits.pageEvents) ?? LogLimits.pageEvents, try call.bool("startFromHead") ?? false
        )
        var token: LogToken?
        if let text = try call.string("nextToken") {
            guard let read = LogToken(text) else { throw call.invalid("The specified nextToken is invalid.") }
            token = read
        }
        let from = token
        let call = self
        return try await store.read { database in
            let group = try database.requireGroup(groupName)
            let stream = try database.requireStream(streamName, in: group)
            let start = try call.start(group)
            let isBackward = from.map { !$0.isForward } ?? !isFromHead
            var (after, before) = (start, end)
            if let from, from.isForward { after = max(start, from.position) }
            if let from, !from.isForward { before = min(end, from.position) }
            var events = LogPage.cut(
                try database.events(of: stream.id, after: after, before: before, isBackward: isBackward, limit: limit))
            if isBackward { events.reverse() }
            // With nothing to show, both tokens lead on from where the caller stands.
            let here =
                from?.position
                ?? (isBackward ? LogPosition(time: stream.lastEvent ?? 0, sequence: Int64.max) : LogPosition(time: max(0, start.time), sequence: -1))
            let forward = LogToken(position: events.last?.position ?? here, isForward: true)
            let backward = LogToken(position: events.first?.position ?? here, isForward: false)
            let documents = events.map { event -> AWSJSON in
                [
                    "timestamp": .integer(Int(event.position.time)), "message": .string(event.message),
                    "ingestionTime": .integer(Int(event.ingestedAt)),
                ]
            }
            return ["events": .array(documents), "nextForwardToken": .string(forward.text), "nextBackwardToken": .string(backward.text)]
        }
    }

    fileprivate func filterEvents() async throws -> AWSJSON? {
        let (groupName, names, prefix) = (try groupName(), try call.strings("logStreamNames"), try call.string("logStreamNamePrefix"))
        guard names.isEmpty || prefix == nil else { throw call.invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.") }
        guard names.count <= 100 else { throw call.invalid("Member must have length less than or equal to 100") }
        let limit = try call.integer("limit", in: 1...LogLimits.pageEvents) ?? LogLimits.pageEvents
        let end = try call.integer("endTime", in: 0...Int.max).map { LogPosition(time: Int64($0), sequence: Int64.max) } ?? .last
        let pattern = try LogFilterPattern(try call.string("filterPattern") ?? "")
        var cursor: LogPosition?
        if let text = try call.string("nextToken") {
            guard let read = LogsService.pages.cursor(in: text, operation: "FilterLogEvents").flatMap(LogToken.init) else {
                throw call.invalid("The specified nextToken is invalid.")
            }
            cursor = read.position
        }
        let from = cursor
        let call = self
        let (page, streams) = try await store.read { database in
            let group = try database.requireGroup(groupName)
            let start = try call.start(group)
            var streams = try database.streams(in: group, prefix: prefix ?? "")
            if !names.isEmpty {
                for name in names { _ = try database.requireStream(name, in: group) }
                streams.removeAll { !names.contains($0.name) }
            }
            let after = from.map { max(start, $0) } ?? start
            let wanted = streams.filter { $0.lastEvent ?? Int64.min >= after.time && $0.firstEvent ?? Int64.max <= end.time }
            return (try LogPage.filtered(database, wanted, after: after, before: end, limit: limit, pattern), streams)
        }
        let streamNames = Dictionary(streams.map { ($0.id, $0.name) }) { first, _ in first }
        let documents = page.events.map { event -> AWSJSON in
            [
                "timestamp": .integer(Int(event.position.time)), "message": .string(event.message), "ingestionTime": .integer(Int(event.ingestedAt)),
                "logStreamName": .string(streamNames[event.streamID] ?? ""),
                "eventId": .string(LogToken(position: event.position, isForward: true).eventID),
            ]
        }
        let next = page.next.map { LogsService.pages.token(operation: "FilterLogEvents", after: LogToken(position: $0, isForward: true).text) }
        return .compact(["events": .array(documents), "searchedLogStreams": [], "nextToken": next.map(AWSJSON.string)])
    }
}

/// A place in a stream, as GetLogEvents gives it out: `f/` forward or `b/` backward from an event.
struct LogToken: Sendable {
    var position: LogPosition
    var isForward: Bool

    init(position: LogPosition, isForward: Bool) {
        self.position = position
        self.isForward = isForward
    }

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "f" || parts[0] == "b", parts[2] == "s" else { return nil }
        let numbers = parts[1].split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count == 2, let time = Int64(numbers[0]), let sequence = Int64(numbers[1]) else { return nil }
        self.init(position: LogPosition(time: time, sequence: sequence), isForward: parts[0] == "f")
    }

    var text: String { "\(isForward ? "f" : "b")/\(position.time).\(position.sequence)/s" }

    /// 56 digits that grow with time and arrival.
    var eventID: String {
        func digits(_ value: Int64, _ width: Int) -> String {
            let text = String(max(0, value))
            return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
        }
        return "3" + digits(position.time, 25) + digits(position.sequence, 30)
    }
}

/// The events of an answer.
enum LogPage {
    /// As many as fit into an answer's bytes.
    static func cut(_ events: [StoredEvent]) -> [StoredEvent] {
        var bytes = 0
        return Array(
            events.prefix { event in
                bytes += event.message.utf8.count + LogLimits.eventOverhead
                return bytes <= LogLimits.pageBytes || bytes == event.message.utf8.count + LogLimits.eventOverhead
            })
    }

    /// Events one answer looks at: a search that finds little goes on with the next token.
    private static let mostExamined = 20_000
    /// Events read of a stream at a time.
    private static let chunk = 1_000

    /// The events of several streams that a pattern takes, in order. `next` is where the search goes on; nil at its end.
    static func filtered(
        _ database: LogDatabase, _ streams: [LogStream], after: LogPosition, before: LogPosition, limit: Int, _ pattern: LogFilterPattern
    ) throws -> (events: [StoredEvent], next: LogPosition?) {
        let size = max(1, min(chunk, limit))
        var waiting: [(stream: Int64, events: ArraySlice<StoredEvent>, isLast: Bool)] = []
        for stream in streams {
            let events = try database.events(of: stream.id, after: after, before: before, isBackward: false, limit: size)
            if !events.isEmpty { waiting.append((stream.id, events[...], events.count < size)) }
        }
        var (found, examined, bytes): ([StoredEvent], Int, Int) = ([], 0, 0)
        while let index = waiting.indices.min(by: { head(waiting[$0].events) < head(waiting[$1].events) }),
            let event = waiting[index].events.popFirst()
        {
            examined += 1
            if pattern.matches(event.message) {
                found.append(event)
                bytes += event.message.utf8.count + LogLimits.eventOverhead
            }
            if waiting[index].events.isEmpty {
                let stream = waiting[index].stream
                let more =
                    waiting[index].isLast
                    ? [] : try database.events(of: stream, after: event.position, before: before, isBackward: false, limit: size)
                if more.isEmpty { waiting.remove(at: index) } else { waiting[index] = (stream, more[...], more.count < size) }
            }
            if found.count >= limit || examined >= mostExamined || bytes >= LogLimits.pageBytes {
                return (found, waiting.isEmpty ? nil : event.position)
            }
        }
        return (found, nil)
    }

    private static func head(_ events: ArraySlice<StoredEvent>) -> LogPosition { events.first?.position ?? .last }
}
