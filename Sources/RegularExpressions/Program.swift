/// A pattern as instructions of a machine that follows all alternatives at once. Upstream: regexp/syntax.Prog.
struct Program: Sendable {
    enum Instruction: Sendable {
        case scalar(UInt32, next: Int)
        case set(ScalarSet, next: Int)
        /// The first alternative is preferred.
        case split(Int, Int)
        case jump(Int)
        case save(Int, next: Int)
        case assert(Assertion, next: Int)
        case match
    }

    enum Assertion: Sendable { case beginLine, endLine, beginText, endText, wordBoundary, noWordBoundary }

    private(set) var instructions: [Instruction] = []
    let groups: Int
    /// Whether every match begins at the text's begin: then later starts are not tried.
    let isAnchored: Bool
    private let pattern: String

    init(_ node: PatternNode, groups: Int, pattern: String) throws(RegularExpressionError) {
        self.groups = groups
        self.pattern = pattern
        isAnchored = Self.beginsAnchored(node)
        try emit(node)
        instructions.append(.match)
    }

    private static func beginsAnchored(_ node: PatternNode) -> Bool {
        switch node {
        case .beginText: true
        case .capture(let inner, _): beginsAnchored(inner)
        case .concatenation(let parts): parts.first.map(beginsAnchored) ?? false
        case .alternation(let branches): branches.allSatisfy(beginsAnchored)
        default: false
        }
    }

    private mutating func append(_ instruction: Instruction) throws(RegularExpressionError) {
        if instructions.count >= RegularExpressionLimits.instructions { throw RegularExpressionError(code: .tooLarge, expression: pattern) }
        instructions.append(instruction)
    }

    private mutating func emit(_ node: PatternNode) throws(RegularExpressionError) {
        let next = instructions.count + 1
        switch node {
        case .empty: break
        case .literal(let scalar): try append(.scalar(scalar, next: next))
        case .set(let set): try append(.set(set, next: next))
        case .beginLine: try append(.assert(.beginLine, next: next))
        case .endLine: try append(.assert(.endLine, next: next))
        case .beginText: try append(.assert(.beginText, next: next))
        case .endText: try append(.assert(.endText, next: next))
        case .wordBoundary: try append(.assert(.wordBoundary, next: next))
        case .noWordBoundary: try append(.assert(.noWordBoundary, next: next))
        case .capture(let inner, let number):
            try append(.save(number * 2, next: next))
            try emit(inner)
            try append(.save(number * 2 + 1, next: instructions.count + 1))
        case .concatenation(let parts): for part in parts { try emit(part) }
        case .alternation(let branches):
            var ends: [Int] = []
            for (index, branch) in branches.enumerated() {
                guard index + 1 < branches.count else {
                    try emit(branch)
                    continue
                }
                let split = instructions.count
                try append(.split(split + 1, 0))
                try emit(branch)
                ends.append(instructions.count)
                try append(.jump(0))
                instructions[split] = .split(split + 1, instructions.count)
            }
            for end in ends { instructions[end] = .jump(instructions.count) }
        case .repeat(let inner, let low, let high, let greedy):
            for _ in 0..<low { try emit(inner) }
            func fork(_ body: Int, _ past: Int) -> Instruction { greedy ? .split(body, past) : .split(past, body) }
            guard let high else {
                let split = instructions.count
                try append(.split(0, 0))
                try emit(inner)
                try append(.jump(split))
                instructions[split] = fork(split + 1, instructions.count)
                return
            }
            var splits: [Int] = []
            for _ in low..<max(high, low) {
                splits.append(instructions.count)
                try append(.split(0, 0))
                try emit(inner)
            }
            for split in splits { instructions[split] = fork(split + 1, instructions.count) }
        }
    }
}
