package import KubeAPI

/// The strategies of the kinds that have code; every other kind goes through the generic path alone.
package enum StrategyTable {
    /// `reader`: when given, the addresses of present Services are read from it and followed.
    package static func standard(serviceCIDR: ServiceCIDR, reader: (any ObjectReader)?) -> [GroupResource: any ResourceStrategy] {
        let allocator = ServiceAddressAllocator(cidr: serviceCIDR)
        if let reader { allocator.follow(reader) }
        return [
            .pods: PodStrategy(),
            .services: ServiceStrategy(allocator: allocator),
            .namespaces: NamespaceStrategy(),
            .nodes: NodeStrategy(),
            .secrets: SecretStrategy(),
            .configMaps: ConfigMapStrategy(),
            .persistentVolumeClaims: PersistentVolumeClaimStrategy(),
            .persistentVolumes: PersistentVolumeStrategy(),
            GroupResource(group: "", resource: "events"): EventStrategy(isStrict: false),
            GroupResource(group: "events.k8s.io", resource: "events"): EventStrategy(isStrict: true),
            GroupResource(group: "", resource: "replicationcontrollers"): ReplicationControllerStrategy(),
            GroupResource(group: "apps", resource: "deployments"): DeploymentStrategy(),
            GroupResource(group: "apps", resource: "replicasets"): ReplicaSetStrategy(),
            GroupResource(group: "apps", resource: "statefulsets"): StatefulSetStrategy(),
            GroupResource(group: "apps", resource: "daemonsets"): DaemonSetStrategy(),
            GroupResource(group: "batch", resource: "jobs"): JobStrategy(),
            GroupResource(group: "batch", resource: "cronjobs"): CronJobStrategy(),
            GroupResource(group: "discovery.k8s.io", resource: "endpointslices"): EndpointSliceStrategy(),
            GroupResource(group: "policy", resource: "poddisruptionbudgets"): PodDisruptionBudgetStrategy(),
            GroupResource(group: "autoscaling", resource: "horizontalpodautoscalers"): HorizontalPodAutoscalerStrategy(),
            GroupResource(group: "flowcontrol.apiserver.k8s.io", resource: "prioritylevelconfigurations"): PriorityLevelStrategy(),
            GroupResource(group: "flowcontrol.apiserver.k8s.io", resource: "flowschemas"): FlowSchemaStrategy(),
            GroupResource(group: "resource.k8s.io", resource: "resourceclaims"): ResourceClaimStrategy(),
            GroupResource(group: "resource.k8s.io", resource: "resourceclaimtemplates"): ResourceClaimTemplateStrategy(),
            GroupResource(group: "resource.k8s.io", resource: "deviceclasses"): DeviceClassStrategy(),
            GroupResource(group: "resource.k8s.io", resource: "resourceslices"): ResourceSliceStrategy(),
            GroupResource(group: "networking.k8s.io", resource: "ingresses"): IngressStrategy(),
            GroupResource(group: "networking.k8s.io", resource: "ingressclasses"): IngressClassStrategy(),
            GroupResource(group: "networking.k8s.io", resource: "networkpolicies"): NetworkPolicyStrategy(),
            GroupResource(group: "networking.k8s.io", resource: "ipaddresses"): IPAddressStrategy(),
            GroupResource(group: "networking.k8s.io", resource: "servicecidrs"): ServiceCIDRStrategy(),
            GroupResource(group: "storage.k8s.io", resource: "storageclasses"): StorageClassStrategy(),
            GroupResource(group: "storage.k8s.io", resource: "csidrivers"): CSIDriverStrategy(),
            GroupResource(group: "storage.k8s.io", resource: "csinodes"): CSINodeStrategy(),
            GroupResource(group: "storage.k8s.io", resource: "csistoragecapacities"): CSIStorageCapacityStrategy(),
            GroupResource(group: "storage.k8s.io", resource: "volumeattachments"): VolumeAttachmentStrategy(),
            GroupResource(group: "storage.k8s.io", resource: "volumeattributesclasses"): VolumeAttributesClassStrategy(),
            GroupResource(group: "", resource: "resourcequotas"): ResourceQuotaStrategy(),
            GroupResource(group: "", resource: "limitranges"): LimitRangeStrategy(),
            GroupResource(group: "", resource: "endpoints"): EndpointsStrategy(),
            GroupResource(group: "", resource: "podtemplates"): PodTemplateStrategy(),
            GroupResource(group: "apps", resource: "controllerrevisions"): ControllerRevisionStrategy(),
            GroupResource(group: "node.k8s.io", resource: "runtimeclasses"): RuntimeClassStrategy(),
            GroupResource(group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicies"): ValidatingPolicyStrategy(),
            GroupResource(group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicybindings"):
                PolicyBindingStrategy(isMutating: false),
            GroupResource(group: "admissionregistration.k8s.io", resource: "mutatingadmissionpolicies"): MutatingPolicyStrategy(),
            GroupResource(group: "admissionregistration.k8s.io", resource: "mutatingadmissionpolicybindings"): PolicyBindingStrategy(
                isMutating: true),
            GroupResource(group: "admissionregistration.k8s.io", resource: "mutatingwebhookconfigurations"):
                WebhookConfigurationStrategy(isMutating: true),
            GroupResource(group: "admissionregistration.k8s.io", resource: "validatingwebhookconfigurations"):
                WebhookConfigurationStrategy(isMutating: false),
            GroupResource(group: "apiregistration.k8s.io", resource: "apiservices"): APIServiceStrategy(),
            GroupResource(group: "apiextensions.k8s.io", resource: "customresourcedefinitions"): CustomResourceDefinitionStrategy(),
            .certificateSigningRequests: CertificateRequestStrategy(),
            .leases: LeaseStrategy(),
            .priorityClasses: PriorityClassStrategy(),
            .roles: RoleStrategy(isNamespaced: true),
            .clusterRoles: RoleStrategy(isNamespaced: false),
            .roleBindings: RoleBindingStrategy(isNamespaced: true),
            .clusterRoleBindings: RoleBindingStrategy(isNamespaced: false),
        ]
    }
}
