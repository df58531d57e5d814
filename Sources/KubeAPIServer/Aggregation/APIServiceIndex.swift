import KubeAPI
import Synchronization

/// One APIService as requests need it. Upstream: apiserver.proxyHandlingInfo.
struct RegisteredAPIService: Sendable {
    struct Service: Sendable, Hashable {
        var namespace: String
        var name: String
        var port: Int
    }

    let name: String
    let group: String
    let version: String
    let groupPriority: Int64
    let versionPriority: Int64
    /// Nil: this server answers itself.
    let service: Service?
    /// The CAs of the extension server's certificate; nil trusts the system's.
    let rootsPEM: String?
    let skipsVerification: Bool
    /// The condition Available.
    let isAvailable: Bool

    init(_ object: Object) {
        let spec = object["spec"]
        name = object.metadata.name
        group = spec["group"].string ?? ""
        version = spec["version"].string ?? ""
        groupPriority = spec["groupPriorityMinimum"].int ?? 0
        versionPriority = spec["versionPriority"].int ?? 0
        if let service = spec["service"].present {
            self.service = Service(
                namespace: service["namespace"].string ?? "", name: service["name"].string ?? "",
                port: service["port"].int.flatMap { Int(exactly: $0) } ?? 443)
        } else {
            service = nil
        }
        let bundle = spec["caBundle"].string ?? ""
        rootsPEM = bundle.isEmpty ? nil : Base64.decode(bundle).map { String(decoding: $0, as: UTF8.self) } ?? ""
        skipsVerification = spec["insecureSkipTLSVerify"].bool ?? false
        let available = object["status"]["conditions"].elements.first { $0["type"].string == "Available" }
        isAvailable = available["status"].string == "True"
    }

    /// A group that this server answers itself although it has no stored objects.
    init(local: GroupVersion, groupPriority: Int64, versionPriority: Int64) {
        name = "\(local.version).\(local.group)"
        group = local.group
        version = local.version
        self.groupPriority = groupPriority
        self.versionPriority = versionPriority
        service = nil
        rootsPEM = nil
        skipsVerification = false
        isAvailable = true
    }

    /// The name in the extension server's certificate.
    var serverName: String { service.map { "\($0.name).\($0.namespace).svc" } ?? "" }
    var groupVersion: GroupVersion { GroupVersion(group: group, version: version) }
}

extension [RegisteredAPIService] {
    /// A group's versions in their order of preference. Upstream: apiregistrationv1apihelper.SortedByGroupAndVersion.
    var byPreference: [RegisteredAPIService] {
        sorted { a, b in
            a.versionPriority != b.versionPriority
                ? a.versionPriority > b.versionPriority : KubernetesVersion.isPreferred(a.version, b.version)
        }
    }
}

/// A group with a version.
struct GroupVersion: Hashable, Sendable {
    var group: String
    var version: String
    var path: String { group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)" }
}

/// The APIServices of the cluster, kept in step with their objects. Upstream: the informer of kube-aggregator with its proxy handlers.
final class APIServiceIndex: Sendable {
    private struct State {
        var services: [GroupVersion: RegisteredAPIService] = [:]
        var remotes: Set<GroupVersion> = []
        /// Grows with every change.
        var generation = 0
    }
    private let state = Mutex(State())
    /// Whether anything is remote: what every request asks first.
    private let isEmpty = Atomic(true)
    private let changed: @Sendable () -> Void

    /// `changed` is called after each change of what is remote, or of CustomResourceDefinitions. It must not block.
    init(reader: any ObjectReader, changed: @escaping @Sendable () -> Void) {
        self.changed = changed
        ObjectFollower.follow(reader, .apiServices) { [weak self] old, new in self?.apply(old, new) }
        // A service or its endpoints may be what an APIService waits for.
        for resource in [GroupResource.services, .endpointSlices] {
            reader.observe(resource) { [weak self] old, new in if let object = new ?? old { self?.related(object) } }
        }
        reader.observe(.customResourceDefinitions) { _, _ in changed() }
    }

    private func apply(_ old: Object?, _ new: Object?) {
        let before = old.map(RegisteredAPIService.init)
        let after = new.map(RegisteredAPIService.init)
        let isRelevant = state.withLock { state in
            state.generation += 1
            if let before, before.groupVersion != after?.groupVersion {
                state.services[before.groupVersion] = nil
                state.remotes.remove(before.groupVersion)
            }
            if let after {
                state.services[after.groupVersion] = after
                if after.service == nil { state.remotes.remove(after.groupVersion) } else { state.remotes.insert(after.groupVersion) }
            }
            isEmpty.store(state.remotes.isEmpty, ordering: .releasing)
            return before?.service != nil || after?.service != nil
        }
        if isRelevant { changed() }
    }

    private func related(_ object: Object) {
        guard !isEmpty.load(ordering: .acquiring) else { return }
        let metadata = object.metadata
        let name = object.kind == "Service" ? metadata.name : object["metadata"]["labels"]["kubernetes.io/service-name"].string
        let isMeant = state.withLock { state in
            state.remotes.contains { state.services[$0]?.service.map { $0.name == name && $0.namespace == metadata.namespace } ?? false }
        }
        if isMeant { changed() }
    }

    /// The extension server of a group's version; nil for what this server answers itself.
    func remote(group: String, version: String) -> RegisteredAPIService? {
        guard !isEmpty.load(ordering: .acquiring) else { return nil }
        let key = GroupVersion(group: group, version: version)
        return state.withLock { $0.remotes.contains(key) ? $0.services[key] : nil }
    }

    /// All that are remote, and what tells one state from another.
    var remotes: (services: [RegisteredAPIService], generation: Int) {
        guard !isEmpty.load(ordering: .acquiring) else { return ([], 0) }
        return state.withLock { state in (state.remotes.compactMap { state.services[$0] }.sorted { $0.name < $1.name }, state.generation) }
    }

    /// The priority of a local group: its APIServices', else that of custom resources.
    func priorities() -> [GroupVersion: RegisteredAPIService] { state.withLock(\.services) }
}

extension GroupResource {
    static let apiServices = GroupResource(group: "apiregistration.k8s.io", resource: "apiservices")
    static let customResourceDefinitions = GroupResource(group: "apiextensions.k8s.io", resource: "customresourcedefinitions")
}
