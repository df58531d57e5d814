import KubeAPI
import Testing

@testable import CloudControllers

@Suite struct ZonalShiftPlanTests {
    private func node(_ mark: String? = nil, isUnschedulable: Bool = false, zone: String = "a") throws -> Object {
        var value: Value = ["metadata": ["name": "n", "labels": ["topology.kubernetes.io/zone": .string(zone)]], "spec": [:]]
        if let mark { value[path: "metadata", "annotations", ZonalShift.annotation] = .string(mark) }
        if isUnschedulable { value[path: "spec", "unschedulable"] = true }
        return try Object(value)
    }

    private func patch(_ mark: Value, _ unschedulable: Value? = nil) -> Value {
        var value: Value = ["metadata": ["annotations": [ZonalShift.annotation: mark]]]
        if let unschedulable { value["spec"] = ["unschedulable": unschedulable] }
        return value
    }

    @Test("nodes of the zone are cordoned and marked once; others are left alone")
    func shift() throws {
        #expect(ZonalShiftPlan.patch(try node(), shifted: ["a"]) == patch("cordoned", true))
        #expect(ZonalShiftPlan.patch(try node(isUnschedulable: true), shifted: ["a"]) == patch("foundCordoned", true))
        #expect(ZonalShiftPlan.patch(try node("cordoned"), shifted: ["a"]) == nil, "somebody uncordoned it")
        #expect(ZonalShiftPlan.patch(try node(zone: "b"), shifted: ["a"]) == nil)
        #expect(ZonalShiftPlan.patch(try node(), shifted: []) == nil)
    }

    @Test("afterwards pods may come again, unless the node was cordoned before")
    func end() throws {
        #expect(ZonalShiftPlan.patch(try node("cordoned", isUnschedulable: true), shifted: []) == patch(.null, .null))
        #expect(ZonalShiftPlan.patch(try node("cordoned"), shifted: ["b"]) == patch(.null))
        #expect(ZonalShiftPlan.patch(try node("foundCordoned", isUnschedulable: true), shifted: []) == patch(.null))
    }
}
