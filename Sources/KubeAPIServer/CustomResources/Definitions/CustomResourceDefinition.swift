import KubeAPI

/// A CustomResourceDefinition as the server reads it; schemas are read when somebody needs them. Upstream: apiextensions.CustomResourceDefinition.
struct CustomResourceDefinition: Sendable {
    static let finalizer = "customresourcecleanup.apiextensions.k8s.io"
    static let resource = GroupResource(group: "apiextensions.k8s.io", resource: "customresourcedefinitions")

    /// `spec.names` or `status.acceptedNames`.
    struct Names: Sendable, Equatable {
        var plural = ""
        var singular = ""
        var kind = ""
        var listKind = ""
        var shortNames: [String] = []
        var categories: [String] = []

        init() {}
        init(_ view: JSONView?) {
            plural = view["plural"].string ?? ""
            singular = view["singular"].string ?? ""
            kind = view["kind"].string ?? ""
            listKind = view["listKind"].string ?? ""
            shortNames = view["shortNames"].strings
            categories = view["categories"].strings
        }

        var value: Value {
            var value: Value = ["plural": .string(plural)]
            if !singular.isEmpty { value["singular"] = .string(singular) }
            if !shortNames.isEmpty { value["shortNames"] = Value(shortNames) }
            value["kind"] = .string(kind)
            if !listKind.isEmpty { value["listKind"] = .string(listKind) }
            if !categories.isEmpty { value["categories"] = Value(categories) }
            return value
        }
    }

    let object: Object

    init(_ object: Object) { self.object = object }

    var name: String { object.metadata.name }
    var spec: JSONView? { object["spec"] }
    var group: String { spec["group"].string ?? "" }
    var isNamespaced: Bool { spec["scope"].string == "Namespaced" }
    var names: Names { Names(spec["names"]) }
    var acceptedNames: Names { Names(object["status"]["acceptedNames"]) }
    var versions: [JSONView] { spec["versions"].elements }
    var storageVersion: String? { versions.first { $0["storage"].bool == true }.flatMap { $0["name"].string } }
    var storedVersions: [String] { object["status"]["storedVersions"].strings }
    var usesWebhook: Bool { spec["conversion"]["strategy"].string == "Webhook" }
    /// Whether fields without a schema are kept everywhere: only definitions from before apiextensions/v1 may say so.
    var preservesUnknownFields: Bool { spec["preserveUnknownFields"].bool ?? false }

    func condition(_ type: String) -> JSONView? { object["status"]["conditions"].elements.first { $0["type"].string == type } }
    func isTrue(_ type: String) -> Bool { condition(type)["status"].string == "True" }
    var isEstablished: Bool { isTrue("Established") }
    var isTerminating: Bool { isTrue("Terminating") }

    /// Whether what belongs to `part` of each version is the same in all. Upstream keeps such parts once for all versions, and its errors name
    /// the place there: `spec.validation` instead of `spec.versions[0].schema`.
    func isShared(_ part: String) -> Bool {
        let parts = versions.map { $0[part].flatMap(\.present) }
        guard let first = parts.first else { return false }
        guard parts.count > 1 else { return true }
        let bytes = first.map { $0.value }
        return parts.dropFirst().allSatisfy { other in other.map { $0.value } == bytes }
    }
}

/// How conditions of definitions are set. Upstream: apihelpers.SetCRDCondition.
enum DefinitionCondition {
    /// Puts a condition into `status.conditions`; its time changes with its status alone.
    static func set(_ type: String, _ isTrue: Bool, _ reason: String, _ message: String, in object: inout Value, now: Timestamp) {
        var list = object[path: "status", "conditions"]?.array ?? []
        let status = isTrue ? "True" : "False"
        var condition: Value = [
            "type": .string(type), "status": .string(status), "lastTransitionTime": .string(now.rfc3339), "reason": .string(reason),
            "message": .string(message),
        ]
        if let place = list.firstIndex(where: { $0["type"]?.string == type }) {
            if list[place]["status"]?.string == status, let time = list[place]["lastTransitionTime"] { condition["lastTransitionTime"] = time }
            list[place] = condition
        } else {
            list.append(condition)
        }
        object[path: "status", "conditions"] = .array(list)
    }
}
