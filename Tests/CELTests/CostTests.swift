import KubeAPI
import Testing

@testable import CEL

/// Costs that upstream's own tests name (k8s.io/apiserver/pkg/cel/library/cost_test.go). Sizes are of the spelled texts and lists alone.
@Suite("Costs")
struct CostTests {
    private static let environment = CELEnvironment(variables: [CELVariable("authorizer", .opaque("kubernetes.authorization.Authorizer"))])

    private func estimate(_ source: String) throws -> CELCostEstimate { try CELProgram.estimateCost(source, in: Self.environment) }

    @Test(
        "what calls of the libraries may cost",
        arguments: [
            ("[1, 2, 3, 4, 5].sum()", 15, 15), ("[uint(1), uint(2), uint(3), uint(4), uint(5)].max()", 20, 20),
            ("[duration('1s'), duration('2s'), duration('3s'), duration('4s'), duration('5s')].isSorted()", 20, 20),
            ("[1, 2, 3, 4, 5].indexOf(3)", 15, 15), ("'01234567890123456789012345678901234567890123456789'.indexOf('123')", 5, 5),
            ("url('https:://kubernetes.io/').getHost()", 4, 4), ("url('https:://kubernetes.io/') == url('https:://kubernetes.io/')", 7, 9),
            ("url('https:://kubernetes.io/') == url('http://x.b')", 5, 5),
            ("ip('192.168.0.1')", 2, 2), ("ip('2001:db8:3333:4444:5555:6666:7777:8888').family()", 5, 5),
            ("ip('192.168.0.1') == ip('192.168.0.1')", 5, 5), ("ip.isCanonical('2001:db8:3333:4444:5555:6666:7777:8888')", 8, 8),
            ("cidr('192.168.0.0/16').ip()", 3, 3), ("cidr('192.168.0.0/16').containsCIDR(cidr('192.0.0.0/30'))", 7, 11),
            ("cidr('192.168.0.0/16').containsCIDR('192.168.0.0/16')", 7, 11), ("cidr('192.168.0.0/16').containsIP(ip('192.169.0.1'))", 5, 8),
            ("cidr('2001:db8::/32').containsIP('2001:db8:3333:4444:5555:6666:7777:8888')", 7, 10),
            ("'ABCDEFGHIJ abcdefghij'.lowerAscii()", 3, 3),
            ("'ABCDEFGHIJ abcdefghij'.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", 7, 9),
            ("strings.quote('ABCDEFGHIJ abcdefghij')", 3, 3),
            ("strings.quote('ABCDEFGHIJ abcdefghij') == strings.quote('ABCDEFGHIJ abcdefghij')", 7, 11),
            ("'abc 123 def 123'.replace('123', '456')", 3, 3), ("'abc 123 def 123'.split(' ', 1)", 3, 3),
            ("'abc 123 def 123'.substring(5, 8)", 2, 2), ("'abc 123 def 123'.findAll('123', 1)", 2, 2),
            ("jsonpatch.escapeKey('abc/def~ abc/def~')", 2, 2), ("authorizer.path('/healthz')", 2, 2),
            (
                "authorizer.group('').resource('pods').fieldSelector('spec.nodeName=example-node-name.fully.qualified.domain.name.example.com')",
                1821, 1821
            ),
            ("authorizer.path('/healthz').check('get').allowed()", 350_003, 350_003),
            ("quantity('200M') == quantity('0.2G') && quantity('0.2G') == quantity('200M')", 3, 6),
            ("quantity('50k').add(20).sub(quantity('100k')).sub(-50000).asInteger() > 0", 7, 7),
            ("format.named('dns1123Subdomain').value().validate('my-name')", 34, 34),
            ("format.named('dns1123Label').value() == format.named('dns1123Label').value()", 5, 11),
            ("sets.contains([1, 2, 3, 4], [2, 3])", 29, 29), ("sets.contains([[1], [2, 3]], [[2, 3]])", 53, 53),
            ("!sets.equivalent([1, 2], [2, 2, 2])", 34, 34), ("sets.intersects([[1], [2, 3]], [[1, 2], [2, 3]])", 65, 65),
            ("semver('1234.56789012345.67890123456789')", 4, 4), ("semver('1.0.0').isLessThan(semver('1.1.0'))", 3, 3),
            ("{'a': 1, 'b': 2}.all(k, v, v > 0)", 37, 41), ("{'a': 1, 'b': 2}.exists(k, v, v > 0)", 39, 43),
            ("{'a': 1, 'b': 2}.existsOne(k, v, v > 0)", 38, 40), ("{'a': 1, 'b': 2}.transformMap(k, v, v + 1)", 71, 71),
            ("{'a': 1, 'b': 2}.transformMap(k, v, v < 5, v + 1)", 67, 75),
            ("{'a': 1, 'b': 2}.transformMapEntry(k, v, {k: v + 1})", 131, 131), ("[1, 2].all(i, v, v > 0)", 17, 21),
            ("[1, 2].transformList(i, v, v + 1)", 49, 49), ("[1, 2].transformList(i, v, v < 5, v + 1)", 27, 53),
        ] as [(String, UInt64, UInt64)])
    func estimates(source: String, least: UInt64, most: UInt64) throws {
        #expect(try estimate(source) == CELCostEstimate(min: least, max: most), "\(source)")
    }

