/// What has failed is tried again later, each time later than before.
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

    /// The pause after `count` failures in a row before this one.
    func delay(after count: Int) -> Duration {
        min(context.configuration.firstRetry * (1 << min(count, 16)), context.configuration.longestRetry)
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
