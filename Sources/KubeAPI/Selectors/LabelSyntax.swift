/// The rules of label keys and values with upstream's texts. Upstream: k8s.io/apimachinery/pkg/util/validation.
package enum LabelSyntax {
    /// Upstream: LabelValueMaxLength, qualifiedNameMaxLength.
    package static let maxLength = 63
    /// Upstream: DNS1123SubdomainMaxLength.
    package static let maxPrefixLength = 253

    private static let nameText =
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
        + "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc',"
        + " regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    private static let subdomainText =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
        + "with an alphanumeric character (e.g. 'example.com',"
        + " regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    private static let valueText =
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
        + "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345',"
        + " regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

    /// Everything wrong with a label's key, joined as upstream does; nil when nothing is. Upstream: validation.IsQualifiedName.
    package static func problemOfKey(_ key: String) -> String? {
        var problems: [String] = []
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        var name = parts[0]
        switch parts.count {
        case 1: break
        case 2:
            name = parts[1]
            if parts[0].isEmpty {
                problems.append("prefix part must be non-empty")
            } else {
                if parts[0].utf8.count > maxPrefixLength { problems.append("prefix part must be no more than \(maxPrefixLength) bytes") }
                if !isSubdomain(parts[0]) { problems.append("prefix part " + subdomainText) }
            }
        default:
            return "a qualified name " + nameText
                + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        }
        if name.isEmpty {
            problems.append("name part must be non-empty")
        } else if name.utf8.count > maxLength {
            problems.append("name part must be no more than \(maxLength) bytes")
        }
        if !isName(name) { problems.append("name part " + nameText) }
        return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }

    /// Upstream: validation.IsValidLabelValue.
    package static func problemOfValue(_ value: String) -> String? {
        var problems: [String] = []
        if value.utf8.count > maxLength { problems.append("must be no more than \(maxLength) bytes") }
        if !value.isEmpty, !isName(value[...]) { problems.append(valueText) }
        return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }

    private static func isAlphanumeric(_ c: UInt8) -> Bool { isLower(c) || (c >= UInt8(ascii: "A") && c <= UInt8(ascii: "Z")) }
    private static func isLower(_ c: UInt8) -> Bool {
        (c >= UInt8(ascii: "a") && c <= UInt8(ascii: "z")) || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9"))
    }

    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, isAlphanumeric(first), isAlphanumeric(last) else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") }
    }

    private static func isSubdomain(_ text: Substring) -> Bool {
        text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
            guard let first = part.utf8.first, let last = part.utf8.last, isLower(first), isLower(last) else { return false }
            return part.utf8.allSatisfy { isLower($0) || $0 == UInt8(ascii: "-") }
        }
    }
}
