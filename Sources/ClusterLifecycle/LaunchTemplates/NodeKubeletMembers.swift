import AWSProtocol
import ControlPlane

/// The members of the kubelet's file that the node's agent goes by.
extension NodeKubelet {
    /// Takes over a member; returns whether it is one of these. Throws NodeCreationFailure for what a kubelet would not start with. Upstream:
    /// ValidateKubeletConfiguration.
    mutating func take(_ name: String, _ value: AWSJSON) throws(AWSError) -> Bool {
        switch name {
        case "podPidsLimit":
            guard let limit = value.intValue else { throw KubeletSettings.refuse("podPidsLimit must be a number") }
            podPidsLimit = Int64(limit)
        default: return false
        }
        return true
    }

    /// The member that a flag of the kubelet stands for; nil for any other flag. Upstream: AddKubeletConfigFlags.
    static func member(ofFlag name: String, _ text: Substring) -> (name: String, value: AWSJSON)? {
        switch name {
        case "pod-max-pids": ("podPidsLimit", Int(text).map(AWSJSON.integer) ?? .null)
        default: nil
        }
    }
}
