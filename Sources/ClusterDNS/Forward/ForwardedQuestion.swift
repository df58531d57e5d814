import KubeAPI

/// A question that other servers are asked: what tells one answer from another.
struct ForwardedQuestion: Hashable, Sendable {
    /// Name in lower case, type, class, as in a message.
    var bytes: [UInt8]
    var dnssecOK: Bool
    var checkingDisabled: Bool

    init(_ query: DNSQuery) {
        bytes = Self.lowered(query.question)
        dnssecOK = query.dnssecOK
        checkingDisabled = query.checkingDisabled
    }

    init(name: DNSName, type: UInt16) {
        bytes = name.labels.flatMap { label -> [UInt8] in
            let label = Array(label.utf8.prefix(DNSName.maximumLabelBytes))
            return [UInt8(label.count)] + label
        }
        bytes += [0, UInt8(type >> 8), UInt8(type & 0xFF), 0, UInt8(DNSNumber.classIN)]
        dnssecOK = false
        checkingDisabled = false
    }

    /// Lengths of labels are below 64, so no length is taken for a letter; type and class stay.
    static func lowered(_ question: [UInt8]) -> [UInt8] {
        question.dropLast(4).map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 } + question.suffix(4)
    }

    /// The message to send, which takes large answers.
    func message(id: UInt16) -> [UInt8] {
        let size = DNSNumber.largestDatagram
        let head = [UInt8(id >> 8), UInt8(id & 0xFF), 0x01, checkingDisabled ? 0x10 : 0, 0, 1, 0, 0, 0, 0, 0, 1]
        return head + bytes + [0, 0, UInt8(DNSNumber.typeOPT), UInt8(size >> 8), UInt8(size & 0xFF), 0, 0, dnssecOK ? 0x80 : 0, 0, 0, 0]
    }
}

/// The answer of another server: checked, and ready to be handed on to many clients.
struct ForwardedAnswer: Sendable {
    /// Answers of more records are handed on but not kept.
    private static let maximumRecords = 512

    /// Without the other server's OPT record, and without what follows the last record.
    private var bytes: [UInt8]
    private var ttlOffsets: [Int] = []
    private let questionBytes: Int
    let isTruncated: Bool
    /// For how long it may be kept, by its records; nil: not at all.
    private(set) var seconds: UInt32?
    let code: UInt8
    /// No such name, or no record of the type asked for.
    let isDenial: Bool

