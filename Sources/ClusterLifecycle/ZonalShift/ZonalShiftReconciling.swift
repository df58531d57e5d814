/// The part of zonal shifts: what a cluster is told of them, and that they end by themselves.
///
/// ```
/// records ──▶ zones ──setShiftedZones──▶ control plane: nodes are cordoned, endpoints left out
///        └──▶ LaunchInstancesStep, EKS Auto Mode: instances are launched elsewhere
/// ```
extension Reconciler {
    /// Tells the control plane, and looks again when a shift ends.
    func shift(_ name: String) async {
        let now = context.clock.now
        let (zones, end) = await context.state.read { tables -> (Set<String>, Double?) in
            guard let cluster = tables.clusters[name] else { return ([], nil) }
            let active = tables.zonalShifts(of: name).filter { $0.status(at: now) == .active }
            return (tables.shiftedZones(of: cluster, at: now), active.map(\.expiryTime).min())
        }
        await context.controlPlanes.setShiftedZones(zones, of: name)
        if let end { lookAgain(.cluster(name), at: end) }
    }
}
