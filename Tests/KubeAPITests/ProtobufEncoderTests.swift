import Testing

@testable import KubeAPI

@Suite("Protobuf answers")
struct ProtobufEncoderTests {
    @Test("objects of every kind are written byte for byte as Google's library writes them, and read back")
    func asTheOracle() throws {
        let cases = try JSONDocument(Array(protobufOracleCases.utf8))
        var kinds = 0
        for entry in cases.root.elements {
            let parts = Array(entry.elements)
            let object = try Object(bytes: Array(parts[0].rawBytes))
            var expected: [UInt8] = []
            Base64.append(decoding: (parts[1].string ?? "").utf8, to: &expected)
            let encoded = ProtobufEncoder.object(object, kind: object.groupVersionKind)
            #expect(encoded == expected, "\(object.groupVersionKind.kind) \(firstDifference(encoded ?? [], expected))")
            #expect(try ProtobufDecoder.decode(expected) == object.value, "\(object.groupVersionKind.kind)")
            kinds += 1
        }
        #expect(kinds > 60)
    }

    private func firstDifference(_ a: [UInt8], _ b: [UInt8]) -> String {
        let at = zip(a, b).prefix { $0 == $1 }.count
        return "differs at \(at) of \(b.count): \(a[at...].prefix(12)) != \(b[at...].prefix(12)) after \(a[..<at].suffix(24))"
    }

    @Test("random objects of every kind, lists included, come back as they were")
    func roundTrip() throws {
        var generator = SeededGenerator(seed: 5)
        let table = SchemaTable.shared
        var kinds = 0
        for type in table.types {
            guard let kind = type.kind, kind.kind != "WatchEvent", kind.kind != "DeleteOptions", ProtobufEncoder.supports(kind) else { continue }
            kinds += 1
            for _ in 0..<8 {
                var value = RandomObject(table: table).value(type, depth: 0, using: &generator)
                value["apiVersion"] = .string(kind.apiVersion)
                value["kind"] = .string(kind.kind)
                let object = try Object(value)
                guard let bytes = ProtobufEncoder.object(object, kind: kind) else {
                    Issue.record("\(kind) has no protobuf form")
                    continue
                }
                let back = try ProtobufDecoder.decode(bytes)
                #expect(back == value, "\(kind.kind)\n\(value.jsonString)\n\(back.jsonString)")
            }
        }
        #expect(kinds > 120)
    }

