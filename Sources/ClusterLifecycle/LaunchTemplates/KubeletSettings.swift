import AWSProtocol
import ControlPlane

/// What the user data of a launch template says of the kubelet, as far as it is heeded here.
struct KubeletSettings: Codable, Sendable, Equatable {
    var maxPods: Int?
    var labels: [String: String] = [:]
    var taints: [NodeTaint] = []
    /// Quantities by resource.
    var kubeReserved: [String: String] = [:]
    var systemReserved: [String: String] = [:]
    var clusterDNS: [String] = []
    /// Nil in records of earlier versions.
    var node: NodeKubelet?
    /// What else stands there and does nothing, for the log.
    var ignored: [String] = []

    init() {}

    /// The settings of a template's user data. Throws Ec2LaunchTemplateInvalidConfiguration for one that is no archive, NodeCreationFailure for what
    /// nodes would not come up with. Upstream: EKS User Guide, "Amazon EC2 user data".
    init(_ template: NodegroupTemplate?) throws(AWSError) {
        guard let template, let text = template.userData, !text.isEmpty else { return }
        guard let bytes = Base64URL.decodeStandard(text) else {
            throw AWSError("Ec2LaunchTemplateInvalidConfiguration", "Invalid BASE64 encoding of user data.")
        }
        // EKS merges its own part into the archive, unless the image is the user's.
        guard let archive = UserData(archive: bytes) ?? (template.imageID == nil ? nil : UserData(plain: bytes)) else {
            throw AWSError("Ec2LaunchTemplateInvalidConfiguration", "User data was not in the MIME multipart format.")
        }
        for part in archive.parts {
            guard part.type == NodeConfig.contentType else {
                ignored.append("a part of type \(Self.short(part.type))")
                continue
            }
            try NodeConfig.read(part.text, into: &self)
        }
        try node?.check()
    }

    /// What is kept of a name in logs and messages.
    static func short(_ text: some StringProtocol) -> String { String(text.prefix(100)) }

    static func refuse(_ what: String) -> AWSError {
        AWSError("NodeCreationFailure", "Instances failed to join the kubernetes cluster: the user data of the launch template is refused: \(what)")
    }
}
