import HTTPTransport
import KubeAPI

/// An extender as it is asked. Upstream: HTTPExtender.
struct SchedulerExtender: Sendable {
    /// Bytes of an answer: all nodes of the largest clusters as objects.
    private static let maximumResponseBytes = 64 << 20

    let configuration: ExtenderConfiguration
    /// Posts JSON to a URL and gives the answer's status and body; throws `HTTPError` or `CancellationError`.
    private let post: @Sendable (_ url: String, _ body: [UInt8], _ repeats: Bool) async throws -> (status: Int, body: [UInt8])

    init(_ configuration: ExtenderConfiguration) {
        self.init(configuration) { url, body, repeats in
            guard let parsed = AbsoluteURL(url) else { throw HTTPError.protocolViolation("unsupported protocol scheme") }
            let answer = try await configuration.client.post(
                body, to: parsed.target, fields: ["Host": parsed.authority, "Content-Type": "application/json"], timeout: configuration.timeout,
                limit: Self.maximumResponseBytes, repeats: repeats)
            return (answer.status, answer.body)
        }
    }

    init(
        _ configuration: ExtenderConfiguration,
        post: @escaping @Sendable (_ url: String, _ body: [UInt8], _ repeats: Bool) async throws -> (status: Int, body: [UInt8])
    ) {
        self.configuration = configuration
        self.post = post
    }

    /// Whether a pod is its concern. Upstream: IsInterested.
    func isInterested(in pod: Object) -> Bool {
        let managed = configuration.managedResources
        if managed.isEmpty { return true }
        let containers = pod["spec"]["containers"].elements + pod["spec"]["initContainers"].elements
        return containers.contains { container in
            ["requests", "limits"].contains { kind in container["resources"][kind].memberList.contains { managed.contains($0.key) } }
        }
    }

    var canPreempt: Bool { !configuration.preemptVerb.isEmpty }
    var canBind: Bool { !configuration.bindVerb.isEmpty }

    /// Which of the nodes will do for the pod: all, when it does not filter. Throws `ExtenderError`, or `CancellationError`.
    func filter(_ pod: Object, _ nodes: [Object]) async throws -> ExtenderMessages.Filtered {
        let names = nodes.map(\.metadata.name)
        guard !configuration.filterVerb.isEmpty else { return ExtenderMessages.Filtered(nodes: names) }
        let answer = try await ask(configuration.filterVerb, ExtenderMessages.arguments(pod, nodes, byName: configuration.knowsNodes))
        return try ExtenderMessages.filtered(answer.root, asked: Set(names), byName: configuration.knowsNodes, configuration.urlPrefix)
    }

    /// What nodes are worth to the pod, by name; nothing, when it does not score. Throws as `filter` does.
    func prioritize(_ pod: Object, _ nodes: [Object]) async throws -> [String: Int64] {
        guard !configuration.prioritizeVerb.isEmpty else { return [:] }
        let answer = try await ask(configuration.prioritizeVerb, ExtenderMessages.arguments(pod, nodes, byName: configuration.knowsNodes))
        return ExtenderMessages.scores(answer.root, weight: configuration.weight)
    }

    /// Which pods may go for the pod, on which of the nodes. Throws as `filter` does.
    func preempt(
        _ pod: Object, _ candidates: [DefaultPreemption.Candidate], objects: (PodInfo) -> Object?, pods: (_ node: String) -> [PodInfo]?
    ) async throws -> [DefaultPreemption.Candidate] {
        let body = ExtenderMessages.preemption(pod, candidates, byName: configuration.knowsNodes, objects)
        let answer = try await ask(configuration.preemptVerb, body)
        return try ExtenderMessages.victims(answer.root, configuration, pods: pods)
    }

    /// Binds the pod. Throws as `filter` does.
    func bind(_ pod: PodInfo, to node: String) async throws {
        let answer = try await ask(configuration.bindVerb, ExtenderMessages.binding(pod, node: node), repeats: false)
        try ExtenderMessages.checkBound(answer.root)
    }

    /// Upstream: HTTPExtender.send.
    private func ask(_ verb: String, _ body: [UInt8], repeats: Bool = true) async throws -> JSONDocument {
        let url = configuration.url(verb)
        let answer: (status: Int, body: [UInt8])
        do {
            answer = try await post(url, body, repeats)
        } catch let error as HTTPError {
            let why = AbsoluteURL(url).map { error.goText($0) } ?? "\(error)"
            throw ExtenderError("Post \(url.goQuoted): \(why)")
        }
        guard answer.status == 200 else { throw ExtenderError("failed \(verb) with extender at URL \(url), code \(answer.status)") }
        do { return try JSONDocument(answer.body) } catch { throw ExtenderError("\(error)") }
    }
}