    @Test("a list is its objects under one ListMeta; a watch event is a length and a message")
    func listsAndFrames() throws {
        let pod = GroupVersionKind(group: "", version: "v1", kind: "Pod")
        let list = GroupVersionKind(group: "", version: "v1", kind: "PodList")
        let objects = try (0..<300).map {
            try Object(json: #"{"metadata":{"name":"p\#($0)","labels":{"b":"2","a":"1"}},"spec":{"hostNetwork":false}}"#)
        }
        let metadata: Value = ["resourceVersion": "12", "continue": "abc", "remainingItemCount": 0]
        let bytes = ProtobufEncoder.list(objects, kind: list, itemKind: pod, metadata: metadata)
        let back = try ProtobufDecoder.decode(bytes ?? [])
        #expect(back["items"]?.array?.count == 300)
        #expect(back["metadata"] == metadata)
        #expect(back["items"]?.array?.last?[path: "metadata", "labels"] == ["a": "1", "b": "2"])

        let object = ProtobufEncoder.object(objects[0], kind: pod) ?? []
        let frame = ProtobufEncoder.watchFrame(type: "ADDED", object: object)
        #expect(frame[..<4].reduce(0) { $0 << 8 | Int($1) } == frame.count - 4)
        #expect(frame[4...].starts(with: [0x0A, 5] + Array("ADDED".utf8) + [0x12]))
        #expect(frame.suffix(object.count).elementsEqual(object))
    }

    @Test("kinds without numbers have no protobuf form; metadata alone and Status have one")
    func kinds() throws {
        #expect(!ProtobufEncoder.supports(GroupVersionKind(group: "example.com", version: "v1", kind: "Widget")))
        #expect(!ProtobufEncoder.supports(GroupVersionKind(group: "meta.k8s.io", version: "v1", kind: "Table")))
        let partial = GroupVersionKind(group: "meta.k8s.io", version: "v1", kind: "PartialObjectMetadata")
        let bytes = ProtobufEncoder.object(try Object(json: #"{"metadata":{"name":"x"},"spec":{"a":1}}"#), kind: partial)
        #expect(bytes?.suffix(11).elementsEqual([0x12, 5, 0x0A, 3, 0x0A, 1, 0x78, 0x1A, 0, 0x22, 0]) ?? false)
        let status = GroupVersionKind(group: "", version: "v1", kind: "Status")
        let error = try Object(StatusError.notFound(GroupResource(group: "", resource: "pods"), "x").value)
        #expect(try ProtobufDecoder.decode(ProtobufEncoder.object(error, kind: status) ?? [])["message"] == #"pods "x" not found"#)
    }

    @Test("maps are sorted by key, numbers may be negative, escapes are resolved, unknown members are dropped")
    func details() throws {
        let kind = GroupVersionKind(group: "", version: "v1", kind: "ConfigMap")
        let object = try Object(json: #"{"data":{"b":"\n\u00e9","a":"","B":"x"},"unknown":{"x":[1]},"immutable":false}"#)
        let bytes = ProtobufEncoder.object(object, kind: kind) ?? []
        let order = ["B", "a", "b"].compactMap { key in
            let entry = [0x0A, 1] + Array(key.utf8)
            return bytes.indices.first { bytes[$0...].starts(with: entry) }
        }
        #expect(order.count == 3 && order == order.sorted())
        #expect(try ProtobufDecoder.decode(bytes)["data"] == ["B": "x", "a": "", "b": "\n\u{e9}"])
        let event = GroupVersionKind(group: "", version: "v1", kind: "Event")
        let counted = ProtobufEncoder.object(try Object(json: #"{"count":-3}"#), kind: event) ?? []
        #expect(try ProtobufDecoder.decode(counted)["count"] == -3)
    }
}

/// Objects as the API stores them: fields of the schema with values in their canonical form.
private struct RandomObject {
    let table: SchemaTable
    /// Members that are schemas, flags or lists, though the table says any JSON.
    private static let schemas: [String: Value] = [
        "items": ["type": "string"], "additionalItems": false, "additionalProperties": ["type": "string"], "dependencies": ["a": ["b", "c"]],
    ]

    func value(_ type: SchemaType, depth: Int, using generator: inout SeededGenerator) -> Value {
        var members = Members()
        for field in type.fields where type.kind == nil || field.name != "apiVersion" && field.name != "kind" {
            let chance = depth < 2 ? 0.8 : 0.9 / Double(depth)
            guard depth < 9, Double.random(in: 0..<1, using: &generator) < chance else { continue }
            if type.shortName == "JSONSchemaProps", let schema = Self.schemas[field.name] {
                members[field.name] = schema
                continue
            }
            members[field.name] = value(field.type, depth: depth, using: &generator)
        }
        return .object(members)
    }

    private func value(_ type: FieldType, depth: Int, using generator: inout SeededGenerator) -> Value {
        func pick(_ values: [Value]) -> Value { values.randomElement(using: &generator) ?? .null }
        switch type {
        case .string: return pick(["a", "web", "é\n\"", "x\\y", "日本"])
        case .bytes: return pick(["AA==", "aGVsbG8=", "/wD+"])
        case .bool: return true
        case .int32: return pick([1, -1, 300, 2_147_483_647])
        case .int64: return pick([1, -1, 9_007_199_254_740_993])
        case .double: return pick([.double(0.5), .double(-2.25)])
        case .time: return pick(["2024-02-29T12:30:45Z", "1969-07-20T20:17:40Z"])
        case .microTime: return pick(["2024-02-29T12:30:45.123456Z", "1960-01-01T00:00:00.000001Z"])
        case .quantity: return pick(["1", "250m", "1Gi"])
        case .intOrString: return pick([80, "http"])
        case .fields: return ["f:metadata": ["f:name": [:]]]
        case .any: return pick([["a": [1, "b", .null]], ["x": true]])
        case .array(let element):
            return .array((0..<Int.random(in: 1...2, using: &generator)).map { _ in value(element, depth: depth, using: &generator) })
        case .map(let element):
            return .object(Members(["b", "a", "k.io/x"].map { ($0, value(element, depth: depth, using: &generator)) }))
        case .object(let place): return table[place].map { value($0, depth: depth + 1, using: &generator) } ?? .null
        }
    }
}
