extension JSONView {
    /// The value as JSON for a person: two spaces for each level, as Go's json.MarshalIndent writes it. Recursion is bounded by `JSONLimits.depth`.
    package var indented: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(rawBytes.count * 3 / 2)
        writeIndented(to: &out, level: 0)
        return out
    }

    private func writeIndented(to out: inout [UInt8], level: Int) {
        func line(_ level: Int) {
            out.append(0x0A)
            for _ in 0..<level * 2 { out.append(0x20) }
        }
        switch kind {
        case .array:
            out.append(UInt8(ascii: "["))
            var isEmpty = true
            for element in elements {
                if !isEmpty { out.append(UInt8(ascii: ",")) }
                isEmpty = false
                line(level + 1)
                element.writeIndented(to: &out, level: level + 1)
            }
            if !isEmpty { line(level) }
            out.append(UInt8(ascii: "]"))
        case .object:
            out.append(UInt8(ascii: "{"))
            var isEmpty = true
            for (key, member) in members {
                if !isEmpty { out.append(UInt8(ascii: ",")) }
                isEmpty = false
                line(level + 1)
                Value.write(key, to: &out)
                out.append(UInt8(ascii: ":"))
                out.append(0x20)
                member.writeIndented(to: &out, level: level + 1)
            }
            if !isEmpty { line(level) }
            out.append(UInt8(ascii: "}"))
        default: out.append(contentsOf: rawBytes)
        }
    }

    /// `string`, `number`, `bool`, `array`, `object`, `null`: JSON's types as Go's decoder names them.
    package var goTypeName: String {
        switch kind {
        case .string, .escapedString: "string"
        case .integer, .double: "number"
        case .true, .false: "bool"
        case .array: "array"
        case .object: "object"
        case .null: "null"
        }
    }
}
