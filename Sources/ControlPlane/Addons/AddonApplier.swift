internal import KubeAPI
internal import KubeAPIServer
internal import KubeClient

/// An add-on's part in a cluster.
package struct ControlPlaneAddon: Sendable {
    package var name: String
    package var version: String
    package var namespace: String
    package var serviceAccounts: [String]
    package var roleARN: String?
    /// Take fields of others over; leave them as they are; nil: refuse.
    package var overwrites: Bool?

    package init(name: String, version: String, namespace: String, serviceAccounts: [String], roleARN: String?, overwrites: Bool?) {
        self.name = name
        self.version = version
        self.namespace = namespace
        self.serviceAccounts = serviceAccounts
        self.roleARN = roleARN
        self.overwrites = overwrites
    }
}

/// Fields that an add-on would set are somebody else's.
package struct AddonFieldConflict: Error, Sendable {
    package var descriptions: [String]
}

/// Puts add-ons into a cluster, by server-side apply as EKS does: their service accounts. What runs is built into nodes and control plane; an add-on
/// of the nodes is on while its objects stand. Upstream: EKS User Guide, "Determine fields you can customize for Amazon EKS add-ons".
struct AddonApplier {
    let server: APIServer

    private var client: KubeClient {
        KubeClient(transport: InProcessTransport(server, user: UserInfo(name: "eks:addon-manager", groups: [])), fieldManager: "eks")
    }

    func apply(_ addon: ControlPlaneAddon) async throws {
        for name in addon.serviceAccounts { try await apply(account: name, of: addon) }
    }

    private func apply(account name: String, of addon: ControlPlaneAddon) async throws {
        var object = Self.account(name, addon)
        for isSecondTry in [false, true] {
            do {
                try await client.patch(
                    .serviceAccounts, namespace: addon.namespace, name: name, type: .apply, object, force: addon.overwrites == true)
                return
            } catch let error as StatusError where error.code == 409 && !(error.details?.causes ?? []).isEmpty {
                let causes = error.details?.causes ?? []
                guard addon.overwrites == false, !isSecondTry else {
                    throw AddonFieldConflict(descriptions: causes.map { "ServiceAccount \(name) - \($0.field)" })
                }
                // Preserve: what others own is left out, and the rest applied.
                object = Self.without(causes.map(\.field), object)
            }
        }
    }

    static func account(_ name: String, _ addon: ControlPlaneAddon) -> Value {
        var metadata: Value = [
            "name": .string(name), "namespace": .string(addon.namespace),
            "labels": [
                "app.kubernetes.io/name": .string(addon.name), "app.kubernetes.io/managed-by": "EKS",
                "app.kubernetes.io/version": .string(addon.version),
            ],
        ]
        if let role = addon.roleARN { metadata["annotations"] = ["eks.amazonaws.com/role-arn": .string(role)] }
        return ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata]
    }

    /// The object without the labels and annotations at these paths: `.metadata.annotations.eks.amazonaws.com/role-arn`.
    static func without(_ paths: [String], _ object: Value) -> Value {
        var object = object
        for member in ["labels", "annotations"] {
            guard let entries = object[path: "metadata", member]?.object else { continue }
            var kept = Members()
            for (key, value) in entries where !paths.contains(".metadata.\(member).\(key)") { kept[key] = value }
            object[path: "metadata", member] = .object(kept)
        }
        return object
    }

    /// Takes an add-on's objects away. Those that are gone are no error.
    func remove(_ addon: ControlPlaneAddon) async throws {
        for name in addon.serviceAccounts {
            do { try await client.delete(.serviceAccounts, namespace: addon.namespace, name: name) } catch let error as StatusError
                where error.isNotFound
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
