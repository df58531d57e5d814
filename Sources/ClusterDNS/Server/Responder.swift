import Dispatch
import KubeAPI
import Logging
import Synchronization

/// Turns messages into answers by the server block of the question's name: the names of one's own and of the cluster first, then what is remembered,
/// then other servers. Its blocks can be changed while it answers.
final class Responder: Sendable {
    private let blocks: Mutex<[ServerBlock]>
    private let log: QueryLog

    init(_ blocks: [ServerBlock], logger: Logger = Logger(label: "eyrie.dns.queries")) {
        self.blocks = Mutex(blocks)
        log = QueryLog(logger: logger)
    }

    /// Answers by other blocks from now on; what the old ones remembered is forgotten.
    func use(_ new: [ServerBlock]) { blocks.withLock { $0 = new } }

    /// The block with the longest zone that the name lies in.
    private func block(_ name: DNSName) -> ServerBlock? {
        var best: (block: ServerBlock, length: Int)?
        for block in blocks.withLock({ $0 }) {
            for zone in block.zones where name.below(zone) != nil && zone.labels.count > best?.length ?? -1 { best = (block, zone.labels.count) }
        }
        return best?.block
    }

    /// Calls `reply` once with the answer, from this thread or another; not at all for what deserves none. `client` is for the log.
    func respond(
        to message: ArraySlice<UInt8>, isStream: Bool, client: SocketPeer? = nil, _ reply: @escaping @Sendable ([UInt8]) -> Void
    ) {
        let query: DNSQuery
        do { query = try DNSQuery(message) } catch {
            if case .code(let code, let id) = error { reply(DNSEncoder.refusal(id: id, code)) }
            return
        }
        let limit = isStream ? Int(UInt16.max) : query.payloadBytes
        let root = DNSName([])
        // Names that no host has, and other classes, are only ever handed on.
        let name = query.class == DNSNumber.classIN ? query.name : nil
        guard let block = block(name ?? root) else { return reply(DNSEncoder.refusal(query, .refused)) }
        var reply = reply
        if block.isLogged {
            reply = log.noting(query, name ?? root, client: client, isStream: isStream, requestBytes: message.count, reply)
        }
        let answered = reply
        switch name.map({ block.outcome($0, type: query.type) }) ?? block.forwarder(for: root).map(ServerBlock.Outcome.forward) ?? .nobody {
        case .answer(let answer): reply(DNSEncoder.encode(Self.shuffled(answer), to: query, limit: limit))
        case .forward(let forwarder): forward(query, block, forwarder, isStream, limit, reply)
        case .nobody: reply(DNSEncoder.refusal(query, .serverFailure))
        case .follow(let begun, let target):
            guard let next = self.block(target), let forwarder = next.forwarder(for: target) else {
                return reply(DNSEncoder.encode(begun, to: query, limit: limit))
            }
            lookUp(ForwardedQuestion(name: target, type: query.type), next, forwarder, isStream) { found in
                var answer = begun
                answer.answers += found?.addresses ?? []
                answered(DNSEncoder.encode(answer, to: query, limit: limit))
            }
        }
    }

    /// Addresses in another order each time. Upstream: CoreDNS's plug-in loadbalance.
    private static func shuffled(_ answer: DNSAnswer) -> DNSAnswer {
        guard answer.answers.count > 1 else { return answer }
        var answer = answer
        let addresses = answer.answers.filter { if case .address = $0.content { true } else { false } }.shuffled()
        answer.answers = answer.answers.filter { if case .address = $0.content { false } else { true } } + addresses
        return answer
    }

    private func forward(
        _ query: DNSQuery, _ block: ServerBlock, _ forwarder: Forwarder, _ isStream: Bool, _ limit: Int,
        _ reply: @escaping @Sendable ([UInt8]) -> Void
    ) {
        let question = ForwardedQuestion(query)
        if let known = block.cache?.answer(question, now: .now) { return reply(known.answer.message(for: query, age: known.age, limit: limit)) }
        lookUp(question, block, forwarder, isStream) { answer in
            guard let answer else { return reply(DNSEncoder.refusal(query, .serverFailure)) }
            reply(answer.message(for: query, age: 0, limit: limit))
        }
    }

    private func lookUp(
        _ question: ForwardedQuestion, _ block: ServerBlock, _ forwarder: Forwarder, _ isStream: Bool,
        _ done: @escaping @Sendable (ForwardedAnswer?) -> Void
    ) {
        let cache = block.cache
        if let known = cache?.answer(question, now: .now) { return done(known.answer) }
        if isStream {
            let answer = forwarder.askByTCP(question)
            if let answer { cache?.keep(answer, for: question, now: .now) }
            return done(answer)
        }
        forwarder.ask(question) { answer in
            if let answer { cache?.keep(answer, for: question, now: .now) }
            done(answer)
        }
    }
}
