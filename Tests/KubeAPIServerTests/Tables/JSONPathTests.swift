import KubeAPI
import Testing

@testable import KubeAPIServer

/// What columns of custom resources may say. Upstream: k8s.io/client-go/util/jsonpath's tests.
@Suite("Paths of custom resources' columns")
struct JSONPathTests {
    private static let object = #"""
        {"metadata":{"labels":{"karpenter.sh/nodepool":"general","a":"b"}},"text":"t","nothing":null,
        "list":[1,2,3,4,5],"names":["x","y"],
        "conditions":[{"type":"A","status":"False","n":1},{"type":"B","status":"True","n":2,"reason":"R"},{"type":"C","n":2.5,"ok":true}],
        "deep":{"one":{"name":"first"},"two":[{"name":"second"}]}}
        """#

    /// The value as JSON; nil where the cell is blank.
    private static func found(_ path: String) throws -> String? {
        let view = try JSONDocument(Array(object.utf8)).root
        return JSONPath(path)?.first(in: view)?.value.jsonString
    }

    @Test(
        "fields, escaped dots, names in quotes",
        arguments: [
            (#".metadata.labels.karpenter\.sh/nodepool"#, #""general""#), (#".metadata.labels['karpenter\.sh/nodepool']"#, #""general""#),
            (".metadata.labels['a']", #""b""#), ("$.text", #""t""#), (".metadata.labels['karpenter.sh/nodepool']", nil), (".text.no", nil),
            (".metadata.labels.*", #""general""#), (".nothing", "null"),
        ] as [(String, String?)])
    func fields(path: String, expected: String?) throws { #expect(try Self.found(path) == expected) }

    @Test(
        "indexes, slices and unions; past the end there is nothing",
        arguments: [
            (".list[0]", "1"), (".list[-1]", "5"), (".list[-1:]", "5"), (".list[0:2]", "1"), (".list[1:]", "2"), (".list[:-3]", "1"),
            (".list[1:5:3]", "2"), (".list[*]", "1"), (".list[]", "1"), (".list[3,0]", "4"), (".list[5]", nil), (".list[-6]", nil),
            (".list[0:9]", nil),
            (".list[3:1]", nil), (".list[0:2:0]", nil), (".list[99999999999999999999]", nil), (".text[0]", nil), (".list[1:1]", nil),
            (".metadata['none','labels']['a']", #""b""#), ("['names','list'][-1]", #""y""#), (".nothing[0]", nil), (".list[a]", nil),
        ] as [(String, String?)])
    func arrays(path: String, expected: String?) throws { #expect(try Self.found(path) == expected) }

    @Test(
        "filters compare values of one type, or ask whether a field is there",
        arguments: [
            (#".conditions[?(@.type=="B")].status"#, #""True""#), (#".conditions[?(@.type == 'B')].status"#, #""True""#),
            (#".conditions[?(@.type!="A")].type"#, #""B""#), (".conditions[?(@.reason)].type", #""B""#), (".conditions[?(@.none)].type", nil),
            (#".conditions[?(@.type>"A")].type"#, #""B""#), (#".conditions[?(@.type<="A")].type"#, #""A""#), (".conditions[0:2][?(@.n>=2)]", nil),
            (#".conditions[?(@.type<"B")].type"#, #""A""#), (#".conditions[?(@.type>="C")].type"#, #""C""#),
            (".conditions[?(@.ok==true)].type", #""C""#),
            (".conditions[?(@.n>2.2)].type", nil), (".list[?(@>3)]", "4"), (".list[?(@==-1)]", nil), (".conditions[?(@.status==True)].type", nil),
            (#".conditions[?(@.type=~"B")].type"#, nil), (#".conditions[?(@.type=="B""#, nil), (".text[?(@.x)]", nil),
            (".conditions[?(@.ok<true)].type", nil),
            (#".conditions[?(@.status=="True)")].type"#, nil),
        ] as [(String, String?)])
    func filters(path: String, expected: String?) throws { #expect(try Self.found(path) == expected) }

    @Test(
        "two dots look at every depth, outermost first",
        arguments: [
            ("..name", #""first""#), (".deep..name", #""first""#), (".deep.two..name", #""second""#), ("..nodepool", nil), ("....name", nil),
            ("..[0]", nil),
            (".list..", "[1,2,3,4,5]"), (".deep..two[0].name", #""second""#),
        ] as [(String, String?)])
    func recursion(path: String, expected: String?) throws { #expect(try Self.found(path) == expected) }

    @Test("recursion upon recursion over a large object ends, with a blank cell")
    func budget() throws {
        let chain = String(repeating: #"{"a":"#, count: 400) + "1" + String(repeating: "}", count: 400)
        let view = try JSONDocument(Array("[\(chain)]".utf8)).root
        let path = try #require(JSONPath("..a..a..a"))
        #expect(path.first(in: view)?.value == nil)
        let union = try #require(JSONPath("[" + Array(repeating: "0", count: 20_000).joined(separator: ",") + "]"))
        #expect(union.first(in: view)?.value == nil)
    }

    @Test(
        "no text traps the parser",
        arguments: [
            "", ".", "[", "]", "[?(", "[?()]", "\\", ".\\", "'", "\"\\", "-", "+1.2.3", "..", "...", "{", "}", "['", "[?(@.a==)]", "\r\n",
            ".é[?(@.ü>'ß')]",
        ])
    func anyText(path: String) throws { _ = try Self.found(path) }
}
