import KubeAPI
import Synchronization

/// Gives pods a service account, its image pull secrets, and the mounted token by which they reach the API server. Upstream: plugin/serviceaccount.
struct ServiceAccountAdmission: AdmissionPlugin {
    let name = "ServiceAccount"
    static let defaultAccount = "default"
    static let volumePrefix = "kube-api-access-"
    static let mountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    /// Upstream: serviceaccount.WarnOnlyBoundTokenExpirationPeriod: an hour and a mark to know such tokens by.
    static let tokenExpirationSeconds: Int64 = 60 * 60 + 7
    /// How long the first pods of a namespace wait for its default account to be made.
    static let patience: Duration = .milliseconds(1500)

    private let reader: any ObjectReader
    private let arrivals: ServiceAccountArrivals

    init(reader: any ObjectReader) {
        self.reader = reader
        arrivals = ServiceAccountArrivals(reader: reader)
    }

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.isFor(.pods, .create) else { return }
        if attributes.object[path: "metadata", "annotations", MirrorPod.annotation] != nil { return }
        var accountName = attributes.object[path: "spec", "serviceAccountName"]?.string ?? ""
        if accountName.isEmpty { accountName = attributes.object[path: "spec", "serviceAccount"]?.string ?? "" }
        if accountName.isEmpty { accountName = Self.defaultAccount }
        attributes.object[path: "spec", "serviceAccountName"] = .string(accountName)
        // The old name of the field is always the same as the new one.
        attributes.object[path: "spec", "serviceAccount"] = .string(accountName)
        guard let account = await account(attributes.namespace, accountName) else {
            throw attributes.forbidden(
                "error looking up service account \(attributes.namespace)/\(accountName): serviceaccount \"\(accountName)\" not found")
        }
        let automount = attributes.object[path: "spec", "automountServiceAccountToken"]?.bool ?? account["automountServiceAccountToken"].bool ?? true
        if automount { mountToken(&attributes.object) }
        if (attributes.object[path: "spec", "imagePullSecrets"]?.array ?? []).isEmpty {
            let secrets = account["imagePullSecrets"].elements.compactMap { $0["name"]?.string }
            if !secrets.isEmpty {
                attributes.object[path: "spec", "imagePullSecrets"] = .array(secrets.map { (name: String) -> Value in ["name": .string(name)] })
            }
        }
    }

    func validate(_ attributes: AdmissionAttributes) async throws {
        if attributes.isFor(.pods, .update, subresource: "ephemeralcontainers") {
            return try MountableSecrets.checkEphemeral(
                attributes, account: try Object(attributes.object)["spec"]["serviceAccountName"].string, reader)
        }
        guard attributes.isFor(.pods, .create) else { return }
        guard attributes.object[path: "metadata", "annotations", MirrorPod.annotation] != nil else {
            // Something between this plug-in's turns may have taken the account away, or named another.
            let name = attributes.object[path: "spec", "serviceAccountName"]?.string ?? ""
            guard !name.isEmpty else {
                let pod = attributes.object[path: "metadata", "name"]?.string ?? ""
                throw attributes.forbidden("no service account specified for pod \(attributes.namespace)/\(pod)")
            }
            guard let account = reader.get(.serviceAccounts, namespace: attributes.namespace, name: name) else {
                throw attributes.forbidden(
                    "error looking up service account \(attributes.namespace)/\(name): serviceaccount \"\(name)\" not found")
            }
            return try MountableSecrets.check(attributes, account: account)
        }
        let pod = try Object(attributes.object)
        if !(pod["spec"]["serviceAccountName"].string ?? "").isEmpty { throw attributes.forbidden("a mirror pod may not reference service accounts") }
        if PodReferences.references(of: pod).contains(where: { $0.kind == .secret }) {
            throw attributes.forbidden("a mirror pod may not reference secrets")
        }
        let projectsToken = pod["spec"]["volumes"].elements.contains { volume in
            volume["projected"]["sources"].elements.contains { $0["serviceAccountToken"] != nil }
        }
        if projectsToken { throw attributes.forbidden("a mirror pod may not use ServiceAccountToken volume projections") }
    }

    private func account(_ namespace: String, _ name: String) async -> Object? {
        if let account = reader.get(.serviceAccounts, namespace: namespace, name: name) { return account }
        // Only the default account is made by a controller, shortly after the namespace.
        guard name == Self.defaultAccount else { return nil }
        await arrivals.wait(for: "\(namespace)/\(name)", patience: Self.patience)
        return reader.get(.serviceAccounts, namespace: namespace, name: name)
    }

    private func mountToken(_ pod: inout Value) {
        let volumes = pod[path: "spec", "volumes"]?.array ?? []
        let names = volumes.compactMap { $0["name"]?.string }
        let present = names.first { $0.hasPrefix(Self.volumePrefix) }
        let volumeName = present ?? ObjectPreparation.generateName(Self.volumePrefix)
        var isNeeded = false
        for list in ["initContainers", "containers"] {
            guard var containers = pod[path: "spec", list]?.array else { continue }
            for index in containers.indices {
                let mounts = containers[index]["volumeMounts"]?.array ?? []
                if mounts.contains(where: { $0["mountPath"]?.string == Self.mountPath }) { continue }
                let mount: Value = ["name": .string(volumeName), "readOnly": true, "mountPath": .string(Self.mountPath)]
                containers[index]["volumeMounts"] = .array(mounts + [mount])
                isNeeded = true
            }
            pod[path: "spec", list] = .array(containers)
        }
        guard isNeeded, present == nil else { return }
        let sources: Value = [
            ["serviceAccountToken": ["expirationSeconds": .int(Self.tokenExpirationSeconds), "path": "token"]],
            ["configMap": ["name": "kube-root-ca.crt", "items": [["key": "ca.crt", "path": "ca.crt"]]]],
            ["downwardAPI": ["items": [["path": "namespace", "fieldRef": ["apiVersion": "v1", "fieldPath": "metadata.namespace"]]]]],
        ]
        let volume: Value = ["name": .string(volumeName), "projected": ["sources": sources, "defaultMode": 420]]
        pod[path: "spec", "volumes"] = .array(volumes + [volume])
    }
}

