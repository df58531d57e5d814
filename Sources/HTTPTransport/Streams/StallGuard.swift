import NIOCore

/// Closes a channel when the bytes that wait to leave it have not become fewer for a while: a peer that has stopped reading must not hold a
/// connection, one that reads slowly may take its time. Belongs to the event loop.
final class StallGuard: @unchecked Sendable {
    private let channel: any Channel
    private let interval: TimeAmount
    private var waiting = Int.max
    private var timer: Scheduled<Void>?

    init(channel: any Channel, interval: TimeAmount) {
        self.channel = channel
        self.interval = interval
    }

    /// Begins to watch; a second call changes nothing.
    func start() {
        guard timer == nil else { return }
        waiting = Self.waitingBytes(channel)
        arm()
    }

    func cancel() {
        timer?.cancel()
        timer = nil
    }

    /// Bytes written to the channel that the socket has not taken; 0 when the channel does not tell.
    static func waitingBytes(_ channel: any Channel) -> Int {
        do { return try channel.syncOptions?.getOption(.bufferedWritableBytes) ?? 0 } catch { return 0 }  // A closed channel has nothing waiting.
    }

    private func arm() {
        timer = channel.eventLoop.scheduleTask(in: interval) { self.check() }
    }

    private func check() {
        let now = Self.waitingBytes(channel)
        guard now < waiting, now > 0 else { return channel.close(promise: nil) }
        waiting = now
        arm()
    }
}
