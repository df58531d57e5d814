package import KubeAPI

/// What a cloud knows of an instance that a node runs on. Upstream: cloudprovider.InstanceMetadata.
package struct InstanceFacts: Sendable, Equatable {
    /// Upstream: core/v1 NodeAddress.
    package struct Address: Sendable, Equatable {
        /// `InternalIP`, `ExternalIP`, `InternalDNS`, `ExternalDNS`, `Hostname`.
        package var type: String
        package var address: String

        package init(type: String, address: String) {
            self.type = type
            self.address = address
        }
    }

    /// `aws:///ZONE/i-…`.
    package var providerID: String
    /// `m5.large`.
    package var instanceType: String
    package var zone: String
    package var region: String
    package var addresses: [Address]

    package init(providerID: String, instanceType: String, zone: String, region: String, addresses: [Address]) {
        self.providerID = providerID
        self.instanceType = instanceType
        self.zone = zone
        self.region = region
        self.addresses = addresses
    }
}

/// The cloud as its controllers see it. Upstream: cloudprovider.InstancesV2.
package protocol InstanceProvider: Sendable {
    /// The facts of the instance that a node of this name runs on; nil when there is none. Throws when the cloud cannot be asked.
    func instance(forNodeName name: String) async throws -> InstanceFacts?
    /// Whether the instance still exists, running or stopped; false once it is terminated. Throws when the cloud cannot be asked.
    func instanceExists(providerID: String) async throws -> Bool
    /// Whether the instance is stopped. Throws when the cloud cannot be asked.
    func instanceIsShutDown(providerID: String) async throws -> Bool
    /// The IPv4 ranges outside the cloud in which nodes without an instance may be; empty where there are none.
    /// Upstream: eks RemoteNetworkConfigRequest.remoteNodeNetworks.
    func remoteNodeNetworks() async throws -> [IPRange]
    /// Says that instances came, went, started or stopped: all nodes are looked at again.
    var changes: AsyncStream<Void> { get }
}
