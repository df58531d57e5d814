/// Why a text is no quantity. Upstream: resource.ErrFormatWrong, ErrNumeric, ErrSuffix.
package struct QuantityError: Error, Equatable, CustomStringConvertible {
    package let description: String

    static let format = QuantityError(description: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    static let numeric = QuantityError(description: "unable to parse numeric part of quantity")
    static let suffix = QuantityError(description: "unable to parse quantity's suffix")
}

/// A fixed-point number with a unit, such as `500m`, `1.5Gi` or `1e3`: kept exactly, in billionths. Finer digits are rounded away from zero and
/// values are capped at ±(2^63-1), as upstream does. Upstream: resource.Quantity.
package struct Quantity: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The family of suffixes the quantity is written with.
    package enum Format: Sendable, Hashable { case decimalSI, binarySI, decimalExponent }

    /// The value in units of 10^-9.
    package private(set) var nano: Int128
    package private(set) var format: Format

    private static let unit: Int128 = 1_000_000_000
    private static let limit = Int128(Int64.max) * unit

    private init(capping nano: Int128, _ format: Format) {
        self.nano = min(max(nano, -Self.limit), Self.limit)
        self.format = format
    }

    /// Whole units. Upstream: resource.NewQuantity.
    package init(_ value: Int64, _ format: Format = .decimalSI) { self.init(capping: Int128(value) * Self.unit, format) }
    /// Upstream: resource.NewMilliQuantity.
    package init(milli value: Int64, _ format: Format = .decimalSI) { self.init(capping: Int128(value) * 1_000_000, format) }

    package static let zero = Quantity(0)

    package var isZero: Bool { nano == 0 }
    package var sign: Int { nano == 0 ? 0 : nano < 0 ? -1 : 1 }
    /// Whole units, rounded up. Upstream: Quantity.Value.
    package var value: Int64 { Self.roundedUp(nano, by: Self.unit) }
    /// Thousandths, rounded up; capped at what Int64 holds. Upstream: Quantity.MilliValue.
    package var milliValue: Int64 { Self.roundedUp(nano, by: 1_000_000) }
    /// Rounded to thousandths, away from zero; nil where that changes nothing. Upstream: Quantity.RoundUp with milli scale.
    package var roundedToMilli: Quantity? {
        let rest = nano % 1_000_000
        guard rest != 0 else { return nil }
        return Quantity(capping: nano - rest + (rest > 0 ? 1_000_000 : -1_000_000), format)
    }
    package var double: Double { Double(nano) / 1e9 }

    private static func roundedUp(_ nano: Int128, by divisor: Int128) -> Int64 {
        let (quotient, remainder) = nano.quotientAndRemainder(dividingBy: divisor)
        let rounded = remainder > 0 ? quotient + 1 : remainder < 0 ? quotient - 1 : quotient
        return Int64(clamping: rounded)
    }

    /// Hash and equality are those of the number: `1` equals `1000m`.
    package static func == (a: Quantity, b: Quantity) -> Bool { a.nano == b.nano }
    package func hash(into hasher: inout Hasher) { hasher.combine(nano) }
    package static func < (a: Quantity, b: Quantity) -> Bool { a.nano < b.nano }

    /// The sum in the left side's format; a zero left side takes over the right side's. Upstream: Quantity.Add.
    package static func + (a: Quantity, b: Quantity) -> Quantity { Quantity(capping: a.nano + b.nano, a.isZero ? b.format : a.format) }
    /// The difference, in the format that the sum would have. Upstream: Quantity.Sub.
    package static func - (a: Quantity, b: Quantity) -> Quantity { Quantity(capping: a.nano - b.nano, a.isZero ? b.format : a.format) }
    package static func += (a: inout Quantity, b: Quantity) { a = a + b }
    package static func -= (a: inout Quantity, b: Quantity) { a = a - b }
    package static prefix func - (a: Quantity) -> Quantity { Quantity(capping: -a.nano, a.format) }
    /// The product, capped like every quantity. Upstream: Quantity.Mul.
    package static func * (a: Quantity, factor: Int64) -> Quantity {
        let (product, overflow) = a.nano.multipliedReportingOverflow(by: Int128(factor))
        return Quantity(capping: overflow ? ((a.nano < 0) != (factor < 0) ? -limit : limit) : product, a.format)
    }

    // MARK: Parsing

    /// Reads a quantity as upstream's resource.ParseQuantity does.
    package init(_ text: String) throws(QuantityError) {
        let b = Array(text.utf8)
        var at = 0
        var negative = false
        if let first = b.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            negative = first == UInt8(ascii: "-")
            at = 1
        }
        var digits: [UInt8] = []
        var whole: Int?
        let numberStart = at
        while at < b.count {
            if b[at] == UInt8(ascii: ".") {
                guard whole == nil else { throw .numeric }
                whole = digits.count
            } else if b[at] >= UInt8(ascii: "0"), b[at] <= UInt8(ascii: "9") {
                digits.append(b[at] - UInt8(ascii: "0"))
            } else {
                break
            }
            at += 1
        }
        guard at > numberStart else { throw .format }
        guard !digits.isEmpty else { throw .numeric }
        let suffix = try Self.suffix(b[at...])
        let magnitude = Self.magnitude(digits, point: (whole ?? digits.count) &+ suffix.exponent, multiplier: suffix.multiplier)
        self.init(capping: negative ? -magnitude : magnitude, suffix.format)
    }

    private struct Suffix {
        /// A power of ten to move the decimal point by.
        var exponent = 0
        /// A power of 1024.
        var multiplier: Int128 = 1
        var format = Format.decimalSI
    }

    private static func suffix(_ bytes: ArraySlice<UInt8>) throws(QuantityError) -> Suffix {
        var at = bytes.startIndex
        while at < bytes.endIndex, "eEinumkKMGTP".utf8.contains(bytes[at]) { at += 1 }
        if at < bytes.endIndex, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
        while at < bytes.endIndex, bytes[at] >= UInt8(ascii: "0"), bytes[at] <= UInt8(ascii: "9") { at += 1 }
        guard at == bytes.endIndex else { throw .format }
        let text = String(decoding: bytes, as: UTF8.self)
        if let place = decimalSuffixes.firstIndex(of: text) { return Suffix(exponent: (place - 3) * 3) }
        if let place = binarySuffixes.firstIndex(of: text) { return Suffix(multiplier: Int128(1) << (10 * (place + 1)), format: .binarySI) }
        guard let first = text.first, first == "e" || first == "E", let exponent = Int64(text.dropFirst()) else { throw .suffix }
        // Beyond this every number is zero or above the cap.
        return Suffix(exponent: Int(min(max(exponent, -1_000_000), 1_000_000)), format: .decimalExponent)
    }

    private static let decimalSuffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]
    private static let binarySuffixes = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]

    /// Billionths of the number whose decimal point stands after `point` of `digits`, times `multiplier`, rounded up.
    private static func magnitude(_ digits: [UInt8], point: Int, multiplier: Int128) -> Int128 {
        guard let firstDigit = digits.firstIndex(where: { $0 != 0 }) else { return 0 }
        // A whole part of more than 19 digits is above the cap, whatever follows.
        if point - firstDigit > 19 { return limit }
        var whole: Int128 = 0
        for place in 0..<max(point, 0) where place >= firstDigit { whole = whole * 10 + (place < digits.count ? Int128(digits[place]) : 0) }
        let (units, overflow) = whole.multipliedReportingOverflow(by: multiplier)
        if overflow || units > Int128(Int64.max) { return limit }

        // The fraction: 18 digits, and whether anything follows them.
        let fractionDigits = 18
        var fraction: Int128 = 0
        for place in point..<point + fractionDigits {
            fraction = fraction * 10 + (place >= 0 && place < digits.count ? Int128(digits[place]) : 0)
        }
        let past = max(point + fractionDigits, 0)
        let more = past < digits.count && digits[past...].contains { $0 != 0 }
        // fraction < 10^18 and multiplier <= 2^60, so the product fits.
        let (quotient, remainder) = (fraction * multiplier).quotientAndRemainder(dividingBy: unit)
        return min(units * unit + quotient + (remainder > 0 || more ? 1 : 0), limit)
    }

    // MARK: Writing

    /// The canonical form: no fraction, the largest unit that allows this. Upstream: Quantity.String.
    package var description: String {
        if nano == 0 { return "0" }
        var format = format
        if format == .binarySI, abs(nano) < 1024 * Self.unit || nano % Self.unit != 0 { format = .decimalSI }
        if format == .binarySI {
            var number = nano / Self.unit
            var place = 0
            while place < Self.binarySuffixes.count, number % 1024 == 0 {
                number /= 1024
                place += 1
            }
            return String(number) + (place == 0 ? "" : Self.binarySuffixes[place - 1])
        }
        var number = nano
        var place = 0
        while place < Self.decimalSuffixes.count - 1, number % 1000 == 0 {
            number /= 1000
            place += 1
        }
        if format == .decimalExponent { return String(number) + (place == 3 ? "" : "e\((place - 3) * 3)") }
        return String(number) + Self.decimalSuffixes[place]
    }

    private func abs(_ number: Int128) -> Int128 { number < 0 ? -number : number }
}

/// Quantities by resource name. Upstream: corev1.ResourceList.
package typealias ResourceList = [String: Quantity]

extension Optional where Wrapped == JSONView {
    /// A quantity written as text or as a bare number; nil for anything else.
    package var quantity: Quantity? { flatMap(\.quantity) }
    /// The quantities of an object such as `resources.requests`; what is no quantity is left out.
    package var resourceList: ResourceList { map(\.resourceList) ?? [:] }
}

extension JSONView {
    package var quantity: Quantity? {
        switch kind {
        case .string, .escapedString: string.flatMap { try? Quantity($0) }  // No quantity reads as none, like every other type mismatch of a view.
        case .integer, .double: try? Quantity(String(decoding: rawBytes, as: UTF8.self))
        default: nil
        }
    }
    package var resourceList: ResourceList {
        var list: ResourceList = [:]
        for (name, value) in members { list[name] = value.quantity }
        return list
    }
}
