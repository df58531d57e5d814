/// The values that nodes have of one label, numbered: nodes with the same number are one place, and what is counted by place is an array. Kept as
/// nodes come, change and go. A number is used again once no node has its value, and then nothing is counted under it.
struct Topology: Sendable {
    /// The number of nodes without the label, or that are not present.
    static let none: Int32 = -1

    let key: String
    private var numbers: [String: Int32] = [:]
    private var names: [String] = []
    private var free: [Int32] = []
    /// By the node's place in the cache.
    private(set) var values: [Int32] = []
    /// Nodes by the number of their value.
    private(set) var nodes: [Int32] = []
    /// Nodes that are present and have no such label.
    private(set) var unlabelled = 0

    init(key: String, nodes: [NodeInfo]) {
        self.key = key
        for node in nodes {
            append()
            if node.isPresent { enter(node.place, node.labels[key]) }
        }
    }

    /// Numbers in use or used before: arrays of counts need not be longer.
    var size: Int { nodes.count }
    /// Values that some node has.
    var valueCount: Int { numbers.count }

    /// A node that is not present yet takes the last place.
    mutating func append() { values.append(Self.none) }

    /// A node becomes present.
    mutating func enter(_ place: Int, _ value: String?) {
        guard let value else {
            unlabelled += 1
            return
        }
        let number = number(of: value)
        values[place] = number
        nodes[Int(number)] += 1
    }

    /// A node that was present no longer is, or is about to enter with other labels.
    mutating func leave(_ place: Int) {
        let number = values[place]
        guard number != Self.none else {
            unlabelled -= 1
            return
        }
        values[place] = Self.none
        nodes[Int(number)] -= 1
        guard nodes[Int(number)] == 0 else { return }
        numbers[names[Int(number)]] = nil
        free.append(number)
    }

    /// The last node takes the place of one that is not present.
    mutating func moveLast(to place: Int) {
        let last = values.removeLast()
        if place < values.count { values[place] = last }
    }

    private mutating func number(of value: String) -> Int32 {
        if let number = numbers[value] { return number }
        let number = free.popLast() ?? Int32(truncatingIfNeeded: nodes.count)
        numbers[value] = number
        if Int(number) < nodes.count {
            names[Int(number)] = value
        } else {
            nodes.append(0)
            names.append(value)
        }
        return number
    }
}

/// Pods counted by place: what plugins ask about a node.
struct PlaceCounts: Sendable {
    /// See `Topology.values`.
    var values: [Int32]
    /// By number; what is behind the end counts as 0.
    var counts: [Int32]

    /// The pods in a node's place; nil for a node without the label.
    func count(_ node: NodeInfo) -> Int? {
        let number = values[node.place]
        guard number != Topology.none else { return nil }
        return Int(number) < counts.count ? Int(counts[Int(number)]) : 0
    }

    var isEmpty: Bool { !counts.contains { $0 > 0 } }

    static func add(_ change: Int, at number: Int32, to counts: inout [Int32]) {
        let index = Int(number)
        if index >= counts.count { counts += [Int32](repeating: 0, count: index + 1 - counts.count) }
        counts[index] += Int32(truncatingIfNeeded: change)
    }
}
