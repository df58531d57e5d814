import KubeAPI
import KubeClient

/// Puts together the rules of ClusterRoles that aggregate others, by the labels these carry. Upstream:
/// pkg/controller/clusterroleaggregation.ClusterRoleAggregationController.
final class ClusterRoleAggregationController: Controller {
    let name = "clusterrole-aggregation-controller"
    private static let workers = 5

    private let environment: ControllerEnvironment
    private let roles: SharedInformer
    private let queue: WorkQueue<String>

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        roles = environment.informers.informer(for: .clusterRoles)
        queue = environment.queue("ClusterRoleAggregator")
        let queue = queue
        let indexer = roles.indexer
        // A role that changes may belong to, or have left, any that aggregate; there are few of these.
        roles.addHandler(
            .any { _ in
                for role in indexer.list() where AggregatedRole.isAggregating(role) { queue.add(role.metadata.name) }
            })
    }

    func run() async throws {
        try await roles.waitForSync()
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    private func sync(_ name: String) async throws {
        guard let role = roles.indexer.get(name), AggregatedRole.isAggregating(role) else { return }
        let rules = try AggregatedRole.rules(of: role, from: roles.indexer.list())
        guard let rules else { return }
        // Applied, so that the labels and the aggregation rule stay their owners'.
        let patch: Value = [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": ["name": .string(name)], "rules": .array(rules),
        ]
        do {
            _ = try await environment.client.transport.perform(
                KubeRequest(
                    .patch, .clusterRoles, name: name, query: [("fieldManager", self.name), ("force", "true")], body: patch.jsonBytes,
                    contentType: "application/apply-patch+yaml"))
        } catch let error as StatusError where error.isNotFound {
            // Deleted meanwhile: nothing is left to do.
        }
    }
}

/// What an aggregating ClusterRole should hold. Pure.
enum AggregatedRole {
    static func isAggregating(_ role: Object) -> Bool {
        role["aggregationRule"].map { !$0.isNull } ?? false
    }

    /// The rules of all roles the aggregation rule selects, by name, each once; nil when the role holds just these. Throws for a selector that
    /// cannot be understood.
    static func rules(of role: Object, from all: [Object]) throws -> [Value]? {
        var wanted: [Value] = []
        let sorted = all.sorted { $0.metadata.name < $1.metadata.name }
        for selector in role["aggregationRule"]["clusterRoleSelectors"].elements {
            let selector = try LabelSelector(object: selector)
            for other in sorted where other.metadata.name != role.metadata.name && selector.matches(other.metadata.labels) {
                for rule in other["rules"].elements.map(\.value) where !wanted.contains(where: { Value.semanticallyEqual($0, rule) }) {
                    wanted.append(rule)
                }
            }
        }
        let held = role["rules"].elements.map(\.value)
        let isSame = held.count == wanted.count && zip(held, wanted).allSatisfy { Value.semanticallyEqual($0, $1) }
        return isSame ? nil : wanted
    }
}
