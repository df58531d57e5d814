import KubeAPI

/// The recent events of a watch cache, each with a sequence number; the oldest are dropped. A value type.
struct EventWindow: Sendable {
    struct Record: Sendable {
        var kind: StoreEvent.Kind
        var key: String
        /// After the change; of a deletion the last object, with the deletion's revision.
        var object: Object
        /// Before the change; nil when the object is new.
        var old: Object?
        var revision: Int64
        var time: ContinuousClock.Instant
    }

    /// Dropped records are removed from the array in batches of this many.
    private static let removedAtOnce = 512

    private let limits: WatchCache.Limits
    private var records: [Record] = []
    /// Of the objects in the window; one that stands as new and as old counts once.
    private var bytes = 0
    /// Records at the front of `records` that were dropped and not yet removed from the array.
    private var head = 0
    /// The sequence number of the record at `head`.
    private(set) var firstSequence: UInt64 = 0
    /// Events up to this revision may be missing.
    private(set) var droppedThrough: Int64

    init(limits: WatchCache.Limits, completeAfter revision: Int64) {
        self.limits = limits
        droppedThrough = revision
    }

    var count: Int { records.count - head }
    /// The sequence number of the next event.
    var endSequence: UInt64 { firstSequence &+ UInt64(count) }

    mutating func append(_ record: Record) {
        records.append(record)
        bytes += record.object.bytes.count
        while count > limits.events || (count > 1 && bytes > limits.bytes)
            || (count > limits.eventsKept && records[head].time.duration(to: record.time) > limits.age)
        {
            droppedThrough = records[head].revision
            bytes -= records[head].object.bytes.count
            head += 1
            firstSequence &+= 1
        }
        // Dropped records let go of their objects only here: in batches, so that an append costs little on average.
        if head >= min(Self.removedAtOnce, max(1, count)) {
            records.removeFirst(head)
            head = 0
        }
    }

    /// Up to `limit` events of up to about `bytes` bytes (but one at least) from `sequence` on; nil when some of them were dropped.
    func records(from sequence: UInt64, limit: Int, bytes: Int) -> ArraySlice<Record>? {
        guard sequence >= firstSequence else { return nil }
        let start = head + Int(sequence - firstSequence)
        guard start < records.count else { return [] }
        var end = start
        var size = 0
        while end < records.count, end - start < limit, size < bytes {
            size += records[end].object.bytes.count
            end += 1
        }
        return records[start..<end]
    }

    /// All events after `revision`.
    func records(after revision: Int64) -> ArraySlice<Record> {
        let start = head + Int(sequence(after: revision) - firstSequence)
        return records[min(start, records.count)...]
    }

    /// The sequence number of the first event after `revision`.
    func sequence(after revision: Int64) -> UInt64 {
        var (low, high) = (head, records.count)
        while low < high {
            let middle = (low + high) / 2
            if records[middle].revision <= revision { low = middle + 1 } else { high = middle }
        }
        return firstSequence &+ UInt64(low - head)
    }
}
