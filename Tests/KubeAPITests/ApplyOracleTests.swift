import Glibc
import KubeAPI
import Testing

/// Sequences of applies and updates whose outcomes structured-merge-diff told (the program and the generator are not part of the project). Elements
/// of associative lists are compared in any order: the oracle's version put new ones last, later ones keep the applied order.
@Suite("Applies and updates against structured-merge-diff")
struct ApplyOracleTests {
    private static let ordered: Set<String> = [
        "containers", "env", "ports", "volumes", "hostAliases", "topologySpreadConstraints", "ownerReferences", "finalizers",
    ]

    /// With the members of objects and the elements of associative lists in one order.
    private static func normal(_ value: Value, field: String = "") -> Value {
        switch value {
        case .object(let members): return .object(Members(members.sorted { $0.0 < $1.0 }.map { ($0.0, normal($0.1, field: $0.0)) }))
        case .array(let items):
            let items = items.map { normal($0) }
            return .array(ordered.contains(field) ? items.sorted { $0.jsonString < $1.jsonString } : items)
        default: return value
        }
    }

    /// The oracle's managers: `Apply:NAME` or `Update:NAME` and their fields.
    private static func managers(_ value: Value?) -> Value {
        .object(
            Members(
                (value?.array ?? []).map { ("\($0["operation"]?.string ?? ""):\($0["manager"]?.string ?? "")", $0["fieldsV1"] ?? .null) }
            ))
    }

    private static func run(_ cases: Value) throws -> Int {
        let table = SchemaTable.shared
        var steps = 0
        for (number, sequence) in (cases.array ?? []).enumerated() {
            let isDeduced = sequence["kind"]?.string == "deduced"
            let walk = TypedWalk(type: isDeduced ? nil : table.type(named: "api.core.v1.Pod"), in: table)
            let ownership = FieldOwnership(
                walk: walk, apiVersion: "v1", subresource: "", now: Timestamp(seconds: 1_700_000_000), asStructs: false)
            var live: Value?
            for (index, step) in (sequence["steps"]?.array ?? []).enumerated() {
                steps += 1
                let object = step["object"] ?? .object(Members())
                let manager = step["manager"]?.string ?? ""
                let label = "case \(number), step \(index)"
                if step["op"]?.string == "update" {
                    var new = object
                    let managed = ownership.afterUpdate(old: live, new: new, manager: manager)
                    new[path: "metadata", "managedFields"] = managed
                    live = new
                } else {
                    do {
                        let applied = try ownership.apply(object, to: live, manager: manager, force: step["force"]?.bool ?? false)
                        #expect(step["conflicts"] == nil, "\(label): conflicts were to be found")
                        live = applied.object
                    } catch {
                        let wanted = (step["conflicts"]?.array ?? []).compactMap(\.string).map { String($0.drop { $0 != "." }) }
                        let fields = (error.details?.causes ?? []).map(\.field)
                        #expect(fields.sorted() == wanted.sorted(), "\(label): \(error.message)")
                    }
                }
                var result = live ?? .object(Members())
                let managed = managers(result[path: "metadata", "managedFields"])
                result[path: "metadata", "managedFields"] = nil
                // Metadata holds the ownership here, so it is never quite gone.
                var wanted = step["result"] ?? .null
                if result["metadata"]?.object?.isEmpty ?? true { result["metadata"] = nil }
                if wanted["metadata"]?.object?.isEmpty ?? true { wanted["metadata"] = nil }
                if result.isNull { result = .object(Members()) }
                let got = normal(result).jsonString
                #expect(got == normal(wanted).jsonString, "\(label)")
                #expect(normal(managed).jsonString == normal(step["managed"] ?? .null).jsonString, "\(label)")
                if got != normal(wanted).jsonString { break }
            }
        }
        return steps
    }

    @Test("merged objects, owners and conflicts are those of structured-merge-diff")
    func fixedCases() throws {
        #expect(try Self.run(try Value(json: applyOracleCases)) > 50)
    }

    @Test("the same for a file of cases, made afresh", .enabled(if: getenv("EYRIE_APPLY_CASES") != nil))
    func freshCases() throws {
        let path = try #require(getenv("EYRIE_APPLY_CASES"))
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        #expect(try Self.run(try Value(json: bytes)) > 0)
    }
}
