import CYAML

/// Why a text is not YAML that stands for JSON, in go-yaml's words.
package struct YAMLError: Error, Equatable, CustomStringConvertible {
    package var description: String
    init(_ text: String) { description = "yaml: " + text }
}

/// What bounds the reading of YAML beside the budget of aliases.
enum YAMLLimits {
    /// Parser steps times nesting. The parser looks at every open level for each token, so deep and wide texts would cost their product
    /// (CVE-2019-11254); real manifests stay under a few million.
    static let work = 60_000_000
    /// Bytes of JSON that a text may stand for: aliases of long scalars are not caught by counting nodes.
    static let output = 16 << 20
}

/// The first document of a YAML text as a flat list of nodes in the order of the text: a container is followed by what is in it.
struct YAMLTree {
    enum Kind: UInt8 {
        case scalar, sequence, mapping, alias
    }

    /// The tags go-yaml knows; others change nothing.
    enum Tag: UInt8 {
        case none, string, bool, int, float, null, timestamp, binary, merge, other

        init(_ text: String) {
            let prefix = "tag:yaml.org,2002:"
            guard !text.isEmpty else {
                self = .none
                return
            }
            self = text.hasPrefix(prefix) ? Self.known[String(text.dropFirst(prefix.count))] ?? .other : .other
        }

        private static let known: [String: Tag] = [
            "str": .string, "bool": .bool, "int": .int, "float": .float, "null": .null, "timestamp": .timestamp, "binary": .binary, "merge": .merge,
        ]
        /// `!!int`.
        var short: String { Self.known.first { $0.value == self }.map { "!!" + $0.key } ?? "" }
    }

    struct Node {
        var kind: Kind
        var tag = Tag.none
        /// Plain, so that its text says what type it has.
        var isPlain = false
        /// From 1.
        var line: Int32
        /// A scalar's text or an alias's name in `text`.
        var start: Int32 = 0
        var length: Int32 = 0
        /// Past the last node in this one; for an alias the node it stands for.
        var end: Int32
    }

    private(set) var nodes: [Node] = []
    private(set) var text: [UInt8] = []

    func string(_ node: Node) -> String { String(decoding: text[Int(node.start)..<Int(node.start + node.length)], as: UTF8.self) }

    /// Parses `bytes`. A text without a document gives a tree without nodes.
    init(_ bytes: [UInt8]) throws(YAMLError) {
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else { throw YAMLError("out of memory") }
        defer { yaml_parser_delete(parser) }
        text.reserveCapacity(bytes.count)
        let failure: YAMLError? = bytes.withUnsafeBufferPointer { buffer in
            yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
            do throws(YAMLError) {
                try read(parser)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    private mutating func read(_ parser: UnsafeMutablePointer<yaml_parser_t>) throws(YAMLError) {
        var event = yaml_event_t()
        var anchors: [String: Int32] = [:]
        var open: [Int] = []
        var work = 0
        while true {
            guard yaml_parser_parse(parser, &event) == 1 else { throw Self.failure(parser.pointee) }
            defer { yaml_event_delete(&event) }
            work += open.count + 1
            guard open.count < JSONLimits.depth, work < YAMLLimits.work else { throw YAMLError("exceeded max depth of \(JSONLimits.depth)") }
            let line = Int32(truncatingIfNeeded: event.start_mark.line &+ 1)
            switch event.type {
            case YAML_DOCUMENT_END_EVENT, YAML_STREAM_END_EVENT: return
            case YAML_DOCUMENT_START_EVENT:
                // libyaml reads YAML 1.2 too, go-yaml does not.
                if let version = event.data.document_start.version_directive?.pointee, version.major != 1 || version.minor != 1 {
                    throw YAMLError((line > 1 ? "line \(line - 1): " : "") + "found incompatible YAML document")
                }
            case YAML_ALIAS_EVENT:
                let name = Self.string(event.data.alias.anchor)
                guard let target = anchors[name] else { throw YAMLError("unknown anchor '\(name)' referenced") }
                var node = Node(kind: .alias, line: line, end: target)
                keep(Array(name.utf8), in: &node)
                nodes.append(node)
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                if let anchor = scalar.anchor { anchors[Self.string(anchor)] = Int32(nodes.count) }
                var node = Node(
                    kind: .scalar, tag: scalar.tag.map { Tag(Self.string($0)) } ?? .none, isPlain: scalar.plain_implicit == 1, line: line,
                    end: Int32(nodes.count + 1))
                keep(UnsafeBufferPointer(start: scalar.value, count: scalar.length), in: &node)
                nodes.append(node)
            case YAML_SEQUENCE_START_EVENT, YAML_MAPPING_START_EVENT:
                let isMapping = event.type == YAML_MAPPING_START_EVENT
                if let anchor = isMapping ? event.data.mapping_start.anchor : event.data.sequence_start.anchor {
                    anchors[Self.string(anchor)] = Int32(nodes.count)
                }
                open.append(nodes.count)
                nodes.append(Node(kind: isMapping ? .mapping : .sequence, line: line, end: 0))
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
                if let place = open.popLast() { nodes[place].end = Int32(nodes.count) }
            default: break
            }
        }
    }

    private mutating func keep(_ bytes: some Collection<UInt8>, in node: inout Node) {
        node.start = Int32(text.count)
        node.length = Int32(bytes.count)
        text.append(contentsOf: bytes)
    }

    private static func string(_ text: UnsafeMutablePointer<yaml_char_t>?) -> String {
        guard let text else { return "" }
        return String(decodingCString: text, as: UTF8.self)
    }

    /// Upstream: the fail method of go-yaml's parser.
    private static func failure(_ parser: yaml_parser_t) -> YAMLError {
        var line = 0
        if parser.problem_mark.line != 0 {
            line = parser.problem_mark.line
            // The scanner's marks are one line behind.
            if parser.error == YAML_SCANNER_ERROR { line &+= 1 }
        } else if parser.context_mark.line != 0 {
            line = parser.context_mark.line
        }
        let problem = parser.problem.map { String(cString: $0) } ?? "unknown problem parsing YAML content"
        return YAMLError((line == 0 ? "" : "line \(line): ") + problem)
    }
}
