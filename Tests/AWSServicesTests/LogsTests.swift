import AWSProtocol
import Glibc
import HTTPTransport
import Synchronization
import Testing

@testable import AWSServices

/// CloudWatch Logs over a file of its own, with a clock that is moved.
private final class Logs: Sendable {
    let path: String
    let account: Account
    let store: LogStore

    init() async throws {
        path = "/tmp/logs-test-\(AWSIdentifier.hex(16)).db"
        account = try await Account()
        let time = TimeBox(1_795_399_200)
        clock = time
        store = try LogStore(path: path, clock: AWSClock { time.value })
    }

    let clock: TimeBox
    var now: Int { Int(clock.value * 1_000) }

    deinit { for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) } }

    func call(_ action: String, _ input: AWSJSON) async throws -> AWSJSON {
        let head = HTTPRequestHead(
            method: "POST", target: "/", fields: ["X-Amz-Target": "Logs_20140328." + action], authority: "x",
            connection: ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2"))
        let request = AWSRequest(
            head: head, service: "logs", region: "eu-central-1", requestID: "r", caller: try await account.caller(), query: [], body: input.encoded)
        let service = LogsService(store: store, authorizer: account.identities, account: "000000000000", region: "eu-central-1")
        let body = try await service.handle(request).body
        return body.isEmpty ? .object([:]) : try AWSJSON(parsing: body)
    }

    func code(_ action: String, _ input: AWSJSON) async throws -> String {
        do {
            _ = try await call(action, input)
            return "none"
        } catch let error as AWSError { return error.code }
    }

    func put(_ group: String, _ stream: String, _ events: [(Int, String)]) async throws -> AWSJSON {
        let list = events.map { AWSJSON.object(["timestamp": .integer($0.0), "message": .string($0.1)]) }
        return try await call("PutLogEvents", ["logGroupName": .string(group), "logStreamName": .string(stream), "logEvents": .array(list)])
    }

    func messages(_ answer: AWSJSON) -> [String] { (answer["events"]?.arrayValue ?? []).compactMap { $0["message"]?.stringValue } }
}

private final class TimeBox: Sendable {
    private let time: Mutex<Double>
    init(_ time: Double) { self.time = Mutex(time) }
    var value: Double {
        get { time.withLock { $0 } }
        set { time.withLock { $0 = newValue } }
    }
}

