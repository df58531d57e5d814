import KubeAPI

/// What a zonal shift makes of a Node: it is cordoned and marked. Who serves Services reads the mark: endpoints on marked nodes are left out.
/// Upstream: EKS User Guide, "Learn about ARC zonal shift in Amazon EKS": what happens to nodes and EndpointSlices.
enum ZonalShiftPlan {
    /// Who was cordoned before stays so afterwards.
    private enum Mark: String {
        case cordoned, foundCordoned
    }

    /// A merge patch; nil when the node is as it should be. A node that somebody lets pods onto again during the shift is left so.
    static func patch(_ node: Object, shifted: Set<String>) -> Value? {
        let mark = node.metadata.annotations[ZonalShift.annotation]
        let isUnschedulable = node["spec"]["unschedulable"].bool ?? false
        let zone = node.metadata.labels["topology.kubernetes.io/zone"] ?? ""
        if shifted.contains(zone) {
            guard mark == nil else { return nil }
            let mark = isUnschedulable ? Mark.foundCordoned : .cordoned
            return ["metadata": ["annotations": [ZonalShift.annotation: .string(mark.rawValue)]], "spec": ["unschedulable": true]]
        }
        guard let mark else { return nil }
        var patch: Value = ["metadata": ["annotations": [ZonalShift.annotation: .null]]]
        if mark == Mark.cordoned.rawValue, isUnschedulable { patch["spec"] = ["unschedulable": .null] }
        return patch
    }
}
