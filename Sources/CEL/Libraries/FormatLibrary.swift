import KubeAPI
import RegularExpressions

/// A format that texts are checked against. Upstream: k8s.io/apiserver/pkg/cel.Format.
struct CELNamedFormat: CELOpaque {
    let name: String
    /// Length of its regular expression, for costs.
    let maximumRegexSize: Int
    /// What is wrong with a text; nothing: it has the format.
    let check: @Sendable (String) -> [String]
    var celType: CELType { .opaque("kubernetes.NamedFormat") }
    func isEqual(_ other: any CELOpaque) -> Bool { (other as? CELNamedFormat)?.name == name }
}

/// Upstream: library.Format.
enum FormatLibrary {
    /// One rule of names: a pattern, a length, and upstream's words. Upstream: k8s.io/apimachinery/pkg/util/validation.
    private struct Rule: Sendable {
        let pattern: String
        let maximum: Int
        let message: String
        let examples: [String]

        func check(_ text: String) -> [String] {
            var problems: [String] = []
            if text.utf8.count > maximum { problems.append("must be no more than \(maximum) characters") }
            let isMatch = CELRegexCache.shared.expression("^(?:\(pattern))$")?.matches(text) ?? false
            if !isMatch {
                let shown = examples.isEmpty ? "" : "e.g. " + examples.map { "'\($0)', " }.joined(separator: "or ").trimmingComma + ", "
                problems.append("\(message) (\(shown)regex used for validation is '\(pattern)')")
            }
            return problems
        }
    }

    private static let labelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    private static let label = Rule(
        pattern: labelPattern, maximum: 63,
        message:
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
        examples: ["my-name", "123-abc"])
    private static let subdomain = Rule(
        pattern: labelPattern + "(\\." + labelPattern + ")*", maximum: 253,
        message:
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        examples: ["example.com"])
    private static let label1035 = Rule(
        pattern: "[a-z]([-a-z0-9]*[a-z0-9])?", maximum: 63,
        message:
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
        examples: ["my-name", "abc-123"])
    private static let qualifiedPart = Rule(
        pattern: "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", maximum: 63,
        message: "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        examples: ["MyName", "my.name", "123-abc"])
    private static let labelValue = Rule(
        pattern: "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", maximum: 63,
        message:
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        examples: ["MyValue", "my_value", "12345"])

    private static func qualifiedName(_ text: String) -> [String] {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count > 2 {
            return [
                "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '\(qualifiedPart.pattern)') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ]
        }
        var problems: [String] = []
        if parts.count == 2 {
            if parts[0].isEmpty {
                problems.append("prefix part must be non-empty")
            } else {
                problems += subdomain.check(String(parts[0])).map { "prefix part \($0)" }
            }
        }
        let name = String(parts.last ?? "")
        if name.isEmpty {
            problems.append("name part must be non-empty")
        } else if name.utf8.count > 63 {
            problems.append("name part must be no more than 63 characters")
        }
        let isMatch = CELRegexCache.shared.expression("^(?:\(qualifiedPart.pattern))$")?.matches(name) ?? false
        if !isMatch { problems += qualifiedPart.check(name).suffix(1) }
        return problems
    }

    /// The rule on a name whose end is generated.
    private static func prefix(_ rule: Rule) -> @Sendable (String) -> [String] {
        { text in rule.check(text.hasSuffix("-") ? String(text.dropLast()) + "a" : text) }
    }

    private static func isUUID(_ text: String) -> Bool {
        CELRegexCache.shared.expression("^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$")?.matches(text) ?? false
    }

    static let formats: [CELNamedFormat] = [
        CELNamedFormat(name: "dns1123Label", maximumRegexSize: 30) { label.check($0) },
        CELNamedFormat(name: "dns1123Subdomain", maximumRegexSize: 60) { subdomain.check($0) },
        CELNamedFormat(name: "dns1035Label", maximumRegexSize: 30) { label1035.check($0) },
        CELNamedFormat(name: "qualifiedName", maximumRegexSize: 60, check: qualifiedName),
        CELNamedFormat(name: "dns1123LabelPrefix", maximumRegexSize: 30, check: prefix(label)),
        CELNamedFormat(name: "dns1123SubdomainPrefix", maximumRegexSize: 60, check: prefix(subdomain)),
        CELNamedFormat(name: "dns1035LabelPrefix", maximumRegexSize: 30, check: prefix(label1035)),
        CELNamedFormat(name: "labelValue", maximumRegexSize: 40) { labelValue.check($0) },
        CELNamedFormat(name: "uri", maximumRegexSize: 1) { CELURL($0) == nil ? ["invalid uri"] : [] },
        CELNamedFormat(name: "uuid", maximumRegexSize: 60) { isUUID($0) ? [] : ["does not match the UUID format"] },
        CELNamedFormat(name: "byte", maximumRegexSize: 1) { Base64.decodeLoosely($0) == nil ? ["invalid base64"] : [] },
        CELNamedFormat(name: "date", maximumRegexSize: 1) { CELTimestamp(date: $0) == nil ? ["invalid date"] : [] },
        CELNamedFormat(name: "datetime", maximumRegexSize: 1) { CELTimestamp($0) == nil ? ["invalid datetime"] : [] },
    ]

    static let overloads: [CELOverload?] = {
        var all: [CELOverload?] = [
            CELOverload("format-named", "format.named(string) optional(kubernetes.NamedFormat)") { arguments in
                .optional(CELOptional(formats.first { $0.name == arguments[0].string }.map { .opaque($0) }))
            },
            CELOverload("format-validate", "<kubernetes.NamedFormat>.validate(string) optional(list(string))") { arguments throws(CELError) in
                guard case .opaque(let opaque) = arguments[0], let format = opaque as? CELNamedFormat else { throw .noSuchOverload }
                let problems = format.check(arguments[1].string ?? "")
                return .optional(CELOptional(problems.isEmpty ? nil : .strings(problems)))
            },
        ]
        for format in formats {
            all.append(CELOverload("format-\(format.name)", "format.\(format.name)() kubernetes.NamedFormat") { _ in .opaque(format) })
        }
        return all
    }()
}

extension String {
    /// Without a comma and space at the end.
    fileprivate var trimmingComma: String { hasSuffix(", ") ? String(dropLast(2)) : self }
}
