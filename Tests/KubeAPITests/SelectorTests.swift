import KubeAPI
import Testing

@Suite struct LabelSelectorTests {
    @Test(
        "a selector's text has a canonical form",
        arguments: [
            ("a=b", "a=b"), ("a==b", "a==b"), ("b=1,a=2", "a=2,b=1"), ("x in (b,a)", "x in (a,b)"), ("x notin (a)", "x notin (a)"), ("!x", "!x"),
            ("x", "x"),
            ("x>1", "x>1"), ("x<2,y", "x<2,y"), ("a=", "a="), ("a,b=,c", "a,b=,c"), ("  a  =  b ", "a=b"), ("in in (in)", "in in (in)"),
            ("x in (a,,b)", "x in (,a,b)"),
            ("x in (,)", "x in ()"), ("example.com/a!=b", "example.com/a!=b"), ("", ""),
        ])
    func canonical(_ text: String, _ expected: String) throws {
        let selector = try LabelSelector(parsing: text)
        #expect(selector.description == expected)
    }

    @Test(
        "a malformed selector is refused in upstream's words",
        arguments: [
            ("a=b,", "found '', expected: identifier after ','"), ("=b", "found '=', expected: !, identifier, or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in ()", "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"),
            ("a>b", "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer"),
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ])
    func refused(_ text: String, _ message: String) {
        #expect(throws: SelectorError(message)) { try LabelSelector(parsing: text) }
    }

    @Test(
        "keys and values that are no labels are refused",
        arguments: ["-a=b", "a=b-", "a/b/c=d", "/a=b", "A_b.example/x=y", String(repeating: "a", count: 64)])
    func syntax(_ text: String) { #expect(throws: SelectorError.self) { try LabelSelector(parsing: text) } }

    @Test(
        "labels match or not",
        arguments: [
            ("a=1", true), ("a!=1", false), ("a!=2", true), ("missing!=2", true), ("a in (1,2)", true), ("a notin (1)", false),
            ("missing notin (1)", true),
            ("a", true), ("!a", false), ("!missing", true), ("n>4", true), ("n>5", false), ("n<6,a=1", true), ("a=1,b=3", false), ("", true),
            ("missing>1", false),
        ])
    func matching(_ text: String, _ expected: Bool) throws {
        let labels = ["a": "1", "b": "2", "n": "5"]
        let selector = try LabelSelector(parsing: text)
        #expect(selector.matches(labels) == expected)
        let object = try Object(["metadata": ["labels": Value(labels)]])
        #expect(selector.matches(object) == expected)
    }

    @Test("the object form of a selector: missing matches nothing, empty everything")
    func objectForm() throws {
        let object = try Object(
            json:
                #"{"none":null,"empty":{},"full":{"matchLabels":{"a":"1"},"matchExpressions":[{"key":"b","operator":"In","values":["2","3"]},{"key":"c","operator":"DoesNotExist"}]},"bad":{"matchExpressions":[{"key":"b","operator":"Near"}]}}"#
        )
        #expect(try !LabelSelector(object: object["none"]).matches([:]))
        #expect(try !LabelSelector(object: nil).matches([:]))
        #expect(try LabelSelector(object: object["empty"]).matches([:]))
        let full = try LabelSelector(object: object["full"])
        #expect(full.description == "a=1,b in (2,3),!c")
        #expect(full.matches(["a": "1", "b": "3"]))
        #expect(!full.matches(["a": "1", "b": "3", "c": ""]))
        #expect(throws: SelectorError("\"Near\" is not a valid label selector operator")) { try LabelSelector(object: object["bad"]) }
    }

    @Test("reading any canonical text gives the same selector")
    func roundTrip() throws {
        for text in ["a=b", "x in (a,b),!y", "z", "n>3,n<9", "k!=v"] {
            let selector = try LabelSelector(parsing: text)
            #expect(try LabelSelector(parsing: selector.description) == selector)
        }
    }

    @Test("no text traps the parser")
    func anyText() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("ab1=!<>(), in\\é/.")
        for _ in 0..<3000 {
            let text = String((0..<Int.random(in: 0...12, using: &random)).compactMap { _ in alphabet.randomElement(using: &random) })
            _ = try? LabelSelector(parsing: text)
            _ = try? FieldSelector(parsing: text)
        }
    }
}

@Suite struct FieldSelectorTests {
    @Test("field selectors are read and written")
    func parse() throws {
        let selector = try FieldSelector(parsing: #"metadata.name=a,status.phase!=Running,x==b\,c"#)
        #expect(selector.requirements.map(\.field) == ["metadata.name", "status.phase", "x"])
        #expect(selector.requirements.map(\.negated) == [false, true, false])
        #expect(selector.requirements.last?.value == "b,c")
        #expect(selector.exactMatch("metadata.name") == "a")
        #expect(selector.description == #"metadata.name=a,status.phase!=Running,x=b\,c"#)
        #expect(throws: SelectorError("invalid selector: 'abc'; can't understand 'abc'")) { try FieldSelector(parsing: "abc") }
    }

    @Test("each resource offers its own fields")
    func fields() throws {
        let pods = try #require(ResourceTable.shared[GroupVersionResource(group: "", version: "v1", resource: "pods")])
        let configMaps = try #require(ResourceTable.shared[GroupVersionResource(group: "", version: "v1", resource: "configmaps")])
        try SelectableFields.check(try FieldSelector(parsing: "spec.nodeName=a,status.phase!=Failed,metadata.namespace=b"), pods)
        #expect(throws: SelectorError("field label not supported: spec.foo")) {
            try SelectableFields.check(try FieldSelector(parsing: "spec.foo=a"), pods)
        }
        #expect(throws: SelectorError(#""data.a" is not a known field selector: only "metadata.name", "metadata.namespace""#)) {
            try SelectableFields.check(try FieldSelector(parsing: "data.a=b"), configMaps)
        }
    }

    @Test("fields of objects match, missing ones as empty texts")
    func matching() throws {
        let pod = try Object(json: #"{"metadata":{"name":"a","namespace":"n"},"spec":{"nodeName":"x"},"status":{"phase":"Running"}}"#)
        #expect(SelectableFields.matches(try FieldSelector(parsing: "spec.nodeName=x,status.phase!=Failed"), pod))
        #expect(!SelectableFields.matches(try FieldSelector(parsing: "spec.nodeName="), pod))
        #expect(SelectableFields.matches(try FieldSelector(parsing: "status.nominatedNodeName="), pod))
        #expect(SelectableFields.matches(try FieldSelector(parsing: "spec.unschedulable=false"), pod))
    }
}
