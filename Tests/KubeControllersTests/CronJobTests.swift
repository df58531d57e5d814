import KubeAPI
import Testing

@testable import KubeControllers

private func time(_ text: String) throws -> Timestamp { try #require(Timestamp(rfc3339: text)) }

private func cronJob(_ schedule: String = "*/5 * * * *", status: Value = [:], spec change: (inout Value) -> Void = { _ in }) throws -> CronJobState {
    var spec: Value = [
        "schedule": .string(schedule), "concurrencyPolicy": "Allow", "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
        "jobTemplate": ["metadata": ["labels": ["a": "b"]], "spec": ["template": ["spec": ["containers": [["name": "c", "image": "work"]]]]]],
    ]
    change(&spec)
    return CronJobState(
        try object([
            "apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": ["name": "tick", "namespace": "default", "uid": "cron", "creationTimestamp": .string(epoch.rfc3339)], "spec": spec,
            "status": status,
        ]))
}

private func plan(_ state: CronJobState, at text: String) throws -> CronJobPlan { CronJobPlanner(state: state, now: try time(text)).plan() }

@Suite("Cron schedule")
struct CronScheduleTests {
    @Test(
        "the next time is the parser's",
        arguments: [
            ("*/15 * * * *", "", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z"),
            ("0 0 1 * *", "", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("0 12 * * MON-FRI", "", "2026-01-02T12:00:00Z", "2026-01-05T12:00:00Z"),
            // Day and weekday both chosen: either will do.
            ("0 0 13 * 5", "", "2026-01-03T00:00:00Z", "2026-01-09T00:00:00Z"),
            ("0 0 29 2 *", "", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("@daily", "", "2026-01-01T10:00:00Z", "2026-01-02T00:00:00Z"), ("@every 90s", "", "2026-01-01T10:00:00Z", "2026-01-01T10:01:30Z"),
            ("0 9 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z"),
            ("0 9 * * *", "Europe/Berlin", "2026-07-01T08:00:00Z", "2026-07-02T07:00:00Z"),
            ("30 6 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
            // The hour that is left out in spring has no such time; the one that comes twice in autumn has two.
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
            // Midnight does not exist on that day.
            ("0 * * * *", "Africa/Cairo", "2026-04-23T21:30:00Z", "2026-04-23T22:00:00Z"),
            // Far beyond what the database lists.
            ("0 9 * * *", "America/New_York", "2060-07-01T14:00:00Z", "2060-07-02T13:00:00Z"),
        ])
    func next(schedule: String, zone: String, after: String, expected: String) throws {
        let parsed = try #require(CronSchedule(schedule, timeZone: zone))
        #expect(parsed.next(after: try time(after))?.rfc3339 == expected)
    }

    @Test("what is no schedule is none", arguments: ["", "* * * *", "60 * * * *", "a * * * *", "*/0 * * * *", "5-1 * * * *", "@often", "@every x"])
    func bad(text: String) { #expect(CronSchedule(text, timeZone: nil) == nil) }

    @Test(
        "the last time up to now, of few and of very many",
        arguments: [
            ("*/5 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:04:59Z", nil),
            ("*/5 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z", "2026-01-01T00:05:00Z"),
            ("*/5 * * * *", "2020-01-01T00:00:00Z", "2026-01-01T00:07:00Z", "2026-01-01T00:05:00Z"),
            ("0 0 29 2 *", "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2024-02-29T00:00:00Z"),
            // Counted on from where it began.
            ("@every 90s", "2026-01-01T00:00:10Z", "2026-01-01T00:01:39Z", nil),
            ("@every 90s", "2026-01-01T00:00:10Z", "2026-01-01T00:01:40Z", "2026-01-01T00:01:40Z"),
            ("@every 1h", "2025-01-01T00:20:00Z", "2026-01-01T00:19:59Z", "2025-12-31T23:20:00Z"),
            ("@every 1h", "2027-01-01T00:20:00Z", "2026-01-01T00:19:59Z", nil),
        ] as [(String, String, String, String?)])
    func last(schedule: String, after: String, now: String, expected: String?) throws {
        let parsed = try #require(CronSchedule(schedule, timeZone: nil))
        #expect(parsed.last(after: try time(after), upTo: try time(now))?.rfc3339 == expected)
    }

    @Test("a day that never comes has no next time")
    func never() throws {
        let parsed = try #require(CronSchedule("0 0 31 2 *", timeZone: nil))
        #expect(parsed.next(after: epoch) == nil)
    }

    @Test(
        "rules for the years to come",
        arguments: [("CET-1CEST,M3.5.0,M10.5.0/3", 3600, 7200), ("<-03>3", -10800, -10800), ("AEST-10AEDT,M10.1.0,M4.1.0/3", 39600, 36000)])
    func rule(text: String, january: Int64, july: Int64) throws {
        let rule = try #require(PosixTimeZone(text))
        #expect(rule.offset(at: try time("2050-01-15T00:00:00Z").seconds) == january)
        #expect(rule.offset(at: try time("2050-07-15T00:00:00Z").seconds) == july)
    }

    @Test("files that are no zone data are refused", arguments: [[], Array("TZif".utf8), Array("TZif2".utf8) + [UInt8](repeating: 255, count: 200)])
    func garbage(bytes: [UInt8]) { #expect(TimeZone(tzif: bytes) == nil) }
}

@Suite("CronJob")
struct CronJobTests {
    @Test("a run that is due is started under a name made of its minute")
    func due() throws {
        let state = try cronJob()
        let plan = try plan(state, at: "2026-01-01T00:05:01Z")
        #expect(plan.start?.rfc3339 == "2026-01-01T00:05:00Z")
        #expect(plan.requeueAfter == 299.1)
        let job = state.job(at: try time("2026-01-01T00:05:00Z"), offset: 3600)
        #expect(job[path: "metadata", "name"]?.string == "tick-29453765")
        #expect(job[path: "metadata", "annotations", CronJobState.scheduledAnnotation]?.string == "2026-01-01T01:05:00+01:00")
        #expect(job[path: "metadata", "labels", "a"]?.string == "b")
        #expect(try KubeControllersTests.plan(state, at: "2026-01-01T00:04:00Z").start == nil)
    }

    @Test("of several missed runs only the last is started, and of very many there is a warning")
    func missed() throws {
        #expect(try plan(try cronJob(), at: "2026-01-01T01:02:00Z").start?.rfc3339 == "2026-01-01T01:00:00Z")
        let late = try plan(try cronJob(), at: "2026-03-01T01:02:00Z")
        #expect(late.start?.rfc3339 == "2026-03-01T01:00:00Z")
        #expect(late.events.map(\.reason) == ["TooManyMissedTimes"])
    }

    @Test("a run every so often is due so long after the last one, whenever it is looked at")
    func every() throws {
        let state = try cronJob("@every 1h", status: ["lastScheduleTime": "2026-01-01T01:00:00Z"])
        #expect(try plan(state, at: "2026-01-01T01:30:00Z").requeueAfter == 1800.1)
        let due = try plan(state, at: "2026-01-01T02:10:00Z")
        #expect(due.start?.rfc3339 == "2026-01-01T02:00:00Z" && due.requeueAfter == 3000.1)
        let first = try plan(try cronJob("@every 1h"), at: "2026-01-01T00:45:00Z")
        #expect(first.start == nil && first.requeueAfter == 900.1, "the first is due an hour after the creation")
        let late = try plan(state, at: "2026-02-01T02:10:00Z")
        #expect(late.start?.rfc3339 == "2026-02-01T02:00:00Z" && late.requeueAfter == 3000.1)
        #expect(late.events.map(\.reason) == ["TooManyMissedTimes"])
    }

    @Test("a schedule that is edited starts nothing before its next time; any other change is looked at now")
    func edited() throws {
        func attention(_ schedule: String, _ zone: String? = nil, suspended: Bool = false) throws -> CronJobPlanner.Attention {
            let new = try cronJob(schedule) { spec in
                if let zone { spec["timeZone"] = .string(zone) }
                if suspended { spec["suspend"] = true }
            }
            return CronJobPlanner(state: new, now: try time("2026-01-01T10:12:00Z")).attention(was: try cronJob("0 0 * * *"))
        }
        #expect(try attention("0 0 * * *") == .now)
        #expect(try attention("0 0 * * *", suspended: true) == .now)
        #expect(try attention("*/5 * * * *") == .after(180.1))
        #expect(try attention("0 0 * * *", "Europe/Berlin") == .after(46080.1), "midnight in Berlin is an hour before")
        #expect(try attention("no schedule") == .unparseable)
        #expect(try attention("0 0 31 2 *") == .now, "its sync says what is wrong with it")
    }

    @Test("a run later than its deadline is not started")
    func deadline() throws {
        let state = try cronJob("0 * * * *") { $0["startingDeadlineSeconds"] = 30 }
        #expect(try plan(state, at: "2026-01-01T01:00:20Z").start != nil)
        #expect(try plan(state, at: "2026-01-01T01:00:40Z").start == nil)
    }

    @Test("a run goes on: Forbid starts none, Replace deletes it first, Allow starts another", arguments: ["Forbid", "Replace", "Allow"])
    func concurrency(policy: String) throws {
        let status: Value = ["active": [["name": "tick-1", "uid": "u"]], "lastScheduleTime": "2026-01-01T00:05:00Z"]
        let plan = try plan(try cronJob(status: status) { $0["concurrencyPolicy"] = .string(policy) }, at: "2026-01-01T00:10:01Z")
        #expect((plan.start == nil) == (policy == "Forbid"))
        #expect(plan.replaces == (policy == "Replace" ? ["tick-1"] : []))
        if policy == "Forbid" { #expect(plan.events.map(\.reason) == ["JobAlreadyActive"]) }
    }

    @Test("suspended, of an unknown zone, or started already: nothing starts")
    func nothing() throws {
        #expect(try plan(try cronJob { $0["suspend"] = true }, at: "2026-01-01T00:05:01Z") == CronJobPlan())
        let unknown = try plan(try cronJob { $0["timeZone"] = "Mars/Olympus" }, at: "2026-01-01T00:05:01Z")
        #expect(unknown.events.map(\.reason) == ["UnknownTimeZone"])
        let done = try cronJob(status: ["lastScheduleTime": "2026-01-01T00:05:00Z"])
        #expect(try plan(done, at: "2026-01-01T00:05:01Z").start == nil)
    }

    @Test("finished Jobs beyond the limits go, oldest first")
    func history() throws {
        func finished(_ name: String, _ type: String, _ start: Int64) throws -> Object {
            try object([
                "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": .string(name)],
                "status": ["startTime": .string(epoch.adding(seconds: start).rfc3339), "conditions": [["type": .string(type), "status": "True"]]],
            ])
        }
        let jobs = try (0..<5).map { try finished("ok\($0)", "Complete", Int64(10 - $0)) } + (0..<2).map { try finished("bad\($0)", "Failed", $0) }
        #expect(CronJobHistory.surplus(try cronJob(), jobs: jobs).map(\.metadata.name) == ["ok4", "ok3", "bad0"])
    }
}
