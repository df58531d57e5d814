import Glibc

/// An IP address: 4 or 16 bytes. Upstream: net/netip.Addr.
struct CELIP: CELOpaque {
    let bytes: [UInt8]
    var celType: CELType { .opaque("net.IP") }
    func isEqual(_ other: any CELOpaque) -> Bool { (other as? CELIP)?.bytes == bytes }
    var size: UInt64 { UInt64((Double(bytes.count) * CELCost.stringTraversalFactor).rounded(.up)) }
    var family: Int64 { bytes.count == 4 ? 4 : 6 }

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Dotted decimals or an IPv6 address; neither zones nor IPv4 in IPv6 are allowed.
    init?(_ text: String) {
        var address = [UInt8](repeating: 0, count: 16)
        if text.contains(":") {
            guard !text.contains("%"), inet_pton(AF_INET6, text, &address) == 1 else { return nil }
            let isMapped = address[0..<10].allSatisfy { $0 == 0 } && address[10] == 0xFF && address[11] == 0xFF
            if isMapped { return nil }
            bytes = address
        } else {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            let isPlain =
                parts.count == 4
                && parts.allSatisfy { $0.utf8.count <= 3 && ($0 == "0" || !$0.hasPrefix("0")) && UInt8($0) != nil && !$0.hasPrefix("+") }
            guard isPlain else { return nil }
            bytes = parts.compactMap { UInt8($0) }
        }
    }

    var text: String {
        if bytes.count == 4 { return bytes.map { String($0) }.joined(separator: ".") }
        // RFC 5952: the longest run of zeros, of two or more, is left out.
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        var best = (start: 0, length: 1)
        var at = 0
        while at < 8 {
            var end = at
            while end < 8, groups[end] == 0 { end += 1 }
            if end - at > best.length { best = (at, end - at) }
            at = max(end, at + 1)
        }
        func write(_ groups: ArraySlice<UInt16>) -> String { groups.map { String($0, radix: 16) }.joined(separator: ":") }
        if best.length < 2 { return write(groups[...]) }
        return write(groups[..<best.start]) + "::" + write(groups[(best.start + best.length)...])
    }

    var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }
    var isLoopback: Bool { bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1 }
    var isLinkLocalUnicast: Bool { bytes.count == 4 ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80 }
    var isLinkLocalMulticast: Bool { bytes.count == 4 ? bytes[0] == 224 && bytes[1] == 0 && bytes[2] == 0 : bytes[0] == 0xFF && bytes[1] & 0x0F == 2 }
    private var isMulticast: Bool { bytes.count == 4 ? bytes[0] & 0xF0 == 0xE0 : bytes[0] == 0xFF }
    var isGlobalUnicast: Bool { !(isUnspecified || isLoopback || isMulticast || isLinkLocalUnicast || bytes == [255, 255, 255, 255]) }
}

/// Upstream: library.IP.
enum IPLibrary {
    static func ip(_ value: CELValue) throws(CELError) -> CELIP {
        guard case .opaque(let opaque) = value, let ip = opaque as? CELIP else { throw .noSuchOverload }
        return ip
    }

    static func parse(_ text: String) throws(CELError) -> CELIP {
        if let ip = CELIP(text) { return ip }
        let quoted = URLLibrary.quoted(text)
        if text.contains("%") { throw CELError("IP address with zone value is not allowed") }
        if text.lowercased().hasPrefix("::ffff:"), text.contains(".") { throw CELError("IPv4-mapped IPv6 address is not allowed") }
        throw CELError("IP Address \(quoted) parse error during conversion from string: ParseAddr(\(quoted)): unable to parse IP")
    }

    private static func property(_ name: String, _ id: String, _ read: @escaping @Sendable (CELIP) -> Bool) -> CELOverload? {
        CELOverload(id, "<net.IP>.\(name)() bool") { arguments throws(CELError) in .bool(read(try ip(arguments[0]))) }
    }

    static let overloads: [CELOverload?] = [
        CELOverload("string_to_ip", "ip(string) net.IP") { arguments throws(CELError) in .opaque(try parse(arguments[0].string ?? "")) },
        CELOverload("is_ip", "isIP(string) bool") { arguments in .bool(CELIP(arguments[0].string ?? "") != nil) },
        CELOverload("ip_is_canonical", "ip.isCanonical(string) bool") { arguments throws(CELError) in
            let text = arguments[0].string ?? ""
            return .bool(try parse(text).text == text)
        },
        CELOverload("ip_to_string", "string(net.IP) string") { arguments throws(CELError) in .string(try ip(arguments[0]).text) },
        CELOverload("ip_family", "<net.IP>.family() int") { arguments throws(CELError) in .int(try ip(arguments[0]).family) },
        property("isUnspecified", "ip_is_unspecified") { $0.isUnspecified },
        property("isLoopback", "ip_is_loopback") { $0.isLoopback },
        property("isLinkLocalMulticast", "ip_is_link_local_multicast") { $0.isLinkLocalMulticast },
        property("isLinkLocalUnicast", "ip_is_link_local_unicast") { $0.isLinkLocalUnicast },
        property("isGlobalUnicast", "ip_is_global_unicast") { $0.isGlobalUnicast },
    ]
}

