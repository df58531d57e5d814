import KubeAPI

/// What a kubelet may do: its own node, lease and pods, and the objects those pods name. Members of `system:nodes` named `system:node:NAME`.
/// Upstream: plugin/pkg/auth/authorizer/node.NodeAuthorizer with NodeRules.
package final class NodeAuthorizer: Authorizer {
    private let reader: any ObjectReader
    private let graph: NodeGraph
    /// Upstream: bootstrappolicy.NodeRules.
    private let rules: [PolicyRule]

    package init(reader: any ObjectReader) {
        self.reader = reader
        graph = NodeGraph(reader: reader)
        rules = BootstrapRoles.parse(BootstrapRoles.system).first { $0.name == "system:node" }?.rules ?? []
    }

    /// The node a user is, empty when it is a node without a name; nil: not a node. Upstream: nodeidentifier.DefaultNodeIdentifier.
    package static func nodeName(of user: UserInfo) -> String? {
        guard user.name.hasPrefix("system:node:"), user.groups.contains("system:nodes") else { return nil }
        return String(user.name.dropFirst("system:node:".count))
    }

    package func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard let node = Self.nodeName(of: attributes.user) else { return .noOpinion(reason: "") }
        guard !node.isEmpty else { return .noOpinion(reason: "unknown node for user \(attributes.user.name.goQuoted)") }
        guard attributes.isResourceRequest else { return byRules(attributes) }
        switch GroupResource(group: attributes.apiGroup, resource: attributes.resource) {
        case .secrets: return readNamespaced(node, .secret, attributes)
        case .configMaps: return readNamespaced(node, .configMap, attributes)
        case .persistentVolumeClaims:
            return attributes.subresource == "status" ? updateStatus(node, attributes) : get(node, .persistentVolumeClaim, attributes)
        case .resourceClaims: return get(node, .resourceClaim, attributes)
        case .persistentVolumes: return getVolume(node, attributes)
        case .volumeAttachments: return getAttachment(node, attributes)
        case .serviceAccounts: return attributes.subresource == "token" ? createToken(node, attributes) : get(node, .serviceAccount, attributes)
        case .leases: return lease(node, attributes)
        case .csiNodes: return csiNode(node, attributes)
        case .resourceSlices: return resourceSlice(node, attributes)
        case .nodes: return ownNode(node, attributes)
        case .pods: return ownPods(node, attributes)
        default: return byRules(attributes)
        }
    }

    private func byRules(_ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        rules.contains { $0.allows(attributes) } ? .allow(reason: "") : .noOpinion(reason: "")
    }

    private func reach(_ node: String, _ kind: NodeGraph.Reference.Kind, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard !attributes.name.isEmpty else { return .noOpinion(reason: "No Object name found") }
        guard graph.hasPath(node, NodeGraph.Reference(kind: kind, namespace: attributes.namespace, name: attributes.name)) else {
            return .noOpinion(reason: "no relationship found between node '\(node)' and this object")
        }
        return .allow(reason: "")
    }

    private func readNamespaced(_ node: String, _ kind: NodeGraph.Reference.Kind, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        // Lists and watches are of one object only: the request's name is then that of its field selector metadata.name=NAME.
        guard ["get", "list", "watch"].contains(attributes.verb) else { return .noOpinion(reason: "can only read resources of this type") }
        guard attributes.subresource.isEmpty else { return .noOpinion(reason: "cannot read subresource") }
        guard !attributes.namespace.isEmpty else { return .noOpinion(reason: "can only read namespaced object of this type") }
        return reach(node, kind, attributes)
    }

    private func get(_ node: String, _ kind: NodeGraph.Reference.Kind, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard attributes.verb == "get" else { return .noOpinion(reason: "can only get individual resources of this type") }
        guard attributes.subresource.isEmpty else { return .noOpinion(reason: "cannot get subresource") }
        return reach(node, kind, attributes)
    }

    private func updateStatus(_ node: String, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard ["update", "patch"].contains(attributes.verb) else { return .noOpinion(reason: "can only get/update/patch this type") }
        return reach(node, .persistentVolumeClaim, attributes)
    }

    private func createToken(_ node: String, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard attributes.verb == "create", !attributes.name.isEmpty else {
            return .noOpinion(reason: "can only create tokens for individual service accounts")
        }
        guard attributes.subresource == "token" else { return .noOpinion(reason: "can only create token subresource of serviceaccount") }
        return reach(node, .serviceAccount, attributes)
    }

    private func getVolume(_ node: String, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard attributes.verb == "get" else { return .noOpinion(reason: "can only get individual resources of this type") }
        guard attributes.subresource.isEmpty else { return .noOpinion(reason: "cannot get subresource") }
        guard let volume = reader.get(.persistentVolumes, namespace: "", name: attributes.name), let claim = NodeGraph.claim(volume),
            graph.hasPath(node, claim)
        else {
            return .noOpinion(reason: "no relationship found between node '\(node)' and this object")
        }
        return .allow(reason: "")
    }

    private func getAttachment(_ node: String, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard attributes.verb == "get" else { return .noOpinion(reason: "can only get individual resources of this type") }
        guard attributes.subresource.isEmpty else { return .noOpinion(reason: "cannot get subresource") }
        guard reader.get(.volumeAttachments, namespace: "", name: attributes.name)?["spec"]["nodeName"].string == node else {
            return .noOpinion(reason: "no relationship found between node '\(node)' and this object")
        }
        return .allow(reason: "")
    }

    private func lease(_ node: String, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard ["get", "create", "update", "patch", "delete"].contains(attributes.verb) else {
            return .noOpinion(reason: "can only get, create, update, patch, or delete a node lease")
        }
        guard attributes.namespace == "kube-node-lease" else {
            return .noOpinion(reason: "can only access leases in the \"kube-node-lease\" system namespace")
        }
        // A create's name is not in its URL; NodeRestriction looks at the object.
        guard attributes.verb == "create" || attributes.name == node else {
            return .noOpinion(reason: "can only access node lease with the same name as the requesting node")
        }
        return .allow(reason: "")
    }

    private func csiNode(_ node: String, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard ["get", "create", "update", "patch", "delete"].contains(attributes.verb) else {
            return .noOpinion(reason: "can only get, create, update, patch, or delete a CSINode")
        }
        guard attributes.subresource.isEmpty else { return .noOpinion(reason: "cannot authorize CSINode subresources") }
        guard attributes.verb == "create" || attributes.name == node else {
            return .noOpinion(reason: "can only access CSINode with the same name as the requesting node")
        }
        return .allow(reason: "")
    }

    private func resourceSlice(_ node: String, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard attributes.subresource.isEmpty else { return .noOpinion(reason: "cannot authorize ResourceSlice subresources") }
        switch attributes.verb {
        // Whose slice is made is NodeRestriction's to see.
        case "create": return .allow(reason: "")
        case "get", "update", "patch", "delete":
            guard !attributes.name.isEmpty else { return .noOpinion(reason: "No Object name found") }
            guard reader.get(.resourceSlices, namespace: "", name: attributes.name)?["spec"]["nodeName"].string == node else {
                return .noOpinion(reason: "no relationship found between node '\(node)' and this object")
            }
            return .allow(reason: "")
        case "list", "watch", "deletecollection":
            guard attributes.requires("spec.nodeName", node) || attributes.requires("nodeName", node) else {
                return .noOpinion(reason: "can only list/watch/deletecollection resourceslices with nodeName field selector")
            }
            return .allow(reason: "")
        default:
            return .noOpinion(
                reason:
                    "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection")
        }
    }

    private func ownNode(_ node: String, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        switch (attributes.subresource, attributes.verb) {
        // What of the object may be written is NodeRestriction's to say.
        case ("", "create"), ("", "update"), ("", "patch"), ("status", "update"), ("status", "patch"): return .allow(reason: "")
        case ("", "get"), ("", "list"), ("", "watch"):
            guard attributes.name == node || attributes.requires("metadata.name", node) else {
                return .noOpinion(reason: "node '\(node)' cannot read '\(attributes.name)', only its own Node object")
            }
            return .allow(reason: "")
        default: return byRules(attributes, unless: "nodes")
        }
    }

    private func ownPods(_ node: String, _ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        switch (attributes.subresource, attributes.verb) {
        case ("", "get"):
            guard graph.isPod("\(attributes.namespace)/\(attributes.name)", on: node) else {
                return .noOpinion(reason: "no relationship found between node '\(node)' and this object")
            }
            return .allow(reason: "")
        case ("", "list"), ("", "watch"):
            guard
                attributes.requires("spec.nodeName", node)
                    || (!attributes.name.isEmpty && graph.isPod("\(attributes.namespace)/\(attributes.name)", on: node))
            else {
                return .noOpinion(reason: "can only list/watch pods with spec.nodeName field selector")
            }
            return .allow(reason: "")
        // Which pods may be written is NodeRestriction's to say.
        case ("", "create"), ("", "delete"), ("status", "update"), ("status", "patch"), ("eviction", "create"): return .allow(reason: "")
        default: return byRules(attributes, unless: "pods")
        }
    }

    /// The rules for subresources, without those for the resource itself, which the graph decides.
    private func byRules(_ attributes: AuthorizationAttributes, unless resource: String) -> AuthorizationDecision {
        attributes.subresource.isEmpty && attributes.resource == resource ? .noOpinion(reason: "") : byRules(attributes)
    }
}

extension AuthorizationAttributes {
    /// Whether the request's field selector lets only objects with `field` equal to `value` through.
    func requires(_ field: String, _ value: String) -> Bool {
        // A selector that does not parse is refused later; here it selects nothing.
        (try? FieldSelector(parsing: fieldSelector))?.exactMatch(field) == value
    }
}
