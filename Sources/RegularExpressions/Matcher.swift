/// Runs a program over a text: one pass, with a list of the places the machine can be in. Upstream: regexp.machine.
struct Matcher {
    let program: Program

    /// The code point at a place and how many bytes it takes; a byte that is no UTF-8 is U+FFFD.
    static func decode(_ b: UnsafeBufferPointer<UInt8>, _ at: Int) -> (scalar: UInt32, length: Int) {
        let first = b[at]
        if first < 0x80 { return (UInt32(first), 1) }
        let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        guard first >= 0xC2, at + length <= b.count else { return (0xFFFD, 1) }
        var value = UInt32(first) & (length == 2 ? 0x1F : length == 3 ? 0x0F : 0x07)
        for offset in 1..<length { value = value << 6 | UInt32(b[at + offset] & 0x3F) }
        return (value, length)
    }

    /// The places the machine can be in, in order of preference, with a fast test of membership.
    private struct Threads {
        var order: [Int] = []
        private var sparse: [Int]

        init(_ count: Int) {
            order.reserveCapacity(min(count, 256))
            sparse = [Int](repeating: 0, count: count)
        }

        /// False when the place is in the list already.
        mutating func insert(_ place: Int) -> Bool {
            let index = sparse[place]
            if index < order.count, order[index] == place { return false }
            sparse[place] = order.count
            order.append(place)
            return true
        }
        mutating func clear() { order.removeAll(keepingCapacity: true) }
    }

    private func holds(_ assertion: Program.Assertion, _ b: UnsafeBufferPointer<UInt8>, _ at: Int) -> Bool {
        func isWord(_ index: Int) -> Bool { index >= 0 && index < b.count && ScalarSet.word.contains(UInt32(b[index])) }
        switch assertion {
        case .beginText: return at == 0
        case .endText: return at == b.count
        case .beginLine: return at == 0 || b[at - 1] == 10
        case .endLine: return at == b.count || b[at] == 10
        case .wordBoundary: return isWord(at - 1) != isWord(at)
        case .noWordBoundary: return isWord(at - 1) == isWord(at)
        }
    }

    /// Whether the program matches anywhere.
    func matches(_ b: UnsafeBufferPointer<UInt8>) -> Bool {
        program.instructions.withUnsafeBufferPointer { code in
            var current = Threads(code.count)
            var next = Threads(code.count)
            var pending: [Int] = []
            func add(_ start: Int, _ list: inout Threads, _ at: Int) -> Bool {
                pending.append(start)
                while let place = pending.popLast() {
                    guard list.insert(place) else { continue }
                    switch code[place] {
                    case .jump(let to): pending.append(to)
                    case .split(let first, let second):
                        pending.append(second)
                        pending.append(first)
                    case .save(_, let to): pending.append(to)
                    case .assert(let assertion, let to): if holds(assertion, b, at) { pending.append(to) }
                    case .match:
                        pending.removeAll(keepingCapacity: true)
                        return true
                    case .scalar, .set: break
                    }
                }
                return false
            }
            var at = 0
            while true {
                if at == 0 || !program.isAnchored { if add(0, &current, at) { return true } }
                if current.order.isEmpty || at >= b.count { return false }
                let (scalar, length) = Self.decode(b, at)
                next.clear()
                for place in current.order {
                    switch code[place] {
                    case .scalar(let wanted, let to): if wanted == scalar, add(to, &next, at + length) { return true }
                    case .set(let set, let to): if set.contains(scalar), add(to, &next, at + length) { return true }
                    default: break
                    }
                }
                swap(&current, &next)
                at += length
            }
        }
    }

    private enum Step {
        case visit(Int)
        /// Puts a saved bound back after the alternatives behind it are done.
        case restore(Int, Int)
    }

    /// The leftmost match that begins at `from` or later: its bounds and those of its groups.
    func find(_ b: UnsafeBufferPointer<UInt8>, from: Int) -> [Int]? {
        program.instructions.withUnsafeBufferPointer { code in
            var current = Threads(code.count)
            var next = Threads(code.count)
            /// Bounds by thread, in the order of the lists.
            var currentBounds: [Int: [Int]] = [:]
            var nextBounds: [Int: [Int]] = [:]
            var matched: [Int]?
            var pending: [Step] = []
            func add(_ start: Int, _ list: inout Threads, _ bounds: inout [Int: [Int]], _ at: Int, _ initial: [Int]) {
                var saved = initial
                pending.append(.visit(start))
                while let step = pending.popLast() {
                    guard case .visit(let place) = step else {
                        if case .restore(let slot, let value) = step { saved[slot] = value }
                        continue
                    }
                    guard list.insert(place) else { continue }
                    switch code[place] {
                    case .jump(let to): pending.append(.visit(to))
                    case .split(let first, let second):
                        pending.append(.visit(second))
                        pending.append(.visit(first))
                    case .save(let slot, let to):
                        pending.append(.restore(slot, saved[slot]))
                        saved[slot] = at
                        pending.append(.visit(to))
                    case .assert(let assertion, let to): if holds(assertion, b, at) { pending.append(.visit(to)) }
                    case .match, .scalar, .set: bounds[place] = saved
                    }
                }
            }
            var at = from
            while true {
                if matched == nil, at == 0 || !program.isAnchored {
                    var initial = [Int](repeating: -1, count: program.groups * 2)
                    initial[0] = at
                    add(0, &current, &currentBounds, at, initial)
                }
                if current.order.isEmpty { break }
                let (scalar, length) = at < b.count ? Self.decode(b, at) : (0, 0)
                next.clear()
                nextBounds.removeAll(keepingCapacity: true)
                threads: for place in current.order {
                    switch code[place] {
                    case .match:
                        var bounds = currentBounds[place] ?? []
                        if bounds.count > 1 { bounds[1] = at }
                        matched = bounds
                        break threads  // What stands behind is less preferred.
                    case .scalar(let wanted, let to) where at < b.count:
                        if wanted == scalar { add(to, &next, &nextBounds, at + length, currentBounds[place] ?? []) }
                    case .set(let set, let to) where at < b.count:
                        if set.contains(scalar) { add(to, &next, &nextBounds, at + length, currentBounds[place] ?? []) }
                    default: break
                    }
                }
                swap(&current, &next)
                swap(&currentBounds, &nextBounds)
                if at >= b.count { break }
                at += length
            }
            return matched
        }
    }
}
