/// Walks one JSON document and writes it as a message. A value of another JSON type than the table says is left out: what is stored was decoded by
/// the schema, so only `any` fields could hold one. Recursion is bounded by `JSONLimits.depth`.
struct ProtobufObjectWriter {
    private let plan: ProtobufPlan
    private let document: JSONDocument
    private let bytes: UnsafeBufferPointer<UInt8>
    private let tokens: UnsafeBufferPointer<UInt64>
    private var writer: ProtobufWriter
    /// The token of each slot's value, or -1, of the messages being written: a stack.
    private var found: [Int32] = []

    /// Appends the fields of the message at `place` from the object that `document` is.
    static func write(_ document: JSONDocument, _ place: Int, to writer: inout ProtobufWriter) {
        document.bytes.withUnsafeBufferPointer { bytes in
            document.tokens.withUnsafeBufferPointer { tokens in
                var walk = ProtobufObjectWriter(plan: .shared, document: document, bytes: bytes, tokens: tokens, writer: writer)
                writer = ProtobufWriter()  // Lets the bytes grow in place: no second owner of their storage.
                walk.found.reserveCapacity(128)
                walk.content(of: place, at: 0)
                writer = walk.writer
            }
        }
    }

    private init(
        plan: ProtobufPlan, document: JSONDocument, bytes: UnsafeBufferPointer<UInt8>, tokens: UnsafeBufferPointer<UInt64>, writer: ProtobufWriter
    ) {
        self.plan = plan
        self.document = document
        self.bytes = bytes
        self.tokens = tokens
        self.writer = writer
    }

    // MARK: Tokens

    private func kind(_ token: Int) -> JSONKind { JSONKind(rawValue: UInt8(truncatingIfNeeded: tokens[token] >> 60)) ?? .null }
    private func offset(_ token: Int) -> Int { Int(tokens[token] >> 30 & 0x3FFF_FFFF) }
    private func low(_ token: Int) -> Int { Int(tokens[token] & 0x3FFF_FFFF) }
    private func past(_ token: Int) -> Int { kind(token) == .array || kind(token) == .object ? low(token) : token + 1 }
    private func length(_ token: Int) -> Int { kind(token) == .array || kind(token) == .object ? Int(tokens[token + 1]) : low(token) }
    private func text(_ token: Int) -> UnsafeBufferPointer<UInt8> {
        let start = offset(token)
        return UnsafeBufferPointer(rebasing: bytes[start..<start + low(token)])
    }
    private func view(_ token: Int) -> JSONView { JSONView(document: document, token: token) }

    // MARK: Messages

    /// The fields of a message, in the order of their numbers, from the object at `token`.
    private mutating func fields(_ place: Int, at token: Int) {
        guard kind(token) == .object else { return }
        let message = plan.messages[place]
        let base = found.count
        for _ in 0..<message.slotCount { found.append(-1) }
        let end = low(token)
        var at = token + 2
        while at < end {
            let value = at + 1
            if kind(value) != .null {
                let slot =
                    kind(at) == .string ? plan.slot(message, text(at)) : plan.slot(message, Array((view(at).string ?? "").utf8))
                if let slot { found[base + slot] = Int32(truncatingIfNeeded: value) }
            }
            at = past(value)
        }
        emit(message, 0..<message.slotCount, base)
        found.removeLast(message.slotCount)
    }

    private mutating func emit(_ message: ProtobufPlan.Message, _ range: Range<Int>, _ base: Int) {
        var index = range.lowerBound
        while index < range.upperBound {
            let slot = plan.slots[message.firstSlot + index]
            if slot.shape == .group {
                let inner = index + 1..<slot.groupEnd
                if inner.contains(where: { found[base + $0] >= 0 }) {
                    let mark = writer.open(slot.number, guess: 0)
                    emit(message, inner, base)
                    writer.close(mark)
                }
                index = slot.groupEnd
                continue
            }
            let token = Int(found[base + index])
            if token >= 0 { field(slot, at: token) }
            index += 1
        }
    }

    private mutating func field(_ slot: ProtobufPlan.Slot, at token: Int) {
        switch slot.shape {
        case .single: value(slot.number, slot, at: token)
        case .list:
            guard kind(token) == .array else { return }
            var at = token + 2
            let end = low(token)
            while at < end {
                if kind(at) == .null { zero(slot) } else { value(slot.number, slot, at: at) }
                at = past(at)
            }
        case .map: map(slot, at: token)
        case .group: break
        }
    }

    /// An element of a list that is null in JSON: Go's zero value.
    private mutating func zero(_ slot: ProtobufPlan.Slot) {
        switch slot.scalar {
        case .bool, .int: writer.int(slot.number, 0)
        case .double: writer.double(slot.number, 0)
        case .string, .bytes, .message: writer.text(slot.number, "")
        }
    }

