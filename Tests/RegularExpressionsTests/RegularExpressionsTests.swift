import Testing

@testable import RegularExpressions

@Suite("Regular expressions")
struct RegularExpressionsTests {
    @Test(
        "patterns match as RE2 has it",
        arguments: [
            ("^a.c$", "abc", true), ("^a.c$", "a\nc", false), ("(?s)^a.c$", "a\nc", true), ("(?m)^b$", "a\nb\nc", true), ("(?i)ÉTÉ", "été", true),
            ("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "my-name", true), ("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "-x", false), ("\\bfoo\\b", "a foo b", true),
            ("\\bfoo\\b", "afoob", false), ("^\\pL+$", "héllo日本", true), ("^\\p{Lu}$", "A", true), ("^\\p{Lu}$", "a", false), ("^\\PN$", "x", true),
            ("^\\p{Greek}+$", "αβγ", true), ("^[[:alpha:]]+$", "abc", true), ("^[^[:digit:]]$", "1", false), ("^a{2,3}$", "aaaa", false),
            ("^a{2,3}$", "aaa", true),
            ("^a{2,}$", "aaaaa", true), ("^a{,3}$", "a{,3}", true), ("^\\Qa.b\\E$", "a.b", true), ("^\\Qa.b\\E$", "axb", false),
            ("^(?:ab|cd)+$", "abcdab", true),
            ("^\\x41\\x{1F600}$", "A😀", true), ("^[\\]a-]+$", "]-a", true), ("^\\d{3}-\\d{4}$", "555-1234", true), ("", "x", true), ("$^", "", true),
            ("^(a|b)*?c$", "ababc", true), ("(?i)^k$", "\u{212A}", true), ("a||b", "", true),
        ])
    func matches(_ pattern: String, _ text: String, _ expected: Bool) throws { #expect(try RegularExpression(pattern).matches(text) == expected) }

    @Test(
        "what is no pattern is refused in Go's words",
        arguments: [
            ("[a", "missing closing ]: `[a`"), ("(a", "missing closing ): `(a`"), ("a)", "unexpected ): `a)`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"), ("a{1001}", "invalid repeat count: `{1001}`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("\\8", "invalid escape sequence: `\\8`"), ("[z-a]", "invalid character class range: `z-a`"),
            ("a\\", "trailing backslash at end of expression: ``"),
            ("\\p{Nope}", "invalid character class range: `\\p{Nope}`"), ("((a{100}){100}){100}", "invalid repeat count: `{100}`"),
        ])
    func refused(_ pattern: String, _ why: String) {
        let error = #expect(throws: RegularExpressionError.self) { try RegularExpression(pattern) }
        #expect(error?.description == "error parsing regexp: " + why)
    }

    @Test("groups, all matches and replacement are the leftmost ones that Perl would find")
    func find() throws {
        let date = try RegularExpression("(?P<year>\\d+)-(\\d+)")
        let match = try #require(date.firstMatch(in: "on 2024-05 or"))
        #expect(match[0] == "2024-05" && match[1] == "2024" && match[2] == "05" && match.range == 3..<10)
        #expect(date.groupNames == ["", "year", ""])
        #expect(try RegularExpression("a*").allMatches(in: "baac").map { $0[0] } == ["", "aa", ""])
        #expect(try RegularExpression("a|ab").firstMatch(in: "ab")?[0] == "a")
        #expect(try RegularExpression("(?U)a+").firstMatch(in: "aaa")?[0] == "a")
        #expect(try RegularExpression("(a)|(b)").firstMatch(in: "b")?[1] == nil)
        #expect(try RegularExpression("[0-9]+").replacing(in: "a1b22", with: { "<\($0[0] ?? "")>" }) == "a<1>b<22>")
    }

    @Test("a pattern that makes backtracking matchers explode takes linear time")
    func linear() throws {
        let text = String(repeating: "a", count: 20_000)
        let start = ContinuousClock.now
        #expect(try !RegularExpression("^(a+)+$").matches(text + "b"))
        #expect(try !RegularExpression("(a|aa)+b").matches(text))
        #expect(ContinuousClock.now - start < .seconds(10))
    }
}
