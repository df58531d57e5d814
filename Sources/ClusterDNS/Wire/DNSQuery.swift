/// Numbers of the protocol. Upstream: IANA's DNS parameters.
enum DNSNumber {
    static let headerBytes = 12
    /// TC, in the third byte of a message.
    static let truncated: UInt8 = 0x02
    static let typeA: UInt16 = 1
    static let typeNS: UInt16 = 2
    static let typeCNAME: UInt16 = 5
    static let typeSOA: UInt16 = 6
    static let typePTR: UInt16 = 12
    static let typeTXT: UInt16 = 16
    static let typeAAAA: UInt16 = 28
    static let typeSRV: UInt16 = 33
    static let typeOPT: UInt16 = 41
    static let typeANY: UInt16 = 255
    static let classIN: UInt16 = 1
    /// What a client without EDNS takes by UDP.
    static let plainBytes = 512
    /// What is sent by UDP at most. Upstream: the DNS flag day's 1232, so that nothing is fragmented.
    static let largestDatagram = 1232
}

/// The code of an answer. Upstream: RFC 1035 section 4.1.1 and RFC 6891.
enum ResponseCode: UInt8, Sendable {
    case noError = 0
    case formatError = 1
    case serverFailure = 2
    case nameError = 3
    case notImplemented = 4
    case refused = 5
    /// BADVERS is 16: its upper bits go into the OPT record.
    case badVersion = 16
}

/// A query as it came: one question, and what the client says of itself. Upstream: miekg/dns Msg.
struct DNSQuery: Sendable {
    /// Why a message gets no answer, or a short one.
    enum Refusal: Error, Equatable {
        /// Not a query at all: no answer, so that two servers do not answer each other for ever.
        case silence
        case code(ResponseCode, id: UInt16)
    }

    /// Records after the question that are looked through for the OPT record; queries have one, or two with a signature.
    private static let maximumRecords = 8

    var id: UInt16
    var wantsRecursion: Bool
    var checkingDisabled: Bool
    /// The question's bytes: name as the client spells it, type, class.
    var question: [UInt8]
    var name: DNSName?
    var type: UInt16
    var `class`: UInt16
    var hasEDNS = false
    var dnssecOK = false
    /// The largest answer the client takes by UDP.
    var payloadBytes = DNSNumber.plainBytes

    /// Reads a message. Throws `Refusal`.
    init(_ message: ArraySlice<UInt8>) throws(Refusal) {
        guard message.count >= DNSNumber.headerBytes else { throw .silence }
        func number(_ offset: Int) -> UInt16 { UInt16(message[message.startIndex + offset]) << 8 | UInt16(message[message.startIndex + offset + 1]) }
        let flags = number(2)
        id = number(0)
        guard flags & 0x8000 == 0 else { throw .silence }
        guard flags >> 11 & 0xF == 0 else { throw .code(.notImplemented, id: id) }
        wantsRecursion = flags & 0x0100 != 0
        checkingDisabled = flags & 0x0010 != 0
        let records = Int(number(6)) + Int(number(8)) + Int(number(10))
        guard number(4) == 1, records <= Self.maximumRecords, let asked = WireName(message, at: DNSNumber.headerBytes),
            asked.end + 4 <= message.count, asked.end == DNSNumber.headerBytes + asked.length
        else { throw .code(.formatError, id: id) }
        name = asked.name
        type = number(asked.end)
        self.class = number(asked.end + 2)
        question = Array(message.dropFirst(DNSNumber.headerBytes).prefix(asked.end + 4 - DNSNumber.headerBytes))
        var reader = RecordReader(message, at: asked.end + 4)
        for _ in 0..<records {
            guard let record = reader.next() else { throw .code(.formatError, id: id) }
            guard record.type == DNSNumber.typeOPT else { continue }
            guard !hasEDNS else { throw .code(.formatError, id: id) }
            hasEDNS = true
            payloadBytes = min(max(Int(record.class), DNSNumber.plainBytes), DNSNumber.largestDatagram)
            dnssecOK = record.ttl & 0x8000 != 0
            if record.ttl >> 16 & 0xFF != 0 { throw .code(.badVersion, id: id) }
        }
    }
}

/// Reads the records of a message one after the other.
struct RecordReader {
    /// A record's place and head.
    struct Record {
        var start: Int
        var type: UInt16
        var `class`: UInt16
        var ttl: UInt32
        var ttlOffset: Int
        var data: Range<Int>
    }

    private let message: ArraySlice<UInt8>
    private(set) var position: Int

    init(_ message: ArraySlice<UInt8>, at position: Int) {
        self.message = message
        self.position = position
    }

    private func number(_ offset: Int) -> UInt32 {
        UInt32(message[message.startIndex + offset]) << 8 | UInt32(message[message.startIndex + offset + 1])
    }

    /// Nil at a malformed record, or the end.
    mutating func next() -> Record? {
        guard let name = WireName(message, at: position), name.end + 10 <= message.count else { return nil }
        let head = name.end
        let dataStart = head + 10
        let dataEnd = dataStart + Int(number(head + 8))
        guard dataEnd <= message.count else { return nil }
        let record = Record(
            start: position, type: UInt16(number(head)), class: UInt16(number(head + 2)), ttl: number(head + 4) << 16 | number(head + 6),
            ttlOffset: head + 4, data: dataStart..<dataEnd)
        position = dataEnd
        return record
    }
}
