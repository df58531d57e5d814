/// A pattern as parsed. Upstream: regexp/syntax.Regexp.
indirect enum PatternNode {
    case empty
    case literal(UInt32)
    case set(ScalarSet)
    case beginLine, endLine, beginText, endText, wordBoundary, noWordBoundary
    case capture(PatternNode, Int)
    case `repeat`(PatternNode, min: Int, max: Int?, greedy: Bool)
    case concatenation([PatternNode])
    case alternation([PatternNode])
}

/// A set of code points as sorted ranges that neither touch nor overlap.
struct ScalarSet: Sendable, Equatable {
    private(set) var ranges: [ClosedRange<UInt32>]
    static let last: UInt32 = 0x10FFFF

    init(_ ranges: [ClosedRange<UInt32>]) {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let before = merged.last, range.lowerBound <= before.upperBound &+ 1 {
                merged[merged.count - 1] = before.lowerBound...max(before.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        self.ranges = merged
    }

    var inverted: ScalarSet {
        var out: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { out.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= Self.last { out.append(next...Self.last) }
        return ScalarSet(out)
    }

    func contains(_ scalar: UInt32) -> Bool {
        if ranges.count <= 4 { return ranges.contains { $0.contains(scalar) } }
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < scalar { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].lowerBound <= scalar
    }

    static let all = ScalarSet([0...last])
    static let allButNewline = ScalarSet([0...9, 11...last])
    static let digits = ScalarSet([48...57])
    static let spaces = ScalarSet([9...10, 12...13, 32...32])
    static let word = ScalarSet([48...57, 65...90, 95...95, 97...122])

    /// POSIX classes by their names in brackets.
    static let posix: [String: ScalarSet] = [
        "alnum": ScalarSet([48...57, 65...90, 97...122]), "alpha": ScalarSet([65...90, 97...122]), "ascii": ScalarSet([0...127]),
        "blank": ScalarSet([9...9, 32...32]), "cntrl": ScalarSet([0...31, 127...127]), "digit": digits, "graph": ScalarSet([33...126]),
        "lower": ScalarSet([97...122]), "print": ScalarSet([32...126]), "punct": ScalarSet([33...47, 58...64, 91...96, 123...126]),
        "space": ScalarSet([9...13, 32...32]), "upper": ScalarSet([65...90]), "word": word, "xdigit": ScalarSet([48...57, 65...70, 97...102]),
    ]
}
