package import KubeAPI
package import KubeClient

/// Makes the objects every cluster has from its start, and adds to them what a newer version of ours knows.
package enum Bootstrap {
    /// RBAC objects with this annotation at `true` are given the rules and subjects they lack. Upstream: rbacv1.AutoUpdateAnnotationKey.
    static let autoupdate = "rbac.authorization.kubernetes.io/autoupdate"
    /// Writes under way at once: enough for the store to put many of them behind one fsync.
    static let concurrency = 32

    /// What the default objects depend on.
    package struct Configuration: Sendable {
        /// The range of Service addresses; its first address is the `kubernetes` service's.
        package var serviceCIDR: ServiceCIDR
        /// Where pods reach the API server: addresses and port. No addresses: no endpoints are written.
        package var apiServerAddresses: [String]
        package var apiServerPort: Int
        /// Whom extension servers are to believe.
        var aggregation = AggregationConfiguration()

        package init(serviceCIDR: ServiceCIDR, apiServerAddresses: [String] = [], apiServerPort: Int = 443) {
            self.serviceCIDR = serviceCIDR
            self.apiServerAddresses = apiServerAddresses
            self.apiServerPort = apiServerPort
        }
    }

    /// The default objects in waves: those of one may be written at once, after those of the waves before.
    static func waves(_ configuration: Configuration) -> [[Value]] {
        let cidr = configuration.serviceCIDR
        var last = [
            ClusterDefaults.serviceCIDR(cidr),
            ClusterDefaults.kubernetesService(clusterIP: cidr.first, isIPv6: cidr.isIPv6, targetPort: configuration.apiServerPort),
        ]
        if !configuration.apiServerAddresses.isEmpty {
            last += ClusterDefaults.kubernetesEndpoints(
                addresses: configuration.apiServerAddresses, isIPv6: configuration.apiServerAddresses[0].contains(":"),
                port: configuration.apiServerPort)
        }
        if let trust = ExtensionAuthentication.configMap(configuration.aggregation) { last.append(trust) }
        return [
            LocalAPIServices.builtIn() + ClusterDefaults.namespaces() + ClusterDefaults.priorityClasses() + ClusterDefaults.storageClasses()
                + FlowControlDefaults.priorityLevels()
                + BootstrapRoles.clusterRoles()
                + EKSRoles.clusterRoles(),
            FlowControlDefaults.flowSchemas() + BootstrapRoles.roles() + EKSRoles.roles() + AddonRoles.roles()
                + BootstrapBindings.clusterRoleBindings()
                + EKSRoles.clusterRoleBindings(),
            BootstrapBindings.roleBindings() + EKSRoles.roleBindings() + AddonRoles.roleBindings() + last,
        ]
    }

    /// All default objects in the order in which they can be created.
    package static func objects(_ configuration: Configuration) -> [Value] { waves(configuration).flatMap { $0 } }

    /// Creates what is missing and, in RBAC objects that allow it, adds missing rules and subjects; nothing is taken away. The endpoints of the API
    /// server are brought to where it is now. `perform` runs a request as a member of `system:masters`. Throws the first error of a request.
    /// Upstream: the API server's post-start hooks (rbac/bootstrap-roles, scheduling/bootstrap-system-priority-classes,
    /// start-kubernetes-service-controller, …).
    package static func reconcile(
        _ configuration: Configuration, perform: @escaping @Sendable (KubeRequest) async throws -> Object
    ) async throws {
        let waves = waves(configuration)
        let present = try await present(Set(waves.joined().compactMap(resource)), perform)
        for wave in waves {
            try await withThrowingTaskGroup(of: Void.self) { group in
                var running = 0
                for wanted in wave {
                    guard let resource = resource(wanted) else { continue }
                    let key = Key(
                        resource: resource, namespace: wanted[path: "metadata", "namespace"]?.string,
                        name: wanted[path: "metadata", "name"]?.string ?? "")
                    guard let request = request(wanted, key, present: present[key]) else { continue }
                    if running >= concurrency { try await group.next() } else { running += 1 }
                    group.addTask {
                        do { _ = try await perform(request) } catch let error as StatusError where error.isAlreadyExists {
                            // Made by someone else meanwhile: what is wanted is there.
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    private struct Key: Hashable {
        var resource: GroupVersionResource
        var namespace: String?
        var name: String
    }

    private static func present(
        _ resources: Set<GroupVersionResource>, _ perform: @escaping @Sendable (KubeRequest) async throws -> Object
    ) async throws -> [Key: Object] {
        var present: [Key: Object] = [:]
        for resource in resources {
            let list = try await perform(KubeRequest(.list, resource))
            for item in list["items"].elements {
                let object = try Object(item.value)
                let namespace = object.metadata.namespace
                present[Key(resource: resource, namespace: namespace.isEmpty ? nil : namespace, name: object.metadata.name)] = object
            }
        }
        return present
    }

    /// The write that brings `present` to hold all of `wanted`; nil when it does.
    private static func request(_ wanted: Value, _ key: Key, present: Object?) -> KubeRequest? {
        guard let present else { return KubeRequest(.create, key.resource, namespace: key.namespace, body: wanted.jsonBytes) }
        guard let merged = merged(wanted, present) else { return nil }
        return KubeRequest(.update, key.resource, namespace: key.namespace, name: key.name, body: merged.jsonBytes)
    }

    /// `present` with what `wanted` has and it lacks; nil when nothing is lacking or it may not be changed.
    static func merged(_ wanted: Value, _ present: Object) -> Value? {
        var merged = present.value
        switch present.kind {
        case "ClusterRole", "Role":
            guard present.metadata.annotations[autoupdate] == "true" else { return nil }
            // Of an aggregated role the rules are the aggregation's to write.
            guard wanted["aggregationRule"] == nil else { return nil }
            let held = present["rules"].elements.map { PolicyRule(view: $0) }
            let lacking = (wanted["rules"]?.array ?? []).filter { rule in
                guard let rule = try? PolicyRule(object: Object(rule)) else { return false }  // Our own tables: always objects.
                return !RBACRules.covers(held, [rule]).missing.isEmpty
            }
            guard !lacking.isEmpty else { return nil }
            merged["rules"] = .array((merged["rules"]?.array ?? []) + lacking)
        case "ClusterRoleBinding", "RoleBinding":
            guard present.metadata.annotations[autoupdate] == "true" else { return nil }
            let held = merged["subjects"]?.array ?? []
            let lacking = (wanted["subjects"]?.array ?? []).filter { subject in
                !held.contains { $0["kind"] == subject["kind"] && $0["name"] == subject["name"] && $0["namespace"] == subject["namespace"] }
            }
            guard !lacking.isEmpty else { return nil }
            merged["subjects"] = .array(held + lacking)
        case "ConfigMap":
            guard merged["data"] != wanted["data"] else { return nil }
            merged["data"] = wanted["data"]
        case "Endpoints":
            guard merged["subsets"] != wanted["subsets"] else { return nil }
            merged["subsets"] = wanted["subsets"]
        case "EndpointSlice":
            guard merged["endpoints"] != wanted["endpoints"] || merged["ports"] != wanted["ports"] else { return nil }
            merged["endpoints"] = wanted["endpoints"]
            merged["ports"] = wanted["ports"]
        default: return nil
        }
        return merged
    }

    /// The resource of a default object; nil for a kind that is not served.
    static func resource(_ object: Value) -> GroupVersionResource? {
        guard let kind = object["kind"]?.string, let apiVersion = object["apiVersion"]?.string else { return nil }
        return ResourceTable.shared[GroupVersionKind(apiVersion: apiVersion, kind: kind)]?.groupVersionResource
    }
}
