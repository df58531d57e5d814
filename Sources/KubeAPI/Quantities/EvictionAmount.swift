/// How much of something must be left on a node, or be given back: an amount, or a part of a hundred of the capacity. Upstream:
/// evictionapi.ThresholdValue.
package enum EvictionAmount: Sendable, Hashable {
    case quantity(Quantity)
    case percent(Double)

    /// `100Mi` or `10%`; nil for anything else, and for what is negative or more than all. Upstream: eviction.parsePercentage.
    package init?(_ text: String) {
        if text.hasSuffix("%") {
            guard text.utf8.count <= 32, let percent = Double(text.dropLast()), (0...100).contains(percent) else { return nil }
            self = .percent(percent)
        } else {
            guard let quantity = try? Quantity(text), quantity >= .zero else { return nil }
            self = .quantity(quantity)
        }
    }

    /// Upstream: GetThresholdQuantity.
    package func quantity(of capacity: Quantity) -> Quantity {
        switch self {
        case .quantity(let quantity): quantity
        case .percent(let percent): Quantity(Int64(clamping: Int128(Double(capacity.value) * percent / 100)), .binarySI)
        }
    }

    /// As it is written in a kubelet's file.
    package var description: String {
        switch self {
        case .quantity(let quantity): quantity.description
        case .percent(let percent): percent == percent.rounded() ? "\(Int64(percent))%" : "\(percent)%"
        }
    }

    /// As a threshold: `0%` and `100%` stand for none. Upstream: eviction.parseThresholdStatement.
    package var isThreshold: Bool { self != .percent(0) && self != .percent(100) }
}
