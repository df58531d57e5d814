import KubeAPI
import Testing

/// Documents as large as a body may be, of as many parts as fit: what is done to them must take time in proportion, or one request holds a core for
/// minutes.
@Suite("Patches of very many parts", .timeLimit(.minutes(1)))
struct LargePatchTests {
    private static let count = 100_000
    /// Far above what a debug build needs, far below what comparing each with each would.
    private static let patience = Duration.seconds(10)

    private static func members(_ value: Value, prefix: String = "k", order: StrideTo<Int> = stride(from: 0, to: count, by: 1)) -> Value {
        .object(Members(order.map { ("\(prefix)\($0)", value) }))
    }

    private func soon<R>(_ work: () throws -> R) rethrows -> R {
        let start = ContinuousClock.now
        let result = try work()
        #expect(ContinuousClock.now - start < Self.patience)
        return result
    }

    @Test("merge patches add, change and remove")
    func mergePatch() throws {
        let document = Self.members("a")
        let more = try soon { try JSONMergePatch.apply(Self.members("b", prefix: "l"), to: document) }
        #expect(more.object?.count == 2 * Self.count && more["l7"] == "b")
        let none = try soon { try JSONMergePatch.apply(Self.members(.null), to: document) }
        #expect(none == [:])
        let difference = soon { JSONMergePatch.difference(from: document, to: Self.members("b")) }
        #expect(difference?.object?.count == Self.count)
    }

    @Test("objects are compared whatever the order of their members")
    func equality() {
        let reversed = Self.members("a", order: stride(from: Self.count - 1, to: -1, by: -1))
        #expect(soon { Self.members("a") == reversed })
        #expect(soon { Self.members("b") != reversed })
    }

    @Test("strategic patches merge members, elements by key and sets")
    func strategicPatch() throws {
        let pod = try #require(SchemaTable.shared.type(named: "api.core.v1.Pod"))
        func containers(_ prefix: String) -> Value {
            ["spec": ["containers": .array((0..<Self.count).map { ["name": .string("\(prefix)\($0)"), "image": "i"] })]]
        }
        let merged = try soon { try StrategicMergePatch.apply(containers("b"), to: containers("a"), type: pod) }
        #expect(merged[path: "spec", "containers"]?.array?.count == 2 * Self.count)
        let deletions: Value = [
            "spec": ["containers": .array((0..<Self.count).map { ["name": .string("a\($0)"), "$patch": "delete"] })]
        ]
        let emptied = try soon { try StrategicMergePatch.apply(deletions, to: containers("a"), type: pod) }
        #expect(emptied[path: "spec", "containers"] == [])
        func finalizers(_ prefix: String) -> Value {
            ["metadata": ["finalizers": Value((0..<Self.count).map { "\(prefix)\($0)" })]]
        }
        let set = try soon { try StrategicMergePatch.apply(finalizers("b"), to: finalizers("a"), type: pod) }
        #expect(set[path: "metadata", "finalizers"]?.array?.count == 2 * Self.count)
        let labels = try soon {
            try StrategicMergePatch.apply(
                ["metadata": ["labels": Self.members("b", prefix: "l")]], to: ["metadata": ["labels": Self.members("a")]], type: pod)
        }
        #expect(labels[path: "metadata", "labels"]?.object?.count == 2 * Self.count)
    }

    @Test("typed values are merged and compared")
    func typed() throws {
        let walk = TypedWalk(type: SchemaTable.shared.type(named: "api.core.v1.ConfigMap"), in: .shared)
        let before: Value = ["data": Self.members("a")]
        let after: Value = ["data": Self.members("b", order: stride(from: Self.count - 1, to: -1, by: -1))]
        let merged = soon { walk.merge(before, after) }
        #expect(merged[path: "data", "k9"] == "b")
        #expect(soon { walk.compare(before, after) }.modified.count == Self.count)
    }

    @Test("members keep their order when some are removed and others added")
    func order() {
        var value: Value = [:]
        for index in 0..<100 { value["k\(index)"] = .int(Int64(index)) }
        for index in stride(from: 0, to: 100, by: 2) { value["k\(index)"] = nil }
        for index in 100..<200 { value["k\(index)"] = .int(Int64(index)) }
        #expect(value.object?.keys == stride(from: 1, to: 100, by: 2).map { "k\($0)" } + (100..<200).map { "k\($0)" })
        #expect(value["k151"] == 151 && value["k51"] == 51 && value["k50"] == nil)
    }
}
