import KubeAPI

/// For kinds whose only code is the status they begin with: what Go's types write when nothing is set.
struct InitialStatusStrategy: ResourceStrategy {
    let status: Value

    init(_ status: Value) { self.status = status }

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = status }
}
