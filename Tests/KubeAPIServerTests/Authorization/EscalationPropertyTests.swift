import KubeAPI
import Testing

@testable import KubeAPIServer

/// Rules against an independent model: all single rights a set of rules can mean over a small world.
@Suite("Escalation, against a model")
struct EscalationPropertyTests {
    private static let verbs = ["get", "list", "create", "*"]
    private static let groups = ["", "apps", "*"]
    private static let resources = ["pods", "pods/log", "pods/exec", "*/log", "deployments", "*"]
    private static let names = ["a", "b"]
    private static let paths = ["/healthz", "/healthz/*", "/metrics", "*"]

    /// One request of the world.
    private struct Request: Hashable {
        var verb: String
        var group = ""
        var resource = ""
        var subresource = ""
        var name = ""
        var path = ""
    }

    /// Verbs, groups and resources no rule names stand for all that there may ever be.
    private static let world: [Request] = {
        var all: [Request] = []
        for verb in ["get", "list", "create", "anything"] {
            for group in ["", "apps", "anything"] {
                for (resource, subresource) in [
                    ("pods", ""), ("pods", "log"), ("pods", "exec"), ("deployments", ""), ("other", ""), ("other", "log"), ("other", "other"),
                ] {
                    for name in ["a", "b", "other", ""] {
                        all.append(Request(verb: verb, group: group, resource: resource, subresource: subresource, name: name))
                    }
                }
            }
            for path in ["/healthz", "/healthz/", "/healthz/etcd", "/metrics", "/other"] { all.append(Request(verb: verb, path: path)) }
        }
        return all
    }()

    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            var x = state
            x ^= x >> 33
            x = x &* 0xff51_afd7_ed55_8ccd
            return x ^ (x >> 33)
        }
    }

    private func some(_ list: [String], _ random: inout Generator) -> [String] {
        Array(list.shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random)))
    }

    private func rule(_ random: inout Generator) -> PolicyRule {
        if Int.random(in: 0..<5, using: &random) == 0 {
            return PolicyRule(verbs: some(Self.verbs, &random), nonResourceURLs: some(Self.paths, &random))
        }
        return PolicyRule(
            verbs: some(Self.verbs, &random), apiGroups: some(Self.groups, &random), resources: some(Self.resources, &random),
            resourceNames: Int.random(in: 0..<3, using: &random) == 0 ? some(Self.names, &random) : [])
    }

    /// What a set of rules allows, decided by the text of the rules alone and not by the code under test.
    private func allowed(_ rules: [PolicyRule]) -> Set<Request> {
        Set(
            Self.world.filter { request in
                rules.contains { rule in
                    guard rule.verbs.contains("*") || rule.verbs.contains(request.verb) else { return false }
                    guard request.path.isEmpty else {
                        return rule.nonResourceURLs.contains { pattern in
                            pattern == "*" || pattern == request.path || (pattern.hasSuffix("*") && request.path.hasPrefix(pattern.dropLast()))
                        }
                    }
                    guard rule.apiGroups.contains("*") || rule.apiGroups.contains(request.group) else { return false }
                    let full = request.subresource.isEmpty ? request.resource : "\(request.resource)/\(request.subresource)"
                    guard
                        rule.resources.contains("*") || rule.resources.contains(full)
                            || (!request.subresource.isEmpty && rule.resources.contains("*/\(request.subresource)"))
                    else { return false }
                    return rule.resourceNames.isEmpty || rule.resourceNames.contains(request.name)
                }
            })
    }

    @Test("who may grant holds all that is granted; and 4,000 random sets of rules allow what the model says")
    func property() {
        var random = Generator(state: 42)
        var granted = 0
        for round in 0..<4_000 {
            let held = (0..<Int.random(in: 1...4, using: &random)).map { _ in rule(&random) }
            // Half of the wishes are parts of what is held, so that both answers occur often.
            let wanted =
                round % 2 == 0
                ? (0..<Int.random(in: 1...2, using: &random)).map { _ in rule(&random) }
                : Array(held.flatMap(RBACRules.breakDown).shuffled(using: &random).prefix(3))
            let model = allowed(held)
            for request in Self.world where Int.random(in: 0..<40, using: &random) == 0 {
                var asked = AuthorizationAttributes(
                    user: .anonymous, verb: request.verb, apiGroup: request.group, resource: request.resource, subresource: request.subresource,
                    name: request.name, isResourceRequest: request.path.isEmpty, path: request.path)
                asked.namespace = ""
                #expect(held.contains { $0.allows(asked) } == model.contains(request), "\(held) \(request)")
            }
            if RBACRules.covers(held, wanted).covered {
                granted += 1
                let more = allowed(wanted).subtracting(model)
                #expect(more.isEmpty, "\(held.map(\.compactString)) grants \(wanted.map(\.compactString)), which allows \(more)")
            }
        }
        #expect(granted > 1_500, "\(granted)")
    }
}
