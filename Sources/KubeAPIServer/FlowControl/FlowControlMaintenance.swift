import KubeAPI
import KubeClient
import Synchronization

/// Keeps the objects of priority and fairness in order: those every server has are written again when they are gone or, where their annotation says
/// so, changed, and every FlowSchema says in its status whether its priority level exists. Woken by changes alone. Upstream: the config producer
/// (registry/flowcontrol/ensurer) and apf_controller's status updates.
final class FlowControlMaintenance: Sendable {
    private static let fieldManager = "api-priority-and-fairness-config-consumer-v1"
    static let autoupdate = "apf.kubernetes.io/autoupdate-spec"
    /// Before what failed is tried again.
    private static let retryPause = Duration.seconds(1)

    private let changes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init() { (changes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    /// A FlowSchema or a priority level has changed.
    func changed() { wake.yield() }

    /// Works until the task is cancelled.
    func run(_ reader: any ObjectReader, perform: @escaping @Sendable (KubeRequest) async throws -> Object) async {
        wake.yield()
        for await _ in changes {
            for request in Self.plan(reader, now: .now) {
                do {
                    _ = try await perform(request)
                } catch is CancellationError {
                    return
                } catch let error as StatusError where error.isConflict || error.isNotFound || error.isAlreadyExists {
                    // Somebody else was faster: their change wakes us.
                } catch {
                    // A full disk, a server that is going: once more a little later.
                    let wake = wake
                    Task {
                        // Sleeps to its end: nobody cancels it.
                        try? await Task.sleep(for: Self.retryPause)
                        wake.yield()
                    }
                }
            }
        }
    }

    /// What has to be written. Pure but for reading.
    static func plan(_ reader: any ObjectReader, now: Timestamp) -> [KubeRequest] {
        var requests: [KubeRequest] = []
        for wanted in FlowControlDefaults.priorityLevels() + FlowControlDefaults.flowSchemas() {
            guard let resource = Bootstrap.resource(wanted), let name = wanted[path: "metadata", "name"]?.string else { continue }
            guard let present = reader.get(resource.groupResource, namespace: "", name: name) else {
                requests.append(KubeRequest(.create, resource, body: wanted.jsonBytes))
                continue
            }
            guard let merged = merged(wanted, present) else { continue }
            requests.append(KubeRequest(.update, resource, name: name, body: merged.jsonBytes))
        }
        let levels = Set(reader.list(.priorityLevelConfigurations, namespace: nil).map(\.metadata.name))
        let schemas = GroupVersionResource(group: GroupResource.flowSchemas.group, version: "v1", resource: GroupResource.flowSchemas.resource)
        for schema in reader.list(.flowSchemas, namespace: nil) {
            guard let status = status(schema, levels: levels, now: now) else { continue }
            let patch: Value = [
                "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": ["name": .string(schema.metadata.name)],
                "status": status,
            ]
            requests.append(
                KubeRequest(
                    .patch, schemas, name: schema.metadata.name, subresource: "status",
                    query: [("fieldManager", fieldManager), ("force", "true")], body: patch.jsonBytes, contentType: "application/apply-patch+yaml"))
        }
        return requests
    }

    /// The object with the specification it should have; nil when it has it, or its annotation leaves it to others. Of the two objects no server
    /// can do without, the catch-all's specification is never others' to change.
    static func merged(_ wanted: Value, _ present: Object) -> Value? {
        guard present["spec"].value?.pruned != wanted["spec"]?.pruned else { return nil }
        let annotation = present.metadata.annotations[autoupdate]
        let isMandatory = present.metadata.name == "catch-all" || (present.metadata.name == "exempt" && present.kind == "FlowSchema")
        guard annotation == "true" || isMandatory else { return nil }
        var merged = present.value
        merged["spec"] = wanted["spec"]
        return merged
    }

    /// The status with the condition `Dangling`; nil when it says the right thing already.
    static func status(_ schema: Object, levels: Set<String>, now: Timestamp) -> Value? {
        let level = schema["spec"]["priorityLevelConfiguration"]["name"].string ?? ""
        let isDangling = !levels.contains(level)
        let status = isDangling ? "True" : "False"
        let message =
            "This FlowSchema references the PriorityLevelConfiguration object named \(level.goQuoted) "
            + (isDangling ? "but there is no such object" : "and it exists")
        let present = schema["status"]["conditions"].elements.first { $0["type"]?.equals("Dangling") ?? false }
        if present["status"].string == status, present["message"].string == message { return nil }
        let transition = present["status"].string == status ? present["lastTransitionTime"].string : nil
        return [
            "conditions": [
                [
                    "type": "Dangling", "status": .string(status), "lastTransitionTime": .string(transition ?? now.rfc3339),
                    "reason": isDangling ? "NotFound" : "Found", "message": .string(message),
                ]
            ]
        ]
    }
}
