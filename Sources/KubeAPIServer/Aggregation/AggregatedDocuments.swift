import Crypto
import KubeAPI
import Synchronization

/// This server's documents with what extension servers serve put in: groups in discovery, paths and definitions in OpenAPI. Without extension servers
/// the documents pass as they are. Upstream: kube-aggregator's apisHandler, discovery manager and OpenAPI aggregators.
final class AggregatedDocuments: Sendable {
    /// Merged documents kept: one for each path and form.
    private static let maximumKept = 32

    private struct Kept {
        var state: String
        var document: DiscoveryDocuments.Document
    }

    private let aggregator: Aggregator
    private let kept = Mutex<[String: Kept]>([:])

    init(aggregator: Aggregator) { self.aggregator = aggregator }

    /// The document at `path` when `local` is what this server alone says there; nil when there is none.
    func document(_ path: String, local: DiscoveryDocuments.Document?) -> DiscoveryDocuments.Document? {
        let remotes = aggregator.shown
        guard !remotes.isEmpty else { return local }
        let merge: (Value) -> Value
        switch path {
        case "/apis" where local?.contentType.contains("APIGroupDiscoveryList") == true: merge = { self.discoveryList($0, remotes) }
        case "/apis": merge = { self.groupList($0, remotes) }
        case "/openapi/v3": merge = { self.openAPIv3($0, remotes) }
        case "/openapi/v2": merge = { self.openAPIv2($0, remotes) }
        default:
            guard local == nil, path.hasPrefix("/apis/") else { return local }
            let group = path.dropFirst("/apis/".count)
            let versions = remotes.filter { $0.group == group }.byPreference
            guard !group.contains("/"), !versions.isEmpty else { return nil }
            return Self.document(Discovery.group(String(group), versions.map(\.version), withTypeMeta: true), "application/json")
        }
        guard let local, local.contentType.hasPrefix("application/json") else { return local }
        let state = "\(local.etag) \(aggregator.generation)"
        let key = "\(path) \(local.contentType)"
        if let known = kept.withLock({ $0[key] }), known.state == state { return known.document }
        // The local document is JSON: this server wrote it.
        guard let tree = try? Value(json: local.bytes) else { return local }
        let made = Self.document(merge(tree), local.contentType)
        kept.withLock { kept in
            if kept.count >= Self.maximumKept { kept.removeAll() }
            kept[key] = Kept(state: state, document: made)
        }
        return made
    }

    private static func document(_ value: Value, _ contentType: String) -> DiscoveryDocuments.Document {
        let bytes = value.jsonBytes
        let digits = Array("0123456789ABCDEF")
        let hash = SHA256.hash(data: bytes).map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 0xF)])" }.joined()
        return (contentType, bytes, "\"\(hash)\"")
    }

    /// Puts items for remote groups among those that are there, by the groups' priority; a group that is there already gets the versions added.
    private func merged(
        _ items: [Value], _ remotes: [RegisteredAPIService], name: (Value) -> String, make: (String, [RegisteredAPIService]) -> Value,
        add: (inout Value, [RegisteredAPIService]) -> Void
    ) -> [Value] {
        var groups: [String: [RegisteredAPIService]] = [:]
        for service in remotes { groups[service.group, default: []].append(service) }
        var placed: [(priority: Int64, name: String, item: Value)] = items.map { item in
            var item = item
            let group = name(item)
            if let more = groups.removeValue(forKey: group) { add(&item, more.byPreference) }
            return (LocalAPIServices.groupPriority(group), group, item)
        }
        for (group, services) in groups.sorted(by: { $0.key < $1.key }) {
            let priority = services.map(\.groupPriority).max() ?? 0
            let entry = (priority, group, make(group, services.byPreference))
            let place = placed.firstIndex { $0.priority < priority || ($0.priority == priority && $0.name > group) } ?? placed.count
            placed.insert(entry, at: place)
        }
        return placed.map(\.item)
    }

    /// APIGroupList.
    private func groupList(_ list: Value, _ remotes: [RegisteredAPIService]) -> Value {
        var list = list
        list["groups"] = .array(
            merged(
                list["groups"]?.array ?? [], remotes, name: { $0["name"]?.string ?? "" },
                make: { Discovery.group($0, $1.map(\.version), withTypeMeta: false) },
                add: { item, services in
                    var versions = item["versions"]?.array ?? []
                    for service in services where !versions.contains(where: { $0["version"]?.string == service.version }) {
                        versions.append(
                            ["groupVersion": .string("\(service.group)/\(service.version)"), "version": .string(service.version)])
                    }
                    item["versions"] = .array(versions)
                }))
        return list
    }

    /// APIGroupDiscoveryList.
    private func discoveryList(_ list: Value, _ remotes: [RegisteredAPIService]) -> Value {
        func version(_ service: RegisteredAPIService) -> Value {
            let known = aggregator.discovery(of: service.groupVersion)
            var entry: Value = ["version": .string(service.version)]
            if let resources = known?.resources, !resources.isEmpty { entry["resources"] = .array(resources) }
            entry["freshness"] = known?.isFresh == true ? "Current" : "Stale"
            return entry
        }
        var list = list
        list["items"] = .array(
            merged(
                list["items"]?.array ?? [], remotes, name: { $0[path: "metadata", "name"]?.string ?? "" },
                make: { group, services in
                    ["metadata": ["name": .string(group), "creationTimestamp": .null], "versions": .array(services.map(version))]
                },
                add: { item, services in
                    let names = Set(services.map(\.version))
                    let kept = (item["versions"]?.array ?? []).filter { !names.contains($0["version"]?.string ?? "") }
                    item["versions"] = .array(kept + services.map(version))
                }))
        return list
    }

    /// The index of OpenAPI v3.
    private func openAPIv3(_ index: Value, _ remotes: [RegisteredAPIService]) -> Value {
        var paths = index["paths"]?.object ?? Members()
        for service in remotes {
            guard let url = aggregator.discovery(of: service.groupVersion)?.openAPIv3 else { continue }
            paths["apis/\(service.group)/\(service.version)"] = ["serverRelativeURL": .string(url)]
        }
        var index = index
        index["paths"] = .object(paths)
        return index
    }

    /// A definition that this server has under the same name stays its own.
    private func openAPIv2(_ document: Value, _ remotes: [RegisteredAPIService]) -> Value {
        var paths = Array(document["paths"]?.object ?? Members())
        var definitions = Array(document["definitions"]?.object ?? Members())
        var names = Set(definitions.map(\.0))
        for service in remotes {
            guard let part = aggregator.discovery(of: service.groupVersion)?.openAPIv2 else { continue }
            paths += Array(part["paths"]?.object ?? Members())
            for (name, definition) in part["definitions"]?.object ?? Members() where names.insert(name).inserted {
                definitions.append((name, definition))
            }
        }
        var document = document
        document["paths"] = .object(Members(paths.map { ($0.0, $0.1) }))
        document["definitions"] = .object(Members(definitions.map { ($0.0, $0.1) }))
        return document
    }
}
