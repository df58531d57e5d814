import KubeAPI
import Testing

@testable import ClusterDNS

/// Messages, those of attackers too.
@Suite struct WireTests {
    /// A generator that repeats: a failure can be looked at again.
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 33
        }
    }

    private func name(_ bytes: [UInt8], at start: Int = 0) -> WireName? { WireName(bytes[...], at: start) }

    @Test("names are read with their pointers") func names() {
        let bytes: [UInt8] = [3, 0x57, 0x77, 0x77, 0, 2, 0x61, 0x62, 0xC0, 0]
        #expect(name(bytes)?.name == DNSName("www"))
        #expect(name(bytes, at: 5)?.name == DNSName("ab.www"))
        #expect(name(bytes, at: 5)?.end == 10)
    }

    @Test(
        "loops, forward pointers, cuts and long names are refused",
        arguments: [
            [0xC0, 0], [1, 0x61, 0xC0, 0], [0xC0, 2, 0xC0, 0], [0xC0], [5, 0x61], [0x80, 0], [0x40], [],
            Array(repeating: [63] + Array(repeating: UInt8(0x61), count: 63), count: 4).flatMap { $0 } + [0],
        ] as [[UInt8]]) func malformedNames(bytes: [UInt8])
    {
        for start in 0..<max(1, bytes.count) { if let found = name(bytes, at: start) { #expect(found.length <= DNSName.maximumBytes) } }
        #expect(name(bytes) == nil)
    }

    @Test("two pointers at each other end") func pointerLoop() {
        #expect(name([0xC0, 4, 0, 0, 0xC0, 0], at: 4) == nil)
        #expect(name([1, 0x61, 0xC0, 6, 0, 0, 1, 0x62, 0xC0, 0], at: 6) == nil)
    }

    @Test("a query is read, its EDNS too") func query() throws {
        let plain = try DNSQuery(message("WWW.example.com", DNSNumber.typeAAAA)[...])
        #expect(plain.name == DNSName("www.example.com") && plain.type == DNSNumber.typeAAAA && plain.payloadBytes == 512 && plain.wantsRecursion)
        let large = try DNSQuery(message("a.b", edns: 4096)[...])
        #expect(large.hasEDNS && large.payloadBytes == DNSNumber.largestDatagram)
    }

    @Test("what is no query gets no answer, what is a bad one gets its code") func refusals() {
        var answer = message("a.b")
        answer[2] |= 0x80
        #expect(throws: DNSQuery.Refusal.silence) { try DNSQuery(answer[...]) }
        #expect(throws: DNSQuery.Refusal.silence) { try DNSQuery([1, 2, 3][...]) }
        var update = message("a.b")
        update[2] |= 5 << 3
        #expect(throws: DNSQuery.Refusal.code(.notImplemented, id: 0x1234)) { try DNSQuery(update[...]) }
        var two = message("a.b")
        two[5] = 2
        #expect(throws: DNSQuery.Refusal.code(.formatError, id: 0x1234)) { try DNSQuery(two[...]) }
    }

    @Test("answers are compressed and echo the client's spelling") func encoding() throws {
        let query = try DNSQuery(message("WeB.default.svc.cluster.local")[...])
        guard case .answer(let answer) = zone.answer(try #require(query.name), type: query.type) else { throw Missing() }
        let bytes = DNSEncoder.encode(answer, to: query, limit: 512)
        #expect(Array(bytes[13..<16]) == Array("WeB".utf8))
        #expect(bytes.count == query.question.count + 12 + 16, "a pointer for the name")
        #expect(bytes.suffix(4) == [10, 100, 0, 20])
    }

    private struct Missing: Error {}

    @Test("an answer too large for its client has the records that fit, and asks to come by TCP") func truncation() throws {
        let query = try DNSQuery(message("db.default.svc.cluster.local")[...])
        let records = (0..<100).map { DNSRecord(name: DNSName("h\($0).db.default.svc.cluster.local"), ttl: 5, content: .pointer(DNSName("x.y"))) }
        let cut = DNSEncoder.encode(DNSAnswer(answers: records), to: query, limit: 512)
        #expect(cut.count <= 512 && cut[2] & 0x02 != 0 && (10..<100).contains(cut[7]))
        let whole = DNSEncoder.encode(DNSAnswer(answers: records), to: query, limit: 65535)
        #expect(whole[7] == 100 && whole[2] & 0x02 == 0)
        let additional = DNSEncoder.encode(DNSAnswer(answers: [], additionals: records), to: query, limit: 512)
        #expect(additional.count <= 512 && additional[2] & 0x02 != 0 && additional[7] == 0 && additional[11] == cut[7])
    }

    /// The records of a message by section, read to its very end.
    private func sections(_ message: [UInt8], question: Int) throws -> [Int] {
        var reader = RecordReader(message[...], at: DNSNumber.headerBytes + question)
        let counts = (0..<3).map { Int(message[6 + $0 * 2]) << 8 | Int(message[7 + $0 * 2]) }
        for _ in 0..<counts.reduce(0, +) {
            let next = reader.next()
            let record = try #require(next)
            // Names in the data too.
            if record.type == DNSNumber.typePTR || record.type == DNSNumber.typeCNAME {
                #expect(WireName(message[...], at: record.data.lowerBound)?.end == record.data.upperBound)
            }
        }
        #expect(reader.position == message.count)
        return counts
    }

    @Test("whatever is left out, a message can be read and is within its limit, our own and another server's") func truncatedMessages() throws {
        var random = Seeded(state: 7)
        for _ in 0..<2000 {
            func name() -> DNSName {
                DNSName(
                    (0..<Int.random(in: 1...4, using: &random)).map { _ in
                        ["a", "web", "default", String(repeating: "x", count: 60)].randomElement(using: &random) ?? ""
                    })
            }
            func records(_ most: Int) -> [DNSRecord] {
                (0..<Int.random(in: 0...most, using: &random)).map { _ in
                    let contents: [DNSRecord.Content] = [
                        .address(IPAddress(number: UInt128(random.next()), isIPv6: true)), .pointer(name()), .alias(name()), .text("text"),
                        .service(priority: 0, weight: 1, port: 2, target: name()),
                    ]
                    return DNSRecord(name: name(), ttl: 30, content: contents.randomElement(using: &random) ?? .text(""))
                }
            }
            let asked = message(name().labels.joined(separator: "."), edns: Bool.random(using: &random) ? 4096 : nil)
            let query = try DNSQuery(asked[...])
            let answer = DNSAnswer(answers: records(30), authorities: records(3), additionals: records(30))
            let all = [answer.answers.count, answer.authorities.count, answer.additionals.count + (query.hasEDNS ? 1 : 0)]
            let limit = Int.random(in: DNSNumber.plainBytes...DNSNumber.largestDatagram, using: &random)
            let own = DNSEncoder.encode(answer, to: query, limit: limit)
            // As another server would send it.
            let question = ForwardedQuestion(query)
            let whole = DNSEncoder.encode(answer, to: query, limit: 65535)
            let other = try #require(ForwardedAnswer(whole[...], to: question, id: query.id)).message(for: query, age: 10, limit: limit)
            for sent in [own, other] {
                #expect(sent.count <= limit)
                let found = try sections(sent, question: query.question.count)
                #expect((sent[2] & DNSNumber.truncated != 0) == (found != all))
                #expect(zip(found, all).allSatisfy(<=))
                // Nothing of a section comes once something of one before it was left out.
                if found[0] < all[0] { #expect(found[1] == 0) }
            }
            #expect(try sections(own, question: query.question.count) == sections(other, question: query.question.count))
        }
    }

    @Test("of another server's answer the first records come, however they are spread") func forwardedTruncation() throws {
        let client = try DNSQuery(message("many.example.com", id: 7)[...])
        let question = ForwardedQuestion(client)
        let records = (0..<200).map { DNSRecord(name: DNSName("many.example.com"), ttl: 60, content: .address(IPAddress(number: $0, isIPv6: false))) }
        let whole = DNSEncoder.encode(DNSAnswer(answers: records), to: client, limit: 65535)
        let answer = try #require(ForwardedAnswer((whole + [0, 0, 0])[...], to: question, id: 7))
        let sent = answer.message(for: client, age: 0, limit: 512)
        // 16 bytes each.
        #expect(sent[2] & DNSNumber.truncated != 0 && Int(sent[7]) == (512 - 12 - client.question.count) / 16)
        #expect(sent.dropFirst(12) == whole[12..<sent.count])
        #expect(answer.message(for: client, age: 0, limit: 65535) == whole, "what follows the last record is not handed on")
    }

    @Test("another server's answer is checked, aged and handed on") func forwarded() throws {
        let client = try DNSQuery(message("Www.Example.com", edns: 1232, id: 7)[...])
        let question = ForwardedQuestion(client)
        var bytes = question.message(id: 99)
        bytes[2] |= 0x80
        bytes[7] = 1
        let opt = Array(bytes.suffix(11))
        bytes.removeLast(11)
        bytes += [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4] + opt
        let answer = try #require(ForwardedAnswer(bytes[...], to: question, id: 99))
        #expect(answer.seconds == 60)
        #expect(ForwardedAnswer(bytes[...], to: question, id: 98) == nil, "another id")
        #expect(ForwardedAnswer(bytes[...], to: ForwardedQuestion(name: DNSName("other"), type: 1), id: 99) == nil, "another question")
        let sent = answer.message(for: client, age: 20, limit: 1232)
        #expect(Array(sent.prefix(2)) == [0, 7] && Array(sent[13..<16]) == Array("Www".utf8))
        #expect(sent[sent.count - 11 - 7] == 40, "the rest of its life")
        let plain = try DNSQuery(message("www.example.com")[...])
        #expect(answer.message(for: plain, age: 0, limit: 512).count == sent.count - 11)
        #expect(answer.addresses.map(\.content) == [.address(try #require(IPAddress("1.2.3.4")))])
    }

    @Test("a hundred thousand mutated messages are no trap") func fuzz() throws {
        var random = Seeded(state: 42)
        let seeds = [
            message("web.default.svc.cluster.local"), message("_http._tcp.db.default.svc.cluster.local", DNSNumber.typeSRV, edns: 4096),
            message("20.0.100.10.in-addr.arpa", DNSNumber.typePTR),
            [0, 1, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 1, 1, 0x61, 0, 0, 1, 0, 1, 0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xC0, 12],
        ]
        let question = ForwardedQuestion(name: DNSName("a"), type: 1)
        for round in 0..<100_000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = Bool.random(using: &random) ? UInt8.random(in: 0...255, using: &random) : 0xC0
            }
            if round % 7 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
            if let query = try? DNSQuery(bytes[...]), let name = query.name {
                if case .answer(let answer) = zone.answer(name, type: query.type) {
                    #expect(DNSEncoder.encode(answer, to: query, limit: query.payloadBytes).count <= query.payloadBytes)
                }
            }
            if let answer = ForwardedAnswer(bytes[...], to: question, id: 1) { _ = answer.addresses }
        }
    }
}
