import KubeAPI
import KubeClient

/// The ResourceClaims of a pod about to be scheduled. Upstream: plugins/dynamicresources, foreachPodResourceClaim and PreFilter.
struct DeviceNeeds: Sendable {
    /// Why no node will do.
    var refusal: String?
    /// Whether devices have yet to be found for one of them.
    var isUnallocated = false
    /// Where the devices of claims that have some can be used: a list of terms for each.
    var places: [[NodeSelectorTerm]] = []

    /// - Parameter claims: all of the cluster.
    init(_ pod: Object, claims: Indexer) {
        let meta = pod.metadata
        for use in pod["spec"]["resourceClaims"].elements {
            let named = use["resourceClaimName"].string ?? ""
            let recorded = pod["status"]["resourceClaimStatuses"].elements.first { $0["name"].string == use["name"].string }
            // A template may ask for none.
            if named.isEmpty, let recorded, recorded["resourceClaimName"].string == nil { continue }
            guard let name = named.isEmpty ? recorded?["resourceClaimName"].string : named else {
                refusal = "pod \"\(meta.key)\": ResourceClaim not created yet"
                return
            }
            guard let claim = claims.get(namespace: meta.namespace, name: name) else {
                refusal = "resourceclaim.resource.k8s.io \(name.goQuoted) not found"
                return
            }
            if claim.metadata.isBeingDeleted {
                refusal = "resourceclaim \(name.goQuoted) is being deleted"
                return
            }
            if named.isEmpty, claim.metadata.controller?.uid != meta.uid {
                refusal = "ResourceClaim \(claim.metadata.key) was not created for pod \(meta.key) (pod is not owner)"
                return
            }
            guard let allocation = claim["status"]["allocation"], !allocation.isNull else {
                isUnallocated = true
                continue
            }
            guard let selector = allocation["nodeSelector"], !selector.isNull else { continue }
            places.append(selector["nodeSelectorTerms"].elements.map { NodeSelectorTerm($0) })
        }
    }
}
