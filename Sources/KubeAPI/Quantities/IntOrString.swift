/// A number or a text such as `25%` or a port's name. Upstream: intstr.IntOrString.
package enum IntOrString: Sendable, Hashable, CustomStringConvertible {
    case int(Int64)
    case string(String)

    /// Nil for what is neither a number nor a text.
    package init?(_ view: JSONView?) {
        guard let view else { return nil }
        if let number = view.int { self = .int(number) } else if let text = view.string { self = .string(text) } else { return nil }
    }
    /// Nil for what is neither a number nor a text.
    package init?(_ value: Value?) {
        guard let value else { return nil }
        if let number = value.int { self = .int(number) } else if let text = value.string { self = .string(text) } else { return nil }
    }

    package var description: String {
        switch self {
        case .int(let number): String(number)
        case .string(let text): text
        }
    }

    package var value: Value {
        switch self {
        case .int(let number): .int(number)
        case .string(let text): .string(text)
        }
    }

    /// The number, or the percentage of `total`, rounded up or down. Nil for a text that is no percentage. Upstream:
    /// intstr.GetScaledValueFromIntOrPercent.
    package func scaled(total: Int, roundUp: Bool) -> Int? {
        switch self {
        case .int(let number): return Int(number)
        case .string(let text):
            guard text.last == "%", let percent = Int32(text.dropLast()) else { return nil }
            let (product, overflow) = total.multipliedReportingOverflow(by: Int(percent))
            if overflow { return nil }
            let quotient = product / 100
            let remainder = product % 100
            if remainder == 0 { return quotient }
            return roundUp ? (remainder > 0 ? quotient + 1 : quotient) : (remainder < 0 ? quotient - 1 : quotient)
        }
    }
}
