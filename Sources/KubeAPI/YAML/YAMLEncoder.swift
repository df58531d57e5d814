import CYAML

/// Writes JSON as YAML: block style, members sorted, strings quoted only where they would be read as something else. Upstream:
/// sigs.k8s.io/yaml.JSONToYAML.
package struct YAMLEncoder {
    /// What libyaml writes to.
    private final class Sink {
        var bytes: [UInt8] = []
    }

    private let emitter: UnsafeMutablePointer<yaml_emitter_t>
    private var failed = false

    /// The YAML of a JSON value.
    package static func encode(_ view: JSONView) -> [UInt8] {
        let emitter = UnsafeMutablePointer<yaml_emitter_t>.allocate(capacity: 1)
        defer { emitter.deallocate() }
        guard yaml_emitter_initialize(emitter) == 1 else { return [] }
        defer { yaml_emitter_delete(emitter) }
        let sink = Sink()
        return withExtendedLifetime(sink) {
            yaml_emitter_set_output(
                emitter,
                { context, buffer, size in
                    guard let context, let buffer else { return 0 }
                    Unmanaged<Sink>.fromOpaque(context).takeUnretainedValue().bytes.append(
                        contentsOf: UnsafeBufferPointer(start: buffer, count: size))
                    return 1
                }, Unmanaged.passUnretained(sink).toOpaque())
            yaml_emitter_set_unicode(emitter, 1)
            var encoder = YAMLEncoder(emitter: emitter)
            encoder.document(view)
            // libyaml ends an open-ended last scalar with a document end; go-yaml does not. No line of content stands at the margin.
            let end = Array("\n...\n".utf8)
            if sink.bytes.suffix(end.count).elementsEqual(end) { sink.bytes.removeLast(end.count - 1) }
            return sink.bytes
        }
    }

    private init(emitter: UnsafeMutablePointer<yaml_emitter_t>) { self.emitter = emitter }

    private mutating func emit(_ make: (inout yaml_event_t) -> Int32) {
        var event = yaml_event_t()
        guard !failed, make(&event) == 1, yaml_emitter_emit(emitter, &event) == 1 else {
            failed = true
            return
        }
    }

    private mutating func document(_ view: JSONView) {
        emit { yaml_stream_start_event_initialize(&$0, YAML_UTF8_ENCODING) }
        emit { yaml_document_start_event_initialize(&$0, nil, nil, nil, 1) }
        value(view)
        emit { yaml_document_end_event_initialize(&$0, 1) }
        emit { yaml_stream_end_event_initialize(&$0) }
    }

    private mutating func value(_ view: JSONView) {
        switch view.kind {
        case .null: scalar("null", YAML_PLAIN_SCALAR_STYLE)
        case .true: scalar("true", YAML_PLAIN_SCALAR_STYLE)
        case .false: scalar("false", YAML_PLAIN_SCALAR_STYLE)
        case .integer:
            let text = String(decoding: view.rawBytes, as: UTF8.self)
            let isWhole = view.int != nil || UInt64(text) != nil
            scalar(isWhole ? text : YAMLScalar.goFormat("\(view.double ?? 0)"), YAML_PLAIN_SCALAR_STYLE)
        case .double: scalar(YAMLScalar.goFormat("\(view.double ?? 0)"), YAML_PLAIN_SCALAR_STYLE)
        case .string, .escapedString: string(view.string ?? "")
        case .array:
            emit { yaml_sequence_start_event_initialize(&$0, nil, nil, 1, YAML_BLOCK_SEQUENCE_STYLE) }
            for element in view.elements { value(element) }
            emit { yaml_sequence_end_event_initialize(&$0) }
        case .object:
            emit { yaml_mapping_start_event_initialize(&$0, nil, nil, 1, YAML_BLOCK_MAPPING_STYLE) }
            for (key, member) in view.members.sorted(by: { Self.precedes($0.key, $1.key) }) {
                string(key)
                value(member)
            }
            emit { yaml_mapping_end_event_initialize(&$0) }
        }
    }

    /// Upstream: encoder.stringv.
    private mutating func string(_ text: String) {
        if text.utf8.contains(0x0A) {
            scalar(text, YAML_LITERAL_SCALAR_STYLE)
            return
        }
        var isPlain = false
        // A text that is no string when read plain must be quoted; resolving without a tag cannot fail.
        if case .string? = try? YAMLScalar.resolve(text) { isPlain = !YAMLScalar.isTimestamp(text) && !YAMLScalar.isBase60(text) }
        scalar(text, isPlain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE)
    }

    private mutating func scalar(_ text: String, _ style: yaml_scalar_style_t) {
        var text = text
        text.withUTF8 { bytes in
            emit { yaml_scalar_event_initialize(&$0, nil, nil, bytes.baseAddress, Int32(clamping: bytes.count), 1, 1, style) }
        }
    }

    /// The order of keys: numbers in them by value. Upstream: keyList.Less of go-yaml.
    static func precedes(_ a: String, _ b: String) -> Bool {
        let a = Array(a.unicodeScalars)
        let b = Array(b.unicodeScalars)
        func isDigit(_ c: Unicode.Scalar) -> Bool { c.properties.generalCategory == .decimalNumber }
        for i in 0..<min(a.count, b.count) where a[i] != b[i] {
            let letters = (a[i].properties.isAlphabetic, b[i].properties.isAlphabetic)
            if letters.0, letters.1 { return a[i] < b[i] }
            if letters.0 || letters.1 { return letters.1 }
            var an: Int64 = 0
            var bn: Int64 = 0
            if a[i] == "0" || b[i] == "0" {
                var j = i - 1
                while j >= 0, isDigit(a[j]) {
                    if a[j] != "0" {
                        an = 1
                        bn = 1
                        break
                    }
                    j -= 1
                }
            }
            var ai = i
            while ai < a.count, isDigit(a[ai]) {
                an = an &* 10 &+ Int64(a[ai].value) &- 48
                ai += 1
            }
            var bi = i
            while bi < b.count, isDigit(b[bi]) {
                bn = bn &* 10 &+ Int64(b[bi].value) &- 48
                bi += 1
            }
            if an != bn { return an < bn }
            if ai != bi { return ai < bi }
            return a[i] < b[i]
        }
        return a.count < b.count
    }
}
