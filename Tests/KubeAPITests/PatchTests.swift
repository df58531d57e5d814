import KubeAPI
import Testing

@Suite struct JSONPatchTests {
    @Test(
        "operations do what RFC 6902 says",
        arguments: [
            (#"{"a":1}"#, #"[{"op":"add","path":"/b","value":2}]"#, #"{"a":1,"b":2}"#),
            (#"{"a":[1,3]}"#, #"[{"op":"add","path":"/a/1","value":2}]"#, #"{"a":[1,2,3]}"#),
            (#"{"a":[1]}"#, #"[{"op":"add","path":"/a/-","value":2}]"#, #"{"a":[1,2]}"#),
            (#"{"a":[1,2]}"#, #"[{"op":"remove","path":"/a/0"}]"#, #"{"a":[2]}"#),
            (#"{"a":[1,2]}"#, #"[{"op":"remove","path":"/a/-1"}]"#, #"{"a":[1]}"#),
            (#"{"a":{"b":1}}"#, #"[{"op":"replace","path":"/a/b","value":null}]"#, #"{"a":{"b":null}}"#),
            (#"{"a/b":1,"c~d":2}"#, #"[{"op":"remove","path":"/a~1b"},{"op":"replace","path":"/c~0d","value":3}]"#, #"{"c~d":3}"#),
            (#"{"a":{"x":1},"b":{}}"#, #"[{"op":"move","from":"/a/x","path":"/b/y"}]"#, #"{"a":{},"b":{"y":1}}"#),
            (#"{"a":[1]}"#, #"[{"op":"copy","from":"/a","path":"/b"}]"#, #"{"a":[1],"b":[1]}"#),
            (#"{"a":1}"#, #"[{"op":"test","path":"/a","value":1},{"op":"test","path":"/missing","value":null}]"#, #"{"a":1}"#),
        ])
    func applies(_ document: String, _ patch: String, _ expected: String) throws {
        #expect(try JSONPatch(Value(json: patch)).apply(to: Value(json: document)) == Value(json: expected))
    }

    @Test(
        "an operation that cannot be done is refused with 422",
        arguments: [
            #"[{"op":"remove","path":"/b"}]"#, #"[{"op":"replace","path":"/b/c","value":1}]"#, #"[{"op":"test","path":"/a","value":2}]"#,
            #"[{"op":"add","path":"/x/y","value":1}]"#, #"[{"op":"add","path":"/l/7","value":1}]"#, #"[{"op":"dance","path":"/a"}]"#,
            #"[{"op":"move","from":"/o","path":"/o/p"}]"#, #"[{"op":"add","path":"a","value":1}]"#,
            #"[{"op":"remove","path":"/l/99999999999999999999"}]"#,
            #"[{"op":"add","path":"/b"}]"#, #"[{"op":"remove","path":"/l/-9223372036854775808"}]"#,
        ])
    func refused(_ patch: String) throws {
        let document = try Value(json: #"{"a":1,"l":[1],"o":{}}"#)
        let patch = try Value(json: patch)
        #expect(throws: StatusError.patchRejected) { try JSONPatch(patch).apply(to: document) }
    }

    /// `{"a": [[[…]]]}` with so many lists, the innermost empty.
    private static func nested(_ depth: Int) throws -> Value {
        try Value(json: #"{"a":"# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}")
    }

    /// Where something is put into the innermost list.
    private static func innermost(_ depth: Int) -> String { "/a" + String(repeating: "/0", count: depth - 1) + "/-" }

    @Test("a value that is copied into itself over and over does not nest without end", arguments: ["copy", "add", "move"])
    func depth(_ operation: String) throws {
        let depth = 490
        let document = try Self.nested(depth)
        var steps: [Value] = []
        for _ in 0..<7 {
            switch operation {
            case "copy": steps.append(["op": "copy", "from": "/a", "path": .string(Self.innermost(depth))])
            case "add": steps.append(["op": "add", "path": .string(Self.innermost(depth)), "value": document])
            default:
                steps.append(["op": "copy", "from": "/a", "path": "/b"])
                steps.append(["op": "move", "from": "/b", "path": .string(Self.innermost(depth))])
            }
        }
        #expect(throws: StatusError.patchRejected) { try JSONPatch(.array(steps)).apply(to: document) }
    }

    @Test("a move to a deep place is done, as is one up from there")
    func deepMove() throws {
        let depth = 490
        var document = try Self.nested(depth)
        document["b"] = ["c": [1]]
        let down: Value = ["op": "move", "from": "/b", "path": .string(Self.innermost(depth))]
        let up: Value = ["op": "move", "from": .string("/a" + String(repeating: "/0", count: depth)), "path": "/d"]
        var moved = try Self.nested(depth)
        moved["d"] = ["c": [1]]
        #expect(try JSONPatch([down, up]).apply(to: document) == moved)
        let path = "/a" + String(repeating: "/0", count: 600)
        #expect(throws: StatusError.patchRejected) { try JSONPatch([["op": "remove", "path": .string(path)]]) }
    }

    @Test("too many operations are refused with 413, other documents with 400")
    func limits() {
        let one: Value = ["op": "test", "path": "/a", "value": 1]
        #expect { try JSONPatch(.array(Array(repeating: one, count: JSONPatch.maxOperations + 1))) } throws: { ($0 as? StatusError)?.code == 413 }
        #expect { try JSONPatch(["op": "test"]) } throws: { ($0 as? StatusError)?.code == 400 }
    }

    @Test("a patch that doubles the document again and again is stopped")
    func doubling() {
        let operations: [Value] = (0..<40).map { _ in ["op": "copy", "from": "/a", "path": "/a/-"] }
        #expect(throws: StatusError.patchRejected) { try JSONPatch(.array(operations)).apply(to: ["a": ["some text that grows"]]) }
    }
}

@Suite struct JSONMergePatchTests {
    @Test(
        "members replace and nulls remove",
        arguments: [
            (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
            (#"{"a":"b"}"#, #"{"a":null}"#, "{}"),
            (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
            (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"{}"#, #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
        ])
    func applies(_ document: String, _ patch: String, _ expected: String) throws {
        #expect(try JSONMergePatch.apply(Value(json: patch), to: Value(json: document)) == Value(json: expected))
    }

    @Test("the difference of two objects, applied to the old one, gives the new one")
    func difference() throws {
        let old = try Value(json: #"{"a":1,"b":{"c":[1,2],"d":"x"},"e":true}"#)
        let new = try Value(json: #"{"a":1,"b":{"c":[2],"f":{}},"g":"y"}"#)
        let patch = try #require(JSONMergePatch.difference(from: old, to: new))
        #expect(patch == ["b": ["c": [2], "f": [:], "d": .null], "g": "y", "e": .null])
        #expect(try JSONMergePatch.apply(patch, to: old) == new)
        #expect(JSONMergePatch.difference(from: old, to: old) == nil)
    }

    @Test("a patch that is no object is refused")
    func refused() {
        #expect(throws: StatusError.badRequest("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}")) {
            try JSONMergePatch.apply([1], to: [:])
        }
    }
}

@Suite struct StrategicMergePatchTests {
    func patched(_ document: String, _ patch: String, _ type: String) throws -> Value {
        try StrategicMergePatch.apply(Value(json: patch), to: Value(json: document), type: try #require(SchemaTable.shared.type(named: type)))
    }

    @Test(
        "lists with a merge key are merged by element, others are replaced",
        arguments: [
            (
                #"{"containers":[{"name":"a","image":"1"},{"name":"b","image":"2"}]}"#, #"{"containers":[{"name":"b","image":"3"}]}"#,
                #"{"containers":[{"name":"a","image":"1"},{"name":"b","image":"3"}]}"#
            ),
            (
                #"{"containers":[{"name":"a"},{"name":"b"}]}"#, #"{"containers":[{"name":"a","$patch":"delete"}]}"#, #"{"containers":[{"name":"b"}]}"#
            ),
            (
                #"{"containers":[{"name":"a"},{"name":"b"}]}"#, #"{"containers":[{"$patch":"replace"},{"name":"c"}]}"#,
                #"{"containers":[{"name":"c"}]}"#
            ),
            (
                #"{"containers":[{"name":"a","env":[{"name":"X","value":"1"}]}]}"#,
                #"{"containers":[{"name":"a","env":[{"name":"Y","value":"2"}]}]}"#,
                #"{"containers":[{"name":"a","env":[{"name":"Y","value":"2"},{"name":"X","value":"1"}]}]}"#
            ),
            (#"{"tolerations":[{"key":"a"}]}"#, #"{"tolerations":[{"key":"b"}]}"#, #"{"tolerations":[{"key":"b"}]}"#),
            (#"{"nodeSelector":{"a":"1","b":"2"}}"#, #"{"nodeSelector":{"b":null,"c":"3"}}"#, #"{"nodeSelector":{"a":"1","c":"3"}}"#),
            (#"{"nodeSelector":{"a":"1"}}"#, #"{"nodeSelector":{"$patch":"replace","c":"3"}}"#, #"{"nodeSelector":{"c":"3"}}"#),
            (#"{"securityContext":{"runAsUser":1}}"#, #"{"securityContext":null}"#, #"{}"#),
            (#"{}"#, #"{"securityContext":{"runAsUser":null,"runAsGroup":2}}"#, #"{"securityContext":{"runAsGroup":2}}"#),
        ])
    func podSpec(_ document: String, _ patch: String, _ expected: String) throws {
        #expect(try patched(document, patch, "api.core.v1.PodSpec") == Value(json: expected))
    }

    @Test("$setElementOrder brings the named elements into order and keeps the server's others")
    func order() throws {
        let document = #"{"containers":[{"name":"a"},{"name":"s"},{"name":"b"}]}"#
        let patch = #"{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"a","image":"x"}]}"#
        let names = try patched(document, patch, "api.core.v1.PodSpec")["containers"]?.array?.compactMap { $0["name"]?.string }
        #expect(names == ["s", "b", "a"] || names == ["b", "a", "s"])
        #expect(try patched(document, patch, "api.core.v1.PodSpec")["containers"]?.array?.first { $0["name"] == "a" }?["image"] == "x")
    }

    @Test("primitive lists are merged as sets, and $deleteFromPrimitiveList takes out of them")
    func primitives() throws {
        let document = #"{"finalizers":["a","b"]}"#
        #expect(try patched(document, #"{"finalizers":["c","a"]}"#, "apimachinery.pkg.apis.meta.v1.ObjectMeta")["finalizers"]?.array?.count == 3)
        #expect(
            try patched(document, #"{"$deleteFromPrimitiveList/finalizers":["a"]}"#, "apimachinery.pkg.apis.meta.v1.ObjectMeta") == [
                "finalizers": ["b"]
            ])
        #expect(
            try patched(
                document, #"{"$deleteFromPrimitiveList/finalizers":["a"],"$setElementOrder/finalizers":["c","b"],"finalizers":["c"]}"#,
                "apimachinery.pkg.apis.meta.v1.ObjectMeta") == ["finalizers": ["c", "b"]])
    }

    @Test("$retainKeys drops what it does not name")
    func retainKeys() throws {
        let document = #"{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}"#
        #expect(
            try patched(document, #"{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}"#, "api.apps.v1.DeploymentSpec") == [
                "strategy": ["type": "Recreate"]
            ])
        #expect(throws: StatusError.badRequest("invalid patch format of retainKeys")) {
            try patched(document, #"{"strategy":{"$retainKeys":["x"],"type":"Recreate"}}"#, "api.apps.v1.DeploymentSpec")
        }
    }

    @Test("an element without its merge key is refused")
    func noMergeKey() {
        #expect(throws: StatusError.patchRejected) {
            try patched(#"{"containers":[{"name":"a"}]}"#, #"{"containers":[{"image":"x"}]}"#, "api.core.v1.PodSpec")
        }
    }

    @Test("the patch kubectl set image sends changes one image of a Deployment")
    func setImage() throws {
        let document =
            #"{"spec":{"replicas":3,"template":{"spec":{"containers":[{"name":"nginx","image":"nginx:1.15","ports":[{"containerPort":80,"protocol":"TCP"}]}]}}}}"#
        let patch =
            #"{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"nginx"}],"containers":[{"image":"nginx:1.16","name":"nginx"}]}}}}"#
        let result = try patched(document, patch, "api.apps.v1.Deployment")
        #expect(
            result
                == (try Value(
                    json:
                        #"{"spec":{"replicas":3,"template":{"spec":{"containers":[{"name":"nginx","image":"nginx:1.16","ports":[{"containerPort":80,"protocol":"TCP"}]}]}}}}"#
                )))
    }
}
