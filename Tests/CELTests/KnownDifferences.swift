/// Where cel-go, whose behaviour Kubernetes has, is known to differ from Google's C++ implementation that made the fixture.
enum KnownDifferences {
    /// Expressions by why they are not compared.
    private static let sources: [String: String] = [
        "'%d %s %f'.format([1,'a',1.5])": "Kubernetes compiles with HomogeneousAggregateLiterals",
        "[1,'a']": "Kubernetes compiles with HomogeneousAggregateLiterals", "{'a':1,2:'b'}": "Kubernetes compiles with HomogeneousAggregateLiterals",
        "'%s'.format([1e20])": "cel-go writes doubles without an exponent", "''.split('')": "strings.Split gives nothing here",
        "'abc'.matches('[')": "Kubernetes checks literals with ValidateRegexLiterals",
        "-duration('1s')": "cel-go negates durations", "double(' 5')": "strconv takes no spaces", "int(' 5')": "strconv takes no spaces",
        "uint(' 5')": "strconv takes no spaces", "duration('1.5s').getMilliseconds()": "cel-go gives all milliseconds",
        "has(o.none.x)": "cel-go finds no field in what has none", "has(o.spec.replicas.x)": "cel-go finds no field in what has none",
        "string(duration('1h1.5s'))": "Go's digits", "string(timestamp('2020-01-02T03:04:05.12Z'))": "Go's digits",
        "{'a':1,'a':2}": "cel-go lets the last one count", "size('a','b')": "C++ words it by arity", "size()": "C++ words it by arity",
        "'\\q'": "the lexer leaves escapes to the parser", "0xffffffffffffffff": "cel-go says int literal", "1.": "ANTLR's other words",
        "`a`": "escaped names are not enabled",
        "b'\\u0041'": "cel-go's words", "true ? 1": "C++ adds a position of its own", "[1].all(v)": "cel-go sorts by place",
        "x.all(v)": "cel-go sorts by place",
    ]

    /// Why an expression is not compared; nil: it is.
    static func reason(_ source: String) -> String? {
        if let reason = sources[source] { return reason }
        if source.hasPrefix("[1].all(v") { return "cel-go sorts by place" }
        if source.hasPrefix("[1].map(v") { return "cel-go sorts by place" }
        if source.hasPrefix("duration(") || source.hasPrefix("timestamp(") { return "literals are checked when compiling; cel-go converts ints too" }
        if source.contains("ndexOf(") { return "cel-go answers -1 beyond the end and the offset for nothing" }
        if source.hasPrefix("[1.5,2.5]."), source.contains("v > 1") { return "Kubernetes compares numbers of different types" }
        if source.hasPrefix("math.") { return "C++ refuses literals in other words" }
        if source.contains("filter(v"), source.hasPrefix("o") || source.hasPrefix("{1:") { return "the order of a map's keys is not defined" }
        return nil
    }

    /// Whether a compile error has the same meaning but other words in cel-go.
    static func isReworded(_ theirs: String) -> Bool {
        let words = [
            "cannot be the operand of a select operation", "cannot be the range of a comprehension", "variable name must be a simple identifier",
            "has() argument must be a field selection", "%", "null_type", "for 'orValue'", "undeclared reference to 'a.b.c'",
        ]
        return words.contains { theirs.contains($0) }
    }
}
