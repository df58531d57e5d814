import Testing

@testable import KubeAPI

@Suite("Merge patches of random objects")
struct PatchPropertyTests {
    @Test("the difference of random objects, applied to the old one, gives the new one")
    func differences() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<300 {
            let old = Self.withoutNulls(RandomJSON.value(depth: 4, using: &generator))
            let new = Self.withoutNulls(RandomJSON.value(depth: 4, using: &generator))
            guard case .object = old, case .object = new else { continue }
            let difference = JSONMergePatch.difference(from: old, to: new)
            #expect(try JSONMergePatch.apply(difference ?? .object(Members()), to: old) == new)
        }
    }

    /// A merge patch cannot say null.
    private static func withoutNulls(_ value: Value) -> Value {
        switch value {
        case .null: "n"
        case .array(let items): .array(items.map(withoutNulls))
        case .object(let members): .object(Members(members.map { ($0.0, withoutNulls($0.1)) }))
        default: value
        }
    }
}
