/// A load balancer as a Service asks for it. Upstream: what cloudprovider.LoadBalancer is given, a Service and its nodes.
package struct LoadBalancer: Sendable, Equatable {
    /// A port of the balancer and the node port behind it.
    package struct Port: Sendable, Hashable {
        /// `TCP`, `UDP`, `SCTP`.
        package var transport: String
        package var port: UInt16
        package var nodePort: UInt16
    }

    /// The Service's uid.
    package var id: String
    /// `namespace/name`.
    package var service: String
    package var ports: [Port]
    /// Addresses of the nodes that connections go to, of the family that they have.
    package var nodes: [String]
    /// IPv4 ranges of clients that may connect; empty: all.
    package var sourceRanges: [String]
}

/// The cloud's load balancers. Upstream: cloudprovider.LoadBalancer.
package protocol LoadBalancerProvider: Sendable {
    /// Makes the balancer, or brings it to what it should be, and gives its address: the same each time. Throws when the cloud refuses.
    func ensure(_ balancer: LoadBalancer) async throws -> String
    /// Removes the balancer with this id; one that is not there is no error.
    func remove(id: String) async throws
}
