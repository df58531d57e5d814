package import KubeAPI
import KubeClient
internal import Synchronization

/// The use one client makes of a deprecated version of a resource, as far as the server remembers.
package struct DeprecatedUse: Sendable, Equatable {
    package var group: String
    package var version: String
    package var resource: String
    /// The client's program: the first word of its user agent, `kubectl/v1.36.0`.
    package var userAgent: String
    /// In the last 30 days.
    package var requests: Int
    package var lastRequest: Timestamp
    /// What clients are told: which version it is, and what to use instead.
    package var warning: String
}

/// Requests for deprecated versions, by resource and client, since the server's start. Upstream: endpoints/metrics'
/// apiserver_requested_deprecated_apis, and what EKS's upgrade insights are made of.
final class DeprecatedRequests: Sendable {
    /// Days that are counted. Upstream: eks ClientStat.numberOfRequestsLast30Days.
    static let window: Int64 = 30
    /// Resources and clients at most: more are not told apart, whoever invents names.
    static let resourceLimit = 500
    static let clientLimit = 50
    private static let agentLength = 128
    private static let otherClients = "others"
    private static let day: Int64 = 86_400

    private struct Client {
        /// Requests by day since 1970.
        var days: [Int64: Int] = [:]
        var last: Timestamp
    }
    private struct Resource {
        var warning: String
        var subresources: Set<String> = []
        var clients: [String: Client] = [:]
    }
    private let resources = Mutex<[GroupVersionResource: Resource]>([:])

    func record(_ resource: GroupVersionResource, subresource: String, userAgent: String, warning: String, now: Timestamp) {
        resources.withLock { resources in
            guard resources[resource] != nil || resources.count < Self.resourceLimit else { return }
            var entry = resources[resource] ?? Resource(warning: warning)
            if entry.subresources.count < Self.clientLimit { entry.subresources.insert(subresource) }
            var agent = String(userAgent.prefix { $0 != " " }.prefix(Self.agentLength))
            if entry.clients[agent] == nil, entry.clients.count >= Self.clientLimit { agent = Self.otherClients }
            var client = entry.clients[agent] ?? Client(last: now)
            let today = now.seconds / Self.day
            client.days[today, default: 0] += 1
            if client.days.count > Int(Self.window) { client.days = client.days.filter { $0.key > today - Self.window } }
            client.last = now
            entry.clients[agent] = client
            resources[resource] = entry
        }
    }

    /// The uses of the last 30 days, by resource and client.
    func uses(now: Timestamp) -> [DeprecatedUse] {
        let oldest = now.seconds / Self.day - Self.window
        let found = resources.withLock { $0 }.flatMap { resource, entry in
            entry.clients.map { agent, client in
                DeprecatedUse(
                    group: resource.group, version: resource.version, resource: resource.resource, userAgent: agent,
                    requests: client.days.reduce(0) { $1.key > oldest ? $0 + $1.value : $0 }, lastRequest: client.last, warning: entry.warning)
            }
        }
        return found.filter { $0.requests > 0 }.sorted { ($0.group, $0.resource, $0.userAgent) < ($1.group, $1.resource, $1.userAgent) }
    }

    func write(to text: inout MetricsText) {
        let resources = resources.withLock { $0 }
        text.family(
            "apiserver_requested_deprecated_apis", "gauge",
            "[STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release."
        )
        for (resource, entry) in resources {
            for subresource in entry.subresources {
                text.sample(
                    "apiserver_requested_deprecated_apis",
                    [
                        ("group", resource.group), ("removed_release", ""), ("resource", resource.resource), ("subresource", subresource),
                        ("version", resource.version),
                    ], 1)
            }
        }
    }
}
