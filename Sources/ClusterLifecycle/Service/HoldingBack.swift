/// The part of failures in a row: who failed waits before it launches again.
extension Reconciler {
    /// Lets `key` launch again after a while, longer each time.
    func holdBack(_ key: ReconcileKey) {
        let count = notBefore[key]?.count ?? 0
        let delay = delay(after: count)
        notBefore[key] = (count + 1, context.clock.now + delay.inSeconds)
        wake(key, after: delay)
    }

    /// Whether `key` may not launch yet; it is looked at again when it may.
    func isHeldBack(_ key: ReconcileKey) -> Bool {
        guard let moment = notBefore[key]?.moment, moment > context.clock.now else { return false }
        wake(key, after: .seconds(moment - context.clock.now))
        return true
    }
}
