package import AutoMode
package import CloudControllers
internal import KubeAPI
package import KubeAPIServer
package import KubeScheduler
package import SimulatedNodes
internal import Synchronization

/// Who a bearer token stands for, as the cluster's authenticator outside (EKS's) decided.
package struct TokenIdentity: Sendable, Equatable {
    package var userName: String
    package var uid: String
    package var groups: [String]
    /// For audit and `kubectl auth whoami`: `arn`, `canonicalArn`, `sessionName`, `accessKeyId`.
    package var extra: [String: [String]]

    package init(userName: String, uid: String, groups: [String], extra: [String: [String]] = [:]) {
        self.userName = userName
        self.uid = uid
        self.groups = groups
        self.extra = extra
    }
}

/// A token of the cloud's kind that is not valid, or whose principal may not enter. The bearer is told no more than 401.
package struct TokenRefused: Error {
    package init() {}
}

/// The instance behind a node, as the cloud knows it.
package struct NodeInstance: Sendable, Equatable {
    /// `i-0123456789abcdef0`.
    package var instanceID: String
    package var nodeName: String
    package var instanceType: String
    package var zone: String
    package var region: String
    package var privateAddress: String

    package init(instanceID: String, nodeName: String, instanceType: String, zone: String, region: String, privateAddress: String) {
        self.instanceID = instanceID
        self.nodeName = nodeName
        self.instanceType = instanceType
        self.zone = zone
        self.region = region
        self.privateAddress = privateAddress
    }
}

/// What the control plane asks of the cloud. Answered by the service's instance records.
package struct CloudInstances: Sendable {
    /// The instance of a node name; nil when there is none.
    package var instance: @Sendable (_ nodeName: String) async -> NodeInstance?
    /// Whether an instance still exists.
    package var exists: @Sendable (_ instanceID: String) async -> Bool
    /// Ranges outside the VPC in which nodes without an instance may be.
    package var remoteNodeNetworks: LiveSetting<[String]>
    /// Says that instances came or went. One consumer.
    package var changes: AsyncStream<Void>

    package init(
        instance: @escaping @Sendable (String) async -> NodeInstance?, exists: @escaping @Sendable (String) async -> Bool,
        remoteNodeNetworks: LiveSetting<[String]> = LiveSetting([]), changes: AsyncStream<Void>
    ) {
        self.instance = instance
        self.exists = exists
        self.remoteNodeNetworks = remoteNodeNetworks
        self.changes = changes
    }
}

/// The cloud as the cloud controllers see it.
struct CloudInstanceProvider: InstanceProvider {
    let cloud: CloudInstances
    var changes: AsyncStream<Void> { cloud.changes }

    func instance(forNodeName name: String) async throws -> InstanceFacts? {
        await cloud.instance(name).map { instance in
            InstanceFacts(
                providerID: "aws:///\(instance.zone)/\(instance.instanceID)", instanceType: instance.instanceType, zone: instance.zone,
                region: instance.region,
                addresses: [
                    .init(type: "InternalIP", address: instance.privateAddress), .init(type: "InternalDNS", address: instance.nodeName),
                    .init(type: "Hostname", address: instance.nodeName),
                ])
        }
    }

    func instanceExists(providerID: String) async throws -> Bool { await cloud.exists(String(providerID.split(separator: "/").last ?? "")) }

    func remoteNodeNetworks() async throws -> [IPRange] { cloud.remoteNodeNetworks.value.compactMap { IPRange($0) } }

    /// Instances are running or gone: stopping one is not offered.
    func instanceIsShutDown(providerID: String) async throws -> Bool { false }
}

/// Who may reach an endpoint. It may change while the endpoint serves. Upstream: eks VpcConfigResponse.endpointPublicAccess,
/// endpointPrivateAccess, publicAccessCidrs.
package final class EndpointAccess: Sendable {
    private let rule: Mutex<@Sendable (String) -> Bool>

    /// `admits` tells whether a client at an address is let in.
    package init(_ admits: @escaping @Sendable (_ address: String) -> Bool = { _ in true }) { rule = Mutex(admits) }

    package func set(_ admits: @escaping @Sendable (_ address: String) -> Bool) { rule.withLock { $0 = admits } }
    func admits(_ address: String) -> Bool { rule.withLock { $0 }(address) }
}

