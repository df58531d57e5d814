import KubeAPI

/// IP addresses and ranges as fields of the API hold them. Upstream: k8s.io/apimachinery/pkg/util/validation (ip.go) and
/// core/validation.ValidateNonSpecialIP.
enum AddressRules {
    static let invalidAddress = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    static let invalidRange = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

    /// An address whose IPv4 octets may begin with zeros. Upstream: netutils.ParseIPSloppy.
    static func parse(_ text: String) -> IPAddress? { IPAddress(text) ?? withoutLeadingZeros(text).flatMap { IPAddress($0) } }

    private static func withoutLeadingZeros(_ text: String) -> String? {
        let octets = text.split(separator: ".", omittingEmptySubsequences: false)
        guard octets.count == 4 else { return nil }
        var numbers: [String] = []
        for octet in octets {
            guard octet.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }), let number = UInt8(octet) else { return nil }
            numbers.append(String(number))
        }
        return numbers.joined(separator: ".")
    }

    private static func isMapped(_ address: IPAddress, _ text: String) -> Bool {
        address.isIPv6 && text.contains(":") && address.number >> 32 == 0xFFFF
    }

    /// What is wrong with an address of a field from before forms were strict; new values must have no leading zeros. Upstream:
    /// validation.IsValidIPForLegacyField with the gate StrictIPCIDRValidation on.
    static func legacyProblems(_ text: String) -> [String] {
        guard let address = parse(text) else { return [invalidAddress] }
        if IPAddress(text) == nil { return ["must not have leading 0s"] }
        return isMapped(address, text) ? ["must not be an IPv4-mapped IPv6 address"] : []
    }

    /// Upstream: validation.IsValidIP: the canonical form too.
    static func problems(_ text: String) -> [String] {
        let problems = legacyProblems(text)
        guard problems.isEmpty, let address = IPAddress(text), address.description != text else { return problems }
        return ["must be in canonical form (\(address.description.goQuoted))"]
    }

    /// A range as its network's address and length; nil for what is none.
    static func range(_ text: String) -> (address: IPAddress, length: Int)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = parse(String(parts[0])), !parts[1].isEmpty,
            parts[1].utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }), let length = Int(parts[1]),
            length <= (address.isIPv6 ? 128 : 32)
        else { return nil }
        return (address, length)
    }

    /// The network of a range: its address without the bits of hosts.
    static func network(_ range: (address: IPAddress, length: Int)) -> IPAddress {
        let bits = range.address.isIPv6 ? 128 : 32
        let host: UInt128 = range.length == 0 ? .max : (UInt128(1) << UInt128(bits - range.length)) &- 1
        let mask: UInt128 = range.length == 0 ? 0 : ~host
        return IPAddress(number: range.address.number & mask, isIPv6: range.address.isIPv6)
    }

    /// Whether `inner` is part of `outer` and smaller.
    static func isStrictSubset(_ inner: (address: IPAddress, length: Int), of outer: (address: IPAddress, length: Int)) -> Bool {
        guard inner.address.isIPv6 == outer.address.isIPv6, inner.length > outer.length else { return false }
        return network((inner.address, outer.length)).number == network(outer).number
    }

    /// Upstream: validation.IsValidCIDRForLegacyField with strict validation.
    static func legacyRangeProblems(_ text: String) -> [String] {
        guard let range = range(text) else { return [invalidRange] }
        let parts = text.split(separator: "/")
        if IPAddress(String(parts[0])) == nil || (parts[1].count > 1 && parts[1].hasPrefix("0")) {
            return ["must not have leading 0s in IP or prefix length"]
        }
        if isMapped(range.address, String(parts[0])) { return ["must not have an IPv4-mapped IPv6 address"] }
        return network(range).number == range.address.number ? [] : ["must not have bits set beyond the prefix length"]
    }

    /// Upstream: validation.IsValidCIDR: the canonical form too.
    static func rangeProblems(_ text: String) -> [String] {
        let problems = legacyRangeProblems(text)
        guard problems.isEmpty, let range = range(text) else { return problems }
        let canonical = "\(network(range))/\(range.length)"
        return canonical == text ? [] : ["must be in canonical form (\(canonical.goQuoted))"]
    }

    // MARK: Warnings

    /// As Go writes it: an IPv4 address within IPv6 as IPv4.
    private static func standard(_ address: IPAddress, _ text: String) -> String {
        isMapped(address, text) ? IPAddress(number: address.number & 0xFFFF_FFFF, isIPv6: false).description : address.description
    }

    /// Of an address that is accepted still but not in its standard form. Upstream: validation.GetWarningsForIP.
    static func warnings(_ field: @autoclosure () -> String, _ text: String) -> [String] {
        guard let address = parse(text) else { return [] }
        if IPAddress(text) == nil || isMapped(address, text) {
            return [
                "\(field()): non-standard IP address \(text.goQuoted) will be considered invalid in a future Kubernetes release: use "
                    + standard(address, text).goQuoted
            ]
        }
        guard address.isIPv6, address.description != text else { return [] }
        return ["\(field()): IPv6 address \(text.goQuoted) should be in RFC 5952 canonical format (\(address.description.goQuoted))"]
    }

    /// The same of a range. Upstream: validation.GetWarningsForCIDR.
    static func rangeWarnings(_ field: @autoclosure () -> String, _ text: String) -> [String] {
        guard let range = range(text) else { return [] }
        let parts = text.split(separator: "/").map(String.init)
        guard parts.count == 2 else { return [] }
        var found: [String] = []
        let isMapped = isMapped(range.address, parts[0])
        let network = "\(standard(network(range), parts[0]))/\(isMapped ? max(0, range.length - 96) : range.length)"
        if self.network(range).number != range.address.number {
            let one = "\(standard(range.address, parts[0]))/\(range.address.isIPv6 && !isMapped ? 128 : 32)"
            found.append("\(field()): CIDR value \(text.goQuoted) is ambiguous in this context (should be \(network.goQuoted) or \(one.goQuoted)?)")
        }
        if IPAddress(parts[0]) == nil || isMapped || (parts[1].count > 1 && parts[1].hasPrefix("0")) {
            found.append(
                "\(field()): non-standard CIDR value \(text.goQuoted) will be considered invalid in a future Kubernetes release: use "
                    + network.goQuoted)
        }
        let canonical = "\(range.address)/\(range.length)"
        if found.isEmpty, range.address.isIPv6, canonical != text {
            found.append("\(field()): IPv6 CIDR value \(text.goQuoted) should be in RFC 5952 canonical format (\(canonical.goQuoted))")
        }
        return found
    }

    /// Addresses that no Service may lead to. Upstream: core/validation.ValidateNonSpecialIP.
    static func specialProblems(_ text: String) -> [String] {
        guard let address = parse(text) else { return ["must be a valid IP address"] }
        var problems: [String] = []
        let number = address.number
        if number == 0 { problems.append("may not be unspecified (\(text))") }
        if address.isIPv6 ? number == 1 : number >> 24 == 127 {
            problems.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
        }
        if address.isIPv6 ? number >> 118 == 0xFE80 >> 6 : number >> 16 == 0xA9FE {
            problems.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
        }
        if address.isIPv6 ? number >> 112 & 0xFF0F == 0xFF02 : number >> 8 == 0xE00000 {
            problems.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
        }
        return problems
    }
}

