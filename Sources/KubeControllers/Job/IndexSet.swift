/// Completion indexes in their text form, `0-2,5`. Upstream: orderedIntervals.
struct IndexSet: Sendable, Equatable {
    /// Sorted, apart from each other.
    private(set) var ranges: [ClosedRange<Int>] = []

    init() {}
    init(_ indexes: some Sequence<Int>) { for index in indexes { insert(index) } }

    /// Parts that are no numbers are left out.
    init(text: String) {
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last else { continue }
            add(first...last)
        }
    }

    var isEmpty: Bool { ranges.isEmpty }
    var count: Int { ranges.reduce(0) { $0 + $1.count } }
    func contains(_ index: Int) -> Bool { ranges.contains { $0.contains(index) } }
    mutating func insert(_ index: Int) { add(index...index) }
    mutating func formUnion(_ other: IndexSet) { for range in other.ranges { add(range) } }

    /// The indexes less than `bound`.
    func below(_ bound: Int) -> IndexSet {
        var kept = IndexSet()
        kept.ranges = ranges.filter { $0.lowerBound < bound }.map { $0.lowerBound...min($0.upperBound, bound - 1) }
        return kept
    }

    /// How many indexes are in both. Upstream: matchSucceededIndexesRule.
    func intersectionCount(_ other: IndexSet) -> Int {
        var (mine, theirs, count) = (0, 0, 0)
        while mine < ranges.count, theirs < other.ranges.count {
            let (a, b) = (ranges[mine], other.ranges[theirs])
            count += max(0, min(a.upperBound, b.upperBound) - max(a.lowerBound, b.lowerBound) + 1)
            if a.upperBound <= b.upperBound { mine += 1 }
            if b.upperBound <= a.upperBound { theirs += 1 }
        }
        return count
    }

    private mutating func add(_ range: ClosedRange<Int>) {
        var merged = range
        var kept: [ClosedRange<Int>] = []
        for old in ranges {
            // Ranges that touch become one; the bounds are far from Int's own.
            if old.upperBound &+ 1 < merged.lowerBound || merged.upperBound &+ 1 < old.lowerBound {
                kept.append(old)
            } else {
                merged = min(old.lowerBound, merged.lowerBound)...max(old.upperBound, merged.upperBound)
            }
        }
        kept.append(merged)
        ranges = kept.sorted { $0.lowerBound < $1.lowerBound }
    }

    var text: String {
        ranges.map { range in
            switch range.count {
            case 1: "\(range.lowerBound)"
            case 2: "\(range.lowerBound),\(range.upperBound)"
            default: "\(range.lowerBound)-\(range.upperBound)"
            }
        }.joined(separator: ",")
    }
}
