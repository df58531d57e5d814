import KubeAPI
import Synchronization

/// One webhook of a configuration, compiled. Upstream: webhook.WebhookAccessor.
struct CompiledWebhook: Sendable {
    enum SideEffects { case none, some }

    /// The webhook's own name, which errors show.
    let name: String
    let configurationName: String
    /// Its place in its configuration.
    let index: Int
    /// Unique among all webhooks of a kind.
    let key: String
    let client: WebhookClientConfiguration
    let matcher: RuleMatcher
    let matchConditions: MatchConditions?
    let timeout: Duration
    let ignoresFailures: Bool
    let sideEffects: SideEffects
    let isReinvoked: Bool
    /// `v1` or `v1beta1`: the first of its versions that this server speaks.
    let reviewVersion: String

    /// Why its selectors cannot be read, though validation lets none such in: what its rules name is refused then, for who asks for a webhook must
    /// not be left without it.
    let selectorError: String?

    init(_ view: JSONView, configuration: String, index: Int, seen: Int) {
        name = view["name"].string ?? ""
        configurationName = configuration
        self.index = index
        key = "\(configuration)/\(name)/\(seen)"
        client = WebhookClientConfiguration(view["clientConfig"])
        do throws(SelectorError) {
            matcher = try RuleMatcher(webhook: view)
            selectorError = nil
        } catch {
            matcher = RuleMatcher(rulesOf: view)
            selectorError = "\(error)"
        }
        let conditions = view["matchConditions"].elements
        matchConditions = conditions.isEmpty ? nil : MatchConditions(conditions)
        timeout = .seconds(view["timeoutSeconds"].int.flatMap { (1...30).contains($0) ? $0 : nil } ?? 10)
        ignoresFailures = view["failurePolicy"].string == "Ignore"
        sideEffects = ["None", "NoneOnDryRun"].contains(view["sideEffects"].string ?? "") ? .none : .some
        isReinvoked = view["reinvocationPolicy"].string == "IfNeeded"
        reviewVersion = view["admissionReviewVersions"].strings.first { $0 == "v1" || $0 == "v1beta1" } ?? "v1"
    }
}

/// The webhooks of all configurations of one kind, ordered by configuration name and place, kept in step with the objects. Upstream:
/// configuration.mutatingWebhookConfigurationManager.
final class WebhookSource: Sendable {
    private struct State {
        var byConfiguration: [String: [CompiledWebhook]] = [:]
        var all: [CompiledWebhook] = []
    }
    private let state = Mutex(State())

    init(reader: any ObjectReader, resource: GroupResource) {
        ObjectFollower.follow(reader, resource) { [weak self] old, new in self?.apply(old, new) }
    }

    /// In the order of their calls.
    var webhooks: [CompiledWebhook] { state.withLock(\.all) }

    private func apply(_ old: Object?, _ new: Object?) {
        guard let name = (new ?? old)?.metadata.name else { return }
        let compiled = new.map(Self.compile)
        state.withLock { state in
            state.byConfiguration[name] = compiled?.isEmpty == false ? compiled : nil
            state.all = state.byConfiguration.sorted { $0.key < $1.key }.flatMap(\.value)
        }
    }

    private static func compile(_ configuration: Object) -> [CompiledWebhook] {
        var seen: [String: Int] = [:]
        return configuration["webhooks"].elements.enumerated().map { index, view in
            let count = seen[view["name"].string ?? "", default: 0]
            seen[view["name"].string ?? ""] = count + 1
            return CompiledWebhook(view, configuration: configuration.metadata.name, index: index, seen: count)
        }
    }
}