/// Lets requests wait for a service account to be made.
final class ServiceAccountArrivals: Sendable {
    private struct State {
        var waiters: [String: [UInt64: CheckedContinuation<Void, Never>]] = [:]
        var next: UInt64 = 0
    }
    private let state = Mutex(State())
    private let reader: any ObjectReader

    init(reader: any ObjectReader) {
        self.reader = reader
        reader.observe(.serviceAccounts) { [self] old, new in
            guard old == nil, let key = new?.metadata.key else { return }
            let waiters = state.withLock { $0.waiters.removeValue(forKey: key) }
            for waiter in waiters?.values.map({ $0 }) ?? [] { waiter.resume() }
        }
    }

    /// Returns when the account was made, after `patience`, or when the task is cancelled.
    func wait(for key: String, patience: Duration) async {
        let id = state.withLock { state in
            state.next &+= 1
            return state.next
        }
        let timer = Task {
            try? await Task.sleep(for: patience)  // Cancelled when the account came first; either way the waiter is let go.
            release(key, id)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.waiters[key, default: [:]][id] = continuation }
                // It may have come before the waiter was noted, or the task been cancelled.
                let parts = key.split(separator: "/", maxSplits: 1).map(String.init)
                if parts.count == 2, reader.get(.serviceAccounts, namespace: parts[0], name: parts[1]) != nil { release(key, id) }
                if Task.isCancelled { release(key, id) }
            }
        } onCancel: {
            release(key, id)
        }
        timer.cancel()
    }

    private func release(_ key: String, _ id: UInt64) {
        let waiter = state.withLock { state in
            let waiter = state.waiters[key]?.removeValue(forKey: id)
            if state.waiters[key]?.isEmpty == true { state.waiters[key] = nil }
            return waiter
        }
        waiter?.resume()
    }
}
