import Testing

@testable import KubeAPI

@Suite("YAML")
struct YAMLTests {
    private static let cases: [JSONView] = {
        guard let document = try? JSONDocument(Array(yamlOracleCases.utf8)) else { return [] }
        return Array(document.root.elements)
    }()

    /// What libyaml says in other words than go-yaml.
    private static let rewordings = [
        "yaml: line 2: found a tab character that violates indentation": "yaml: line 2: found character that cannot start any token"
    ]

    @Test("texts become the JSON that upstream's library makes of them, or fail with its words")
    func decodesAsUpstream() throws {
        #expect(Self.cases.count > 800)
        for entry in Self.cases {
            let text = entry["yaml"].string ?? ""
            // JSON's escape of a slash, which YAML 1.2 has too.
            if text.contains("\\/") { continue }
            do throws(YAMLError) {
                let (json, strict) = try YAMLDecoder.decode(Array(text.utf8))
                let expected = entry["json"].string
                #expect(expected != nil, "\(text.debugDescription) should fail: \(entry["error"].string ?? "")")
                guard let expected else { continue }
                let got = try? Value(json: json)
                #expect(got == (try? Value(json: expected)), "\(text.debugDescription): \(String(decoding: json, as: UTF8.self)) != \(expected)")
                #expect(strict == entry["strict"].string, "\(text.debugDescription)")
            } catch {
                let expected = entry["error"].string ?? "no error"
                let words = Self.rewordings[error.description] ?? error.description
                // The value that belongs to an impossible key is not shown.
                #expect(expected == words || words.hasPrefix("unsupported map key") && expected.hasPrefix(words), "\(text.debugDescription)")
            }
        }
    }

    @Test("JSON is written as the YAML that upstream's library writes")
    func encodesAsUpstream() throws {
        for entry in Self.cases {
            guard let json = entry["json"].string, let back = entry["back"].string else { continue }
            // go-yaml writes these characters so that it cannot read them back; libyaml escapes them.
            if ["\u{2028}", "\u{85}", "\u{7F}", "\\u2028", "\\u0085"].contains(where: json.contains) { continue }
            let yaml = YAMLEncoder.encode(try JSONDocument(Array(json.utf8)).root)
            #expect(String(decoding: yaml, as: UTF8.self) == back, "\(json)")
        }
    }

    @Test("what is written as YAML reads as the JSON it was")
    func roundTrip() throws {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<500 {
            let value = RandomJSON.value(depth: 4, using: &generator)
            let yaml = YAMLEncoder.encode(try JSONDocument(value.jsonBytes).root)
            let json = try YAMLDecoder.decode(yaml).json
            #expect(try Value(json: json) == value, "\(String(decoding: yaml, as: UTF8.self))")
        }
    }

    @Test("bombs are refused quickly: aliases of aliases, long scalars by alias, deep and wide nesting, aliases in a row")
    func bombs() {
        var laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        for (previous, name) in zip("abcdefgh", "bcdefghi") {
            laughs += "\(name): &\(name) [" + Array(repeating: "*\(previous)", count: 10).joined(separator: ",") + "]\n"
        }
        let long = "a: &a " + String(repeating: "x", count: 1 << 20) + "\nb: [" + String(repeating: "*a,", count: 90) + "]\n"
        let deep = String(repeating: "[", count: 10_001)
        let wide = String(repeating: "[", count: 500) + String(repeating: "{},", count: 400_000)
        var row = "a0: &a0 [x]\n"
        for index in 1..<20_000 { row += "a\(index): &a\(index) [*a\(index - 1)]\n" }
        let clock = ContinuousClock()
        for bomb in [laughs, long, deep, wide, row] {
            let took = clock.measure { #expect(throws: YAMLError.self) { try YAMLDecoder.decode(Array(bomb.utf8)) } }
            // A debug build is about ten times as slow as what serves.
            #expect(took < .seconds(3), "\(bomb.prefix(20))")
        }
    }
}

/// Reproducible random numbers. Sebastiano Vigna's SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// JSON values of any form, with the texts that formats stumble over.
enum RandomJSON {
    static let texts = [
        "", "a", " lead", "trail ", "two\nlines", "end\n", "\n", "y", "NO", "null", "~", "0x1f", "012", "1e3", "1.5", "2001-01-01", "12:30",
        "- x", "a: b", "#c", "a #b", "é", "日本", "tab\t", "q\"uote", "it's", "back\\slash", "{}", "[", "*a", "&a", "!t", "%p", "|", ">", "😀", "\u{1}",
        "long word after word after word after word after word after word after word after word after word",
    ]

    static func value(depth: Int, using generator: inout SeededGenerator) -> Value {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .int(Int64.random(in: -1000...1000, using: &generator))
        case 3: return .double(Double(Int.random(in: -1000...1000, using: &generator)) / 8 + 0.0625)
        case 4, 5: return .string(texts.randomElement(using: &generator) ?? "")
        case 6: return .array((0..<Int.random(in: 0...4, using: &generator)).map { _ in value(depth: depth - 1, using: &generator) })
        default:
            var members = Members()
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                members[texts.randomElement(using: &generator) ?? ""] = value(depth: depth - 1, using: &generator)
            }
            return .object(members)
        }
    }
}
