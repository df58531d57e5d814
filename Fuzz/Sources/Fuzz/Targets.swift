import CEL
import KubeAPI
import RegularExpressions

extension FuzzTarget {
    static let all = documents + requests

    private static let documents = [
        FuzzTarget(name: "json", run: json), FuzzTarget(name: "yaml", run: yaml), FuzzTarget(name: "protobuf", run: protobuf),
        FuzzTarget(name: "labels", run: labels), FuzzTarget(name: "fields", run: fields), FuzzTarget(name: "quantity", run: quantity),
        FuzzTarget(name: "jsonpath", run: jsonPath), FuzzTarget(name: "jsonpatch", run: jsonPatch), FuzzTarget(name: "mergepatch", run: mergePatch),
        FuzzTarget(name: "strategic", run: strategicPatch), FuzzTarget(name: "decode", run: decode),
        FuzzTarget(name: "managedfields", run: managedFields),
        FuzzTarget(name: "query", run: query), FuzzTarget(name: "regex", run: regex), FuzzTarget(name: "cel", run: cel),
        FuzzTarget(name: "time", run: time),
    ]

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// Two documents in one input, parted by a zero byte.
    private static func two(_ bytes: [UInt8]) -> (Value, Value)? {
        let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let first = try? Value(json: Array(parts[0])), let second = try? Value(json: Array(parts[1])) else { return nil }
        return (first, second)
    }

    private static func json(_ bytes: [UInt8]) {
        guard let document = try? JSONDocument(bytes) else { return }
        let value = document.root.value
        // Invalid UTF-8 and numbers out of range do not come back; what was written once does.
        guard let again = try? Value(json: value.jsonBytes) else { return require(false, "own JSON is not read: \(value.jsonString)") }
        require((try? Value(json: again.jsonBytes)) == again, "JSON changes: \(again.jsonString)")
        _ = try? Value(json: document.root.indented)
        if let object = try? Object(bytes: bytes) {
            _ = object.metadata.labels
            _ = object.withResourceVersion(7).metadata.resourceVersion
        }
    }

    private static func yaml(_ bytes: [UInt8]) {
        guard let (json, _) = try? YAMLDecoder.decode(bytes) else { return }
        guard let document = try? JSONDocument(json) else { return require(false, "YAML became no JSON: \(text(json))") }
        let yaml = YAMLEncoder.encode(document.root)
        // `<<` is written plain, as upstream writes it, and so reads as a merge.
        guard !text(json).contains("\"<<\"") else { return }
        guard let (back, _) = try? YAMLDecoder.decode(yaml), let again = try? Value(json: back) else {
            return require(false, "own YAML is not read: \(text(json))\n\(text(yaml))")
        }
        require(again == document.root.value || text(json).contains("e"), "YAML changes: \(text(json))\n\(text(yaml))\n\(text(back))")
    }

    private static func protobuf(_ bytes: [UInt8]) {
        // The first byte may stand for the prefix, so that mutations reach what is behind it.
        let body = bytes.starts(with: [0x6B, 0x38, 0x73, 0x00]) ? bytes : [0x6B, 0x38, 0x73, 0x00] + bytes
        guard let value = try? ProtobufDecoder.decode(body), let object = try? Object(value) else { return }
        guard let encoded = ProtobufEncoder.object(object, kind: object.groupVersionKind) else { return }
        require((try? ProtobufDecoder.decode(encoded)) != nil, "own protobuf is not read")
    }

    private static func labels(_ bytes: [UInt8]) {
        guard let selector = try? LabelSelector(parsing: text(bytes)) else { return }
        _ = selector.matches(["a": "b", "app": "web"])
        // A set of the empty value alone prints as `a in ()`, which upstream does not read either.
        guard !selector.description.contains("()") else { return }
        guard let again = try? LabelSelector(parsing: selector.description) else { return require(false, "not read: \(selector.description)") }
        require(again.description == selector.description, "selector changes: \(selector.description) \(again.description)")
    }

    private static func fields(_ bytes: [UInt8]) {
        guard let selector = try? FieldSelector(parsing: text(bytes)) else { return }
        _ = selector.matches { $0 }
        _ = selector.exactMatch("metadata.name")
    }

    private static func quantity(_ bytes: [UInt8]) {
        guard let quantity = try? Quantity(text(bytes)) else { return }
        guard let again = try? Quantity(quantity.description) else { return require(false, "not read: \(quantity)") }
        require(again == quantity && again.description == quantity.description, "quantity changes: \(text(bytes)) \(quantity) \(again)")
        _ = quantity + again
        _ = quantity - again
        _ = -quantity
        _ = quantity.milliValue
        _ = quantity.value
    }

