internal import Synchronization

/// Counts of observations by size, as Prometheus has them.
package final class Histogram: Sendable {
    /// What was counted up to a moment.
    package struct Content: Sendable {
        /// Of each bucket alone, the last being what is larger than all bounds.
        package var counts: [UInt64]
        package var sum = 0.0
        package var total: UInt64 = 0

        /// Nothing yet, for as many bounds.
        package init(buckets: Int) { counts = [UInt64](repeating: 0, count: buckets + 1) }

        /// `buckets`: the same upper bounds each time.
        package mutating func observe(_ value: Double, _ buckets: [Double]) {
            var place = 0
            while place < buckets.count, place + 1 < counts.count, value > buckets[place] { place += 1 }
            counts[place] += 1
            sum += value
            total += 1
        }
    }

    package let buckets: [Double]
    private let state: Mutex<Content>

    /// `buckets`: upper bounds, growing.
    package init(buckets: [Double]) {
        self.buckets = buckets
        state = Mutex(Content(buckets: buckets.count))
    }

    package func observe(_ value: Double) { state.withLock { $0.observe(value, buckets) } }
    package var content: Content { state.withLock { $0 } }
}
