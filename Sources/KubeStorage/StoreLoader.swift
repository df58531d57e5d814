internal import CAllocator
internal import Dispatch
import KubeAPI
internal import Synchronization

/// Makes the objects of a store's scan, on all cores: who reads the file copies values to a batch and goes on, while others make objects of the batches before. What takes
/// the time is not parsing but memory, which the kernel hands out page by page.
///
///     scan ──▶ batch (4 MiB, reused) ──▶ workers: objects ──▶ in the order of the scan
///
/// `add` and `finish` belong to one thread at a time, which they block.
final class StoreLoader: @unchecked Sendable {
    /// Bytes of a batch: enough that handing it over costs nothing, few enough that some fit into a core's cache.
    static let batchBytes = 4 << 20
    /// Batches that are made into objects at once, or wait for it: the memory beside the objects is bounded.
    static let batchLimit = 4
    /// A store of so many bytes is loaded to huge pages; a smaller one would leave much of them empty.
    static let bulkBytes: Int64 = 64 << 20

    typealias Entry = (key: String, object: Object)

    private struct Batch: @unchecked Sendable {
        let buffer: UnsafeMutableRawBufferPointer
        var used = 0
        var values: [(key: String, place: Range<Int>, revision: Int64)] = []
    }

    private let isBulk: Bool
    private var batch: Batch?
    private var batches = 0
    private let spare = Mutex<[UncheckedBuffer]>([])
    private let room = DispatchSemaphore(value: batchLimit)
    private let workers = DispatchGroup()
    private let made = Mutex<[Int: [Entry]]>([:])

    private struct UncheckedBuffer: @unchecked Sendable { let buffer: UnsafeMutableRawBufferPointer }

    /// `sizeInBytes`: of the store, when it is known.
    init(sizeInBytes: Int64?) { isBulk = (sizeInBytes ?? 0) >= Self.bulkBytes }

    deinit {
        workers.wait()
        batch?.buffer.deallocate()
        for one in spare.withLock({ $0 }) { one.buffer.deallocate() }
    }

    /// Takes an entry over; its bytes are copied. Throws `StoreError.unavailable` for what is no JSON object.
    func add(_ key: String, _ value: UnsafeRawBufferPointer, revision: Int64) throws(StoreError) {
        guard let first = value.first, let last = value.last, first == UInt8(ascii: "{"), last == UInt8(ascii: "}") else {
            throw .unavailable("the value of \(key) is not a JSON object: the database is damaged")
        }
        if let batch, batch.used + value.count > batch.buffer.count { handOver() }
        var batch = self.batch ?? Batch(buffer: emptyBuffer(atLeast: value.count))
        self.batch = nil
        let place = batch.used..<batch.used + value.count
        UnsafeMutableRawBufferPointer(rebasing: batch.buffer[place]).copyMemory(from: value)
        batch.used = place.upperBound
        batch.values.append((key, place, revision))
        self.batch = batch
    }

    /// All entries, sorted by key.
    func finish() -> [Entry] {
        // The last one, which is the only one of a small store, needs nobody else.
        if let batch {
            self.batch = nil
            make(batch, number: batches)
            batches += 1
        }
        workers.wait()
        let made = made.withLock { made in
            defer { made = [:] }
            return made
        }
        var entries: [Entry] = []
        entries.reserveCapacity(made.values.reduce(0) { $0 + $1.count })
        for number in 0..<batches { entries += made[number] ?? [] }
        // The file is nearly in that order when names are given in order.
        let isSorted = zip(entries, entries.dropFirst()).allSatisfy { $0.key < $1.key }
        return isSorted ? entries : entries.sorted { $0.key < $1.key }
    }

    private func emptyBuffer(atLeast bytes: Int) -> UnsafeMutableRawBufferPointer {
        if bytes <= Self.batchBytes, let spare = spare.withLock({ $0.popLast() }) { return spare.buffer }
        return .allocate(byteCount: max(bytes, Self.batchBytes), alignment: 16)
    }

    private func handOver() {
        guard let batch else { return }
        self.batch = nil
        let number = batches
        batches += 1
        room.wait()
        DispatchQueue.global(qos: .userInitiated).async(group: workers) { [self] in
            make(batch, number: number)
            room.signal()
        }
    }

    private func make(_ batch: Batch, number: Int) {
        let arena = isBulk ? callocator_begin_bulk() : -1
        defer { callocator_end_bulk(arena) }
        let entries = batch.values.map { value in
            (key: value.key, object: Object(stored: UnsafeRawBufferPointer(rebasing: batch.buffer[value.place]), revision: value.revision))
        }
        made.withLock { $0[number] = entries }
        spare.withLock { $0.append(UncheckedBuffer(buffer: batch.buffer)) }
    }
}