/// A network: an address and the length of its prefix. Upstream: net/netip.Prefix.
struct CELCIDR: CELOpaque {
    let address: CELIP
    let length: Int
    var celType: CELType { .opaque("net.CIDR") }
    func isEqual(_ other: any CELOpaque) -> Bool {
        guard let other = other as? CELCIDR else { return false }
        return other.length == length && other.address.bytes == address.bytes
    }
    var size: UInt64 { UInt64((Double(length) / 8).rounded(.up)) }

    init(_ address: CELIP, _ length: Int) {
        self.address = address
        self.length = length
    }

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = CELIP(String(parts[0])), let length = Int(parts[1]),
            parts[1].utf8.allSatisfy({ (48...57).contains($0) }),
            parts[1] == "0" || !parts[1].hasPrefix("0"), length <= address.bytes.count * 8
        else { return nil }
        self.init(address, length)
    }

    var masked: CELCIDR {
        var bytes = address.bytes
        for index in bytes.indices {
            let kept = min(max(length - index * 8, 0), 8)
            bytes[index] &= UInt8(truncatingIfNeeded: 0xFF00 >> kept)
        }
        return CELCIDR(CELIP(bytes: bytes), length)
    }

    func contains(_ ip: CELIP) -> Bool {
        ip.bytes.count == address.bytes.count && CELCIDR(ip, length).masked.address.bytes == masked.address.bytes
    }
    func contains(_ other: CELCIDR) -> Bool { other.length >= length && contains(other.address) }
    var text: String { "\(address.text)/\(length)" }
}

/// Upstream: library.CIDR.
enum CIDRLibrary {
    private static func cidr(_ value: CELValue) throws(CELError) -> CELCIDR {
        guard case .opaque(let opaque) = value, let cidr = opaque as? CELCIDR else { throw .noSuchOverload }
        return cidr
    }

    private static func parse(_ text: String) throws(CELError) -> CELCIDR {
        guard let cidr = CELCIDR(text) else {
            let quoted = URLLibrary.quoted(text)
            throw CELError("network address parse error during conversion from string: netip.ParsePrefix(\(quoted)): no '/'")
        }
        return cidr
    }

    static let overloads: [CELOverload?] = [
        CELOverload("string_to_cidr", "cidr(string) net.CIDR") { arguments throws(CELError) in .opaque(try parse(arguments[0].string ?? "")) },
        CELOverload("is_cidr", "isCIDR(string) bool") { arguments in .bool(CELCIDR(arguments[0].string ?? "") != nil) },
        CELOverload("cidr_to_string", "string(net.CIDR) string") { arguments throws(CELError) in .string(try cidr(arguments[0]).text) },
        CELOverload("cidr_contains_ip_string", "<net.CIDR>.containsIP(string) bool") { arguments throws(CELError) in
            .bool(try cidr(arguments[0]).contains(try IPLibrary.parse(arguments[1].string ?? "")))
        },
        CELOverload("cidr_contains_ip_ip", "<net.CIDR>.containsIP(net.IP) bool") { arguments throws(CELError) in
            .bool(try cidr(arguments[0]).contains(try IPLibrary.ip(arguments[1])))
        },
        CELOverload("cidr_contains_cidr_string", "<net.CIDR>.containsCIDR(string) bool") { arguments throws(CELError) in
            .bool(try cidr(arguments[0]).contains(try parse(arguments[1].string ?? "")))
        },
        CELOverload("cidr_contains_cidr", "<net.CIDR>.containsCIDR(net.CIDR) bool") { arguments throws(CELError) in
            .bool(try cidr(arguments[0]).contains(try cidr(arguments[1])))
        },
        CELOverload("cidr_ip", "<net.CIDR>.ip() net.IP") { arguments throws(CELError) in .opaque(try cidr(arguments[0]).address) },
        CELOverload("cidr_masked", "<net.CIDR>.masked() net.CIDR") { arguments throws(CELError) in .opaque(try cidr(arguments[0]).masked) },
        CELOverload("cidr_prefix_length", "<net.CIDR>.prefixLength() int") { arguments throws(CELError) in .int(Int64(try cidr(arguments[0]).length))
        },
    ]
}
