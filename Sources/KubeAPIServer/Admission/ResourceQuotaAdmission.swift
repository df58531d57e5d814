import KubeAPI
import Synchronization

/// Refuses what would exceed a namespace's quotas, and books what does not, atomically, in the quotas' status. It runs last, on what will be stored.
/// Upstream: admission/plugin/resourcequota.
struct ResourceQuotaAdmission: AdmissionPlugin {
    let name = "ResourceQuota"
    private let quotas: NamespacedFollower
    private let evaluator: QuotaEvaluator

    init(reader: any ObjectReader, writer: any ObjectWriter, now: @escaping @Sendable () -> Timestamp = { .now }) {
        let quotas = NamespacedFollower(reader, .resourceQuotas)
        self.quotas = quotas
        evaluator = QuotaEvaluator(quotas: { quotas.list($0) }, writer: writer, now: now)
    }

    /// Never counted. Upstream: install.DefaultIgnoredResources of the quota configuration.
    private static let ignored: Set<GroupResource> = [
        GroupResource(group: "", resource: "bindings"), GroupResource(group: "", resource: "componentstatuses"),
        GroupResource(group: "", resource: "events"), GroupResource(group: "events.k8s.io", resource: "events"),
        GroupResource(group: "authentication.k8s.io", resource: "tokenreviews"),
        GroupResource(group: "authentication.k8s.io", resource: "selfsubjectreviews"),
        GroupResource(group: "authorization.k8s.io", resource: "subjectaccessreviews"),
        GroupResource(group: "authorization.k8s.io", resource: "selfsubjectaccessreviews"),
        GroupResource(group: "authorization.k8s.io", resource: "localsubjectaccessreviews"),
        GroupResource(group: "authorization.k8s.io", resource: "selfsubjectrulesreviews"),
    ]

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.operation == .create || attributes.operation == .update, !attributes.namespace.isEmpty else { return }
        // A namespace is in no namespace, though its attributes name one.
        guard attributes.resource.groupResource != .namespaces, quotas.hasAny(attributes.namespace) else { return }
        guard !Self.ignored.contains(attributes.resource.groupResource) else { return }
        let measure = QuotaMeasure(attributes.resource.groupResource)
        guard Self.handles(attributes, measure) else { return }
        try await evaluator.evaluate(QuotaRequest(attributes, measure))
    }

    /// Upstream: Evaluator.Handles of each.
    private static func handles(_ attributes: AdmissionAttributes, _ measure: QuotaMeasure) -> Bool {
        switch (measure, attributes.operation, attributes.subresource) {
        case (.pods, .create, ""), (.pods, .update, "resize"): true
        case (.pods, _, _): false
        case (.services, _, ""), (.claims, _, ""): true
        case (.claims, .update, "status"):
            attributes.object[path: "status", "allocatedResources", "storage"]
                != attributes.oldObject?["status"]["allocatedResources"]["storage"].value
        case (_, .create, ""): true
        default: false
        }
    }
}

/// One request that counts against quotas.
struct QuotaRequest: Sendable {
    let attributes: AdmissionAttributes
    let measure: QuotaMeasure
    let object: Object
    /// The object that is changed; nil for a new one.
    let old: Object?

    init(_ attributes: AdmissionAttributes, _ measure: QuotaMeasure) throws {
        self.attributes = attributes
        self.measure = measure
        object = try Object(attributes.object)
        old = attributes.operation == .update ? attributes.oldObject : nil
    }
}

/// A quota with what a batch of requests has booked on it so far.
struct RunningQuota: Sendable {
    let view: QuotaView
    var used: ResourceList
    let hard: ResourceList

    init(_ object: Object) {
        view = QuotaView(object)
        used = view.used
        hard = view.hard
    }

    var isChanged: Bool { used != view.used }
}

extension QuotaRequest {
    /// Books the request on each quota that it counts against, or throws. Upstream: resourcequota.CheckRequest.
    func book(on quotas: inout [RunningQuota], now: Timestamp) throws {
        var interesting: [Int] = []
        for (index, quota) in quotas.enumerated() where quota.view.matches(object, measure, quota.hard.keys) {
            let restricted = measure.matching(quota.hard.keys)
            if let missing = measure.missing(restricted, in: object) {
                throw attributes.forbidden("failed quota: \(quota.view.name): \(missing)")
            }
            if restricted.contains(where: { quota.used[$0] == nil }) {
                let names = restricted.sorted().joined(separator: ",")
                throw attributes.forbidden("status unknown for quota: \(quota.view.name), resources: \(names)")
            }
            interesting.append(index)
        }
        guard !interesting.isEmpty else { return }
        let usage = measure.usage(object, now: now)
        let negative = usage.filter { $0.value.sign < 0 }.keys.sorted()
        if !negative.isEmpty { throw attributes.forbidden("quota usage is negative for resource(s): \(negative.joined(separator: ","))") }
        let before = old.map { measure.usage($0, now: now) }
        for index in interesting {
            var delta = usage
            // An object that counted here already takes only what it has more than before.
            if let old, let before, quotas[index].view.matches(old, measure, quotas[index].hard.keys) {
                for (name, quantity) in before { if let new = delta[name] { delta[name] = max(new - quantity, .zero) } }
            }
            let requested = delta.filter { !$0.value.isZero }.masked(quotas[index].hard.keys)
            guard !requested.isEmpty else { continue }
            let quota = quotas[index]
            var after = quota.used
            var exceeded: [String] = []
            for (name, quantity) in requested {
                let sum = (quota.used[name] ?? .zero) + quantity
                after[name] = sum
                if let hard = quota.hard[name], sum > hard { exceeded.append(name) }
            }
            if !exceeded.isEmpty, attributes.subresource != "status" {
                throw attributes.forbidden(
                    "exceeded quota: \(quota.view.name), requested: \(requested.masked(exceeded).prettyPrinted), "
                        + "used: \(quota.used.masked(exceeded).prettyPrinted), limited: \(quota.hard.masked(exceeded).prettyPrinted)")
            }
            quotas[index].used = after
        }
    }
}