    private static func jsonPath(_ bytes: [UInt8]) {
        guard let path = JSONPath(text(bytes)), let object = try? Object(json: #"{"a":[{"b":"c","d":[1,2]}],"spec":{"x.y":true}}"#) else { return }
        let column = TableColumn(name: "X", type: "string", jsonPath: text(bytes))
        _ = CustomResourceTable.cell(column, path, object, Timestamp(seconds: 0))
    }

    private static func jsonPatch(_ bytes: [UInt8]) {
        guard let (patch, document) = two(bytes), let operations = try? JSONPatch(patch) else { return }
        if let patched = try? operations.apply(to: document) { _ = patched.jsonBytes }
    }

    private static func mergePatch(_ bytes: [UInt8]) {
        guard let (patch, document) = two(bytes), let patched = try? JSONMergePatch.apply(patch, to: document) else { return }
        guard let difference = JSONMergePatch.difference(from: document, to: patched), case .object = document, case .object = patched else { return }
        // A difference cannot set nulls, which JSON merge patches mean to remove.
        guard !patched.jsonString.contains("null"), !document.jsonString.contains("null") else { return }
        // Names that are no UTF-8 are read as the same replacement character and so stand twice.
        guard !document.jsonString.contains("\u{FFFD}") else { return }
        require(
            (try? JSONMergePatch.apply(difference, to: document)) == patched,
            "difference of \(document.jsonString) and \(patched.jsonString) is wrong: \(difference.jsonString)")
    }

    private static func strategicPatch(_ bytes: [UInt8]) {
        guard let (patch, document) = two(bytes), let type = SchemaTable.shared.type(named: "api.core.v1.Pod") else { return }
        if let patched = try? StrategicMergePatch.apply(patch, to: document, type: type) { _ = patched.jsonBytes }
    }

    private static func decode(_ bytes: [UInt8]) {
        guard let row = ResourceTable.shared[GroupVersionResource(group: "apps", version: "v1", resource: "deployments")] else { return }
        for validation in [FieldValidation.strict, .warn] {
            guard var (value, _) = try? ObjectDecoder.decode(bytes, row: row, validation: validation) else { continue }
            Defaults.apply(&value, row)
            guard let object = try? Object(value) else { return require(false, "an object became none: \(value.jsonString)") }
            _ = ProtobufEncoder.object(object, kind: row.groupVersionKind)
        }
    }

    private static func managedFields(_ bytes: [UInt8]) {
        guard let value = try? Value(json: bytes) else { return }
        _ = try? FieldSet(fieldsV1: value)
        _ = try? ManagedFields(value)
    }

    private static func query(_ bytes: [UInt8]) {
        let query = QueryParameters(encoded: text(bytes)[...])
        _ = query["limit"]
        _ = query.all("dryRun")
        _ = query.flag("watch")
    }

    private static func regex(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, first.count < 512, let pattern = try? RegularExpression(text(Array(first))) else { return }
        let subject = parts.count == 2 ? text(Array(parts[1].prefix(256))) : "aaaaaaaaaabbbbbbbbbb"
        _ = pattern.matches(subject)
        _ = pattern.allMatches(in: subject, limit: 8)
    }

    private static let celEnvironment = CELEnvironment(variables: [CELVariable("self", CELType.dyn), CELVariable("n", CELType.int)])

    private static func cel(_ bytes: [UInt8]) {
        guard bytes.count < 4096, let program = try? CELProgram.compile(text(bytes), in: celEnvironment) else { return }
        _ = try? CELProgram.estimateCost(text(bytes), in: celEnvironment)
        let object: Value = ["a": [1, 2, 3], "s": "text", "m": ["k": "v"], "d": 1.5.value, "t": "2024-01-01T00:00:00Z", "nil": .null]
        var budget = CELBudget(100_000)
        _ = try? program.evaluate(CELActivation(["self": CELValue(object), "n": .int(3)]), budget: &budget)
    }

    private static func time(_ bytes: [UInt8]) {
        guard let time = Timestamp(rfc3339: text(bytes)) else { return }
        require(
            Timestamp(rfc3339: time.rfc3339Micro) != nil || time.seconds > 253_402_300_799 || time.seconds < -62_167_219_200,
            "not read: \(time.rfc3339Micro)")
    }
}

extension Double {
    fileprivate var value: Value { .double(self) }
}