    @Test("the size of a text after its replacements holds the longest and the shortest there can be")
    func replaced() throws {
        // A comparison with a text as long tells the size: a tenth of it is added.
        func compared(_ source: String) throws -> CELCostEstimate { try estimate("\(source) == '\(String(repeating: "x", count: 1000))'") }
        #expect(try compared("'abc'.replace('', '\(String(repeating: "_", count: 10))')") == CELCostEstimate(min: 2, max: 6))
        #expect(try compared("'\(String(repeating: "a", count: 100))'.replace('a', '')") == CELCostEstimate(min: 21, max: 30))
    }

    @Test("lists that are made cost their length, those compared with themselves its square")
    func lists() throws {
        #expect(try estimate("lists.range(20)") == CELCostEstimate(min: 31, max: 31))
        #expect(try estimate("[1, 2, 3].slice(0, 2)") == CELCostEstimate(min: 23, max: 23))
        #expect(try estimate("[1, 2, 3].reverse()") == CELCostEstimate(min: 24, max: 24))
        #expect(try estimate("[[1], [2]].flatten()") == CELCostEstimate(min: 43, max: 43))
        #expect(try estimate("[1, 2, 3].distinct()") == CELCostEstimate(min: 39, max: 39))
        #expect(try estimate("['a', 'b', 'c'].sort()") == CELCostEstimate(min: 40, max: 40))
    }

    @Test("an argument of unknown type may mean each of a function's signatures: the range holds all of them")
    func dynamic() throws {
        let environment = CELEnvironment(variables: [CELVariable("any", .dyn)])
        #expect(try CELProgram.estimateCost("any + any", in: environment) == CELCostEstimate(min: 2, max: 3))
        // Fields of what is dynamic cost nothing by themselves, and presence nothing at all.
        #expect(try CELProgram.estimateCost("has(any.a) && any.a.b.c", in: environment) == CELCostEstimate(min: 1, max: 2))
    }

    @Test("what is spent is what upstream's trackers count")
    func spent() throws {
        func cost(_ source: String) throws -> UInt64 {
            var budget = CELBudget()
            let environment = CELEnvironment(variables: [CELVariable("l", .list(.string)), CELVariable("m", .map(.string, .int))])
            let activation = CELActivation([
                "l": .list([.string(String(repeating: "x", count: 12)), .string("abc")]),
                "m": CELValue(try Value(json: Array(#"{"a":1,"b":2}"#.utf8)), CELSchema.map(.integer)),
            ])
            _ = try CELProgram.compile(source, in: environment).evaluate(activation, budget: &budget)
            return CELLimits.perRequest - budget.remaining
        }
        #expect(try cost("l.isSorted()") == 1 + 1)
        #expect(try cost("l.join(' ')") == 1 + 4)
        #expect(try cost("l.sort()") == 1 + 8 + 11)
        #expect(try cost("l.slice(0, 1)") == 1 + 1 + 11)
        #expect(try cost("sets.equivalent(l, l)") == 2 + 8 + 1)
        #expect(try cost("format.named('dns1123Label').value().validate('my-name')") == 10)
        #expect(try cost("m.transformMap(k, v, v + 1)") == 1 + 2 * 5 + 1)
    }
}
