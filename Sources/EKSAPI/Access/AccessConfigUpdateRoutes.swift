import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    /// `accessConfig` of UpdateClusterConfig.
    static let accessConfigUpdate = ClusterConfigUpdate(members: ["accessConfig"]) { call in
        guard let mode = call.input["accessConfig"]?["authenticationMode"]?.stringValue else {
            throw EKSFault.invalidParameter("accessConfig must name an authenticationMode", ["clusterName": .string(call.required("name"))])
        }
        return try await call.service.updateAuthenticationMode(call.required("name"), to: mode, token: call.token(now: call.service.now))
    }
}
