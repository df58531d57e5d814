import KubeAPI

/// Gives pods the overhead and the scheduling of their runtime class, and refuses classes that do not exist. Upstream: plugin/runtimeclass.
struct RuntimeClassAdmission: AdmissionPlugin {
    let name = "RuntimeClass"
    let reader: any ObjectReader

    private func runtimeClass(_ attributes: AdmissionAttributes) throws -> Object? {
        guard let name = attributes.object[path: "spec", "runtimeClassName"]?.string else { return nil }
        guard let found = reader.get(.runtimeClasses, namespace: "", name: name) else {
            throw attributes.forbidden("pod rejected: RuntimeClass \(name.goQuoted) not found")
        }
        return found
    }

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.isFor(.pods, .create), let runtimeClass = try runtimeClass(attributes) else { return }
        if let overhead = runtimeClass["overhead"]?.present {
            if let asked = attributes.object[path: "spec", "overhead"], !asked.isNull, !Self.equal(asked, overhead["podFixed"]) {
                throw attributes.forbidden("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            }
            attributes.object[path: "spec", "overhead"] = overhead["podFixed"].value
        }
        guard let scheduling = runtimeClass["scheduling"]?.present else { return }
        for (key, value) in scheduling["nodeSelector"].stringMap.sorted(by: { $0.key < $1.key }) {
            if let asked = attributes.object[path: "spec", "nodeSelector", key]?.string, asked != value {
                throw attributes.forbidden(
                    "conflict: runtimeClass.scheduling.nodeSelector[\(key)] = \(value); pod.spec.nodeSelector[\(key)] = \(asked)")
            }
            attributes.object[path: "spec", "nodeSelector", key] = .string(value)
        }
        let added = scheduling["tolerations"].elements.map(\.value)
        guard !added.isEmpty else { return }
        var tolerations = attributes.object[path: "spec", "tolerations"]?.array ?? []
        for toleration in added where !tolerations.contains(toleration) { tolerations.append(toleration) }
        attributes.object[path: "spec", "tolerations"] = .array(tolerations)
    }

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.isFor(.pods, .create) else { return }
        let asked = attributes.object[path: "spec", "overhead"].flatMap { $0.isNull ? nil : $0 }
        let runtimeClass = try runtimeClass(attributes)
        guard let overhead = runtimeClass?["overhead"]?.present else {
            if asked != nil { throw attributes.forbidden("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead") }
            return
        }
        guard Self.equal(asked ?? .null, overhead["podFixed"]) else {
            throw attributes.forbidden("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        }
    }

    /// The same quantities, however written.
    private static func equal(_ asked: Value, _ fixed: JSONView?) -> Bool {
        let members = asked.object ?? Members()
        let list = fixed.resourceList
        guard members.count == list.count else { return false }
        return members.allSatisfy { name, value in
            // A text that is no quantity equals none.
            let text = value.string ?? value.jsonString
            return list[name] != nil && (try? Quantity(text)) == list[name]
        }
    }
}
