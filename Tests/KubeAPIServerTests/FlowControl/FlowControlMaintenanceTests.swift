import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

@Suite("Objects of priority and fairness")
struct FlowControlMaintenanceTests {
    private func reader() throws -> MemoryReader {
        let reader = MemoryReader()
        for object in FlowControlDefaults.priorityLevels() { try reader.set(.priorityLevelConfigurations, object.jsonString) }
        for object in FlowControlDefaults.flowSchemas() { try reader.set(.flowSchemas, object.jsonString) }
        return reader
    }

    @Test("what is gone is made again, what was changed is set back if its annotation says so, and all get a condition")
    func plan() throws {
        let reader = try reader()
        let first = FlowControlMaintenance.plan(reader, now: .now)
        #expect(first.count == FlowControlDefaults.flowSchemas().count, "only conditions are missing")
        #expect(first.allSatisfy { $0.subresource == "status" })
        for request in first {
            var object = try #require(reader.get(.flowSchemas, namespace: "", name: request.name ?? "")).value
            object["status"] = try Object(bytes: request.body ?? [])["status"].value
            try reader.set(.flowSchemas, object.jsonString)
        }
        #expect(FlowControlMaintenance.plan(reader, now: .now).isEmpty)

        reader.remove(.priorityLevelConfigurations, "workload-low")
        let repair = FlowControlMaintenance.plan(reader, now: .now)
        #expect(repair.contains { $0.verb == .create && $0.resource.resource == "prioritylevelconfigurations" })
        let dangling = try #require(repair.first { $0.name == "service-accounts" })
        let condition = try Object(bytes: dangling.body ?? [])["status"]["conditions"].elements.first { _ in true }
        #expect(condition["status"].string == "True" && condition["reason"].string == "NotFound")
        #expect(
            condition["message"].string
                == "This FlowSchema references the PriorityLevelConfiguration object named \"workload-low\" but there is no such object")
    }

    @Test("a specification others own stays as it is; the catch-all's is nobody's")
    func ownership() throws {
        func changed(_ name: String, annotation: String) throws -> Value? {
            let wanted = try #require(FlowControlDefaults.flowSchemas().first { $0[path: "metadata", "name"]?.string == name })
            var present = wanted
            present[path: "spec", "matchingPrecedence"] = 77
            present[path: "metadata", "annotations", FlowControlMaintenance.autoupdate] = .string(annotation)
            return FlowControlMaintenance.merged(wanted, try Object(present))
        }
        #expect(try changed("global-default", annotation: "true") != nil)
        #expect(try changed("global-default", annotation: "false") == nil)
        #expect(try changed("catch-all", annotation: "false") != nil)
    }
}
