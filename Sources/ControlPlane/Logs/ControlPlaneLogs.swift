internal import KubeAPI
internal import Logging
internal import Synchronization

/// The logs of a control plane that its user can have. Upstream: eks LogType.
package enum ControlPlaneLogType: String, CaseIterable, Sendable {
    case api
    case audit
    case authenticator
    case controllerManager
    case scheduler

    /// Upstream: EKS User Guide, "Send control plane logs to CloudWatch Logs".
    var streamPrefix: String {
        switch self {
        case .api: "kube-apiserver"
        case .audit: "kube-apiserver-audit"
        case .authenticator: "authenticator"
        case .controllerManager: "kube-controller-manager"
        case .scheduler: "kube-scheduler"
        }
    }

    fileprivate var bit: UInt8 {
        switch self {
        case .api: 1
        case .audit: 2
        case .authenticator: 4
        case .controllerManager: 8
        case .scheduler: 16
        }
    }
}

/// A line with its moment, milliseconds since 1970.
package struct ControlPlaneLogLine: Sendable, Equatable {
    package var milliseconds: Int64
    package var text: String
}

/// Takes the lines of a control plane's components, of the types that are switched on, and delivers them in batches. Writers never wait: what does not
/// fit is lost and counted. A type that is off costs a look at a bit.
package final class ControlPlaneLogs: Sendable {
    /// Writes lines to a stream, durably.
    package typealias Delivery = @Sendable (_ stream: String, _ lines: [ControlPlaneLogLine]) async throws -> Void

    /// Bytes that may wait to be delivered: some ten thousand lines.
    static let limit = 8 * 1024 * 1024
    /// Bytes and lines of one delivery. Upstream: logs PutLogEvents takes 1 MiB and 10,000 events.
    private static let batchBytes = 900_000
    private static let batchLines = 5_000
    /// Lines that come within this time go in one batch.
    private static let coalescing = Duration.milliseconds(200)
    private static let firstRetry = Duration.milliseconds(500)
    private static let longestRetry = Duration.seconds(30)

    private struct State {
        var lines: [(type: ControlPlaneLogType, line: ControlPlaneLogLine)] = []
        var bytes = 0
        var lost = 0
        var task: Task<Void, Never>?
    }

    private let enabled = Atomic<UInt8>(0)
    private let state = Mutex(State())
    private let streamID: String
    private let deliver: Delivery
    private let signal: AsyncStream<Void>
    private let signalInput: AsyncStream<Void>.Continuation
    private let logger: Logger

    /// `streamID` is 32 hexadecimal digits, one for each life of a control plane.
    package init(cluster: String, streamID: String, deliver: @escaping Delivery) {
        self.streamID = streamID
        self.deliver = deliver
        (signal, signalInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        var logger = Logger(label: "eyrie.controlplane.logs")
        logger[metadataKey: "cluster"] = "\(cluster)"
        self.logger = logger
    }

    /// Switches types on and all others off. Unknown names are none.
    package func enable(_ names: [String]) {
        let mask = names.compactMap(ControlPlaneLogType.init).reduce(UInt8(0)) { $0 | $1.bit }
        enabled.store(mask, ordering: .relaxed)
        guard mask != 0 else { return }
        state.withLock { state in
            if state.task == nil { state.task = Task { await self.run() } }
        }
    }

    /// Takes the authenticator's lines.
    package func follow(_ log: AuthenticatorLog) { log.deliver { [self] line in write(.authenticator, line.text) } }

    func isOn(_ type: ControlPlaneLogType) -> Bool { enabled.load(ordering: .relaxed) & type.bit != 0 }

    /// Takes a line, without its line break. False: it was lost.
    @discardableResult
    func write(_ type: ControlPlaneLogType, _ text: @autoclosure () -> String) -> Bool {
        guard isOn(type) else { return true }
        let line = ControlPlaneLogLine(milliseconds: Timestamp.now.microseconds / 1_000, text: text())
        let size = line.text.utf8.count
        let isTaken = state.withLock { state -> Bool in
            guard state.bytes + size <= Self.limit else {
                state.lost += 1
                return false
            }
            state.lines.append((type, line))
            state.bytes += size
            return true
        }
        signalInput.yield()
        return isTaken
    }

    /// Delivers what waits, once, and ends.
    package func close() async {
        enabled.store(0, ordering: .relaxed)
        let task = state.withLock { $0.task }
        // Cuts waits short; what waits is still delivered, once.
        task?.cancel()
        await task?.value
    }

    private func run() async {
        for await _ in signal {
            try? await Task.sleep(for: Self.coalescing)  // Cut short at the end.
            await drain(isLast: false)
        }
        await drain(isLast: true)
    }

    /// Delivers until nothing waits. What cannot be delivered is tried again, unless it is the last time.
    private func drain(isLast: Bool) async {
        var pause = Self.firstRetry
        while let (type, lines) = nextBatch() {
            do {
                try await deliver("\(type.streamPrefix)-\(streamID)", lines)
                pause = Self.firstRetry
            } catch {
                logger.warning("log lines were not delivered", metadata: ["type": "\(type)", "lines": "\(lines.count)", "error": "\(error)"])
                guard !isLast else { return }
                putBack(type, lines)
                guard !Task.isCancelled else { return }
                try? await Task.sleep(for: pause)  // Cut short at the end.
                pause = min(pause * 2, Self.longestRetry)
            }
        }
    }

    /// The oldest lines of the type that has waited longest; nil when there are none.
    private func nextBatch() -> (ControlPlaneLogType, [ControlPlaneLogLine])? {
        let (batch, lost) = state.withLock { state -> ((ControlPlaneLogType, [ControlPlaneLogLine])?, Int) in
            guard let type = state.lines.first?.type else { return (nil, 0) }
            var batch: [ControlPlaneLogLine] = []
            var bytes = 0
            var rest: [(type: ControlPlaneLogType, line: ControlPlaneLogLine)] = []
            for entry in state.lines {
                let size = entry.line.text.utf8.count
                if entry.type == type, batch.isEmpty || (bytes + size <= Self.batchBytes && batch.count < Self.batchLines) {
                    batch.append(entry.line)
                    bytes += size
                } else {
                    rest.append(entry)
                }
            }
            state.lines = rest
            state.bytes -= bytes
            defer { state.lost = 0 }
            return ((type, batch), state.lost)
        }
        if lost > 0 { logger.warning("log lines were lost: more came than could be delivered", metadata: ["lines": "\(lost)"]) }
        return batch
    }

    private func putBack(_ type: ControlPlaneLogType, _ lines: [ControlPlaneLogLine]) {
        state.withLock { state in
            state.lines.insert(contentsOf: lines.map { (type, $0) }, at: 0)
            state.bytes += lines.reduce(0) { $0 + $1.text.utf8.count }
        }
    }
}
