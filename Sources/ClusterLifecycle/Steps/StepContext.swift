import AWSProtocol
import AWSServices
import Logging

/// What the steps work with.
struct StepContext: Sendable {
    var configuration: EKSConfiguration
    var state: DurableState<LifecycleTables>
    var network: EC2Network
    var identities: IdentityStore
    var keys: KMSKeys
    var controlPlanes: any ControlPlaneHost
    var machines: any MachineHost
    var clock: AWSClock
    let instanceChanges = InstanceChanges()
    var logger: Logger
}

/// One step of making a cluster. It may be repeated from its beginning after a crash, so everything it makes it first looks for.
protocol ClusterStep: Sendable {
    /// What the log calls it.
    var name: String { get }
    /// Does the step and returns the cluster with what it found out. Throws what the cluster's health should say.
    func run(_ cluster: ClusterRecord, _ context: StepContext) async throws -> ClusterRecord
}

/// The making of a cluster, in order.
enum ClusterCreation {
    static let steps: [any ClusterStep] = [ClusterSecurityGroupStep(), ControlPlaneInterfacesStep(), StartControlPlaneStep()]
}

extension HealthIssue {
    /// An error as a health issue. EC2's errors have codes of their own in EKS.
    init(_ error: any Error, resourceIDs: [String]) {
        if let unusable = error as? KMSKeyUnusable {
            self.init(unusable)
            return
        }
        guard let error = error as? AWSError else {
            self.init(code: "InternalFailure", message: "\(error)", resourceIDs: resourceIDs)
            return
        }
        let code: String
        switch error.code {
        case "InsufficientFreeAddressesInSubnet": code = "InsufficientFreeAddresses"
        case "InvalidSubnetID.NotFound": code = "Ec2SubnetNotFound"
        case "InvalidGroup.NotFound": code = "Ec2SecurityGroupNotFound"
        case "InvalidVpcID.NotFound": code = "VpcNotFound"
        case "InvalidInstanceType": code = "Ec2InstanceTypeDoesNotExist"
        case "InvalidKeyPair.NotFound": code = "Ec2LaunchTemplateInvalidConfiguration"
        case "Ec2LaunchTemplateInvalidConfiguration", "NodeCreationFailure", "IamNodeRoleNotFound", "Ec2SubnetMissingIpv6Assignment":
            code = error.code
        default: code = "InternalFailure"
        }
        self.init(code: code, message: error.message, resourceIDs: resourceIDs)
    }
}
