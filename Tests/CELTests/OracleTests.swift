import Glibc
import KubeAPI
import Testing

@testable import CEL

/// Thousands of expressions with the answers of Google's own implementation (cel-expr-python), which the server's must equal. cel-go, whose text is
/// Kubernetes' text, words run-time errors differently: of those only is compared that there is one.
@Suite("Answers of Google's implementation")
struct OracleTests {
    static let object = """
        {"name":"web","spec":{"replicas":3,"labels":{"app":"web","tier":"front"},"ports":[{"port":80,"name":"http"},{"port":443}],"paused":false,
        "ratio":0.5},"none":null,"empty":{}}
        """
    static let environment = CELEnvironment(variables: [
        CELVariable("x", .dyn), CELVariable("i", .int), CELVariable("u", .uint), CELVariable("d", .double), CELVariable("s", .string),
        CELVariable("b", .bool), CELVariable("m", .map(.string, .int)), CELVariable("l", .list(.int)), CELVariable("o", .dyn),
    ])

    static func activation() throws -> CELActivation {
        CELActivation([
            "x": .int(5), "i": .int(3), "u": .uint(7), "d": .double(2.5), "s": .string("héllo"), "b": .bool(true),
            "m": CELValue(["a": 1, "b": 2]), "l": CELValue([3, 1, 2]), "o": CELValue(try Object(json: object).root),
        ])
    }

    /// A value in the fixture's form.
    static func shown(_ value: CELValue) -> Value {
        switch value {
        case .null: return ["null"]
        case .bool(let flag): return ["bool", .bool(flag)]
        case .int(let x): return ["num", .string(String(x))]
        case .uint(let x): return ["num", .string(String(x))]
        case .double(let x): return ["dbl", .double(x)]
        case .string(let text): return ["str", .string(text)]
        case .bytes(let bytes): return ["bytes", .array(bytes.map { .int(Int64($0)) })]
        case .timestamp(let time): return ["ts", .double(Double(time.seconds) + Double(time.nanoseconds / 1000) / 1e6)]
        case .duration(let span): return ["dur", .double(Double(span / 1000) / 1e6)]
        case .list(let list): return ["list", .array(list.values.map(shown))]
        case .map(let map):
            let entries = map.entries.map { Value.array([shown($0.key), shown($0.value)]) }
            return ["map", .array(entries.sorted { $0.jsonString < $1.jsonString })]
        default: return ["other", .string(value.type.runtimeName)]
        }
    }

    static func isSame(_ mine: Value, _ theirs: Value) -> Bool {
        if let a = mine.array, let b = theirs.array {
            if a.first?.string == "other", b.first?.string == "other" { return true }
            if a.first?.string == "dbl", b.first?.string == "dbl", case .double(let x)? = a.last, let text = b.last?.string {
                guard let y = Double(text) else { return false }
                return x == y || x.isNaN && y.isNaN
            }
            if a.first?.string == "map", b.first?.string == "map", let x = a.last?.array, let y = b.last?.array {
                return x.count == y.count && x.allSatisfy { entry in y.contains { isSame(entry, $0) } }
            }
            return a.count == b.count && zip(a, b).allSatisfy { isSame($0, $1) }
        }
        if let x = mine.double, let y = theirs.double { return abs(x - y) < 1e-6 }
        return mine == theirs
    }

    static func lines() throws -> [Value] {
        let path = String(#filePath.dropLast("CELTests/OracleTests.swift".count)) + "fixtures/cel/oracle.jsonl"
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return try bytes.split(separator: 10).map { try Value(json: Array($0)) }
    }

    @Test("values, errors and compile errors of the fixture's expressions are the same")
    func same() throws {
        let activation = try Self.activation()
        var compared = 0
        var differences: [String] = []
        for line in try Self.lines() {
            let source = try #require(line["e"]?.string)
            if KnownDifferences.reason(source) != nil { continue }
            compared += 1
            let compiled = Result { () throws(CELCompileError) in try CELProgram.compile(source, in: Self.environment) }
            switch compiled {
            case .failure(let error):
                guard let theirs = line["compile"]?.string else {
                    differences.append("\(source): does not compile: \(error)")
                    continue
                }
                if !KnownDifferences.isReworded(theirs), theirs != error.description {
                    differences.append("\(source):\n\(error)\ninstead of\n\(theirs)")
                }
            case .success(let program):
                if let theirs = line["compile"]?.string {
                    differences.append("\(source): compiles, but \(theirs)")
                    continue
                }
                var budget = CELBudget()
                do throws(CELError) {
                    let value = try program.evaluate(activation, budget: &budget)
                    if let theirs = line["error"]?.string {
                        differences.append("\(source): \(Self.shown(value)) but \(theirs)")
                    } else if !Self.isSame(Self.shown(value), line["value"] ?? .null) {
                        differences.append("\(source): \(Self.shown(value).jsonString) instead of \(line["value"]?.jsonString ?? "")")
                    }
                } catch {
                    if line["error"] == nil { differences.append("\(source): \(error) instead of \(line["value"]?.jsonString ?? "")") }
                }
            }
        }
        #expect(compared > 3000)
        if let path = getenv("CEL_DIFFERENCES"), let file = fopen(path, "w") {
            fputs(differences.joined(separator: "\n"), file)
            fclose(file)
        }
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(40).joined(separator: "\n"))")
    }
}
