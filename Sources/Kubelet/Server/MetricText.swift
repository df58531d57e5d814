/// Metrics in Prometheus' text format, whose lines of one name stand together. Upstream: expfmt's text encoder.
struct MetricText: Sendable {
    /// Upstream: dto.MetricType.
    enum Kind: String, Sendable { case counter, gauge }

    private struct Family {
        var name: String
        var help: String
        var kind: Kind
        var lines = ""
    }

    private var families: [Family] = []
    private var places: [String: Int] = [:]

    /// Notes a value; nothing for nil. `labels` are written in their order.
    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ labels: [(String, String)], _ value: Double?) {
        guard let value else { return }
        let place = places[name] ?? families.count
        if place == families.count {
            places[name] = place
            families.append(Family(name: name, help: help, kind: kind))
        }
        let pairs = labels.map { "\($0.0)=\"\(Self.escape($0.1))\"" }.joined(separator: ",")
        families[place].lines += "\(name)\(pairs.isEmpty ? "" : "{\(pairs)}") \(Self.number(value))\n"
    }

    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ labels: [(String, String)], _ value: Int64?) {
        add(name, kind, help, labels, value.map(Double.init))
    }

    var text: String { families.map { "# HELP \($0.name) \($0.help)\n# TYPE \($0.name) \($0.kind.rawValue)\n\($0.lines)" }.joined() }

    private static func number(_ value: Double) -> String {
        // Whole numbers up to 2^53 are exact.
        if value == value.rounded(), abs(value) < 9e15 { return String(Int64(value)) }
        return "\(value)"
    }

    /// Upstream: expfmt's writeEscapedString.
    static func escape(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "\"") || $0 == 0x0A }) else { return text }
        return text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
