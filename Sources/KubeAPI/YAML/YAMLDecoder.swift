/// Reads YAML bodies as the JSON they stand for: YAML 1.1's booleans, octals, merge keys and aliases, keys of any scalar type. Upstream:
/// sigs.k8s.io/yaml.YAMLToJSON over go-yaml v2, its budget of aliases included (CVE-2019-11253).
package struct YAMLDecoder {
    package static let mediaType = "application/yaml"

    private let tree: YAMLTree
    private var out: [UInt8] = []
    private var duplicates: [(line: Int32, text: String)] = []
    /// Nodes read, and how many of them through an alias.
    private var decoded = 0
    private var aliased = 0
    private var aliasDepth = 0
    private var depth = 0

    /// The first document of `bytes` as JSON, and what is wrong with it in strict eyes: keys that stand twice, in upstream's words, or nil. An empty
    /// text is `null`.
    package static func decode(_ bytes: [UInt8]) throws(YAMLError) -> (json: [UInt8], strict: String?) {
        var decoder = YAMLDecoder(tree: try YAMLTree(bytes))
        guard !decoder.tree.nodes.isEmpty else { return (Array("null".utf8), nil) }
        decoder.out.reserveCapacity(bytes.count + bytes.count / 4)
        // Upstream counts the document too.
        decoder.decoded = 1
        try decoder.value(0)
        let problems = decoder.duplicates.sorted { $0.line < $1.line }.map(\.text)
        return (decoder.out, problems.isEmpty ? nil : "yaml: unmarshal errors:\n  " + problems.joined(separator: "\n  "))
    }

    private init(tree: YAMLTree) { self.tree = tree }

    // MARK: Budget

    /// Upstream: alias_ratio_range_low and alias_ratio_range_high.
    private static let ratioLow = 400_000
    private static let ratioHigh = 4_000_000

    private mutating func count() throws(YAMLError) {
        decoded += 1
        if aliasDepth > 0 { aliased += 1 }
        guard aliased > 100, decoded > 1000 else { return }
        let part = Double(decoded - Self.ratioLow) / Double(Self.ratioHigh - Self.ratioLow)
        let allowed = decoded <= Self.ratioLow ? 0.99 : decoded >= Self.ratioHigh ? 0.10 : 0.99 - 0.89 * part
        if Double(aliased) / Double(decoded) > allowed { throw YAMLError("document contains excessive aliasing") }
    }

    private mutating func enter() throws(YAMLError) {
        depth += 1
        guard depth <= JSONLimits.depth else { throw YAMLError("exceeded max depth of \(JSONLimits.depth)") }
        guard out.count < YAMLLimits.output else { throw YAMLError("document contains excessive aliasing") }
    }

    /// Calls `body` with the node that the alias at `place` stands for.
    private mutating func follow(_ place: Int, _ body: (inout YAMLDecoder, Int) throws(YAMLError) -> Void) throws(YAMLError) {
        let node = tree.nodes[place]
        let target = Int(node.end)
        let end = Int(tree.nodes[target].end)
        // An open container's end is not yet known to its own aliases: those lie between its start and its end.
        guard !(tree.nodes[target].kind != .scalar && tree.nodes[target].kind != .alias && target < place && place < end) else {
            throw YAMLError("anchor '\(tree.string(node))' value contains itself")
        }
        aliasDepth += 1
        try enter()
        try body(&self, target)
        depth -= 1
        aliasDepth -= 1
    }

    // MARK: Values

    private mutating func value(_ place: Int) throws(YAMLError) {
        try count()
        let node = tree.nodes[place]
        switch node.kind {
        case .alias: try follow(place) { (decoder, target) throws(YAMLError) in try decoder.value(target) }
        case .scalar: try write(try scalar(node))
        case .sequence:
            try enter()
            out.append(UInt8(ascii: "["))
            var at = place + 1
            while at < node.end {
                if at > place + 1 { out.append(UInt8(ascii: ",")) }
                try value(at)
                at = past(at)
            }
            out.append(UInt8(ascii: "]"))
            depth -= 1
        case .mapping:
            try enter()
            var entries = Entries()
            try gather(place, into: &entries)
            out.append(UInt8(ascii: "{"))
            for (index, entry) in entries.list.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                Value.write(entry.key, to: &out)
                out.append(UInt8(ascii: ":"))
                if entry.isAliased { aliasDepth += 1 }
                try value(entry.value)
                if entry.isAliased { aliasDepth -= 1 }
            }
            out.append(UInt8(ascii: "}"))
            depth -= 1
        }
    }

    private func past(_ place: Int) -> Int { tree.nodes[place].kind == .alias ? place + 1 : Int(tree.nodes[place].end) }

    private func scalar(_ node: YAMLTree.Node) throws(YAMLError) -> YAMLScalar {
        let text = tree.string(node)
        if node.tag == .none, !node.isPlain { return .string(text) }
        return try YAMLScalar.resolve(text, tag: node.tag)
    }

    private mutating func write(_ scalar: YAMLScalar) throws(YAMLError) {
        guard out.count < YAMLLimits.output else { throw YAMLError("document contains excessive aliasing") }
        switch scalar {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool(let flag): out.append(contentsOf: (flag ? "true" : "false").utf8)
        case .int(let number): out.append(contentsOf: String(number).utf8)
        case .unsigned(let number): out.append(contentsOf: String(number).utf8)
        case .float(let number):
            guard number.isFinite else {
                throw YAMLError(plain: "json: unsupported value: \(number.isNaN ? "NaN" : number > 0 ? "+Inf" : "-Inf")")
            }
            if abs(number) < 0x1p53 { Value.double(number).write(to: &out) } else { out.append(contentsOf: "\(number)".utf8) }
        case .string(let text): Value.write(text, to: &out)
        }
    }

    // MARK: Mappings

    /// The members of a mapping: the last value of each key, at its first place.
    private struct Entries {
        var list: [(key: String, value: Int, isAliased: Bool)] = []
        /// By type and text, as Go's keys are equal.
        var places: [String: Int] = [:]
    }

    private mutating func gather(_ place: Int, into entries: inout Entries) throws(YAMLError) {
        let end = Int(tree.nodes[place].end)
        var at = place + 1
        while at < end {
            let valueAt = past(at)
            let key = tree.nodes[at]
            if key.kind == .scalar, key.isPlain || key.tag == .merge, key.length == 2, tree.string(key) == "<<" {
                try merge(valueAt, into: &entries)
            } else {
                try count()
                let (text, identity, shown) = try self.key(at)
                if let known = entries.places[identity] {
                    if duplicates.count < ObjectDecoder.problemLimit {
                        let line = tree.nodes[valueAt].line
                        duplicates.append((line, "line \(line): key \(shown) already set in map"))
                    }
                    entries.list[known] = (text, valueAt, aliasDepth > 0)
                } else {
                    entries.places[identity] = entries.list.count
                    entries.list.append((text, valueAt, aliasDepth > 0))
                }
            }
            at = past(valueAt)
        }
    }

    /// The members of what stands behind `<<`: a mapping, or a list of mappings of which the earlier take precedence.
    private mutating func merge(_ place: Int, into entries: inout Entries) throws(YAMLError) {
        let node = tree.nodes[place]
        switch node.kind {
        case .mapping, .alias: try mergeOne(place, into: &entries)
        case .sequence:
            var items: [Int] = []
            var at = place + 1
            while at < node.end {
                items.append(at)
                at = past(at)
            }
            for item in items.reversed() { try mergeOne(item, into: &entries) }
        case .scalar: throw Self.wantMap
        }
    }

    private static let wantMap = YAMLError("map merge requires map or sequence of maps as the value")

    private mutating func mergeOne(_ place: Int, into entries: inout Entries) throws(YAMLError) {
        try count()
        switch tree.nodes[place].kind {
        case .mapping:
            try enter()
            try gather(place, into: &entries)
            depth -= 1
        case .alias:
            guard tree.nodes[Int(tree.nodes[place].end)].kind == .mapping else { throw Self.wantMap }
            var taken = entries
            entries = Entries()
            try follow(place) { (decoder, target) throws(YAMLError) in
                try decoder.count()
                try decoder.gather(target, into: &taken)
            }
            entries = taken
        default: throw Self.wantMap
        }
    }

    /// A key as JSON's text, as Go tells it from others, and as Go prints it.
    private func key(_ place: Int) throws(YAMLError) -> (text: String, identity: String, shown: String) {
        var node = tree.nodes[place]
        var seen = 0
        var at = place
        while node.kind == .alias {
            at = Int(node.end)
            node = tree.nodes[at]
            seen += 1
            guard seen < JSONLimits.depth else { throw YAMLError("exceeded max depth of \(JSONLimits.depth)") }
        }
        guard node.kind == .scalar else { throw YAMLError("invalid map key: \(goSyntax(at, budget: 200))") }
        switch try scalar(node) {
        case .string(let text): return (text, "s" + text, text.goQuoted)
        case .int(let number): return (String(number), "i\(number)", String(number))
        case .bool(let flag): return (String(flag), "b\(flag)", String(flag))
        case .float(let number):
            let text = Self.short(number)
            return (text, "f\(number)", text)
        case .unsigned(let number): throw YAMLError(plain: "unsupported map key of type: uint64, key: 0x\(String(number, radix: 16))")
        case .null: throw YAMLError(plain: "unsupported map key of type: %!s(<nil>), key: <nil>")
        }
    }

    /// As Go formats a float32.
    private static func short(_ number: Double) -> String { YAMLScalar.goFormat("\(Float(number))") }

    /// What Go's %#v prints of a value decoded into an interface, up to about `budget` characters.
    private func goSyntax(_ place: Int, budget: Int) -> String {
        let node = tree.nodes[place]
        guard budget > 0 else { return "…" }
        switch node.kind {
        case .alias: return "…"
        case .scalar:
            guard let scalar = try? scalar(node) else { return tree.string(node).goQuoted }  // Only shown: the key is refused anyway.
            switch scalar {
            case .null: return "interface {}(nil)"
            case .string(let text): return text.goQuoted
            case .int(let number): return String(number)
            case .unsigned(let number): return "0x" + String(number, radix: 16)
            case .bool(let flag): return String(flag)
            case .float(let number): return Self.short(number)
            }
        case .sequence, .mapping:
            var text = node.kind == .sequence ? "[]interface {}{" : "map[interface {}]interface {}{"
            var at = place + 1
            var index = 0
            while at < node.end, text.utf8.count < budget {
                if index > 0 { text += node.kind == .mapping && index % 2 == 1 ? ":" : ", " }
                text += goSyntax(at, budget: budget - text.utf8.count)
                at = past(at)
                index += 1
            }
            return text + "}"
        }
    }
}

extension YAMLError {
    /// An error that is not go-yaml's own.
    init(plain text: String) { description = text }
}
