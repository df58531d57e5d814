import KubeAPI

/// The admission plug-ins of a cluster, in upstream's default order. Upstream: kubeapiserver/options.AllOrderedPlugins and
/// DefaultOffAdmissionPlugins.
package enum AdmissionChain {
    package static func standard(reader: any ObjectReader, authorization: ClusterAuthorization) -> [any AdmissionPlugin] {
        [
            NamespaceLifecycle(reader: reader),
            ServiceAccountAdmission(reader: reader),
            NodeRestriction(reader: reader),
            TaintNodesByCondition(),
            PriorityAdmission(reader: reader),
            DefaultTolerationSeconds(),
            DefaultStorageClass(reader: reader),
            DenyServiceExternalIPs(),
            RBACEscalationCheck(authorizer: authorization.authorizer, rbac: authorization.rbac),
        ]
    }
}

extension AdmissionAttributes {
    /// The refusal of this request. Upstream: admission.NewForbidden.
    func forbidden(_ why: String) -> StatusError { .forbidden(resource.groupResource, shownName, why) }

    /// The object's name, as errors show it. Upstream: admission.extractResourceName.
    private var shownName: String {
        for candidate in [object[path: "metadata", "name"]?.string, object[path: "metadata", "generateName"]?.string, name] {
            if let candidate, !candidate.isEmpty { return candidate }
        }
        return operation == .create ? "Unknown" : ""
    }

    func isFor(_ resource: GroupResource, _ operations: Operation..., subresource: String = "") -> Bool {
        self.resource.groupResource == resource && self.subresource == subresource && operations.contains(operation)
    }
}
