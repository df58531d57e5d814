import KubeAPI

/// Keeps a node to itself: its own Node object, its own pods, leases and volumes, whatever the authoriser let through. Upstream:
/// plugin/noderestriction.
struct NodeRestriction: AdmissionPlugin {
    let name = "NodeRestriction"
    let reader: any ObjectReader

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard let node = NodeAuthorizer.nodeName(of: attributes.user) else { return }
        guard !node.isEmpty else {
            throw attributes.forbidden("could not determine node identity from user \(attributes.user.name.goQuoted)")
        }
        switch attributes.resource.groupResource {
        case .pods:
            switch attributes.subresource {
            case "": try checkPod(node, attributes)
            case "status": try checkPodStatus(node, attributes)
            case "eviction": try checkEviction(node, attributes)
            default:
                throw attributes.forbidden(
                    "unexpected pod subresource \(attributes.subresource.goQuoted), only 'status' and 'eviction' are allowed")
            }
        case .nodes: try checkNode(node, attributes)
        case .persistentVolumeClaims: try checkClaim(node, attributes)
        case .serviceAccounts: try checkToken(node, attributes)
        case .leases: try checkLease(node, attributes)
        case .csiNodes: try checkCSINode(node, attributes)
        case .resourceSlices: try checkResourceSlice(node, attributes)
        default: return
        }
    }

    // MARK: Pods

    private func checkPod(_ node: String, _ attributes: AdmissionAttributes) throws {
        switch attributes.operation {
        case .create: try checkMirrorPod(node, attributes)
        case .delete:
            guard let pod = attributes.oldObject ?? reader.get(.pods, namespace: attributes.namespace, name: attributes.name) else {
                throw StatusError.notFound(.pods, attributes.name)
            }
            guard pod["spec"]["nodeName"].string == node else {
                throw attributes.forbidden("node \(node.goQuoted) can only delete pods with spec.nodeName set to itself")
            }
        default:
            throw attributes.forbidden(
                "unexpected operation \(attributes.operation.rawValue.goQuoted), node \(node.goQuoted) can only create and delete mirror pods")
        }
    }

    /// A node makes only mirrors of its static pods, owned by itself and naming nothing of others.
    private func checkMirrorPod(_ node: String, _ attributes: AdmissionAttributes) throws {
        let pod = try Object(attributes.object)
        let shown = node.goQuoted
        guard pod.metadata.annotations[MirrorPod.annotation] != nil else {
            throw attributes.forbidden("pod does not have \(MirrorPod.annotation.goQuoted) annotation, node \(shown) can only create mirror pods")
        }
        guard pod["spec"]["nodeName"].string == node else {
            throw attributes.forbidden("node \(shown) can only create pods with spec.nodeName set to itself")
        }
        let owners = pod["metadata"]["ownerReferences"].elements
        if owners.count > 1 { throw attributes.forbidden("node \(shown) can only create pods with a single owner reference set to itself") }
        guard let view = owners.first else { throw attributes.forbidden("node \(shown) can only create pods with an owner reference set to itself") }
        let owner = OwnerReference(view: view)
        guard owner.apiVersion == "v1", owner.kind == "Node", owner.name == node else {
            throw attributes.forbidden("node \(shown) can only create pods with an owner reference set to itself")
        }
        guard owner.controller else {
            throw attributes.forbidden("node \(shown) can only create pods with a controller owner reference set to itself")
        }
        guard !owner.blockOwnerDeletion else { throw attributes.forbidden("node \(shown) must not set blockOwnerDeletion on an owner reference") }
        guard let object = reader.get(.nodes, namespace: "", name: node) else { throw StatusError.notFound(.nodes, node) }
        guard object.metadata.uid == owner.uid else {
            throw attributes.forbidden("node \(node) UID mismatch: expected \(owner.uid) got \(object.metadata.uid)")
        }
        try checkMirrorPodReferences(pod, node, attributes)
    }

    private func checkMirrorPodReferences(_ pod: Object, _ node: String, _ attributes: AdmissionAttributes) throws {
        let references = Set(PodReferences.references(of: pod).map(\.kind))
        func refuse(_ what: String) -> StatusError { attributes.forbidden("node \(node.goQuoted) can not create pods that reference \(what)") }
        if references.contains(.serviceAccount) { throw refuse("a service account") }
        if references.contains(.secret) { throw refuse("secrets") }
        if references.contains(.configMap) { throw refuse("configmaps") }
        if references.contains(.persistentVolumeClaim) { throw refuse("persistentvolumeclaims") }
        if !pod["spec"]["resourceClaims"].elements.isEmpty { throw refuse("resourceclaims") }
        for volume in pod["spec"]["volumes"].elements {
            for source in volume["projected"]["sources"].elements {
                if source["serviceAccountToken"] != nil { throw refuse("a service account") }
                if source["clusterTrustBundle"] != nil { throw refuse("clustertrustbundles") }
                if source["podCertificate"] != nil { throw refuse("podcertificates") }
            }
        }
    }

    private func checkPodStatus(_ node: String, _ attributes: AdmissionAttributes) throws {
        guard attributes.operation == .update, let old = attributes.oldObject else {
            throw attributes.forbidden("unexpected operation \(attributes.operation.rawValue.goQuoted)")
        }
        let shown = node.goQuoted
        guard old["spec"]["nodeName"].string == node else {
            throw attributes.forbidden("node \(shown) can only update pod status for pods with spec.nodeName set to itself")
        }
        let new = try Object(attributes.object)
        guard new.metadata.labels == old.metadata.labels else { throw attributes.forbidden("node \(shown) cannot update labels through pod status") }
        guard new["status"]["resourceClaimStatuses"].value == old["status"]["resourceClaimStatuses"].value else {
            throw attributes.forbidden("node \(shown) cannot update resource claim statuses")
        }
    }

    private func checkEviction(_ node: String, _ attributes: AdmissionAttributes) throws {
        guard attributes.operation == .create else {
            throw attributes.forbidden("unexpected operation \(attributes.operation.rawValue.goQuoted)")
        }
        let named = attributes.object[path: "metadata", "name"]?.string ?? ""
        let podName = attributes.name.isEmpty ? named : attributes.name
        guard !podName.isEmpty else { throw attributes.forbidden("could not determine pod from request data") }
        guard let pod = reader.get(.pods, namespace: attributes.namespace, name: podName) else { throw StatusError.notFound(.pods, podName) }
        guard pod["spec"]["nodeName"].string == node else {
            throw attributes.forbidden("node \(node) can only evict pods with spec.nodeName set to itself")
        }
    }

    // MARK: Nodes

    private func checkNode(_ node: String, _ attributes: AdmissionAttributes) throws {
        let shown = node.goQuoted
        let named = attributes.object[path: "metadata", "name"]?.string ?? ""
        let requested = attributes.operation == .create || attributes.name.isEmpty ? named : attributes.name
        guard requested == node else { throw attributes.forbidden("node \(shown) is not allowed to modify node \(requested.goQuoted)") }
        let labels = attributes.object[path: "metadata", "labels"]
        switch attributes.operation {
        case .create:
            let refused = NodeLabels.refused(Self.modified(labels, nil))
            if !refused.isEmpty { throw attributes.forbidden("is not allowed to set the following labels: \(refused.joined(separator: ", "))") }
            if !(attributes.object[path: "metadata", "ownerReferences"]?.array ?? []).isEmpty {
                throw attributes.forbidden("node \(shown) is not allowed to set ownerReferences")
            }
        case .update:
            guard let old = attributes.oldObject?.value else { return }
            guard Self.same(attributes.object[path: "spec", "taints"], old[path: "spec", "taints"]) else {
                throw attributes.forbidden("node \(shown) is not allowed to modify taints")
            }
            let refused = NodeLabels.refused(Self.modified(labels, old[path: "metadata", "labels"]))
            if !refused.isEmpty { throw attributes.forbidden("is not allowed to modify labels: \(refused.joined(separator: ", "))") }
            guard Self.same(attributes.object[path: "metadata", "ownerReferences"], old[path: "metadata", "ownerReferences"]) else {
                throw attributes.forbidden("node \(shown) is not allowed to modify ownerReferences")
            }
        default: return
        }
    }

    /// Lists as they are stored: none and an empty one are the same.
    private static func same(_ a: Value?, _ b: Value?) -> Bool { (a?.array ?? []) == (b?.array ?? []) }

    /// Labels added, changed or taken away.
    private static func modified(_ new: Value?, _ old: Value?) -> [String] {
        let new = new?.object ?? Members()
        let old = old?.object ?? Members()
        let changed = new.filter { old[$0.0] != $0.1 }.map(\.0)
        return (changed + old.keys.filter { new[$0] == nil }).sorted()
    }

    // MARK: Others

    private func checkClaim(_ node: String, _ attributes: AdmissionAttributes) throws {
        guard attributes.subresource == "status" else { throw attributes.forbidden("may only update PVC status") }
        guard attributes.operation == .update, let old = attributes.oldObject else {
            throw attributes.forbidden("unexpected operation \(attributes.operation.rawValue.goQuoted)")
        }
        func stripped(_ claim: Value) -> Value {
            var claim = claim
            for field in ["capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"] { claim[path: "status", field] = nil }
            if claim["status"]?.object?.isEmpty == true { claim["status"] = nil }
            for field in ["resourceVersion", "managedFields"] { claim[path: "metadata", field] = nil }
            return claim
        }
        guard stripped(attributes.object) == stripped(old.value) else {
            throw attributes.forbidden(
                "node \(node.goQuoted) is not allowed to update fields other than status.quantity and status.conditions")
        }
    }

    /// Tokens are only for pods on the node, bound to them, and for audiences those pods ask for.
    private func checkToken(_ node: String, _ attributes: AdmissionAttributes) throws {
        guard attributes.operation == .create, attributes.subresource == "token" else { return }
        let spec = try Object(attributes.object)["spec"]
        let reference = spec["boundObjectRef"]
        let podName = reference["name"].string ?? ""
        guard reference["apiVersion"].string == "v1", reference["kind"].string == "Pod", !podName.isEmpty else {
            throw attributes.forbidden("node requested token not bound to a pod")
        }
        let uid = reference["uid"].string ?? ""
        guard !uid.isEmpty else { throw attributes.forbidden("node requested token with a pod binding without a uid") }
        guard let pod = reader.get(.pods, namespace: attributes.namespace, name: podName) else { throw StatusError.notFound(.pods, podName) }
        guard pod.metadata.uid == uid else {
            throw attributes.forbidden(
                "the UID in the bound object reference (\(uid)) does not match the UID in record. The object might have been deleted and then recreated"
            )
        }
        guard pod["spec"]["nodeName"].string == node else {
            throw attributes.forbidden("node requested token bound to a pod scheduled on a different node")
        }
        let audiences = spec["audiences"].strings
        guard audiences.count <= 1 else { throw attributes.forbidden("node may only request 0 or 1 audiences") }
        // Upstream: ServiceAccountNodeAudienceRestriction. No audience is the API server's.
        let audience = audiences.first ?? ""
        guard isProjected(audience, in: pod) || isForDriver(audience, of: pod, in: attributes.namespace) else {
            throw attributes.forbidden("audience \(audience.goQuoted) not found in pod spec volume")
        }
    }

    private func isProjected(_ audience: String, in pod: Object) -> Bool {
        pod["spec"]["volumes"].elements.contains { volume in
            volume["projected"]["sources"].elements.contains { source in
                source["serviceAccountToken"].map { ($0["audience"]?.string ?? "") == audience } ?? false
            }
        }
    }

    /// Volume drivers may ask for tokens of the pods they serve.
    private func isForDriver(_ audience: String, of pod: Object, in namespace: String) -> Bool {
        var drivers: [String] = []
        for volume in pod["spec"]["volumes"].elements {
            if let driver = volume["csi"]["driver"].string { drivers.append(driver) }
            let claimName =
                volume["persistentVolumeClaim"]["claimName"].string
                ?? (volume["ephemeral"] == nil ? nil : "\(pod.metadata.name)-\(volume["name"]?.string ?? "")")
            guard let claimName, let claim = reader.get(.persistentVolumeClaims, namespace: namespace, name: claimName),
                let volumeName = claim["spec"]["volumeName"].string, let bound = reader.get(.persistentVolumes, namespace: "", name: volumeName),
                let driver = bound["spec"]["csi"]["driver"].string
            else { continue }
            drivers.append(driver)
        }
        return drivers.contains { driver in
            reader.get(.csiDrivers, namespace: "", name: driver)?["spec"]["tokenRequests"].elements.contains {
                ($0["audience"]?.string ?? "") == audience
            } ?? false
        }
    }

    private func checkLease(_ node: String, _ attributes: AdmissionAttributes) throws {
        guard attributes.namespace == "kube-node-lease" else {
            throw attributes.forbidden("can only access leases in the \"kube-node-lease\" system namespace")
        }
        let named = attributes.operation == .create ? attributes.object[path: "metadata", "name"]?.string ?? "" : attributes.name
        guard named == node else { throw attributes.forbidden("can only access node lease with the same name as the requesting node") }
    }

    /// A node publishes its own devices. Upstream: admitResourceSlice.
    private func checkResourceSlice(_ node: String, _ attributes: AdmissionAttributes) throws {
        func check(_ named: String?, _ verb: String) throws {
            guard named == node else {
                throw attributes.forbidden("can only \(verb) ResourceSlice with the same NodeName as the requesting node")
            }
        }
        switch attributes.operation {
        case .create: try check(attributes.object[path: "spec", "nodeName"]?.string, "create")
        case .update:
            try check(attributes.oldObject?["spec"]["nodeName"].string, "update")
            try check(attributes.object[path: "spec", "nodeName"]?.string, "update")
        case .delete: try check(attributes.oldObject?["spec"]["nodeName"].string, "delete")
        case .connect: return
        }
    }

    private func checkCSINode(_ node: String, _ attributes: AdmissionAttributes) throws {
        let named = attributes.operation == .create ? attributes.object[path: "metadata", "name"]?.string ?? "" : attributes.name
        guard named == node else { throw attributes.forbidden("can only access CSINode with the same name as the requesting node") }
    }
}

/// Which labels of its Node a kubelet may write. Upstream: kubeletapis.IsKubeletLabel and noderestriction.getForbiddenLabels.
enum NodeLabels {
    private static let own: Set<String> = [
        "kubernetes.io/hostname", "topology.kubernetes.io/zone", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region", "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type", "kubernetes.io/os",
        "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch", "node.kubernetes.io/windows-build",
    ]
    private static let ownPrefixes = ["kubelet.kubernetes.io", "node.kubernetes.io"]

    /// Those of `labels` a kubelet may not touch, sorted.
    static func refused(_ labels: [String]) -> [String] {
        labels.filter { label in
            guard let slash = label.firstIndex(of: "/") else { return false }
            let prefix = String(label[..<slash])
            func isIn(_ domain: String) -> Bool { prefix == domain || prefix.hasSuffix(".\(domain)") }
            if isIn("node-restriction.kubernetes.io") { return true }
            guard isIn("kubernetes.io") || isIn("k8s.io") else { return false }
            return !own.contains(label) && !ownPrefixes.contains(where: isIn)
        }.sorted()
    }
}
