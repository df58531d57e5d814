import KubeAPI

/// The names of Services that an Ingress leads to, by its rules and by its annotations. Upstream: pkg/ingress.defaultReferenceIndexer.
enum IngressReferences {
    static func services(_ ingress: Object) -> Set<String> {
        var backends = ingress["spec"]["rules"].elements.flatMap { $0["http"]?["paths"].elements ?? [] }.map { $0["backend"] }
        backends.append(ingress["spec"]["defaultBackend"])
        var names = Set(backends.compactMap { $0?["service"]?["name"]?.string })
        let annotations = IngressAnnotations(ingress)
        for key in annotations.values.keys where key.hasPrefix("actions.") {
            // One that cannot be read names nobody; the event says so.
            guard let value = try? annotations.json(key), case .forward(let destinations) = try? IngressActions.read(value) else { continue }
            names.formUnion(destinations.map(\.service))
        }
        return names
    }
}
