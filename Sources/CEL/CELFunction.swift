/// What computes a call of one overload. Arguments are of the overload's types, a member's target first.
typealias CELImplementation = @Sendable ([CELValue]) throws(CELError) -> CELValue

/// One signature of a function. Upstream: decls.OverloadDecl.
struct CELOverload: Sendable {
    /// Upstream's name for it, by which costs are told apart.
    let id: String
    let function: String
    let isMember: Bool
    /// The target's first.
    let parameters: [CELType]
    let result: CELType
    /// Nil for operators, which are evaluated by nodes of their own.
    let implementation: CELImplementation?

    /// Reads `name(type, …) type` or `type.name(type, …) type`. Single capitals are type variables.
    /// The signatures are the project's own: one that does not read declares nothing.
    init?(_ id: String, _ signature: String, _ implementation: CELImplementation?) {
        var reader = CELSignatureReader(signature)
        guard let head = reader.name() else { return nil }
        self.id = id
        self.implementation = implementation
        var parameters: [CELType] = []
        if head.hasSuffix(".") || reader.isMemberNext {
            // `list(A).` or `string.`: the target's type, then the function.
            guard let target = reader.finishType(head), reader.take("."), let name = reader.name() else { return nil }
            parameters.append(target)
            function = name
            isMember = true
        } else {
            function = head
            isMember = false
        }
        guard reader.take("(") else { return nil }
        if !reader.take(")") {
            repeat {
                guard let type = reader.type() else { return nil }
                parameters.append(type)
            } while reader.take(",")
            guard reader.take(")") else { return nil }
        }
        guard let result = reader.type() else { return nil }
        self.parameters = parameters
        self.result = result
    }
}

/// Reads the types in signatures. A target's type is written in angle brackets where its name has a dot: `<net.IP>.family() int`.
struct CELSignatureReader {
    private let scalars: [Character]
    private var at = 0
    private var bracketed = false

    init(_ text: String) { scalars = Array(text) }

    private mutating func skipSpaces() { while at < scalars.count, scalars[at] == " " { at += 1 } }

    mutating func take(_ c: Character) -> Bool {
        skipSpaces()
        guard at < scalars.count, scalars[at] == c else { return false }
        at += 1
        return true
    }

    /// A function's or type's name. A bracketed one is a target's type.
    mutating func name() -> String? {
        skipSpaces()
        if take("<") {
            let start = at
            while at < scalars.count, scalars[at] != ">" { at += 1 }
            let name = String(scalars[start..<at])
            at += 1
            bracketed = true
            return name
        }
        let start = at
        // Operators' names hold anything but a parenthesis.
        if at < scalars.count, "_!-@".contains(scalars[at]) {
            while at < scalars.count, scalars[at] != "(" { at += 1 }
            return String(scalars[start..<at])
        }
        while at < scalars.count, !"(), <>".contains(scalars[at]) {
            // A dot in front of the parenthesis of a call parts a target from the function when the target is a plain type.
            if scalars[at] == ".", Self.targets.contains(String(scalars[start..<at])) { break }
            at += 1
        }
        return at > start ? String(scalars[start..<at]) : nil
    }

    private static let targets: Set<String> = ["string", "bytes", "int", "uint", "double", "bool", "timestamp", "duration", "dyn"]
    private static let parametric: Set<String> = ["list", "map", "optional", "type"]

    /// Whether a member's function follows the type whose name was read.
    var isMemberNext: Bool {
        if bracketed { return true }
        var place = at
        var depth = 0
        if place < scalars.count, scalars[place] == "." { return true }
        guard place < scalars.count, scalars[place] == "(" else { return false }
        while place < scalars.count {
            if scalars[place] == "(" { depth += 1 }
            if scalars[place] == ")" {
                depth -= 1
                if depth == 0 { return place + 1 < scalars.count && scalars[place + 1] == "." }
            }
            place += 1
        }
        return false
    }

    mutating func type() -> CELType? { name().flatMap { finishType($0) } }

    /// The type of a name and the parameters behind it.
    mutating func finishType(_ name: String) -> CELType? {
        var parameters: [CELType] = []
        if Self.parametric.contains(name), take("(") {
            repeat {
                guard let type = type() else { return nil }
                parameters.append(type)
            } while take(",")
            guard take(")") else { return nil }
        }
        switch name {
        case "list": return parameters.first.map { .list($0) }
        case "map": return parameters.count == 2 ? .map(parameters[0], parameters[1]) : nil
        case "optional": return parameters.first.map { .optional($0) }
        case "type": return .type(parameters.first)
        default: return Self.named[name] ?? (name.count == 1 ? .parameter(name) : .opaque(name))
        }
    }

    private static let named: [String: CELType] = [
        "dyn": .dyn, "null": .null, "bool": .bool, "int": .int, "uint": .uint, "double": .double, "string": .string, "bytes": .bytes,
        "duration": .duration, "timestamp": .timestamp,
    ]
}

/// All functions of the environment, by name. Upstream: environment.MustBaseEnvSet of v1.36.
enum CELFunctions {
    private static let libraries: [[CELOverload?]] = [
        StandardLibrary.operators, StandardLibrary.conversions, StandardLibrary.functions, StandardLibrary.times, OptionalLibrary.overloads,
        StringsLibrary.overloads, ListsLibrary.kubernetes, ListsLibrary.extended, SetsLibrary.overloads, MathLibrary.overloads,
        EncodersLibrary.overloads, RegexLibrary.overloads, URLLibrary.overloads, QuantityLibrary.overloads, IPLibrary.overloads,
        CIDRLibrary.overloads, FormatLibrary.overloads, SemverLibrary.overloads, AuthorizerLibrary.overloads, JSONPatchLibrary.overloads,
    ]

    static let all: [String: [CELOverload]] = {
        var functions: [String: [CELOverload]] = [:]
        for overload in libraries.joined() { if let overload { functions[overload.function, default: []].append(overload) } }
        return functions
    }()

    /// How many signatures do not read: none, as a test sees.
    static var unreadable: Int { libraries.joined().count { $0 == nil } }
}
