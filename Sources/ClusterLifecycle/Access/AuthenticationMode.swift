package import AWSProtocol

/// Which of its two lists of principals a cluster believes. A mode is left in one direction only, a step at a time. Upstream: eks
/// AuthenticationMode; EKS User Guide, "Change authentication mode to use access entries".
///
/// ```
/// CONFIG_MAP ─▶ API_AND_CONFIG_MAP ─▶ API
/// ```
package enum AuthenticationMode: String, Sendable {
    /// The `aws-auth` ConfigMap alone.
    case configMap = "CONFIG_MAP"
    /// Access entries, then the ConfigMap for principals without one.
    case both = "API_AND_CONFIG_MAP"
    /// Access entries alone.
    case api = "API"

    package var hasEntries: Bool { self != .configMap }
    package var hasConfigMap: Bool { self != .api }

    func mayBecome(_ next: AuthenticationMode) -> Bool {
        switch (self, next) {
        case (.configMap, .both), (.both, .api): true
        default: false
        }
    }
}

extension ClusterAccess {
    /// Records hold what the model allows; anything else believes the least.
    var mode: AuthenticationMode { AuthenticationMode(rawValue: authenticationMode) ?? .configMap }
}

extension EKSService {
    /// Begins the change of a cluster's authentication mode. Upstream: eks UpdateClusterConfig's accessConfig, an AccessConfigUpdate. Throws
    /// ResourceNotFoundException, ResourceInUseException, InvalidRequestException, InvalidParameterException.
    package func updateAuthenticationMode(_ cluster: String, to mode: String, token: IdempotencyToken?) async throws -> UpdateRecord {
        try await beginClusterUpdate(cluster, type: "AccessConfigUpdate", operation: "UpdateClusterConfig", token: token) { _, record in
            guard let next = AuthenticationMode(rawValue: mode), record.access.mode.mayBecome(next) else {
                throw EKSFault.invalidParameter(
                    "Unsupported authentication mode update from \(record.access.authenticationMode) to \(mode)", ["clusterName": .string(cluster)])
            }
            return [UpdateParameter(type: AccessConfigUpdateStep.modeParameter, value: "\"\(mode)\"")]
        }
    }
}
