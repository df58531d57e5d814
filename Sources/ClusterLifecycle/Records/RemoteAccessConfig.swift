/// Who may come to a node group's nodes by SSH, as far as security groups go: no SSH server runs on a node. Upstream: eks RemoteAccessConfig.
package struct RemoteAccessConfig: Codable, Sendable, Equatable {
    /// The name of a key pair.
    package var keyName: String
    /// From which port 22 is open; empty for everywhere.
    package var sourceGroupIDs: [String]
    /// The group that opens the port, once it is made.
    package var groupID: String?

    package init(keyName: String, sourceGroupIDs: [String]) {
        self.keyName = keyName
        self.sourceGroupIDs = sourceGroupIDs
    }
}
