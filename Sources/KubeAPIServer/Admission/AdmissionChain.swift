import KubeAPI

/// The admission plug-ins of a cluster, in upstream's default order. Upstream: kubeapiserver/options.AllOrderedPlugins and
/// DefaultOffAdmissionPlugins.
package enum AdmissionChain {
    package static func standard(
        reader: any ObjectReader, authorization: ClusterAuthorization, webhooks: WebhookClient, mutators: [any AdmissionPlugin] = []
    ) -> [any AdmissionPlugin] {
        let dispatcher = WebhookDispatcher(
            client: webhooks, catalog: AdmissionCatalog(reader: reader), authorizers: [authorization.authorizer])
        let signers = SignerAuthorization(authorizer: authorization.authorizer)
        // Only what everybody else admits is counted. Tests without a store count nothing.
        let quota: [any AdmissionPlugin] =
            if let writer = reader as? any ObjectWriter { [ResourceQuotaAdmission(reader: reader, writer: writer)] } else { [] }
        let builtIn: [any AdmissionPlugin] = [
            CertificateRequester(),
            NamespaceLifecycle(reader: reader),
            LimitRanger(reader: reader),
            ServiceAccountAdmission(reader: reader),
            NodeRestriction(reader: reader),
            TaintNodesByCondition(),
            PodSecurityAdmission(reader: reader),
            PriorityAdmission(reader: reader),
            DefaultTolerationSeconds(),
            ExtendedResourceToleration(),
            DefaultStorageClass(reader: reader),
            StorageObjectInUseProtection(),
            PersistentVolumeClaimResize(reader: reader),
            RuntimeClassAdmission(reader: reader),
            CertificateApproval(signers: signers),
            CertificateSigning(signers: signers),
            ClusterTrustBundleAttest(signers: signers),
            CertificateSubjectRestriction(),
            DefaultIngressClass(reader: reader),
            PodTopologyLabels(reader: reader),
            DenyServiceExternalIPs(),
            PodResizeValidator(reader: reader),
        ]
        let configured: [any AdmissionPlugin] = [
            MutatingAdmissionPolicy(reader: reader, authorizers: [authorization.authorizer]),
            MutatingAdmissionWebhook(reader: reader, dispatcher: dispatcher),
            ValidatingAdmissionPolicy(reader: reader, authorizers: [authorization.authorizer]),
            ValidatingAdmissionWebhook(reader: reader, dispatcher: dispatcher),
            RBACEscalationCheck(authorizer: authorization.authorizer, rbac: authorization.rbac),
        ]
        return builtIn + mutators + configured + quota
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
