/// All controllers of a control plane, in one list. Upstream: NewControllerDescriptors in cmd/kube-controller-manager.
package enum Controllers {
    /// In the order they are started; each runs on its own from then on.
    package static let standard: [@Sendable (ControllerEnvironment) -> any Controller] = [
        { NamespaceController($0) },
        { ServiceAccountController($0) },
        { TokensController($0) },
        { TokenCleaner($0) },
        { RootCAPublisher($0) },
        { DeploymentController($0) },
        { ReplicaSetController($0) },
        { ReplicaSetController($0, kind: .replicationController) },
        { DaemonSetController($0) },
        { StatefulSetController($0) },
        { JobController($0) },
        { CronJobController($0) },
        { EndpointSliceController($0) },
        { EndpointsController($0) },
        { NodeLifecycleController($0) },
        { TaintEvictionController($0) },
        { PodGCController($0) },
        { ResourceQuotaController($0) },
        { DisruptionController($0) },
        { CertificateApprovingController($0) },
        { CertificateSigningController($0) },
        { CertificateCleanerController($0) },
        { ClaimProtectionController($0) },
        { VolumeProtectionController($0) },
        { TTLAfterFinishedController($0) },
        { ClusterRoleAggregationController($0) },
        { GarbageCollector($0) },
    ]
}
