import AWSProtocol
import HTTPTransport
import Synchronization

/// What a session follows. Upstream: logs StartLiveTailRequest.
struct LiveTailFilter: Sendable {
    /// Names of log groups, with the identifiers that were given for them.
    var groups: [String: String]
    var streamNames: Set<String> = []
    var streamPrefixes: [String] = []
    var pattern: LogFilterPattern

    func takes(group: String, stream: String) -> Bool {
        guard groups[group] != nil else { return false }
        if streamNames.isEmpty, streamPrefixes.isEmpty { return true }
        return streamNames.contains(stream) || streamPrefixes.contains { stream.hasPrefix($0) }
    }
}

/// An event on its way to a session. Upstream: logs LiveTailSessionLogEvent.
struct LiveTailEvent: Sendable, Equatable {
    var group: String
    var stream: String
    var event: LogEvent
    var ingestedAt: Int64
}

/// Sessions that are told of new events as soon as they are on the disk. Upstream: CloudWatch Logs User Guide, "Troubleshoot with CloudWatch Logs Live
/// Tail".
final class LiveTails: Sendable {
    /// Upstream: "Concurrent Live Tail sessions", 15 for an account.
    static let mostSessions = 15
    /// Events of one update; more are sampled.
    static let mostEvents = 500

    private struct Session {
        var filter: LiveTailFilter
        var waiting: [LiveTailEvent] = []
        var isSampled = false
    }

    private let sessions = Mutex<[String: Session]>([:])

    /// Throws LimitExceededException.
    func checkRoom() throws(AWSError) {
        guard sessions.withLock({ $0.count }) < Self.mostSessions else {
            throw AWSError("LimitExceededException", "The account has \(Self.mostSessions) Live Tail sessions.")
        }
    }

    func begin(_ id: String, _ filter: LiveTailFilter) { sessions.withLock { $0[id] = Session(filter: filter) } }

    func end(_ id: String) { sessions.withLock { _ = $0.removeValue(forKey: id) } }

    /// Tells the sessions of events of one stream.
    func publish(_ events: some Sequence<LogEvent>, group: String, stream: String, ingestedAt: Int64) {
        sessions.withLock { sessions in
            for (id, session) in sessions where session.filter.takes(group: group, stream: stream) {
                for event in events where session.filter.pattern.matches(event.message) {
                    guard sessions[id]?.waiting.count ?? 0 < Self.mostEvents else {
                        sessions[id]?.isSampled = true
                        break
                    }
                    sessions[id]?.waiting.append(LiveTailEvent(group: group, stream: stream, event: event, ingestedAt: ingestedAt))
                }
            }
        }
    }

    /// What came for a session since it was asked last.
    func take(_ id: String) -> (events: [LiveTailEvent], isSampled: Bool) {
        sessions.withLock { sessions in
            guard let session = sessions[id] else { return ([], false) }
            sessions[id]?.waiting = []
            sessions[id]?.isSampled = false
            return (session.waiting, session.isSampled)
        }
    }
}

extension LogsCall {
    private static let mostGroups = 10
    /// Upstream: a session lasts three hours at most, and is told of events once a second.
    private static let longestSession = Duration.seconds(3 * 3600)
    private static let interval = Duration.seconds(1)

    /// Begins a session, whose answer is a stream of events. Throws ResourceNotFoundException, InvalidParameterException, LimitExceededException,
    /// `AccessDenial`. Upstream: logs StartLiveTail.
    func startLiveTail() async throws -> AWSResponse {
        let (identifiers, names, prefixes) = (
            try call.strings("logGroupIdentifiers"), try call.strings("logStreamNames"), try call.strings("logStreamNamePrefixes")
        )
        guard (1...Self.mostGroups).contains(identifiers.count) else {
            throw call.invalid("logGroupIdentifiers must name 1 to \(Self.mostGroups) log groups")
        }
        guard names.isEmpty || prefixes.isEmpty else {
            throw call.invalid("logStreamNames and logStreamNamePrefixes are mutually exclusive parameters.")
        }
        guard identifiers.count == 1 || (names.isEmpty && prefixes.isEmpty) else {
            throw call.invalid("Log streams can be named for one log group only.")
        }
        var filter = LiveTailFilter(
            groups: [:], streamNames: Set(names), streamPrefixes: prefixes,
            pattern: try LogFilterPattern(try call.string("logEventFilterPattern") ?? ""))
        for identifier in identifiers {
            let name = identifier.hasPrefix("arn:") ? try groupName(inARN: identifier) : identifier
            try await service.authorizer.authorize(
                call.request.caller, action: "logs:StartLiveTail", resource: service.groupARN(name), context: call.request.conditionContext)
            _ = try await store.read { try $0.requireGroup(name) }
            filter.groups[name] = service.groupARN(name)
        }
        let id = AWSIdentifier.uuid()
        let (tails, wanted) = (store.tails, filter)
        try tails.checkRoom()
        let start = call.started(id)
        var response = AWSResponse(contentType: EventStreamMessage.contentType, body: [])
        response.stream = { writer in
            // Its client knows that it has begun by its first event.
            tails.begin(id, wanted)
            defer { tails.end(id) }
            try await writer.write(
                EventStreamMessage.event("initial-response", [:]).encoded + EventStreamMessage.event("sessionStart", start).encoded)
            let end = ContinuousClock.now + Self.longestSession
            while ContinuousClock.now < end {
                try await Task.sleep(for: Self.interval)
                let (events, isSampled) = tails.take(id)
                try await writer.write(EventStreamMessage.event("sessionUpdate", Self.update(events, isSampled, wanted)).encoded)
            }
            try await writer.write(
                EventStreamMessage.exception("SessionTimeoutException", message: "The session has ended after three hours.").encoded)
        }
        return response
    }

    private static func update(_ events: [LiveTailEvent], _ isSampled: Bool, _ filter: LiveTailFilter) -> AWSJSON {
        let results = events.map { found -> AWSJSON in
            [
                "logGroupIdentifier": .string(filter.groups[found.group] ?? found.group), "logStreamName": .string(found.stream),
                "message": .string(found.event.message), "timestamp": .integer(Int(found.event.timestamp)),
                "ingestionTime": .integer(Int(found.ingestedAt)),
            ]
        }
        return ["sessionMetadata": ["sampled": .bool(isSampled)], "sessionResults": .array(results)]
    }
}

extension JSONCall {
    /// Upstream: logs LiveTailSessionStart.
    fileprivate func started(_ id: String) -> AWSJSON {
        var members: [String: AWSJSON] = ["requestId": .string(request.requestID), "sessionId": .string(id)]
        for name in ["logGroupIdentifiers", "logStreamNames", "logStreamNamePrefixes", "logEventFilterPattern"] { members[name] = input[name] }
        return .object(members)
    }
}
