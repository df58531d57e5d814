/// Upstream: eks ErrorCode, the codes of Update.errors: fewer than health issues have.
enum EKSErrorCode {
    static func of(_ issue: HealthIssue) -> String {
        switch issue.code {
        case "InsufficientFreeAddresses", "NodeCreationFailure", "PodEvictionFailure", "ClusterUnreachable", "AccessDenied": issue.code
        case "Ec2SubnetNotFound": "SubnetNotFound"
        case "Ec2SecurityGroupNotFound": "SecurityGroupNotFound"
        case "AsgInstanceLaunchFailures": "NodeCreationFailure"
        default: "Unknown"
        }
    }
}
