import KubeAPI
import KubeClient

/// The claims of one pod, as they stand. Upstream: volumebinding's PodVolumeClaims and stateData.
struct VolumeNeeds: Sendable {
    /// A claim without a volume whose class waits for a pod.
    struct Unbound: Sendable {
        var claim: Object
        var storageClass: Object
        /// Volumes that could be bound to it, on some node or other.
        var candidates: [Object]
        /// Where a volume can be made for it; nil: its driver does not tell.
        var capacities: [StorageCapacity]?

        /// Bytes that it asks for.
        var bytes: Int64 { claim["spec"]["resources"]["requests"]["storage"].quantity?.value ?? 0 }
    }

    /// Why no node can have the pod, whatever happens on the nodes; nil: some may.
    var refusal: String?
    /// Volumes of claims that are bound.
    var bound: [Object] = []
    /// Whether a bound claim's volume is gone.
    var isVolumeMissing = false
    var unbound: [Unbound] = []
    /// Claims that only one pod may use.
    var exclusive: [String] = []
    /// By the name of the driver: volumes, or claims that will be volumes, which count against a node's limit.
    var attached: [String: Set<String>] = [:]
}

/// Reads claims, volumes and classes for the scheduler. A claim's volume is looked up when the pod is, from the caches as they are then.
struct VolumeLookup: Sendable {
    let claims: Indexer
    let volumes: Indexer
    let classes: Indexer
    let csiNodes: Indexer
    /// Drivers and the room they tell of: without them nobody is asked for room.
    var drivers = Indexer()
    var capacities = Indexer()

    /// - Parameter promised: volumes that were chosen for other claims and do not show it yet.
    func needs(of pod: PodInfo, promised: Set<String>) -> VolumeNeeds? {
        guard !pod.claims.isEmpty else { return nil }
        var needs = VolumeNeeds()
        for key in pod.claims {
            let name = key.split(separator: "/").last.map(String.init) ?? key
            guard let claim = claims.get(key) else {
                needs.refusal = "persistentvolumeclaim \"\(name)\" not found"
                break
            }
            if claim.metadata.isBeingDeleted {
                needs.refusal = "persistentvolumeclaim \"\(name)\" is being deleted"
                break
            }
            if claim["status"]["phase"].string == "Lost" {
                needs.refusal = "persistentvolumeclaim \"\(name)\" bound to non-existent persistentvolume \"\(ClaimBinding.volumeName(claim))\""
                break
            }
            add(claim, key, promised, &needs)
        }
        return needs
    }

    private func add(_ claim: Object, _ key: String, _ promised: Set<String>, _ needs: inout VolumeNeeds) {
        if claim["spec"]["accessModes"].strings.contains("ReadWriteOncePod") { needs.exclusive.append(key) }
        if let (driver, volume) = attachment(of: claim, key) { needs.attached[driver, default: []].insert(volume) }
        if ClaimBinding.isBound(claim) {
            if let volume = volumes.get(ClaimBinding.volumeName(claim)) { needs.bound.append(volume) } else { needs.isVolumeMissing = true }
            return
        }
        let storageClass = classes.get(ClaimBinding.className(claim))
        guard let storageClass, ClaimBinding.isDelayed(storageClass), ClaimBinding.volumeName(claim).isEmpty else {
            needs.refusal = "pod has unbound immediate PersistentVolumeClaims"
            return
        }
        let className = storageClass.metadata.name
        let candidates = volumes.list().filter { ClaimBinding.className($0) == className && !promised.contains($0.metadata.name) }
        needs.unbound.append(
            .init(claim: claim, storageClass: storageClass, candidates: candidates, capacities: capacities(for: claim, storageClass)))
    }

    /// The CSI driver of a claim, with what counts there. Upstream: nodevolumelimits' getCSIDriverInfo.
    private func attachment(of claim: Object, _ key: String) -> (driver: String, volume: String)? {
        if let volume = volumes.get(ClaimBinding.volumeName(claim)) {
            let source = volume["spec"]["csi"]
            return source["driver"].string.map { ($0, source["volumeHandle"].string ?? volume.metadata.name) }
        }
        // Not made yet: it will be the class's driver's.
        return classes.get(ClaimBinding.className(claim))?["provisioner"].string.map { ($0, key) }
    }

    /// How many volumes of a driver a node can have; nil: no limit is known. Upstream: CSINode.spec.drivers[].allocatable.count.
    func limit(of driver: String, on node: String) -> Int64? {
        csiNodes.get(node)?["spec"]["drivers"].elements.first { $0["name"].string == driver }?["allocatable"]["count"].int
    }

    /// Volumes of a driver that pods with these claims have on a node.
    func attached(of driver: String, claims keys: some Sequence<String>) -> Set<String> {
        Set(keys.compactMap { key in claims.get(key).flatMap { attachment(of: $0, key) } }.filter { $0.driver == driver }.map(\.volume))
    }

    /// Whether all claims of a pod are bound, and their volumes known.
    func areBound(_ pod: PodInfo) -> Bool {
        pod.claims.allSatisfy { key in claims.get(key).map { ClaimBinding.isBound($0) && volumes.get(ClaimBinding.volumeName($0)) != nil } ?? false }
    }
}

extension Object {
    /// Whether a PersistentVolume can be used on a node. Upstream: storagehelpers.CheckNodeAffinity.
    func isUsable(on node: NodeInfo) -> Bool {
        guard let required = self["spec"]["nodeAffinity"]["required"], !required.isNull else { return true }
        return required["nodeSelectorTerms"].map { Array($0.elements) }?.contains { NodeSelectorTerm($0).matches(node) } ?? false
    }
}
