package import KubeAPI

/// Who holds a Lease, and since when. Upstream: resourcelock.LeaderElectionRecord.
package struct LeaderElectionRecord: Sendable, Equatable {
    /// Empty when it was given back.
    package var holderIdentity: String
    package var leaseDurationSeconds: Int64
    package var acquireTime: Timestamp?
    package var renewTime: Timestamp?
    /// How often the holder has changed.
    package var leaderTransitions: Int64

    package init(
        holderIdentity: String, leaseDurationSeconds: Int64, acquireTime: Timestamp?, renewTime: Timestamp?, leaderTransitions: Int64 = 0
    ) {
        self.holderIdentity = holderIdentity
        self.leaseDurationSeconds = leaseDurationSeconds
        self.acquireTime = acquireTime
        self.renewTime = renewTime
        self.leaderTransitions = leaderTransitions
    }

    /// Reads a Lease. Upstream: LeaseSpecToLeaderElectionRecord.
    package init(_ lease: Object) {
        let spec = lease["spec"]
        self.init(
            holderIdentity: spec["holderIdentity"].string ?? "", leaseDurationSeconds: spec["leaseDurationSeconds"].int ?? 0,
            acquireTime: spec["acquireTime"].string.flatMap(Timestamp.init(rfc3339:)),
            renewTime: spec["renewTime"].string.flatMap(Timestamp.init(rfc3339:)), leaderTransitions: spec["leaseTransitions"].int ?? 0)
    }

    /// Writes itself into a Lease, whose other fields stay. Upstream: LeaderElectionRecordToLeaseSpec.
    package func write(into lease: inout Value) {
        lease[path: "spec", "holderIdentity"] = .string(holderIdentity)
        lease[path: "spec", "leaseDurationSeconds"] = .int(leaseDurationSeconds)
        lease[path: "spec", "acquireTime"] = acquireTime.map { .string($0.rfc3339Micro) }
        lease[path: "spec", "renewTime"] = renewTime.map { .string($0.rfc3339Micro) }
        lease[path: "spec", "leaseTransitions"] = .int(leaderTransitions)
    }
}

/// Decides whether one candidate may take, keep or give back a Lease, by what it saw and when it saw it: times that others wrote are never trusted,
/// only that they changed. Instants are durations on the candidate's own clock. Upstream: client-go/tools/leaderelection.LeaderElector.
package struct LeaderElection: Sendable {
    /// Upstream: LeaderElectionConfig; the defaults are those of kube-controller-manager and kube-scheduler, but for `renewInterval`.
    package struct Settings: Sendable {
        /// How long others wait after the last renewal that they saw.
        package var leaseDuration: Duration = .seconds(15)
        /// How long after its last renewal the holder stops.
        package var renewDeadline: Duration = .seconds(10)
        /// Between attempts, while it is not held or cannot be renewed.
        package var retryPeriod: Duration = .seconds(2)
        /// Between renewals. Upstream renews every `retryPeriod`. A renewal is a durable write with all that a request passes, reckoned at half a
        /// millisecond of a core and one fsync. Two Leases renewed every two seconds would be a hundred writes a second for a hundred idle clusters;
        /// at this interval they are forty, 0.02 % of a core each cluster, and two more attempts still fit in before `renewDeadline`.
        package var renewInterval: Duration = .seconds(5)
        /// Upstream: JitterFactor.
        package var jitterFactor = 1.2

        package init() {}
    }

    /// What a look at the Lease leads to.
    package enum Attempt: Sendable, Equatable {
        /// To be written over what was looked at; nobody may have written in between.
        case write(LeaderElectionRecord)
        /// Another holds it.
        case standBy(holder: String)
    }

    package let identity: String
    package let settings: Settings
    /// As last read or written.
    package private(set) var observed: LeaderElectionRecord?
    private var observedAt: Duration = .zero

    package init(identity: String, settings: Settings = Settings()) {
        self.identity = identity
        self.settings = settings
    }

    package var isLeader: Bool { observed?.holderIdentity == identity }

    /// When the holder must have stopped, unless it renews before.
    package var deadline: Duration { observedAt + settings.renewDeadline }

    /// Looks at the Lease as it was read, nil when there is none. Upstream: tryAcquireOrRenew.
    package mutating func attempt(_ found: LeaderElectionRecord?, now: Timestamp, at instant: Duration) -> Attempt {
        var record = LeaderElectionRecord(
            holderIdentity: identity, leaseDurationSeconds: settings.leaseDuration.components.seconds, acquireTime: now, renewTime: now)
        guard let found else { return .write(record) }
        if found != observed {
            observed = found
            observedAt = instant
        }
        if isLeader {
            record.acquireTime = found.acquireTime
            record.leaderTransitions = found.leaderTransitions
        } else {
            let isValid = instant < observedAt + .seconds(found.leaseDurationSeconds)
            if !found.holderIdentity.isEmpty, isValid { return .standBy(holder: found.holderIdentity) }
            // The field has 32 bits.
            record.leaderTransitions = min(Int64(Int32.max) - 1, found.leaderTransitions) + 1
        }
        return .write(record)
    }

    /// What the holder writes to renew what it wrote last, without reading it again; nil when it must read. Upstream: tryAcquireOrRenew's fast path.
    package func renewal(now: Timestamp, at instant: Duration) -> LeaderElectionRecord? {
        guard isLeader, var record = observed, instant < observedAt + .seconds(record.leaseDurationSeconds) else { return nil }
        record.leaseDurationSeconds = settings.leaseDuration.components.seconds
        record.renewTime = now
        return record
    }

    /// What the holder writes to give the Lease back; nil when it holds none. Upstream: LeaderElector.release.
    package func release(now: Timestamp) -> LeaderElectionRecord? {
        guard isLeader, let observed else { return nil }
        return LeaderElectionRecord(
            holderIdentity: "", leaseDurationSeconds: 1, acquireTime: now, renewTime: now, leaderTransitions: observed.leaderTransitions)
    }

    /// A record was written; `instant` is when that was begun.
    package mutating func wrote(_ record: LeaderElectionRecord, at instant: Duration) {
        observed = record
        observedAt = instant
    }
}