@Suite struct LogsTests {
    @Test("groups and streams live through their operations, with the service's refusals")
    func groups() async throws {
        let logs = try await Logs()
        #expect(try await logs.code("CreateLogGroup", ["logGroupName": "a b"]) == "InvalidParameterException")
        _ = try await logs.call("CreateLogGroup", ["logGroupName": "/aws/eks/demo/cluster", "tags": ["a": "b"]])
        #expect(try await logs.code("CreateLogGroup", ["logGroupName": "/aws/eks/demo/cluster"]) == "ResourceAlreadyExistsException")
        _ = try await logs.call("PutRetentionPolicy", ["logGroupName": "/aws/eks/demo/cluster", "retentionInDays": 7])
        #expect(
            try await logs.code("PutRetentionPolicy", ["logGroupName": "/aws/eks/demo/cluster", "retentionInDays": 8]) == "InvalidParameterException")
        let group = try #require(try await logs.call("DescribeLogGroups", ["logGroupNamePrefix": "/aws/eks"])["logGroups"]?.arrayValue?.first)
        #expect(group["retentionInDays"] == 7 && group["arn"] == "arn:aws:logs:eu-central-1:000000000000:log-group:/aws/eks/demo/cluster:*")
        #expect(try await logs.call("ListTagsForResource", ["resourceArn": group["logGroupArn"] ?? ""])["tags"] == ["a": "b"])
        _ = try await logs.call("CreateLogStream", ["logGroupName": "/aws/eks/demo/cluster", "logStreamName": "s"])
        #expect(
            try await logs.code("CreateLogStream", ["logGroupName": "/aws/eks/demo/cluster", "logStreamName": "s"])
                == "ResourceAlreadyExistsException")
        #expect(try await logs.code("CreateLogStream", ["logGroupName": "none", "logStreamName": "s"]) == "ResourceNotFoundException")
        #expect(try await logs.code("StartLiveTail", [:]) == "InvalidParameterException")
        _ = try await logs.call("DeleteLogGroup", ["logGroupName": "/aws/eks/demo/cluster"])
        #expect(try await logs.code("DeleteLogGroup", ["logGroupName": "/aws/eks/demo/cluster"]) == "ResourceNotFoundException")
    }

    @Test("lists are paged in order")
    func pages() async throws {
        let logs = try await Logs()
        for index in 0..<7 { _ = try await logs.call("CreateLogGroup", ["logGroupName": .string("g\(index)")]) }
        var (names, token): ([String], AWSJSON?) = ([], nil)
        repeat {
            let page = try await logs.call("DescribeLogGroups", .compact(["limit": 3, "nextToken": token]))
            names += (page["logGroups"]?.arrayValue ?? []).compactMap { $0["logGroupName"]?.stringValue }
            token = page["nextToken"]
        } while token != nil
        #expect(names == (0..<7).map { "g\($0)" })
        #expect(try await logs.code("DescribeLogGroups", ["nextToken": "x"]) == "InvalidParameterException")
    }

    @Test("a stream is read from both ends, and its tokens lead on")
    func reading() async throws {
        let logs = try await Logs()
        try await logs.store.put(group: "g", stream: "s", events: (0..<10).map { LogEvent(timestamp: Int64(logs.now + $0 / 2), message: "m\($0)") })
        let of: AWSJSON = ["logGroupName": "g", "logStreamName": "s", "limit": 4]
        func get(_ more: [String: AWSJSON]) async throws -> AWSJSON {
            try await logs.call("GetLogEvents", .object((of.objectValue ?? [:]).merging(more) { $1 }))
        }
        let last = try await get([:])
        #expect(logs.messages(last) == ["m6", "m7", "m8", "m9"])
        let earlier = try await get(["nextToken": last["nextBackwardToken"] ?? ""])
        #expect(logs.messages(earlier) == ["m2", "m3", "m4", "m5"])
        let first = try await get(["startFromHead": true])
        #expect(logs.messages(first) == ["m0", "m1", "m2", "m3"])
        let second = try await get(["nextToken": first["nextForwardToken"] ?? ""])
        #expect(logs.messages(second) == ["m4", "m5", "m6", "m7"])
        let end = try await get(["nextToken": last["nextForwardToken"] ?? ""])
        #expect(logs.messages(end).isEmpty && end["nextForwardToken"] == last["nextForwardToken"])
        try await logs.store.put(group: "g", stream: "s", events: [LogEvent(timestamp: Int64(logs.now + 9), message: "new")])
        #expect(logs.messages(try await get(["nextToken": end["nextForwardToken"] ?? ""])) == ["new"])
        #expect(
            logs.messages(try await get(["startFromHead": true, "startTime": .integer(logs.now + 2), "endTime": .integer(logs.now + 3)])) == [
                "m4", "m5",
            ])
    }

    @Test("batches keep the rules of order, age and size")
    func batches() async throws {
        let logs = try await Logs()
        _ = try await logs.call("CreateLogGroup", ["logGroupName": "g"])
        _ = try await logs.call("CreateLogStream", ["logGroupName": "g", "logStreamName": "s"])
        let day = 86_400_000
        let answer = try await logs.put("g", "s", [(logs.now - 15 * day, "old")])
        #expect(answer["rejectedLogEventsInfo"] == ["tooOldLogEventEndIndex": 1])
        let future = try await logs.put("g", "s", [(logs.now, "now"), (logs.now + 3 * 3_600_000, "future")])
        #expect(future["rejectedLogEventsInfo"] == ["tooNewLogEventStartIndex": 1] && future["nextSequenceToken"] != nil)
        func code(_ events: [(Int, String)]) async throws -> String {
            do {
                _ = try await logs.put("g", "s", events)
                return "none"
            } catch let error as AWSError { return error.code }
        }
        #expect(try await code([(logs.now, "b"), (logs.now - 1, "a")]) == "InvalidParameterException")
        #expect(try await code([(logs.now - day - 1, "a"), (logs.now, "b")]) == "InvalidParameterException")
        #expect(try await code([]) == "InvalidParameterException")
        #expect(try await code([(logs.now, String(repeating: "x", count: 1_048_576))]) == "InvalidParameterException")
        let found = try await logs.call("FilterLogEvents", ["logGroupName": "g"])
        #expect(logs.messages(found) == ["now"])
    }

    @Test("a group's streams are searched as one, in the order of time, page by page")
    func filtering() async throws {
        let logs = try await Logs()
        for stream in 0..<3 {
            let events = (0..<50).map {
                LogEvent(timestamp: Int64(logs.now + $0 * 3 + stream), message: "\($0 % 10 == 0 ? "ERROR" : "info") \($0 * 3 + stream)")
            }
            try await logs.store.put(group: "g", stream: "s\(stream)", events: events)
        }
        var (found, token): ([String], AWSJSON?) = ([], nil)
        repeat {
            let page = try await logs.call("FilterLogEvents", .compact(["logGroupName": "g", "limit": 7, "nextToken": token]))
            found += logs.messages(page)
            token = page["nextToken"]
        } while token != nil
        #expect(found.count == 150 && found.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } } == Array(0..<150))
        #expect(logs.messages(try await logs.call("FilterLogEvents", ["logGroupName": "g", "filterPattern": "ERROR"])).count == 15)
        let one = try await logs.call("FilterLogEvents", ["logGroupName": "g", "filterPattern": "ERROR", "logStreamNames": ["s1"]])
        #expect(logs.messages(one).count == 5 && Set((one["events"]?.arrayValue ?? []).compactMap { $0["eventId"]?.stringValue }).count == 5)
        #expect(try await logs.code("FilterLogEvents", ["logGroupName": "g", "logStreamNames": ["none"]]) == "ResourceNotFoundException")
    }

    @Test("events past the retention are gone, and what was written is there after a restart")
    func retention() async throws {
        let logs = try await Logs()
        try await logs.store.put(group: "g", stream: "s", events: [LogEvent(timestamp: Int64(logs.now), message: "a")])
        _ = try await logs.call("PutRetentionPolicy", ["logGroupName": "g", "retentionInDays": 1])
        logs.clock.value += 86_401
        #expect(logs.messages(try await logs.call("FilterLogEvents", ["logGroupName": "g"])).isEmpty)
        try await logs.store.put(group: "g", stream: "s", events: [LogEvent(timestamp: Int64(logs.now), message: "bc")])
        #expect(try await logs.call("DescribeLogGroups", [:])["logGroups"]?.arrayValue?.first?["storedBytes"] == 28)
        await logs.store.close()
        let again = try LogStore(path: logs.path)
        let events = try await again.read { database in
            let group = try database.requireGroup("g")
            return try database.events(of: try database.requireStream("s", in: group).id, after: .first, before: .last, isBackward: false, limit: 9)
        }
        #expect(events.map(\.message) == ["bc"])
        await again.close()
    }

    @Test(
        "filter patterns find what CloudWatch finds",
        arguments: [
            ("", "x", true), ("ERROR", "an ERROR here", true), ("ERROR", "an error here", false), ("ERROR ARGUMENTS", "ERROR in ARGUMENTS", true),
            ("ERROR ARGUMENTS", "ERROR", false), ("?ERROR ?WARN", "WARN", true), ("?ERROR ?WARN", "INFO", false),
            ("ERROR -ARGUMENTS", "ERROR ARGUMENTS", false),
            ("ERROR -ARGUMENTS", "ERROR", true), (#""INTERNAL SERVER""#, "500 INTERNAL SERVER ERROR", true), (#""a \"b\"""#, #"a "b""#, true),
            ("%AUTHORIZED%", "UNAUTHORIZED", true), ("%[45][0-9]{2}%", "code 503", true), (#"{ $.level = "error" }"#, #"{"level":"error"}"#, true),
            (#"{ $.level = "err*" }"#, #"{"level":"error"}"#, true), (#"{ $.level != "error" }"#, #"{"level":"info"}"#, true),
            (#"{ $.code >= 500 }"#, #"{"code":503}"#, true), (#"{ $.code >= 500 }"#, #"{"code":404}"#, false),
            (#"{ ($.a = 1 || $.b = 2) && $.c = 3 }"#, #"{"b":2,"c":3}"#, true), (#"{ $.a[0].b = x }"#, #"{"a":[{"b":"x"}]}"#, true),
            (#"{ $.a[*] = 2 }"#, #"{"a":[1,2]}"#, true), (#"{ $['a'] IS NULL }"#, #"{"a":null}"#, true), (#"{ $.a IS TRUE }"#, #"{"a":true}"#, true),
            (#"{ $.a NOT EXISTS }"#, #"{"b":1}"#, true), (#"{ $.a NOT EXISTS }"#, #"{"a":1}"#, false), (#"{ $.a = 1 }"#, "no json", false),
            (#"{ $.user.name = %^sys% }"#, #"{"user":{"name":"system:x"}}"#, true),
        ] as [(String, String, Bool)])
    func patterns(_ pattern: String, _ message: String, _ expected: Bool) throws {
        #expect(try LogFilterPattern(pattern).matches(message) == expected)
    }

    @Test(
        "patterns that cannot be read are refused",
        arguments: ["{", "{ a = 1 }", "{ $.a ~ 1 }", "[a, b]", "%x", "a&b", "{ $.a = 1 } x", "{ $.a > b }"])
    func badPatterns(_ pattern: String) { #expect(throws: AWSError.self) { try LogFilterPattern(pattern) } }
}
