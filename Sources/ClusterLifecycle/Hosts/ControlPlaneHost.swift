package import CloudControllers
package import ControlPlane

/// Where a running control plane is reached.
package struct ControlPlaneEndpoint: Codable, Sendable, Equatable {
    /// `https://host:port`, as DescribeCluster's `endpoint`.
    package var url: String
    /// The PEM of the cluster's CAs in base64, the signer's first, as DescribeCluster's `certificateAuthority.data`.
    package var certificateAuthorityData: String
    /// The OIDC issuer's URL, as DescribeCluster's `identity.oidc.issuer`.
    package var oidcIssuer: String

    package init(url: String, certificateAuthorityData: String, oidcIssuer: String) {
        self.url = url
        self.certificateAuthorityData = certificateAuthorityData
        self.oidcIssuer = oidcIssuer
    }
}

/// What a machine needs on its disk to join a cluster: files by name (the host decides names and forms; the lifecycle only carries them).
package struct NodeBootstrap: Codable, Sendable, Equatable {
    package var files: [String: [UInt8]]

    package init(files: [String: [UInt8]]) { self.files = files }
}

/// One observation of a node in its cluster.
package struct NodeReadiness: Sendable, Equatable {
    package var clusterName: String
    package var nodeName: String
    package var isReady: Bool
    /// The conditions by which it is unhealthy.
    package var problems: [NodeProblem]

    package init(clusterName: String, nodeName: String, isReady: Bool, problems: [NodeProblem] = []) {
        self.clusterName = clusterName
        self.nodeName = nodeName
        self.isReady = isReady
        self.problems = problems
    }
}

/// What anybody may know of an OIDC issuer, as JSON. Upstream: OpenID Connect Discovery, and RFC 7517.
package struct IssuerDocuments: Sendable, Equatable {
    /// At `/.well-known/openid-configuration` below the issuer.
    package var configuration: [UInt8]
    /// The public keys, at `/keys` below the issuer.
    package var keys: [UInt8]

    package init(configuration: [UInt8], keys: [UInt8]) {
        self.configuration = configuration
        self.keys = keys
    }
}

/// What insights are computed from: the versions in use in a cluster.
package struct ClusterInspection: Codable, Sendable, Equatable {
    /// One client's use of a deprecated version of a resource.
    package struct Deprecated: Codable, Sendable, Equatable {
        /// `/apis/example.com/v1beta1/widgets`
        package var path: String
        package var userAgent: String
        /// In the last 30 days.
        package var requests: Int
        /// Seconds since 1970.
        package var lastRequest: Double
        package var warning: String

        package init(path: String, userAgent: String, requests: Int, lastRequest: Double, warning: String) {
            self.path = path
            self.userAgent = userAgent
            self.requests = requests
            self.lastRequest = lastRequest
            self.warning = warning
        }
    }
    /// The release of each node's kubelet, by node: `v1.36.2-eks-eyrie`.
    package var kubelets: [String: String] = [:]
    /// The release of kube-proxy; nil when the cluster has none.
    package var kubeProxy: String?
    package var deprecated: [Deprecated] = []

    package init() {}
}

