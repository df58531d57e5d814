/// What extension servers serve, as far as could be found out. Upstream: client-go/discovery's resource lists with ErrGroupDiscoveryFailed.
package struct DiscoveredResources: Sendable {
    /// Those of preferred versions first.
    package var rows: [ResourceRow] = []
    /// Why the resources of a group's version are not known, by `group/version`.
    package var failures: [String: String] = [:]

    package init() {}
}
