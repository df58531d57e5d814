/// Durations as the definitions write them: `30s`, `1h30m`, `Never`. Upstream: karpenter.sh/v1 NillableDuration, Go's time.ParseDuration in hours,
/// minutes and seconds.
enum DurationText {
    /// Seconds; nil for `Never` and for what is no duration.
    static func seconds(_ text: String?) -> Double? {
        guard let text, text != "Never", !text.isEmpty else { return nil }
        var total = 0.0
        var digits = ""
        for character in text {
            switch character {
            case "0"..."9", ".": digits.append(character)
            case "h", "m", "s":
                guard let number = Double(digits) else { return nil }
                total += number * (character == "h" ? 3_600 : character == "m" ? 60 : 1)
                digits = ""
            default: return nil
            }
        }
        return digits.isEmpty && total.isFinite ? total : nil
    }
}