/// Names with rules of their own. Upstream: k8s.io/apimachinery/pkg/util/validation.
enum DomainRules {
    /// Upstream: validation.IsWildcardDNS1123Subdomain.
    static func wildcardProblems(_ text: String) -> [String] {
        var problems = text.utf8.count > Names.subdomainMaximum ? ["must be no more than \(Names.subdomainMaximum) bytes"] : []
        if !text.hasPrefix("*.") || !Names.problems(String(text.dropFirst(2)), .dnsSubdomain).isEmpty {
            problems.append(
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
                    + "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', "
                    + "regex used for validation is "
                    + "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")
        }
        return problems
    }

    /// A search path of a resolver may have underscores. Upstream: validation.IsDNS1123SubdomainWithUnderscore.
    static func underscoreProblems(_ text: String) -> [String] {
        var problems = text.utf8.count > Names.subdomainMaximum ? ["must be no more than \(Names.subdomainMaximum) bytes"] : []
        let isWellFormed = text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            let bytes = label.utf8.first == UInt8(ascii: "_") ? label.utf8.dropFirst() : label.utf8[...]
            guard let last = bytes.last, let first = bytes.first, first != UInt8(ascii: "_"), last != UInt8(ascii: "_") else { return false }
            return Names.isLabel(bytes.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 })
        }
        if !isWellFormed {
            problems.append(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an "
                    + "alphanumeric character (e.g. 'example.com', regex used for validation is "
                    + "'_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')")
        }
        return problems
    }

    /// A domain, a slash, a path: `acme.io/foo`. Upstream: validation.IsDomainPrefixedPath.
    static func prefixedPath(_ field: String, _ text: String, _ errors: inout FieldErrors) {
        if text.isEmpty { return errors.required(field) }
        guard let slash = text.firstIndex(of: "/"), slash != text.startIndex, text.index(after: slash) != text.endIndex else {
            return errors.invalid(field, text: text, "must be a domain-prefixed path (such as \"acme.io/foo\")")
        }
        let host = String(text[..<slash])
        errors.invalid(field, host, Names.problems(host, .dnsSubdomain))
        let path = String(text[text.index(after: slash)...])
        let allowed = "/-._~%!$&'()*+,;=:".utf8
        let isWellFormed = path.utf8.allSatisfy { c in
            let letter = c | 0x20
            return (letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z")) || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9"))
                || allowed.contains(c)
        }
        if !isWellFormed {
            errors.invalid(field, text: path, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')")
        }
    }

    /// Upstream: validation.IsFullyQualifiedDomainName.
    static func qualifiedDomain(_ field: String, _ text: String, _ errors: inout FieldErrors) {
        if text.isEmpty { return errors.required(field) }
        let name = text.hasSuffix(".") ? String(text.dropLast()) : text
        let problems = Names.problems(name, .dnsSubdomain)
        if !problems.isEmpty { return errors.invalid(field, text: name, problems.joined(separator: ",")) }
        let labels = name.split(separator: ".")
        if labels.count < 2 { return errors.invalid(field, text: name, "should be a domain with at least two segments separated by dots") }
        for label in labels {
            let problems = Names.problems(String(label), .dnsLabel)
            if !problems.isEmpty { return errors.invalid(field, text: String(label), problems.joined(separator: ",")) }
        }
    }

    /// The names of CSI drivers. Upstream: core/validation.ValidateCSIDriverName.
    static func driverName(_ field: String, _ text: String, _ errors: inout FieldErrors) {
        if text.isEmpty { errors.required(field) }
        if text.utf8.count > Names.labelMaximum { errors.tooLong(field, maximum: Names.labelMaximum) }
        errors.invalid(field, text, Names.problems(text.lowercased(), .dnsSubdomain))
    }
}
