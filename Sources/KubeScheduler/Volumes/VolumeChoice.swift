import KubeAPI
import KubeClient

/// What has to be written so that a pod's claims are bound where it goes. Upstream: volumebinding's PodVolumes (StaticBindings, DynamicProvisions).
struct VolumeChoice: Sendable {
    /// Why a node cannot have all volumes. Upstream: ErrReasonBindConflict, ErrReasonNotEnoughSpace.
    enum Refusal: String, Error, Sendable {
        case conflict = "node(s) didn't find available persistent volumes to bind"
        case noRoom = "node(s) did not have enough free storage"
    }

    /// A volume to be made. Upstream: DynamicProvision.
    struct Provision: Sendable {
        var claim: Object
        /// Where its driver has room for it; nil: the driver does not tell.
        var capacity: StorageCapacity?
    }

    /// Volumes promised to claims.
    var promises: [(volume: Object, claim: Object)] = []
    /// Claims whose volume is to be made for the node.
    var provisions: [Provision] = []

    var isEmpty: Bool { promises.isEmpty && provisions.isEmpty }

    /// Throws why the node cannot have them all. Of the free volumes each claim gets the smallest that will do, and no two the same.
    init(_ needs: VolumeNeeds, on node: NodeInfo) throws(Refusal) {
        var taken: Set<String> = []
        for need in needs.unbound {
            let found = ClaimBinding.bestVolume(for: need.claim, among: need.candidates, onlyPromised: false) {
                !taken.contains($0.metadata.name) && $0.isUsable(on: node)
            }
            if let found {
                taken.insert(found.metadata.name)
                promises.append((found, need.claim))
            } else {
                guard Self.canProvision(need.storageClass, on: node) else { throw .conflict }
                let room = need.capacities?.first { $0.isEnough(for: need.bytes, on: node) }
                guard room != nil || need.capacities == nil else { throw .noRoom }
                provisions.append(Provision(claim: need.claim, capacity: room))
            }
        }
    }

    /// What is asked of a class's storage, and how much there is. Upstream: StorageResource.
    struct Storage: Sendable, Equatable {
        var requested: Int64 = 0
        var capacity: Int64 = 0
    }

    /// By storage class. Where a volume is chosen, volumes that are to be made do not count.
    var storage: [String: Storage] {
        func bytes(_ claim: Object) -> Int64 { claim["spec"]["resources"]["requests"]["storage"].quantity?.value ?? 0 }
        func add(_ a: Int64, _ b: Int64) -> Int64 {
            let (sum, overflow) = a.addingReportingOverflow(b)
            return overflow ? .max : sum
        }
        var classes: [String: Storage] = [:]
        for (volume, claim) in promises {
            let (name, size) = (ClaimBinding.className(claim), volume["spec"]["capacity"]["storage"].quantity?.value ?? 0)
            classes[name, default: Storage()].requested = add(classes[name]?.requested ?? 0, bytes(claim))
            classes[name, default: Storage()].capacity = add(classes[name]?.capacity ?? 0, size)
        }
        guard promises.isEmpty else { return classes }
        for provision in provisions {
            guard let room = provision.capacity else { continue }
            let name = ClaimBinding.className(provision.claim)
            // One place has room for all of them together.
            classes[name] = Storage(requested: add(classes[name]?.requested ?? 0, bytes(provision.claim)), capacity: room.capacity)
        }
        return classes
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
        for claim in provisions.map(\.claim) {
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
