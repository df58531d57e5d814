import KubeAPI
import KubeClient

/// What has to be written so that a pod's claims are bound where it goes. Upstream: volumebinding's PodVolumes (StaticBindings, DynamicProvisions).
struct VolumeChoice: Sendable {
    /// Volumes promised to claims.
    var promises: [(volume: Object, claim: Object)] = []
    /// Claims whose volume is to be made for the node.
    var provisions: [Object] = []

    var isEmpty: Bool { promises.isEmpty && provisions.isEmpty }

    /// Nil: the node cannot have them all. Of the free volumes each claim gets the smallest that will do, and no two the same.
    init?(_ needs: VolumeNeeds, on node: NodeInfo) {
        var taken: Set<String> = []
        for need in needs.unbound {
            let found = ClaimBinding.bestVolume(for: need.claim, among: need.candidates, onlyPromised: false) {
                !taken.contains($0.metadata.name) && $0.isUsable(on: node)
            }
            if let found {
                taken.insert(found.metadata.name)
                promises.append((found, need.claim))
            } else if Self.canProvision(need.storageClass, on: node) {
                provisions.append(need.claim)
            } else {
                return nil
            }
        }
    }

    /// Upstream: checkVolumeProvisions with v1helper.MatchTopologySelectorTerms.
    private static func canProvision(_ storageClass: Object, on node: NodeInfo) -> Bool {
        guard let provisioner = storageClass["provisioner"].string, !provisioner.isEmpty, provisioner != ClaimBinding.noProvisioner else {
            return false
        }
        let terms = storageClass["allowedTopologies"].elements
        return terms.isEmpty
            || terms.contains { term in
                term["matchLabelExpressions"].map { Array($0.elements) }?.allSatisfy { expression in
                    node.labels[expression["key"].string ?? ""].map(expression["values"].strings.contains) ?? false
                } ?? false
            }
    }

    /// Writes the choice; the binder and the provisioners do the rest. Returns the claims that volumes are to be made for, each with the revision
    /// from which it names the node. Upstream: BindPodVolumes' bindAPIUpdate.
    func write(_ client: KubeClient, node: String) async throws -> [String: Int64] {
        for (volume, claim) in promises where !ClaimBinding.isTaken(volume) {
            var value = volume.value
            let meta = claim.metadata
            value[path: "spec", "claimRef"] = [
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": .string(meta.name), "namespace": .string(meta.namespace),
                "uid": .string(meta.uid), "resourceVersion": .string(meta.resourceVersion),
            ]
            value[path: "metadata", "annotations", ClaimBinding.boundByController] = "yes"
            try await client.update(.persistentVolumes, value)
        }
        var orders: [String: Int64] = [:]
        for claim in provisions {
            var written = claim
            if claim.metadata.annotations[ClaimBinding.selectedNode] != node {
                var value = claim.value
                value[path: "metadata", "annotations", ClaimBinding.selectedNode] = .string(node)
                written = try await client.update(.persistentVolumeClaims, value)
            }
            orders[claim.metadata.key] = Int64(written.metadata.resourceVersion) ?? 0
        }
        return orders
    }
}
