import Testing

@testable import KubeAPI

@Suite("Objects as bytes")
struct ObjectFormTests {
    private static let texts = [
        #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"x":"y"}},"spec":{"list":[1,{"a":[]},"é\n"],"n":-1.5e3}}"#,
        #"{"apiVersion":"v1","kind":"Pod","metadata":{}}"#,
        #"{ "kind" : "Pod" , "spec":{"metadata":{"name":"no"},"text":"\"metadata\":{"}, "metadata" : { "name" : "a" } }"#,
        #"{"n":1,"t":true,"list":["}",{"metadata":{}}],"metadata":{"annotations":{"k":"\\\"}"},"name":"a"},"z":null}"#,
    ]

    @Test("a stored object gets its revision as resourceVersion, and nothing else of it changes", arguments: texts)
    func revision(text: String) throws {
        let plain = try Object(json: text)
        var expected = plain.value
        expected[path: "metadata", "resourceVersion"] = "1234567"
        for made in [plain.withResourceVersion(1_234_567), plain.cached(revision: 1_234_567), Object(stored: plain.bytes, revision: 1_234_567)] {
            #expect(made.value == expected)
            // The bytes are JSON by themselves, and the index that came along is theirs.
            let fresh = try Object(bytes: made.bytes)
            #expect(fresh.value == expected)
            #expect(fresh.document.tokens == made.document.tokens)
            #expect(made.metadata.resourceVersion == "1234567")
            #expect(made.kind == plain.kind && made.apiVersion == plain.apiVersion)
        }
    }

    @Test("an object without metadata, or with a resourceVersion already, gets the new one")
    func odd() throws {
        #expect(try Object(json: #"{"a":1}"#).withResourceVersion(7).metadata.resourceVersion == "7")
        let old = try Object(json: #"{"metadata":{"resourceVersion":"3","name":"a"}}"#)
        #expect(old.withResourceVersion(8).metadata.resourceVersion == "8")
        #expect(old.cached(revision: 9).metadata.resourceVersion == "9")
        // As a tree made it: without an index.
        #expect(try Object(old.value).withResourceVersion(10).metadata.resourceVersion == "10")
    }

    @Test("a tree that is no object, or nested too deep to be read again, makes no object")
    func depth() throws {
        var value: Value = 1
        for _ in 0..<JSONLimits.depth { value = ["a": value] }
        #expect(try Object(value).value == value)
        let tooDeep: Value = ["a": value]
        #expect(throws: JSONError.self) { try Object(tooDeep) }
        #expect(throws: JSONError.self) { try Object(Value.array([])) }
    }

    @Test("no beginning of a text, and no text with one byte changed, does worse than throw")
    func broken() {
        for text in Self.texts {
            let bytes = Array(text.utf8)
            for end in bytes.indices { #expect(throws: JSONError.self) { try JSONDocument(Array(bytes[..<end])) } }
            for place in bytes.indices {
                for byte in [UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "{"), UInt8(ascii: "]"), 0, 0xFF] {
                    var changed = bytes
                    changed[place] = byte
                    // What is still JSON must come back as it is read.
                    if let document = try? JSONDocument(changed) { #expect((try? Value(json: document.root.value.jsonBytes)) != nil) }
                }
            }
        }
    }

    @Test("text is escaped and comes back, whatever its length and wherever the odd byte stands")
    func escapes() throws {
        for odd in ["\"", "\\", "\n", "\u{1}", "\u{1F}", "é", "\u{7F}", "😀"] {
            for length in 0..<20 {
                for place in 0...length {
                    let text = String(repeating: "x", count: place) + odd + String(repeating: "y", count: length - place)
                    let value: Value = [text: .string(text)]
                    #expect(try Value(json: value.jsonBytes) == value)
                }
            }
        }
        let numbers: [Int64] = [0, 9, 10, -1, 99, 100, .max, .min]
        #expect(Value.array(numbers.map { .int($0) }).jsonString == "[" + numbers.map { String($0) }.joined(separator: ",") + "]")
    }

    @Test("of a key that stands twice the last value counts, in objects of few and of many members")
    func twins() throws {
        for count in [2, 16, 17, 24, 25, 100] {
            let members = (0..<count).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
            let value = try Value(json: "{\(members),\"k0\":-1,\"\\u006b1\":-2}")
            #expect(value.object?.count == count)
            #expect(value["k0"] == -1 && value["k1"] == (count > 1 ? -2 : nil))
        }
    }

    @Test("an object's text is searched without an index")
    func search() throws {
        let pod = try Object(json: #"{"metadata":{"name":"nodeNam"},"spec":{"nodeName":"n"}}"#)
        #expect(pod.mayContain("\"nodeName\""))
        #expect(!pod.mayContain("\"hostName\""))
        #expect(try !Object(json: "{}").mayContain("\"nodeName\""))
    }

    @Test("new objects of one shape are noted alike, of other shapes not")
    func shapes() throws {
        let table = SchemaTable.shared
        let type = try #require(table.type(named: "api.core.v1.Pod"))
        let ownership = FieldOwnership(walk: TypedWalk(type: type, in: table), apiVersion: "v1", subresource: "", now: Timestamp(seconds: 0))
        func pod(_ name: String, image: String, env: [String]) -> Value {
            let variables = env.map { Value.object(Members([("name", .string($0)), ("value", .string(image))])) }
            return [
                "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "labels": ["app": .string(image)]],
                "spec": [
                    "containers": [["name": "c", "image": .string(image), "env": .array(variables)]], "tolerations": [["key": .string(image)]],
                ],
            ]
        }
        /// Without memory: as a comparison tells.
        func expected(_ object: Value) -> Value? {
            let difference = ownership.comparedWithNothing(object)
            return difference.isEmpty ? nil : difference.fieldsV1
        }
        for object in [
            pod("a", image: "x", env: ["A", "B"]), pod("b", image: "y", env: ["A", "B"]), pod("c", image: "x", env: ["B", "C"]),
            pod("d", image: "x", env: []), pod("e", image: "x", env: ["A", "A"]),
        ] {
            for _ in 0..<2 {
                let noted = ownership.afterUpdate(old: nil, new: object, manager: "m")
                #expect(noted?.array?.first?["fieldsV1"] == expected(object))
            }
        }
    }
}
