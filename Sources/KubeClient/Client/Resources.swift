package import KubeAPI

/// The resources that Eyrie's own clients use. Upstream: k8s.io/api, one `SchemeGroupVersion` a group.
extension GroupVersionResource {
    // core/v1
    package static let bindings = core("bindings")
    package static let configMaps = core("configmaps")
    package static let endpoints = core("endpoints")
    package static let events = core("events")
    package static let limitRanges = core("limitranges")
    package static let namespaces = core("namespaces")
    package static let nodes = core("nodes")
    package static let persistentVolumeClaims = core("persistentvolumeclaims")
    package static let persistentVolumes = core("persistentvolumes")
    package static let pods = core("pods")
    package static let podTemplates = core("podtemplates")
    package static let replicationControllers = core("replicationcontrollers")
    package static let resourceQuotas = core("resourcequotas")
    package static let secrets = core("secrets")
    package static let serviceAccounts = core("serviceaccounts")
    package static let services = core("services")

    // apps/v1
    package static let controllerRevisions = apps("controllerrevisions")
    package static let daemonSets = apps("daemonsets")
    package static let deployments = apps("deployments")
    package static let replicaSets = apps("replicasets")
    package static let statefulSets = apps("statefulsets")

    // batch/v1
    package static let cronJobs = GroupVersionResource(group: "batch", version: "v1", resource: "cronjobs")
    package static let jobs = GroupVersionResource(group: "batch", version: "v1", resource: "jobs")

    // others
    package static let apiServices = GroupVersionResource(group: "apiregistration.k8s.io", version: "v1", resource: "apiservices")
    package static let certificateSigningRequests = GroupVersionResource(
        group: "certificates.k8s.io", version: "v1", resource: "certificatesigningrequests")
    package static let clusterRoleBindings = rbac("clusterrolebindings")
    package static let clusterRoles = rbac("clusterroles")
    package static let customResourceDefinitions = GroupVersionResource(
        group: "apiextensions.k8s.io", version: "v1", resource: "customresourcedefinitions")
    package static let csiDrivers = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "csidrivers")
    package static let csiStorageCapacities = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "csistoragecapacities")
    package static let csiNodes = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "csinodes")
    package static let endpointSlices = GroupVersionResource(group: "discovery.k8s.io", version: "v1", resource: "endpointslices")
    package static let horizontalPodAutoscalers = GroupVersionResource(group: "autoscaling", version: "v2", resource: "horizontalpodautoscalers")
    package static let ingressClasses = GroupVersionResource(group: "networking.k8s.io", version: "v1", resource: "ingressclasses")
    package static let ingresses = GroupVersionResource(group: "networking.k8s.io", version: "v1", resource: "ingresses")
    package static let leases = GroupVersionResource(group: "coordination.k8s.io", version: "v1", resource: "leases")
    package static let networkPolicies = GroupVersionResource(group: "networking.k8s.io", version: "v1", resource: "networkpolicies")
    package static let podDisruptionBudgets = GroupVersionResource(group: "policy", version: "v1", resource: "poddisruptionbudgets")
    package static let priorityClasses = GroupVersionResource(group: "scheduling.k8s.io", version: "v1", resource: "priorityclasses")
    package static let resourceClaims = GroupVersionResource(group: "resource.k8s.io", version: "v1", resource: "resourceclaims")
    package static let resourceClaimTemplates = GroupVersionResource(group: "resource.k8s.io", version: "v1", resource: "resourceclaimtemplates")
    package static let roleBindings = rbac("rolebindings")
    package static let roles = rbac("roles")
    package static let runtimeClasses = GroupVersionResource(group: "node.k8s.io", version: "v1", resource: "runtimeclasses")
    package static let storageClasses = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "storageclasses")
    package static let subjectAccessReviews = GroupVersionResource(group: "authorization.k8s.io", version: "v1", resource: "subjectaccessreviews")
    package static let tokenReviews = GroupVersionResource(group: "authentication.k8s.io", version: "v1", resource: "tokenreviews")
    package static let volumeAttachments = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "volumeattachments")
    package static let volumeAttributesClasses = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "volumeattributesclasses")

    private static func core(_ resource: String) -> GroupVersionResource { GroupVersionResource(group: "", version: "v1", resource: resource) }
    private static func apps(_ resource: String) -> GroupVersionResource { GroupVersionResource(group: "apps", version: "v1", resource: resource) }
    private static func rbac(_ resource: String) -> GroupVersionResource {
        GroupVersionResource(group: "rbac.authorization.k8s.io", version: "v1", resource: resource)
    }
}