/// What runs clusters' control planes. The lifecycle decides when; a host knows how. All calls are idempotent: the lifecycle repeats them after a
/// crash.
///
/// Implemented by the real control planes of this process and by `SimulatedControlPlaneHost`.
package protocol ControlPlaneHost: Sendable {
    /// Starts the cluster's control plane, or brings a running one to what the record says (its version, who may reach it), and returns once it serves
    /// requests. Called for CREATING clusters, for ACTIVE ones when the service starts, and by updates. Throws what the cluster's health should say.
    func start(_ cluster: ClusterRecord) async throws -> ControlPlaneEndpoint
    /// Stops the control plane and keeps its data; used when the service shuts down.
    func stop(_ clusterName: String) async
    /// Stops the control plane and removes all its data. Deleting what is not there succeeds.
    func delete(_ clusterName: String) async throws
    /// Makes a certificate authority of the cluster, or finds it: its certificate, PEM in base64. Nobody believes it until the control plane starts with
    /// it.
    func makeAuthority(_ id: String, of cluster: ClusterRecord) async throws -> String
    /// Removes a certificate authority with its key. Removing what is not there succeeds.
    func removeAuthority(_ id: String, of cluster: ClusterRecord) async throws
    /// Whether a node says, within `patience`, that it goes by these certificate authorities.
    func node(_ nodeName: String, of clusterName: String, goesBy authorities: ClusterAuthorities, patience: Duration) async throws -> Bool
    /// The files with which `instance` joins `cluster`: settings, and certificates by the authorities of the record.
    func nodeBootstrap(_ cluster: ClusterRecord, _ instance: InstanceRecord) async throws -> NodeBootstrap
    /// Readiness and health of the cluster's nodes: the present state of every node first, then each change. Ends when the control plane stops or is deleted.
    func nodeReadiness(_ clusterName: String) async -> AsyncStream<NodeReadiness>
    /// Says which simulated nodes a node group has, all of them. They register and become Ready by themselves; others of the group are no longer
    /// simulated.
    func setSimulatedNodes(_ instances: [InstanceRecord], ofGroup group: String, in clusterName: String) async
    /// Cordons the node and evicts its pods, as far as disruption budgets allow, for `patience` at most. Returns whether the pods are gone; a node that
    /// is not there is drained.
    func drainNode(_ clusterName: String, nodeName: String, patience: Duration) async throws -> Bool
    /// Lets pods be put on a node again. Nothing to do when it is not there.
    func uncordonNode(_ clusterName: String, nodeName: String) async throws
    /// Gives a node labels and taints. Nothing to do when it is not there.
    func changeNode(_ clusterName: String, nodeName: String, _ change: NodeChange) async throws
    /// Who holds a token that the cluster's issuer signed for `audience`. Throws `ServiceAccountTokenFault`, and what keeps the cluster from telling.
    func serviceAccount(ofToken token: String, audience: String, cluster name: String) async throws -> ServiceAccountIdentity
    /// The public documents of the cluster's OIDC issuer; nil while the control plane does not run.
    func issuerDocuments(_ clusterName: String) async -> IssuerDocuments?
    /// Who may enter the cluster, from now on and when it starts. Rules of an older revision than the last are passed over.
    func setAccess(_ rules: ClusterAccessRules, of clusterName: String) async
    /// Adds a role of nodes to the cluster's `aws-auth` ConfigMap, or takes it out. A cluster that does not run has nobody to tell.
    func mapNodeRole(_ arn: String, of kind: NodeRoleKind, isWanted: Bool, in clusterName: String) async throws
    /// By which profiles new pods run on Fargate, from now on and when the cluster starts. Profiles of an older revision than the last are passed over.
    func setFargateProfiles(_ profiles: FargateProfiles, of clusterName: String) async
    /// The names of the zones that traffic is shifted away from, from now on and when the cluster starts: their nodes take no pods and serve no Service.
    func setShiftedZones(_ zones: Set<String>, of clusterName: String) async
    /// All pods on Fargate, once the cluster knows them, and all of them again at each change. Ends when the control plane stops or is deleted.
    func fargatePods(_ clusterName: String) async -> AsyncStream<[FargatePod]>
    /// Binds a pod to a node. Nothing to do for one that is gone or bound.
    func bindPod(_ pod: FargatePod, to nodeName: String, in clusterName: String) async throws
    /// Tells a pod's owner why it waits. Nothing to do when it is gone.
    func reportPod(_ pod: FargatePod, _ message: String, in clusterName: String) async throws
    /// Deletes the pods of a Fargate profile. They may be there for a while.
    func deletePods(ofFargateProfile profile: String, in clusterName: String) async throws
    /// The versions in use in a cluster. Throws what keeps the cluster from telling.
    func inspect(_ clusterName: String) async throws -> ClusterInspection
    /// Brings an add-on's objects into the cluster. Throws `AddonConflict`, and what keeps the cluster from taking them.
    func applyAddon(_ addon: AddonObjects, to clusterName: String) async throws
    /// Takes an add-on's objects out of the cluster. Removing what is not there succeeds.
    func removeAddon(_ addon: AddonObjects, from clusterName: String) async throws
    /// Deletes the Node object. Deleting what is not there succeeds.
    func deleteNode(_ clusterName: String, nodeName: String) async throws
}
