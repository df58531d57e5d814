import Dispatch
import KubeAPI

/// Turns messages into answers: the cluster's zone first, then what is remembered, then other servers.
final class Responder: Sendable {
    private let zone: ClusterZone
    private let forwarder: Forwarder
    private let cache = AnswerCache()

    init(zone: ClusterZone, forwarder: Forwarder) {
        self.zone = zone
        self.forwarder = forwarder
    }

    /// Calls `reply` once with the answer, from this thread or another; not at all for what deserves none.
    func respond(to message: ArraySlice<UInt8>, isStream: Bool, _ reply: @escaping @Sendable ([UInt8]) -> Void) {
        let query: DNSQuery
        do { query = try DNSQuery(message) } catch {
            if case .code(let code, let id) = error { reply(DNSEncoder.refusal(id: id, code)) }
            return
        }
        let limit = isStream ? Int(UInt16.max) : query.payloadBytes
        guard query.class == DNSNumber.classIN, let name = query.name else { return forward(query, isStream, limit, reply) }
        switch zone.answer(name, type: query.type) {
        case .answer(let answer): reply(DNSEncoder.encode(Self.shuffled(answer), to: query, limit: limit))
        case .elsewhere: forward(query, isStream, limit, reply)
        case .follow(let begun, let target):
            lookUp(ForwardedQuestion(name: target, type: query.type), isStream) { found in
                var answer = begun
                answer.answers += found?.addresses ?? []
                reply(DNSEncoder.encode(answer, to: query, limit: limit))
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

    private func forward(_ query: DNSQuery, _ isStream: Bool, _ limit: Int, _ reply: @escaping @Sendable ([UInt8]) -> Void) {
        let question = ForwardedQuestion(query)
        if let known = cache.answer(question, now: .now) { return reply(known.answer.message(for: query, age: known.age, limit: limit)) }
        lookUp(question, isStream) { answer in
            guard let answer else { return reply(DNSEncoder.refusal(query, .serverFailure)) }
            reply(answer.message(for: query, age: 0, limit: limit))
        }
    }

    private func lookUp(_ question: ForwardedQuestion, _ isStream: Bool, _ done: @escaping @Sendable (ForwardedAnswer?) -> Void) {
        let cache = cache
        if let known = cache.answer(question, now: .now) { return done(known.answer) }
        if isStream {
            let answer = forwarder.askByTCP(question)
            if let answer { cache.keep(answer, for: question, now: .now) }
            return done(answer)
        }
        forwarder.ask(question) { answer in
            if let answer { cache.keep(answer, for: question, now: .now) }
            done(answer)
        }
    }
}
