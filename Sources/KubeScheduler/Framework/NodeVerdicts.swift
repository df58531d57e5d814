/// Everything of a pod that plugins read which look at one node and nothing else: pods with the same needs get the same answers of them.
struct NodeNeeds: Sendable, Hashable {
    var requests: Resource
    var nonZeroRequests: Resource
    var hostPorts: [HostPort]
    var tolerations: [Toleration]
    var nodeAffinity: RequiredNodeAffinity
    var preferredNodes: [PreferredNodes]
}

/// What plugins that look at one node only said of each node about pods with certain needs. An answer holds until the node changes, and a decision
/// changes one node: so the next pod of a Deployment asks about that one and reads the rest. Upstream: the equivalence classes of "opportunistic
/// batching" (KEP 5598) have the same aim.
struct NodeVerdicts: Sendable {
    /// The answers about pods of one kind.
    struct Table: Sendable {
        /// By node's place: the node's version of which the answer is.
        private var versions: [UInt64] = []
        private var verdicts: [Verdict] = []
        /// By plugin of `Profile.scores`, then by node's place; empty for a plugin that was not asked.
        private var scores: [[Int32]]
        /// What was said against nodes.
        private(set) var rejections: [(plugin: String, rejection: Rejection)] = []

        fileprivate init(scorers: Int) { scores = [[Int32]](repeating: [], count: scorers) }

        /// Makes room for nodes that came since.
        mutating func grow(_ count: Int) {
            guard versions.count < count else { return }
            let more = count - versions.count
            versions += [UInt64](repeating: 0, count: more)
            verdicts += [Verdict](repeating: .absent, count: more)
            for plugin in scores.indices where !scores[plugin].isEmpty {
                scores[plugin] += [Int32](repeating: NodeVerdicts.unknown, count: more)
            }
        }

        /// The answer about a node as it is; `judge` is asked when there is none.
        mutating func verdict(_ place: Int, _ version: UInt64, _ judge: (Int) -> (isPresent: Bool, rejection: (String, Rejection)?)) -> Verdict {
            if versions[place] == version { return verdicts[place] }
            let (isPresent, rejection) = judge(place)
            let verdict: Verdict = isPresent ? rejection.map { number(of: $0.0, $0.1) } ?? .fits : .absent
            versions[place] = version
            verdicts[place] = verdict
            for plugin in scores.indices where !scores[plugin].isEmpty { scores[plugin][place] = NodeVerdicts.unknown }
            return verdict
        }

        /// A plugin's score of a node whose verdict was asked for; `compute` is asked when there is none.
        mutating func score(_ plugin: Int, _ place: Int, _ compute: (Int) -> Int64) -> Int64 {
            if scores[plugin].isEmpty { scores[plugin] = [Int32](repeating: NodeVerdicts.unknown, count: versions.count) }
            let known = scores[plugin][place]
            if known != NodeVerdicts.unknown { return Int64(known) }
            let score = compute(place)
            scores[plugin][place] = Int32(clamping: score)
            return score
        }

        private mutating func number(of plugin: String, _ rejection: Rejection) -> Verdict {
            if let place = rejections.firstIndex(where: { $0.plugin == plugin && $0.rejection == rejection }) { return .rejected(place) }
            rejections.append((plugin, rejection))
            return .rejected(rejections.count - 1)
        }
    }

    /// One answer.
    struct Verdict: Sendable, Equatable {
        private let code: Int32
        static let fits = Verdict(code: -1)
        /// The node is not there.
        static let absent = Verdict(code: -2)
        static func rejected(_ place: Int) -> Verdict { Verdict(code: Int32(truncatingIfNeeded: place)) }
        /// The place of what was said in `Table.rejections`.
        var rejection: Int? { code >= 0 ? Int(code) : nil }
        private init(code: Int32) { self.code = code }
    }

    /// No plugin's score: they are 0 at least, before they are brought to the scale.
    private static let unknown = Int32.min
    /// Kinds of pods kept at most; each costs 28 bytes a node.
    private static let limit = 128

    /// Pods of one shape, and those that name one node.
    private struct Key: Hashable {
        var shape: ObjectIdentifier
        var nodeName: String
    }

    private var places: [Key: Int] = [:]
    /// Kept so that no other shape is taken for them.
    private var shapes: [PodShape] = []
    private var tables: [Table] = []

    /// The place of the answers about pods like `pod`.
    mutating func table(_ pod: PodInfo, nodes: Int, scorers: Int) -> Int {
        let key = Key(shape: ObjectIdentifier(pod.shape), nodeName: pod.nodeName)
        if let place = places[key] {
            tables[place].grow(nodes)
            return place
        }
        if tables.count >= Self.limit { self = NodeVerdicts() }
        var table = Table(scorers: scorers)
        table.grow(nodes)
        places[key] = tables.count
        shapes.append(pod.shape)
        tables.append(table)
        return tables.count - 1
    }

    subscript(_ place: Int) -> Table {
        get { tables[place] }
        _modify { yield &tables[place] }
    }
}
