import Synchronization

/// Counts of observations by size, as Prometheus has them.
final class Histogram: Sendable {
    /// What was counted up to a moment.
    struct Content: Sendable {
        /// Of each bucket alone, the last being what is larger than all bounds.
        var counts: [UInt64]
        var sum = 0.0
        var total: UInt64 = 0

        mutating func observe(_ value: Double, _ buckets: [Double]) {
            var place = 0
            while place < buckets.count, value > buckets[place] { place += 1 }
            counts[place] += 1
            sum += value
            total += 1
        }
    }

    let buckets: [Double]
    private let state: Mutex<Content>

    /// `buckets`: upper bounds, growing.
    init(buckets: [Double]) {
        self.buckets = buckets
        state = Mutex(Content(counts: [UInt64](repeating: 0, count: buckets.count + 1)))
    }

    func observe(_ value: Double) { state.withLock { $0.observe(value, buckets) } }
    var content: Content { state.withLock { $0 } }
}

/// Writes the text form of Prometheus' metrics.
struct MetricsText {
    var text = ""

    /// Begins a metric: `counter`, `gauge` or `histogram`.
    mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: some BinaryInteger) { line(name, labels, String(value)) }
    mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: Double) { line(name, labels, Self.number(value)) }

    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: String) {
        text += name
        if !labels.isEmpty {
            text += "{"
            for (index, (key, content)) in labels.enumerated() { text += "\(index > 0 ? "," : "")\(key)=\"\(Self.escaped(content))\"" }
            text += "}"
        }
        text += " \(value)\n"
    }

    mutating func histogram(_ name: String, _ labels: [(String, String)], _ buckets: [Double], _ content: Histogram.Content) {
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
}
