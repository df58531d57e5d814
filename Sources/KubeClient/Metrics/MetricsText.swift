/// Writes the text form of Prometheus' metrics.
package struct MetricsText {
    package private(set) var text = ""

    package init() {}

    /// Begins a metric: `counter`, `gauge` or `histogram`.
    package mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    /// One value, as Prometheus writes whole numbers.
    package mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: some BinaryInteger) { line(name, labels, String(value)) }
    /// One value; whole ones without a fraction.
    package mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: Double) { line(name, labels, Self.number(value)) }

    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: String) {
        text += name
        if !labels.isEmpty {
            text += "{"
            for (index, (key, content)) in labels.enumerated() { text += "\(index > 0 ? "," : "")\(key)=\"\(Self.escaped(content))\"" }
            text += "}"
        }
        text += " \(value)\n"
    }

    /// Buckets (cumulative here), sum and count.
    package mutating func histogram(_ name: String, _ labels: [(String, String)], _ buckets: [Double], _ content: Histogram.Content) {
        var cumulative: UInt64 = 0
        for (index, bound) in buckets.enumerated() {
            cumulative += content.counts[index]
            sample("\(name)_bucket", labels + [("le", Self.number(bound))], cumulative)
        }
        sample("\(name)_bucket", labels + [("le", "+Inf")], content.total)
        sample("\(name)_sum", labels, content.sum)
        sample("\(name)_count", labels, content.total)
    }

    /// As Go writes it: whole numbers without a fraction.
    private static func number(_ value: Double) -> String { Int64(exactly: value).map { String($0) } ?? "\(value)" }

    private static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "\"") || $0 == 0x0A }) else { return text }
        var out = ""
        for c in text {
            switch c {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.append(c)
            }
        }
        return out
    }

    /// Text that is in the form already.
    package mutating func raw(_ more: String) { text += more.hasSuffix("\n") || more.isEmpty ? more : more + "\n" }
}
