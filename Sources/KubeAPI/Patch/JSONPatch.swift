/// A list of operations on a JSON document. Upstream: RFC 6902 as github.com/evanphx/json-patch and the apiserver's jsonPatcher do it.
package struct JSONPatch: Sendable {
    /// Upstream: maxJSONPatchOperations.
    package static let maxOperations = 10_000
    /// What all `copy` operations of one patch may add together, against patches that double a document over and over. Upstream:
    /// limits.MaxRequestBodyBytes as json-patch's AccumulatedCopySizeLimit.
    package static let copyLimit = 3 << 20

    private struct Operation: Sendable {
        var op: String
        var path: [String]
        var from: [String]?
        var value: Value?
    }

    private var operations: [Operation] = []

    /// Why an operation cannot be done. Clients only see `StatusError.patchRejected`, as upstream.
    private struct Failure: Error {}

    /// Reads a patch document. Throws `StatusError`: 400 for what is no patch, 413 for too many operations, 422 for operations nobody knows.
    package init(_ document: Value) throws(StatusError) {
        guard case .array(let items) = document else {
            throw .badRequest("json: cannot unmarshal \(document.goName) into Go value of type jsonpatch.Patch")
        }
        guard items.count <= Self.maxOperations else {
            throw .requestEntityTooLarge("The allowed maximum operations in a JSON patch is \(Self.maxOperations), got \(items.count)")
        }
        for item in items {
            guard case .object(let members) = item else {
                throw .badRequest("json: cannot unmarshal \(item.goName) into Go value of type jsonpatch.Operation")
            }
            guard let op = members["op"]?.string, ["add", "remove", "replace", "move", "copy", "test"].contains(op),
                let path = members["path"]?.string.flatMap(Self.pointer)
            else { throw .patchRejected }
            let from = members["from"]?.string.flatMap(Self.pointer)
            // Nothing that is read is nested deeper.
            guard path.count <= JSONLimits.depth, from?.count ?? 0 <= JSONLimits.depth else { throw .patchRejected }
            if from == nil, op == "move" || op == "copy" { throw .patchRejected }
            if members["value"] == nil, op == "add" || op == "replace" { throw .patchRejected }
            operations.append(Operation(op: op, path: path, from: from, value: members["value"]))
        }
    }

    /// Applies all operations, or none. Throws `StatusError.patchRejected`.
    package func apply(to document: Value) throws(StatusError) -> Value {
        var result = document
        var copied = 0
        // Values that may be looked at for their depth.
        var budget = Self.copyLimit
        for operation in operations {
            do throws(Failure) {
                switch operation.op {
                case "add":
                    try Self.checkDepth(operation.value ?? .null, at: operation.path, &budget)
                    try Self.add(operation.value ?? .null, at: operation.path[...], to: &result)
                case "replace":
                    try Self.checkDepth(operation.value ?? .null, at: operation.path, &budget)
                    try Self.replace(operation.value ?? .null, at: operation.path[...], in: &result)
                case "remove": _ = try Self.remove(operation.path[...], from: &result)
                case "move":
                    let from = operation.from ?? []
                    // A value cannot move into itself.
                    if operation.path.count > from.count, operation.path.starts(with: from) { throw Failure() }
                    let value = try Self.remove(from[...], from: &result)
                    // Going up makes nothing deeper.
                    if operation.path.count > from.count { try Self.checkDepth(value, at: operation.path, &budget) }
                    try Self.add(value, at: operation.path[...], to: &result)
                case "copy":
                    let value = try Self.readOrNull(operation.from ?? [], in: result)
                    copied += value.jsonBytes.count
                    guard copied <= Self.copyLimit else { throw Failure() }
                    try Self.checkDepth(value, at: operation.path, &budget)
                    try Self.add(value, at: operation.path[...], to: &result)
                default:
                    guard try Self.readOrNull(operation.path, in: result) == (operation.value ?? .null) else { throw Failure() }
                }
            } catch {
                throw .patchRejected
            }
        }
        return result
    }

    /// A value that is put inside itself over and over would nest too deep for any stack: no step makes a document deeper than one that can be read.
    private static func checkDepth(_ value: Value, at path: [String], _ budget: inout Int) throws(Failure) {
        guard let depth = value.depth(&budget), path.count + depth <= JSONLimits.depth else { throw Failure() }
    }

    /// The steps of a JSON pointer; nil for a text that is none. Upstream: RFC 6901.
    private static func pointer(_ text: String) -> [String]? {
        if text.isEmpty { return [] }
        guard text.first == "/" else { return nil }
        return text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { step in
            guard step.contains("~") else { return String(step) }
            var out = ""
            var tilde = false
            for character in step {
                if tilde {
                    tilde = false
                    out.append(character == "1" ? "/" : character == "0" ? "~" : "~\(character)")
                } else if character == "~" {
                    tilde = true
                } else {
                    out.append(character)
                }
            }
            return tilde ? out + "~" : out
        }
    }

    /// The place of an existing element; negative numbers count from the end.
    private static func index(_ step: String, _ count: Int) throws(Failure) -> Int {
        guard let number = Int(step) else { throw Failure() }
        let place = number < 0 ? count &+ number : number
        guard place >= 0, place < count else { throw Failure() }
        return place
    }

    private static func read(_ path: [String], in document: Value) throws(Failure) -> Value {
        var value = document
        for step in path {
            switch value {
            case .object(let members):
                guard let member = members[step] else { throw Failure() }
                value = member
            case .array(let items): value = items[try index(step, items.count)]
            default: throw Failure()
            }
        }
        return value
    }

    /// As `read`, but a member that its object lacks is null, as upstream's library has it.
    private static func readOrNull(_ path: [String], in document: Value) throws(Failure) -> Value {
        guard let last = path.last else { return document }
        let parent = try read(Array(path.dropLast()), in: document)
        if case .object(let members) = parent { return members[last] ?? .null }
        return try read([last], in: parent)
    }

    /// Lets `change` work on the value that holds the last step of `path`.
    private static func descend<R>(_ path: ArraySlice<String>, _ value: inout Value, _ change: (inout Value, String) throws(Failure) -> R)
        throws(Failure) -> R
    {
        guard let step = path.first else { throw Failure() }
        if path.count == 1 { return try change(&value, step) }
        switch value {
        case .object(var members):
            guard var child = members[step] else { throw Failure() }
            value = .null
            members[step] = .null
            let result = try descend(path.dropFirst(), &child, change)
            members[step] = child
            value = .object(members)
            return result
        case .array(var items):
            let place = try index(step, items.count)
            value = .null
            var child = items[place]
            items[place] = .null
            let result = try descend(path.dropFirst(), &child, change)
            items[place] = child
            value = .array(items)
            return result
        default: throw Failure()
        }
    }

    private static func add(_ new: Value, at path: ArraySlice<String>, to document: inout Value) throws(Failure) {
        if path.isEmpty {
            document = new
            return
        }
        try descend(path, &document) { (parent, step) throws(Failure) in
            switch parent {
            case .object: parent[step] = new
            case .array(var items):
                parent = .null
                if step == "-" {
                    items.append(new)
                } else {
                    guard let number = Int(step) else { throw Failure() }
                    let place = number < 0 ? items.count &+ 1 &+ number : number
                    guard place >= 0, place <= items.count else { throw Failure() }
                    items.insert(new, at: place)
                }
                parent = .array(items)
            default: throw Failure()
            }
        }
    }

    private static func replace(_ new: Value, at path: ArraySlice<String>, in document: inout Value) throws(Failure) {
        if path.isEmpty {
            document = new
            return
        }
        try descend(path, &document) { (parent, step) throws(Failure) in
            switch parent {
            // A member that is not there is added: the library that upstream uses asks only of arrays whether the element exists.
            case .object: parent[step] = new
            case .array(var items):
                items[try index(step, items.count)] = new
                parent = .array(items)
            default: throw Failure()
            }
        }
    }

    private static func remove(_ path: ArraySlice<String>, from document: inout Value) throws(Failure) -> Value {
        try descend(path, &document) { (parent, step) throws(Failure) -> Value in
            switch parent {
            case .object(let members):
                guard let old = members[step] else { throw Failure() }
                parent[step] = nil
                return old
            case .array(var items):
                let old = items.remove(at: try index(step, items.count))
                parent = .array(items)
                return old
            default: throw Failure()
            }
        }
    }
}

extension Value {
    /// How deep arrays and objects nest: 0 for a scalar. Recursive: for values within `JSONLimits.depth`. Each value is taken off `budget`; nil when
    /// that is used up.
    fileprivate func depth(_ budget: inout Int) -> Int? {
        let children: [Value]
        switch self {
        case .array(let items): children = items
        case .object(let members): children = members.values
        default: children = []
        }
        budget -= children.count
        guard budget >= 0 else { return nil }
        var deepest = 0
        for child in children {
            switch child {
            case .array, .object:
                guard let depth = child.depth(&budget) else { return nil }
                deepest = max(deepest, depth)
            default: break
            }
        }
        if case .array = self { return deepest + 1 }
        if case .object = self { return deepest + 1 }
        return 0
    }

    /// The JSON type as Go's decoder names it.
    var goName: String {
        switch self {
        case .null: "null"
        case .bool: "bool"
        case .int, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}
