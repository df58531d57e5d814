/// Which endpoints of a port get connections, for each traffic policy. Upstream: proxy.CategorizeEndpoints (topology.go).
struct EndpointChoice: Equatable {
    /// For policy Cluster: by hints, else all that are ready, else those that are ending but still serve.
    var cluster: [EndpointFacts]
    /// For policy Local: those on this node.
    var local: [EndpointFacts]
    /// There is one somewhere, for whichever policy the Service has.
    var hasAny: Bool

    init(_ endpoints: [EndpointFacts], nodeName: String, zone: String?) {
        let ready = endpoints.filter(\.isReady)
        let serving = endpoints.filter { $0.isServing && $0.isTerminating }
        let hinted = Self.hinted(ready, nodeName: nodeName, zone: zone)
        cluster = hinted.isEmpty ? serving : hinted
        let localReady = ready.filter(\.isLocal)
        local = localReady.isEmpty ? serving.filter(\.isLocal) : localReady
        hasAny = !ready.isEmpty || !serving.isEmpty
    }

    /// Hints count only when every ready endpoint has one and one is for this node or zone. Upstream: topologyModeFromHints.
    private static func hinted(_ ready: [EndpointFacts], nodeName: String, zone: String?) -> [EndpointFacts] {
        if ready.allSatisfy({ $0.hintedNodes != nil }) {
            let here = ready.filter { $0.hintedNodes?.contains(nodeName) == true }
            if !here.isEmpty { return here }
        }
        if let zone, ready.allSatisfy({ $0.hintedZones != nil }) {
            let near = ready.filter { $0.hintedZones?.contains(zone) == true }
            if !near.isEmpty { return near }
        }
        return ready
    }
}
