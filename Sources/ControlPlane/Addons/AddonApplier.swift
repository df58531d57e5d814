internal import KubeAPI
internal import KubeAPIServer
internal import KubeClient

/// An add-on's part in a cluster.
package struct ControlPlaneAddon: Sendable {
    package var name: String
    package var version: String
    package var namespace: String
    package var serviceAccounts: [String]
    /// Their data, by name: the settings that the nodes follow.
    package var configMaps: [String: [String: String]]
    package var roleARN: String?
    /// Take fields of others over; leave them as they are; nil: refuse.
    package var overwrites: Bool?

    package init(
        name: String, version: String, namespace: String, serviceAccounts: [String], configMaps: [String: [String: String]], roleARN: String?,
        overwrites: Bool?
    ) {
        self.name = name
        self.version = version
        self.namespace = namespace
        self.serviceAccounts = serviceAccounts
        self.configMaps = configMaps
        self.roleARN = roleARN
        self.overwrites = overwrites
    }
}

/// Fields that an add-on would set are somebody else's.
package struct AddonFieldConflict: Error, Sendable {
    package var descriptions: [String]
}

/// Puts add-ons into a cluster, by server-side apply as EKS does: their service accounts and settings. What runs is built into nodes and control plane;
/// an add-on of the nodes is on while its objects stand. Upstream: EKS User Guide, "Determine fields you can customize for Amazon EKS add-ons".
struct AddonApplier {
    /// An object of an add-on.
    struct Part {
        var resource: GroupVersionResource
        var kind: String
        var name: String
        var object: Value
    }

    let server: APIServer

    private var client: KubeClient { BuiltInAddon.client(server) }

    func apply(_ addon: ControlPlaneAddon) async throws {
        for part in Self.parts(addon) { try await apply(part, of: addon) }
    }

    private func apply(_ part: Part, of addon: ControlPlaneAddon) async throws {
        var object = part.object
        for isSecondTry in [false, true] {
            do {
                try await client.patch(
                    part.resource, namespace: addon.namespace, name: part.name, type: .apply, object, force: addon.overwrites == true)
                return
            } catch let error as StatusError where error.code == 409 && !(error.details?.causes ?? []).isEmpty {
                let causes = error.details?.causes ?? []
                guard addon.overwrites == false, !isSecondTry else {
                    throw AddonFieldConflict(descriptions: causes.map { "\(part.kind) \(part.name) - \($0.field)" })
                }
                // Preserve: what others own is left out, and the rest applied.
                object = Self.without(causes.map(\.field), object)
            }
        }
    }

    static func parts(_ addon: ControlPlaneAddon) -> [Part] {
        let accounts = addon.serviceAccounts.map { name in
            var account: Value = ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name, addon)]
            if let role = addon.roleARN { account[path: "metadata", "annotations"] = ["eks.amazonaws.com/role-arn": .string(role)] }
            return Part(resource: .serviceAccounts, kind: "ServiceAccount", name: name, object: account)
        }
        let maps = addon.configMaps.sorted { $0.key < $1.key }.map { name, data in
            Part(
                resource: .configMaps, kind: "ConfigMap", name: name,
                object: ["apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name, addon), "data": Value(data)])
        }
        return accounts + maps
    }

    private static func metadata(_ name: String, _ addon: ControlPlaneAddon) -> Value {
        [
            "name": .string(name), "namespace": .string(addon.namespace),
            "labels": [
                "app.kubernetes.io/name": .string(addon.name), "app.kubernetes.io/managed-by": "EKS",
                "app.kubernetes.io/version": .string(addon.version),
            ],
        ]
    }

    /// The object without the labels, annotations and data at these paths: `.metadata.annotations.eks.amazonaws.com/role-arn`, `.data.Corefile`.
    static func without(_ paths: [String], _ object: Value) -> Value {
        var object = object
        for members in [["metadata", "labels"], ["metadata", "annotations"], ["data"]] {
            guard let entries = members.reduce(object, { $0?[$1] })?.object else { continue }
            var kept = Members()
            for (key, value) in entries where !paths.contains(".\(members.joined(separator: ".")).\(key)") { kept[key] = value }
            if members.count == 1 { object["data"] = .object(kept) } else { object[path: members[0], members[1]] = .object(kept) }
        }
        return object
    }

    /// Takes an add-on's objects away. Those that are gone are no error.
    func remove(_ addon: ControlPlaneAddon) async throws {
        for part in Self.parts(addon) {
            let options = DeleteOptions(propagationPolicy: .background)
            do { try await client.delete(part.resource, namespace: addon.namespace, name: part.name, options: options) } catch let error
                as StatusError where error.isNotFound
            {}
        }
    }
}

extension ControlPlane {
    /// Brings an add-on into the cluster. Throws `AddonFieldConflict`, and `ControlPlaneError` when the control plane does not run.
    package func apply(_ addon: ControlPlaneAddon) async throws {
        try await addonApplier().apply(addon)
        if let builtIn = BuiltInAddon(rawValue: addon.name) { try await set(builtIn, isInstalled: true) }
    }

    /// Takes an add-on out of the cluster. Throws `ControlPlaneError` when the control plane does not run.
    package func remove(_ addon: ControlPlaneAddon) async throws {
        if let builtIn = BuiltInAddon(rawValue: addon.name) { try await set(builtIn, isInstalled: false) }
        try await addonApplier().remove(addon)
    }
}
