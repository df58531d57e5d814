import KubeAPI

/// The annotations `alb.ingress.kubernetes.io/…` of an Ingress, or of a Service over those of its Ingress. Upstream: pkg/annotations.
struct IngressAnnotations {
    static let prefix = "alb.ingress.kubernetes.io/"

    let values: [String: String]

    /// A later one's values come before those of the others.
    init(_ objects: Object...) {
        var all: [String: String] = [:]
        for object in objects {
            for (key, value) in object.metadata.annotations where key.hasPrefix(Self.prefix) { all[String(key.dropFirst(Self.prefix.count))] = value }
        }
        values = all
    }

    func string(_ name: String) -> String? { values[name] }

    /// Comma-separated words. Upstream: ParseStringSliceAnnotation.
    func list(_ name: String) -> [String] {
        (values[name] ?? "").split(separator: ",").map { String($0).trimmed }.filter { !$0.isEmpty }
    }

    /// `key=value,key=value`. Upstream: ParseStringMapAnnotation.
    func map(_ name: String) throws(IngressModelError) -> [String: String] {
        var result: [String: String] = [:]
        for pair in list(name) {
            guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex else {
                throw IngressModelError("failed to parse stringMap annotation, \(Self.prefix)\(name): \(values[name] ?? "")")
            }
            result[String(pair[..<equals]).trimmed] = String(pair[pair.index(after: equals)...]).trimmed
        }
        return result
    }

    /// Nil when it is not there. Upstream: ParseInt64Annotation.
    func int(_ name: String, in range: ClosedRange<Int>) throws(IngressModelError) -> Int? {
        guard let text = values[name] else { return nil }
        guard let number = Int(text) else {
            throw IngressModelError("failed to parse int64 annotation, \(Self.prefix)\(name): \(text)")
        }
        guard range.contains(number) else {
            throw IngressModelError("\(Self.prefix)\(name) must be within [\(range.lowerBound), \(range.upperBound)]: \(number)")
        }
        return number
    }

    /// Nil when it is not there. Upstream: ParseJSONAnnotation.
    func json(_ name: String) throws(IngressModelError) -> Value? {
        guard let text = values[name] else { return nil }
        do { return try Value(json: text) } catch {
            throw IngressModelError("failed to parse json annotation, \(Self.prefix)\(name): \(text)")
        }
    }
}

extension String {
    /// Without blanks at either end.
    var trimmed: String {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }

    /// Whether all of it can be seen: no control characters, which no host, path or header value has.
    var isPrintable: Bool { unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } }
}
