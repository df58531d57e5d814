import KubeAPI
import Synchronization

/// Which objects each node may reach because a pod bound to it names them. Upstream: plugin/pkg/auth/authorizer/node.Graph.
final class NodeGraph: Sendable {
    /// An object a pod can name.
    struct Reference: Hashable {
        enum Kind: Hashable { case secret, configMap, persistentVolumeClaim, serviceAccount, resourceClaim }
        var kind: Kind
        var namespace: String
        var name: String
    }

    private struct PodEntry {
        var node: String
        var references: Set<Reference>
    }

    private struct State {
        /// By `namespace/name`.
        var pods: [String: PodEntry] = [:]
        /// How many pods on each node name an object.
        var nodes: [Reference: [String: Int]] = [:]
        /// Secrets that persistent volumes name, with the claims those volumes are bound to.
        var volumeSecrets: [Reference: [String: Reference]] = [:]
        var volumes: [String: Set<Reference>] = [:]

        mutating func setPod(_ key: String, _ entry: PodEntry?) {
            if let old = pods[key] {
                for reference in old.references {
                    let left = (nodes[reference]?[old.node] ?? 0) - 1
                    nodes[reference]?[old.node] = left > 0 ? left : nil
                    if nodes[reference]?.isEmpty == true { nodes[reference] = nil }
                }
            }
            pods[key] = entry
            guard let entry else { return }
            for reference in entry.references { nodes[reference, default: [:]][entry.node, default: 0] += 1 }
        }

        mutating func setVolume(_ name: String, claim: Reference?, secrets: Set<Reference>) {
            for secret in volumes[name] ?? [] {
                volumeSecrets[secret]?[name] = nil
                if volumeSecrets[secret]?.isEmpty == true { volumeSecrets[secret] = nil }
            }
            volumes[name] = nil
            guard let claim, !secrets.isEmpty else { return }
            volumes[name] = secrets
            for secret in secrets { volumeSecrets[secret, default: [:]][name] = claim }
        }
    }

    private let state = Mutex(State())

    init(reader: any ObjectReader) {
        ObjectFollower.follow(reader, .pods, reading: Self.entry) { [self] old, new, entry in
            guard let pod = new ?? old else { return }
            let entry = entry ?? nil
            guard entry != nil || old.map(Self.mayHaveNode) == true else { return }
            state.withLock { $0.setPod(pod.metadata.key, entry) }
        }
        ObjectFollower.follow(reader, .persistentVolumes) { [self] old, new in
            guard let volume = new ?? old else { return }
            let claim = new.flatMap(Self.claim)
            let secrets = new.map { Self.secrets(ofVolume: $0, claim: claim) } ?? []
            state.withLock { $0.setVolume(volume.metadata.name, claim: claim, secrets: secrets) }
        }
    }

    func hasPath(_ node: String, _ reference: Reference) -> Bool {
        state.withLock { state in
            if state.nodes[reference]?[node] != nil { return true }
            guard reference.kind == .secret, let claims = state.volumeSecrets[reference] else { return false }
            return claims.values.contains { state.nodes[$0]?[node] != nil }
        }
    }

    func isPod(_ key: String, on node: String) -> Bool { state.withLock { $0.pods[key]?.node == node } }

    /// Pods without a node are not parsed.
    private static func mayHaveNode(_ pod: Object) -> Bool { pod.mayContain("\"nodeName\"") }

    private static func entry(_ pod: Object) -> PodEntry? {
        guard mayHaveNode(pod), let node = pod["spec"]["nodeName"].string, !node.isEmpty else { return nil }
        // A mirror pod is written by its node: what it names gives the node nothing.
        guard pod.metadata.annotations[MirrorPod.annotation] == nil else { return PodEntry(node: node, references: []) }
        return PodEntry(node: node, references: PodReferences.references(of: pod))
    }

    /// The claim a volume is bound to.
    static func claim(_ volume: Object) -> Reference? {
        guard let claim = volume["spec"]["claimRef"], let name = claim["name"].string, let namespace = claim["namespace"].string else { return nil }
        return Reference(kind: .persistentVolumeClaim, namespace: namespace, name: name)
    }

    private static func secrets(ofVolume volume: Object, claim: Reference?) -> Set<Reference> {
        var secrets: Set<Reference> = []
        for (_, source) in volume["spec"]?.members.map({ $0 }) ?? [] where source.kind == .object {
            for field in [
                "secretRef", "controllerPublishSecretRef", "nodeStageSecretRef", "nodePublishSecretRef", "controllerExpandSecretRef",
                "nodeExpandSecretRef",
            ] {
                guard let name = source[field]["name"].string else { continue }
                let namespace = source[field]["namespace"].string ?? claim?.namespace ?? ""
                secrets.insert(Reference(kind: .secret, namespace: namespace, name: name))
            }
        }
        return secrets
    }
}

/// Upstream: corev1.MirrorPodAnnotationKey.
enum MirrorPod { static let annotation = "kubernetes.io/config.mirror" }

/// What a pod names. Upstream: api/v1/pod.VisitPodSecretNames, VisitPodConfigmapNames.
enum PodReferences {
    static func references(of pod: Object) -> Set<NodeGraph.Reference> {
        let namespace = pod.metadata.namespace
        var found: Set<NodeGraph.Reference> = []
        func add(_ kind: NodeGraph.Reference.Kind, _ name: String?) {
            if let name, !name.isEmpty { found.insert(NodeGraph.Reference(kind: kind, namespace: namespace, name: name)) }
        }
        let spec = pod["spec"]
        add(.serviceAccount, spec["serviceAccountName"].string)
        for secret in spec["imagePullSecrets"].elements { add(.secret, secret["name"].string) }
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            for container in spec[list].elements {
                for source in container["envFrom"].elements {
                    add(.secret, source["secretRef"]["name"].string)
                    add(.configMap, source["configMapRef"]["name"].string)
                }
                for variable in container["env"].elements {
                    add(.secret, variable["valueFrom"]["secretKeyRef"]["name"].string)
                    add(.configMap, variable["valueFrom"]["configMapKeyRef"]["name"].string)
                }
            }
        }
        for volume in spec["volumes"].elements {
            add(.secret, volume["secret"]["secretName"].string)
            add(.configMap, volume["configMap"]["name"].string)
            add(.persistentVolumeClaim, volume["persistentVolumeClaim"]["claimName"].string)
            if volume["ephemeral"] != nil, let name = volume["name"].string { add(.persistentVolumeClaim, "\(pod.metadata.name)-\(name)") }
            add(.secret, volume["azureFile"]["secretName"].string)
            add(.secret, volume["csi"]["nodePublishSecretRef"]["name"].string)
            for kind in ["cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"] { add(.secret, volume[kind]["secretRef"]["name"].string) }
            for source in volume["projected"]["sources"].elements {
                add(.secret, source["secret"]["name"].string)
                add(.configMap, source["configMap"]["name"].string)
            }
        }
        for claim in pod["status"]["resourceClaimStatuses"].elements { add(.resourceClaim, claim["resourceClaimName"].string) }
        for claim in spec["resourceClaims"].elements { add(.resourceClaim, claim["resourceClaimName"].string) }
        return found
    }
}
