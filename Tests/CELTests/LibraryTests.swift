import KubeAPI
import Testing

@testable import CEL

/// Evaluates with the variables of a small object.
private func evaluate(_ source: String, _ variables: [String: CELValue] = [:]) throws -> CELValue {
    let environment = CELEnvironment(variables: variables.keys.map { CELVariable($0, .dyn) })
    var budget = CELBudget()
    return try CELProgram.compile(source, in: environment).evaluate(CELActivation(variables), budget: &budget)
}

private func text(_ source: String, _ variables: [String: CELValue] = [:]) -> String {
    do {
        let value = try evaluate(source, variables)
        return value.jsonValue?.jsonString ?? value.type.description
    } catch { return "\(error)" }
}

@Suite("Kubernetes' libraries")
struct LibraryTests {
    @Test(
        "their functions answer as upstream's documentation says",
        arguments: [
            ("[1,2,3].isSorted() && ![2,1].isSorted()", "true"), ("[1,2,3].sum()", "6"), ("[1.5].sum()", "1.5"), ("['b','a'].min()", "\"a\""),
            ("[1,3,2].max()", "3"), ("[].max()", "max called on empty list"), ("[1,2,2].indexOf(2)", "1"), ("[1,2,2].lastIndexOf(2)", "2"),
            ("'abc 123'.find('[0-9]+')", "\"123\""), ("'1 and 2'.findAll('[0-9]+')", "[\"1\",\"2\"]"),
            ("'1 2 3'.findAll('[0-9]', 2)", "[\"1\",\"2\"]"),
            ("url('https://example.com:80/path?k=a&k=b').getHost()", "\"example.com:80\""),
            ("url('https://example.com:80/').getHostname() + url('https://[::1]:80/').getPort()", "\"example.com80\""),
            ("url('https://example.com/?k=a&k=b').getQuery()['k']", "[\"a\",\"b\"]"), ("isURL('/path') && !isURL('path')", "true"),
            ("quantity('1.5Gi').add(quantity('512Mi')).compareTo(quantity('2Gi'))", "0"), ("quantity('100m').isLessThan(quantity('1'))", "true"),
            ("isQuantity('1.3Gi') && !isQuantity('200K')", "true"), ("quantity('50k').asInteger()", "50000"),
            ("quantity('50k') == quantity('50000')", "true"),
            ("ip('192.168.0.1').family()", "4"), ("ip('::1').isLoopback() && ip('fe80::1').isLinkLocalUnicast()", "true"),
            ("isIP('127.0.0.1') && !isIP('256.0.0.1') && !isIP('::ffff:1.2.3.4')", "true"), ("ip.isCanonical('2001:db8::abcd')", "true"),
            ("ip.isCanonical('2001:DB8::ABCD')", "false"), ("string(ip('2001:DB8:0:0::1'))", "\"2001:db8::1\""),
            ("cidr('192.168.0.0/24').containsIP('192.168.0.5')", "true"), ("cidr('192.168.0.0/24').containsCIDR('192.168.0.0/23')", "false"),
            ("string(cidr('192.168.1.5/24').masked())", "\"192.168.1.0/24\""), ("cidr('::/0').ip() == ip('::')", "true"),
            ("cidr('10.0.0.0/8').prefixLength()", "8"),
            ("format.dns1123Label().validate('my-label').hasValue()", "false"), ("format.dns1123Label().validate('My').hasValue()", "true"),
            ("format.named('uuid').value().validate('x').value()[0]", "\"does not match the UUID format\""),
            ("format.named('nothing').hasValue()", "false"),
            ("semver('1.2.3').isLessThan(semver('1.10.0'))", "true"), ("isSemver('v1.0', true) && !isSemver('v1.0')", "true"),
            ("semver('1.2.3-rc.1').compareTo(semver('1.2.3'))", "-1"), ("sets.contains([1,2,3],[1])", "true"), ("sets.equivalent([1,1],[1])", "true"),
            ("sets.intersects([1],[2])", "false"), ("[3,1,2].sort()", "[1,2,3]"),
            ("[{'n': 'b', 'p': '2'}, {'n': 'a', 'p': '1'}].sortBy(e, e.p).map(e, e.n)", "[\"a\",\"b\"]"),
            ("['bb', 'a', 'cc'].sortBy(s, size(s))", "[\"a\",\"bb\",\"cc\"]"), ("[].sortBy(e, e)", "[]"),
            ("[dyn(1), dyn('a')].sortBy(e, e)", "list elements must have the same type"),
            ("[1,1,2].distinct()", "[1,2]"), ("[[1],[2]].flatten()", "[1,2]"),
            ("lists.range(3)", "[0,1,2]"), ("[1,2,3].slice(1,2)", "[2]"), ("jsonpatch.escapeKey('k8s.io/my~label')", "\"k8s.io~1my~0label\""),
            ("[1,2].transformList(i, v, i + v)", "[1,3]"), ("{'a': 1}.transformMap(k, v, v + 1)", "{\"a\":2}"),
            ("{'a': 'b'}.transformMapEntry(k, v, {v: k})", "{\"b\":\"a\"}"), ("[1,2].all(i, v, v > i)", "true"),
            ("{'a': 1}.exists(k, v, v == 1)", "true"),
            ("[1,2].existsOne(i, v, v == 2)", "true"), ("'%s is %d'.format([dyn('a'), 1])", "\"a is 1\""),
        ])
    func answers(_ source: String, _ expected: String) { #expect(text(source) == expected, "\(source)") }

    @Test(
        "run-time errors are worded as cel-go's",
        arguments: [
            ("x.foo", "no such key: foo"), ("1 / 0", "division by zero"), ("1 % 0", "modulus by zero"), ("[1][3]", "index out of bounds: 3"),
            ("x.a + 1", "no such overload"), ("9223372036854775807 + 1", "integer overflow"), ("0u - 1u", "unsigned integer overflow"),
            ("int('a')", "type conversion error from 'string' to 'int'"), ("optional.none().value()", "optional.none() dereference"),
            ("'abc'.charAt(9)", "index out of range: 9"),
            ("quantity('x').sign()", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ])
    func errors(_ source: String, _ expected: String) throws {
        #expect(text(source, ["x": CELValue(try Value(json: #"{"a":"b"}"#))]) == expected)
    }

    @Test("an authorizer is asked with what the expression built, and costs 350,000")
    func authorizer() throws {
        let value = CELAuthorizer { check in
            CELAuthorizationDecision(isAllowed: check.verb == "create" && check.resource == "deployments" && check.namespace == "n", reason: "r")
        }
        let environment = CELEnvironment(variables: [CELVariable("authorizer", CELAuthorizer.type)])
        let source = "authorizer.group('apps').resource('deployments').namespace('n').check('create').allowed()"
        let program = try CELProgram.compile(source, in: environment, expecting: [.bool])
        var budget = CELBudget()
        #expect(try program.evaluate(CELActivation(["authorizer": .opaque(value)]), budget: &budget).bool == true)
        #expect(CELLimits.perRequest - budget.remaining == 350_005)
        let thrice = try CELProgram.compile([source, source, source].joined(separator: " && "), in: environment)
        #expect(throws: CELError.costLimit) { try thrice.evaluate(CELActivation(["authorizer": .opaque(value)]), budget: &budget) }
    }
}

@Suite("Structural schemas")
struct SchemaTests {
    static let schema = CELSchema.object(
        name: "Crontab",
        properties: [
            "replicas": .integer, "names": .list(.string(), kind: .set), "at": .string(format: "date-time"), "ratio": .number, "namespace": .string(),
            "my-field": .string(maxLength: 10),
            "ports": .list(.object(name: "Port", properties: ["port": .integer, "p": .string()]), kind: .map(keys: ["port"])),
            "any": .intOrString,
        ])
    static let environment = CELEnvironment(variables: [CELVariable("self", schema), CELVariable("oldSelf", schema)])

    private func check(_ source: String, _ json: String, old: String = "{}") throws -> CELValue {
        let program = try CELProgram.compile(source, in: Self.environment)
        var budget = CELBudget()
        let activation = CELActivation([
            "self": CELValue(try Object(json: json).root, Self.schema), "oldSelf": CELValue(try Value(json: old), Self.schema),
        ])
        return try program.evaluate(activation, budget: &budget)
    }

    @Test("fields are typed: dates are timestamps, numbers doubles, reserved names escaped, sets and maps compare as such")
    func typed() throws {
        #expect(try check("self.at > timestamp('2020-01-01T00:00:00Z')", #"{"at":"2021-01-01T00:00:00Z"}"#).bool == true)
        #expect(try check("self.ratio == 1.0", #"{"ratio":1}"#).bool == true)
        #expect(try check("self.__namespace__ == 'n' && self.my__dash__field == 'f'", #"{"namespace":"n","my-field":"f"}"#).bool == true)
        #expect(try check("self.names == oldSelf.names", #"{"names":["a","b"]}"#, old: #"{"names":["b","a"]}"#).bool == true)
        let ports = #"{"ports":[{"port":1,"p":"x"},{"port":2}]}"#
        #expect(try check("self.ports == oldSelf.ports", ports, old: #"{"ports":[{"port":2},{"port":1,"p":"x"}]}"#).bool == true)
        #expect(try check("has(self.replicas) || self.any == 'x'", #"{"any":"x"}"#).bool == true)
    }

    @Test("what the schema does not declare does not compile, and whether old values are read is known")
    func compile() throws {
        #expect(
            throws: CELCompileError(issues: [CELIssue(message: "undefined field 'foo'", line: 1, column: 4, snippet: "self.foo")], wrongType: nil)
        ) { try CELProgram.compile("self.foo", in: Self.environment) }
        let error = #expect(throws: CELCompileError.self) { try CELProgram.compile("self.foo", in: Self.environment) }
        #expect(error?.description == "ERROR: <input>:1:5: undefined field 'foo'\n | self.foo\n | ....^")
        #expect(throws: CELCompileError.self) { try CELProgram.compile("self.replicas + 1", in: Self.environment, expecting: [.bool]) }
        #expect(try CELProgram.compile("self.replicas >= oldSelf.replicas", in: Self.environment).usesVariable("oldSelf"))
        #expect(try !CELProgram.compile("self.replicas >= 0", in: Self.environment).usesVariable("oldSelf"))
    }

    @Test("estimates grow with the sizes that schemas allow")
    func estimates() throws {
        func cost(_ source: String) throws -> CELCostEstimate { try CELProgram.estimateCost(source, in: Self.environment) }
        #expect(try cost("self.replicas > 1") == CELCostEstimate(min: 3, max: 3))
        #expect(try cost("self.my__dash__field == 'abc'").max == 3)
        // Objects have no size: a rule that forbids changes is cheap.
        #expect(try cost("self == oldSelf") == CELCostEstimate(min: 2, max: 2))
        #expect(try cost("self.names.all(a, self.names.all(b, a == b))").max > CELLimits.estimatedPerExpression)
        #expect(try cost("self.names.all(a, a.size() < 3)").max < CELLimits.estimatedPerExpression)
    }

    @Test("costs are those of cel-go's expansion of macros")
    func costs() throws {
        func cost(_ source: String) throws -> UInt64 {
            var budget = CELBudget()
            let environment = CELEnvironment(variables: [CELVariable("l", .list(.int))])
            let list = CELValue.list([.int(1), .int(2), .int(3)])
            _ = try CELProgram.compile(source, in: environment).evaluate(CELActivation(["l": list]), budget: &budget)
            return CELLimits.perRequest - budget.remaining
        }
        #expect(try cost("l") == 1)
        #expect(try cost("l.all(x, true)") == 11)
        #expect(try cost("l.map(x, x)") == 1 + 3 * 13 + 1)
        #expect(try cost("1 in [1, 2]") == 0)
    }

    @Test("loops stop at the limit of a call")
    func limit() throws {
        let source = "lists.range(2000).all(a, lists.range(2000).all(b, a + b >= 0))"
        let program = try CELProgram.compile(source, in: CELEnvironment(variables: []))
        var budget = CELBudget()
        #expect(throws: CELError.costLimit) { try program.evaluate(CELActivation(), budget: &budget) }
        #expect(throws: CELCompileError.self) {
            try CELProgram.compile(String(repeating: "(", count: 5000) + "1", in: CELEnvironment(variables: []))
        }
        #expect(throws: CELCompileError.self) {
            try CELProgram.compile(String(repeating: "1+", count: 5000) + "1", in: CELEnvironment(variables: []))
        }
        #expect(throws: Never.self) {
            try CELProgram.compile(String(repeating: "true && ", count: 5000) + "true", in: CELEnvironment(variables: []))
        }
    }

    @Test("no source makes the compiler trap")
    func noise() {
        var state: UInt64 = 42
        let pieces = [
            "a", "1", "'", "\"", "(", ")", "[", "]", "{", "}", ".", "?", ":", "+", "-", "!", "in", "has", "all", ",", "\\", "r'", "0x", "&&", "é",
            "b'", "`",
        ]
        for _ in 0..<20_000 {
            var source = ""
            for _ in 0..<Int(state % 12) {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                source += pieces[Int(state >> 33) % pieces.count]
            }
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            _ = try? CELProgram.compile(source, in: Self.environment)
        }
    }
}