    /// Nil for what is no answer to this question.
    init?(_ message: ArraySlice<UInt8>, to question: ForwardedQuestion, id: UInt16) {
        let bytes = Array(message)
        guard bytes.count >= DNSNumber.headerBytes + question.bytes.count, UInt16(bytes[0]) << 8 | UInt16(bytes[1]) == id, bytes[2] & 0x80 != 0,
            bytes[4] == 0, bytes[5] == 1
        else { return nil }
        let asked = Array(bytes[DNSNumber.headerBytes..<DNSNumber.headerBytes + question.bytes.count])
        guard ForwardedQuestion.lowered(asked) == question.bytes else { return nil }
        questionBytes = question.bytes.count
        isTruncated = bytes[2] & 0x02 != 0
        code = bytes[3] & 0xF
        let counts = (0..<3).map { Int(bytes[6 + $0 * 2]) << 8 | Int(bytes[7 + $0 * 2]) }
        isDenial = counts[0] == 0 || code == ResponseCode.nameError.rawValue
        var reader = RecordReader(bytes[...], at: DNSNumber.headerBytes + questionBytes)
        var shortest: UInt32?
        var opt: Int?
        let total = counts[0] + counts[1] + counts[2]
        var isKept = total <= Self.maximumRecords
        // As many as there are bytes for: no record is empty.
        for index in 0..<total {
            guard let record = reader.next() else { return nil }
            if record.type == DNSNumber.typeOPT {
                // Only as the last record, of the additional ones, it can be cut off.
                if index == total - 1, counts[2] > 0 { opt = record.start } else { isKept = false }
                continue
            }
            ttlOffsets.append(record.ttlOffset)
            var ttl = record.ttl
            // A denial is kept as long as its authority says. Upstream: RFC 2308.
            if record.type == DNSNumber.typeSOA, index >= counts[0], record.data.count >= 4 {
                ttl = min(ttl, bytes[record.data.suffix(4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
            }
            shortest = min(shortest ?? .max, ttl)
        }
        self.bytes = Array(bytes[..<(opt ?? reader.position)])
        if opt != nil {
            self.bytes[10] = UInt8(truncatingIfNeeded: (counts[2] - 1) >> 8)
            self.bytes[11] = UInt8(truncatingIfNeeded: counts[2] - 1)
        }
        let isAnswer = code == ResponseCode.noError.rawValue || code == ResponseCode.nameError.rawValue
        seconds = isKept && isAnswer && !isTruncated ? shortest : nil
    }

    /// For a client, `age` seconds after it came. Of one that is larger than `limit` (at least `DNSNumber.plainBytes`) the records come that fit,
    /// and it asks to come by TCP. Upstream: miekg/dns' Msg.Truncate.
    func message(for query: DNSQuery, age: UInt32, limit: Int) -> [UInt8] {
        var message = bytes
        let room = limit - (query.hasEDNS ? DNSEncoder.optBytes : 0)
        if message.count > room { cut(&message, to: room) }
        message[0] = UInt8(query.id >> 8)
        message[1] = UInt8(query.id & 0xFF)
        message[2] = message[2] & 0xFE | (query.wantsRecursion ? 1 : 0)
        message[3] |= 0x80
        // The client's own spelling of the name.
        message.replaceSubrange(DNSNumber.headerBytes..<DNSNumber.headerBytes + questionBytes, with: query.question)
        for offset in ttlOffsets where offset + 4 <= message.count {
            let ttl = message[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let rest = ttl > age ? ttl - age : 0
            for place in 0..<4 { message[offset + place] = UInt8(truncatingIfNeeded: rest >> UInt32(24 - place * 8)) }
        }
        guard query.hasEDNS else { return message }
        let size = DNSNumber.largestDatagram
        message += [0, 0, UInt8(DNSNumber.typeOPT), UInt8(size >> 8), UInt8(size & 0xFF), 0, 0, query.dnssecOK ? 0x80 : 0, 0, 0, 0]
        let additional = (UInt16(message[10]) << 8 | UInt16(message[11])) &+ 1
        message[10] = UInt8(additional >> 8)
        message[11] = UInt8(additional & 0xFF)
        return message
    }

    /// Takes the records away that do not fit. Names refer to what stands before them alone, so that those that stay are whole.
    private func cut(_ message: inout [UInt8], to room: Int) {
        var reader = RecordReader(bytes[...], at: DNSNumber.headerBytes + questionBytes)
        var end = reader.position
        var isFull = false
        for section in 0..<3 {
            let place = 6 + section * 2
            let count = Int(bytes[place]) << 8 | Int(bytes[place + 1])
            var kept = 0
            while !isFull, kept < count {
                // An OPT record among others is the other server's.
                guard let record = reader.next(), record.type != DNSNumber.typeOPT, reader.position <= room else {
                    isFull = true
                    break
                }
                kept += 1
                end = reader.position
            }
            message[place] = UInt8(truncatingIfNeeded: kept >> 8)
            message[place + 1] = UInt8(truncatingIfNeeded: kept)
        }
        message.removeLast(message.count - end)
        message[2] |= DNSNumber.truncated
    }

    /// The addresses and aliases in it, for a name of ours that leads there.
    var addresses: [DNSRecord] {
        var reader = RecordReader(bytes[...], at: DNSNumber.headerBytes + questionBytes)
        var records: [DNSRecord] = []
        for _ in 0..<min(Int(bytes[6]) << 8 | Int(bytes[7]), Self.maximumRecords) {
            guard let record = reader.next() else { break }
            guard let name = WireName(bytes[...], at: record.start)?.name else { continue }
            switch record.type {
            case DNSNumber.typeA where record.data.count == 4, DNSNumber.typeAAAA where record.data.count == 16:
                let number = bytes[record.data].reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
                let address = IPAddress(number: number, isIPv6: record.type == DNSNumber.typeAAAA)
                records.append(DNSRecord(name: name, ttl: record.ttl, content: .address(address)))
            case DNSNumber.typeCNAME:
                guard let target = WireName(bytes[...], at: record.data.lowerBound)?.name else { continue }
                records.append(DNSRecord(name: name, ttl: record.ttl, content: .alias(target)))
            default: break
            }
        }
        return records
    }
}
