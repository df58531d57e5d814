/// What a balancer is to those who make it: an address, and a part of a proxy's configuration.
package struct IngressPart: Sendable, Equatable {
    /// Sections of an haproxy configuration, with relative paths of certificates: `ID/NAME`.
    package var text: String
    /// Certificates with their keys as PEM, by name. Never in logs.
    package var certificates: [String: String]
    /// Where the proxy listens then, at the balancer's address.
    package var ports: [UInt16]
}

/// The cloud's Application Load Balancers. Upstream: elbv2, as pkg/deploy calls it.
package protocol IngressProvider: Sendable {
    /// Throws when balancers cannot be served here at all, saying what is missing.
    func check() async throws
    /// The address of the balancer `id`, taken if it has none: the same each time. `tags` and `name` are noted when it is taken.
    func address(of id: String, name: String, tags: [String: String]) async throws -> String
    /// Gives the balancer's address back; one that has none is no error.
    func release(_ id: String) async throws
    /// Brings the proxy to `parts`, by id, with the addresses they listen at; those of `keeping` stay as they are, all others go. Gives what went
    /// wrong, by id. Throws when nothing could be changed.
    func deploy(_ parts: [String: IngressPart], addresses: [String: String], keeping: Set<String>) async throws -> [String: String]
}
