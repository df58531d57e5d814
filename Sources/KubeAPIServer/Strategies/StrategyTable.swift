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
            GroupResource(group: "", resource: "events"): EventStrategy(),
            GroupResource(group: "events.k8s.io", resource: "events"): EventStrategy(),
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
            GroupResource(group: "flowcontrol.apiserver.k8s.io", resource: "flowschemas"): InitialStatusStrategy([:]),
            GroupResource(group: "networking.k8s.io", resource: "ingresses"): InitialStatusStrategy(["loadBalancer": [:]]),
            GroupResource(group: "", resource: "resourcequotas"): InitialStatusStrategy([:]),
            GroupResource(group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicies"): InitialStatusStrategy([:]),
            GroupResource(group: "apiregistration.k8s.io", resource: "apiservices"): InitialStatusStrategy([:]),
            GroupResource(group: "apiextensions.k8s.io", resource: "customresourcedefinitions"): CustomResourceDefinitionStrategy(),
            .leases: LeaseStrategy(),
            .priorityClasses: PriorityClassStrategy(),
            .roles: RoleStrategy(isNamespaced: true),
            .clusterRoles: RoleStrategy(isNamespaced: false),
            .roleBindings: RoleBindingStrategy(isNamespaced: true),
            .clusterRoleBindings: RoleBindingStrategy(isNamespaced: false),
        ]
    }
}
