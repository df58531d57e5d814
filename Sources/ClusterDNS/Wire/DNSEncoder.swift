import KubeAPI

/// Writes answers, with names compressed. Upstream: RFC 1035 section 4.1.
struct DNSEncoder {
    /// What a TCP message can hold.
    private static let largestMessage = 65535
    /// Pointers reach no further.
    private static let lastPointer = 0x3FFF

    private var bytes: [UInt8] = []
    private var places: [ArraySlice<String>: Int] = [:]

    /// The message: of the records as many as fit into `limit` (at least `DNSNumber.plainBytes`); one that leaves some out asks to come by TCP.
    /// Upstream: miekg/dns' Msg.Truncate.
    static func encode(_ answer: DNSAnswer, to query: DNSQuery, limit: Int) -> [UInt8] {
        var encoder = DNSEncoder()
        encoder.head(query, answer.code, isAuthoritative: answer.isAuthoritative)
        var counts = [0, 0, 0]
        let sections = [answer.answers, answer.authorities, answer.additionals]
        let records = sections.enumerated().flatMap { section, records in records.map { (section, $0) } }
        let room = min(limit, largestMessage) - (query.hasEDNS ? optBytes : 0)
        for (section, record) in records {
            let mark = encoder.bytes.count
            encoder.write(record)
            guard encoder.bytes.count <= room else {
                // Nothing refers to what is taken away: no other record follows.
                encoder.bytes.removeLast(encoder.bytes.count - mark)
                encoder.bytes[2] |= DNSNumber.truncated
                break
            }
            counts[section] += 1
        }
        if query.hasEDNS {
            encoder.writeOPT(query, answer.code)
            counts[2] += 1
        }
        for (section, count) in counts.enumerated() {
            encoder.bytes[6 + section * 2] = UInt8(truncatingIfNeeded: count >> 8)
            encoder.bytes[7 + section * 2] = UInt8(truncatingIfNeeded: count)
        }
        return encoder.bytes
    }

    /// An answer without records.
    static func refusal(_ query: DNSQuery, _ code: ResponseCode) -> [UInt8] {
        encode(DNSAnswer(code: code, isAuthoritative: false), to: query, limit: largestMessage)
    }

    /// An answer to a message that is no query one can read.
    static func refusal(id: UInt16, _ code: ResponseCode) -> [UInt8] {
        // BADVERS needs an OPT record to stand in: a root name, its type, our size, the upper bits of the code.
        let opt: [UInt8] = code.rawValue > 15 ? [0, 0, 41] + size + [code.rawValue >> 4, 0, 0, 0, 0, 0] : []
        return [UInt8(id >> 8), UInt8(id & 0xFF), 0x80, 0x80 | code.rawValue & 0xF, 0, 0, 0, 0, 0, 0, 0, opt.isEmpty ? 0 : 1] + opt
    }

    /// Of the OPT record.
    static let optBytes = 11
    private static let size = [UInt8(DNSNumber.largestDatagram >> 8), UInt8(DNSNumber.largestDatagram & 0xFF)]

    private mutating func head(_ query: DNSQuery, _ code: ResponseCode, isAuthoritative: Bool) {
        write(query.id)
        bytes.append(0x80 | (isAuthoritative ? 0x04 : 0) | (query.wantsRecursion ? 0x01 : 0))
        bytes.append(0x80 | (query.checkingDisabled ? 0x10 : 0) | code.rawValue & 0xF)
        bytes += [0, 1, 0, 0, 0, 0, 0, 0]
        bytes += query.question
        guard let name = query.name else { return }
        var offset = DNSNumber.headerBytes
        for index in name.labels.indices {
            places[name.labels[index...]] = offset
            offset += name.labels[index].utf8.count + 1
        }
    }

    private mutating func writeOPT(_ query: DNSQuery, _ code: ResponseCode) {
        bytes += [0, 0, UInt8(DNSNumber.typeOPT)] + Self.size + [code.rawValue >> 4, 0, query.dnssecOK ? 0x80 : 0, 0, 0, 0]
    }

    private mutating func write(_ number: UInt16) { bytes += [UInt8(number >> 8), UInt8(number & 0xFF)] }
    private mutating func write(_ number: UInt32) {
        write(UInt16(number >> 16))
        write(UInt16(number & 0xFFFF))
    }

    private mutating func write(_ name: DNSName, compressed: Bool = true) {
        for index in name.labels.indices {
            let rest = name.labels[index...]
            if compressed, let place = places[rest] { return write(UInt16(0xC000 | place)) }
            if bytes.count <= Self.lastPointer, places[rest] == nil { places[rest] = bytes.count }
            let label = Array(name.labels[index].utf8.prefix(DNSName.maximumLabelBytes))
            bytes.append(UInt8(label.count))
            bytes += label
        }
        bytes.append(0)
    }

    private mutating func write(_ record: DNSRecord) {
        write(record.name)
        write(record.type)
        write(DNSNumber.classIN)
        write(record.ttl)
        let length = bytes.count
        write(UInt16(0))
        switch record.content {
        case .address(let address):
            for shift in stride(from: address.isIPv6 ? 120 : 24, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: address.number >> UInt128(shift)))
            }
        case .alias(let name), .pointer(let name), .nameServer(let name): write(name)
        case .service(let priority, let weight, let port, let target):
            write(priority)
            write(weight)
            write(port)
            // Upstream: RFC 2782: the target is not compressed.
            write(target, compressed: false)
        case .text(let text):
            let value = Array(text.utf8.prefix(255))
            bytes.append(UInt8(value.count))
            bytes += value
        case .authority(let server, let mailbox, let serial, let ttl):
            write(server)
            write(mailbox)
            // Upstream: CoreDNS's plugin.SOA: refresh, retry, expire.
            for number in [serial, 7200, 1800, 86400, ttl] { write(number) }
        }
        let count = bytes.count - length - 2
        bytes[length] = UInt8(truncatingIfNeeded: count >> 8)
        bytes[length + 1] = UInt8(truncatingIfNeeded: count)
    }
}