/// Everything a control plane is told.
package struct ControlPlaneConfiguration: Sendable {
    /// The cluster's name.
    package var name: String
    /// Keys, certificates and the store file live here, mode 0700.
    package var directory: String
    /// The Kubernetes release that is served: `1.36.2`.
    package var version: String
    package var serviceCIDR: String
    /// The public endpoint's address: loopback unless told otherwise.
    package var publicHost = "127.0.0.1"
    /// Addresses of the control plane's network interfaces, present on this host: nodes and pods reach it there, at port 443.
    package var privateAddresses: [String] = []
    /// The certificate authorities, by the names of their files in the directory.
    package var authorities = ClusterAuthorities.initial
    /// How long certificates of nodes and of signing requests last, in seconds. Upstream: --cluster-signing-duration.
    package var signingDuration = Self.defaultSigningDuration
    package static let defaultSigningDuration: Int64 = 365 * 86_400
    /// What the key is called that seals Secrets in the store; nil leaves them as they are. A store once sealed needs its key.
    package var encryptionKeyName: String?
    /// Who keeps what opens that key; nil leaves it as a file.
    package var keyWrapping: KeyWrapping?
    /// Requests worked on at once; nil: the API server's default.
    package var seats: Int?
    /// Who may reach the public endpoint.
    package var publicAccess = EndpointAccess()
    /// Who may reach the interfaces in the VPC.
    package var privateAccess = EndpointAccess()
    /// The OIDC issuer named in service-account tokens.
    package var issuer: String
    /// Nil: not a token of this kind. Throws for one of this kind that is refused.
    package var authenticate: @Sendable (_ token: String) async throws -> TokenIdentity?
    package var cloud: CloudInstances
    /// Makes the load balancers of Services; nil: there are none, and Services wait for their addresses.
    package var loadBalancers: (any LoadBalancerProvider)?
    /// Serves Ingresses of class `alb`; nil: nobody does.
    package var ingress: (any IngressProvider)?
    /// Launches the nodes of EKS Auto Mode; nil: it cannot be switched on.
    package var nodeProvider: (any NodeProvider)?
    /// Nil: EKS Auto Mode is off.
    package var autoMode = LiveSetting<AutoModeSettings?>(nil)
    /// The names of the zones that traffic is shifted away from.
    package var shiftedZones = LiveSetting<Set<String>>([])
    /// What pods are given to work with AWS; nil: nothing.
    package var workloadIdentity: WorkloadIdentity?
    /// Services outside that are asked about tokens and rights.
    package var webhooks = AccessWebhooks()
    /// Profiles and extenders of the scheduler.
    package var scheduler = SchedulerConfiguration.standard
    /// The AWS identities and identity providers that the cluster knows; shared with who verifies the tokens.
    package var access = AccessBook()
    /// The profiles by which pods run on Fargate; shared with who keeps them.
    package var fargate = FargateBook()
    /// The cluster's nodes that are records; whoever owns it says which they are, also while no control plane runs.
    package var simulatedNodes = SimulatedFleet()
    /// Whether a new cluster has the built-in add-ons without being asked.
    package var installsAddons = true
    /// Where the logs of components go that the cluster's user wants.
    package var logs: ControlPlaneLogs?
    /// What is written to `audit.log` in the directory; nil: nothing. EKS's clusters begin with nothing; `.eksDefault` is what their audit log holds.
    package var auditPolicy: AuditPolicy?

    package init(
        name: String, directory: String, version: String, serviceCIDR: String, issuer: String,
        authenticate: @escaping @Sendable (String) async throws -> TokenIdentity?, cloud: CloudInstances
    ) {
        self.name = name
        self.directory = directory
        self.version = version
        self.serviceCIDR = serviceCIDR
        self.issuer = issuer
        self.authenticate = authenticate
        self.cloud = cloud
    }

    /// As the API server and the nodes report it: `v1.36.2-eks-eyrie`.
    package var gitVersion: String { Self.gitVersion(version) }
    package static func gitVersion(_ version: String) -> String { "v\(version)-eks-eyrie" }
}

/// Brings EKS's verdict on a token into the API server's chain.
struct CloudTokenAuthenticator: BearerTokenAuthenticator {
    let decide: @Sendable (String) async throws -> TokenIdentity?

    func authenticate(token: String) async throws -> UserInfo? {
        let identity: TokenIdentity?
        do { identity = try await decide(token) } catch is TokenRefused { throw StatusError.unauthorized }
        return identity.map { UserInfo(name: $0.userName, uid: $0.uid, groups: $0.groups, extra: $0.extra) }
    }
}