    /// Entries in the order of their keys, as upstream sorts them.
    private mutating func map(_ slot: ProtobufPlan.Slot, at token: Int) {
        guard kind(token) == .object else { return }
        var entries: [Int] = []
        let end = low(token)
        var at = token + 2
        while at < end {
            entries.append(at)
            at = past(at + 1)
        }
        func precedes(_ a: Int, _ b: Int) -> Bool {
            if kind(a) == .string, kind(b) == .string { return text(a).lexicographicallyPrecedes(text(b)) }
            return (view(a).string ?? "").utf8.lexicographicallyPrecedes((view(b).string ?? "").utf8)
        }
        if !zip(entries, entries.dropFirst()).allSatisfy({ !precedes($1, $0) }) { entries.sort(by: precedes) }
        for entry in entries {
            let mark = writer.open(slot.number, guess: low(entry) + length(entry + 1))
            string(1, at: entry)
            if kind(entry + 1) == .null {
                var empty = slot
                empty.number = 2
                zero(empty)
            } else {
                value(2, slot, at: entry + 1)
            }
            writer.close(mark)
        }
    }

    private mutating func value(_ number: Int, _ slot: ProtobufPlan.Slot, at token: Int) {
        let kind = kind(token)
        switch slot.scalar {
        case .string:
            guard kind == .string || kind == .escapedString else { return }
            string(number, at: token)
        case .bytes:
            guard kind == .string || kind == .escapedString else { return }
            let mark = writer.open(number, guess: low(token) / 4 * 3)
            if kind == .string {
                Base64.append(decoding: text(token), to: &writer.bytes)
            } else {
                Base64.append(decoding: (view(token).string ?? "").utf8, to: &writer.bytes)
            }
            writer.close(mark)
        case .bool:
            guard kind == .true || kind == .false else { return }
            writer.int(number, kind == .true ? 1 : 0)
        case .int:
            guard let integer = view(token).int else { return }
            writer.int(number, integer)
        case .double:
            guard let double = view(token).double else { return }
            writer.double(number, double)
        case .message:
            let mark = writer.open(number, guess: plan.messages[slot.message].form == .object ? length(token) : 0)
            content(of: slot.message, at: token)
            writer.close(mark)
        }
    }

    private mutating func string(_ number: Int, at token: Int) {
        if kind(token) == .string {
            writer.data(number, text(token))
        } else {
            writer.text(number, view(token).string ?? "")
        }
    }

    // MARK: Forms

    /// The content of a message of any form from the value at `token`.
    private mutating func content(of place: Int, at token: Int) {
        let message = plan.messages[place]
        switch message.form {
        case .object: fields(place, at: token)
        case .time(let micro): time(at: token, micro: micro)
        case .quantity:
            switch kind(token) {
            case .string, .escapedString: string(1, at: token)
            case .integer, .double: writer.data(1, text(token))
            default: break
            }
        case .intOrString: intOrString(at: token)
        case .raw: writer.data(1, view(token).rawBytes)
        case .items:
            guard kind(token) == .array else { return }
            for item in view(token).elements { writer.text(1, item.string ?? "") }
        case .either: either(message, at: token)
        }
    }

    /// Seconds and nanoseconds since 1970. Upstream: metav1.Time.ProtoMicroTime and ProtoTime.
    private mutating func time(at token: Int, micro: Bool) {
        guard let text = view(token).string, let time = Timestamp(rfc3339: text) else { return }
        let seconds = time.seconds
        writer.int(1, seconds)
        writer.int(2, micro ? (time.microseconds &- seconds &* 1_000_000) &* 1000 : 0)
    }

    private mutating func intOrString(at token: Int) {
        let number = view(token).int
        writer.int(1, number == nil ? 1 : 0)
        writer.int(2, number ?? 0)
        if number == nil { string(3, at: token) } else { writer.text(3, "") }
    }

    /// A schema, a flag or a list: whichever the JSON shows. Upstream: JSONSchemaPropsOrBool and its like.
    private mutating func either(_ message: ProtobufPlan.Message, at token: Int) {
        let slots = plan.slots[message.firstSlot..<message.firstSlot + message.slotCount]
        switch kind(token) {
        case .true, .false:
            if let flag = slots.first(where: { $0.scalar == .bool }) { value(flag.number, flag, at: token) }
        case .object:
            // A schema allows what fits it. Upstream sets the flag too.
            if let flag = slots.first(where: { $0.scalar == .bool }) { writer.int(flag.number, 1) }
            if let schema = slots.first(where: { $0.scalar == .message && $0.shape == .single }) { value(schema.number, schema, at: token) }
        case .array:
            if let list = slots.first(where: { $0.shape == .list }) { field(list, at: token) }
        default: break
        }
    }
}
