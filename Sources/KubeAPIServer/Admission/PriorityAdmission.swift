import KubeAPI

/// Turns a pod's priority class into its number. Upstream: plugin/priority.
struct PriorityAdmission: AdmissionPlugin {
    let name = "Priority"
    let reader: any ObjectReader

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.isFor(.pods, .create, .update) else { return }
        if attributes.operation == .update {
            // Priority is for the server to say: an update that leaves it out does not take it away.
            for field in ["priority", "preemptionPolicy"] where attributes.object[path: "spec", field] == nil {
                if let old = attributes.oldObject?["spec"][field].value { attributes.object[path: "spec", field] = old }
            }
            return
        }
        let (className, priority, policy) = try priorityClass(attributes)
        if let asked = attributes.object[path: "spec", "priority"]?.int, asked != priority {
            throw attributes.forbidden(
                "the integer value of priority (\(asked)) must not be provided in pod spec; priority admission controller computed \(priority) "
                    + "from the given PriorityClass name")
        }
        if let asked = attributes.object[path: "spec", "preemptionPolicy"]?.string, asked != policy {
            throw attributes.forbidden(
                "the string value of PreemptionPolicy (\(asked)) must not be provided in pod spec; priority admission controller computed \(policy) "
                    + "from the given PriorityClass name")
        }
        if !className.isEmpty { attributes.object[path: "spec", "priorityClassName"] = .string(className) }
        attributes.object[path: "spec", "priority"] = .int(priority)
        attributes.object[path: "spec", "preemptionPolicy"] = .string(policy)
    }

    private func priorityClass(_ attributes: AdmissionAttributes) throws -> (name: String, priority: Int64, policy: String) {
        let asked = attributes.object[path: "spec", "priorityClassName"]?.string ?? ""
        let found: Object?
        if asked.isEmpty {
            // Of several defaults the lowest counts.
            found = reader.list(.priorityClasses, namespace: nil).filter { $0["globalDefault"].bool == true }
                .min { ($0["value"].int ?? 0) < ($1["value"].int ?? 0) }
        } else {
            found = reader.get(.priorityClasses, namespace: "", name: asked)
            if found == nil { throw attributes.forbidden("no PriorityClass with name \(asked) was found") }
        }
        return (
            found?.metadata.name ?? "", found?["value"].int ?? 0, found?["preemptionPolicy"].string ?? "PreemptLowerPriority"
        )
    }

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.isFor(.priorityClasses, .create, .update), attributes.object["globalDefault"]?.bool == true else { return }
        let own = attributes.object[path: "metadata", "name"]?.string
        let other = reader.list(.priorityClasses, namespace: nil).first { $0["globalDefault"].bool == true && $0.metadata.name != own }
        if let other {
            throw attributes.forbidden("PriorityClass \(other.metadata.name) is already marked as default. Only one default can exist")
        }
    }
}
