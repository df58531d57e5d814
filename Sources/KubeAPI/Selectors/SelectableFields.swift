/// The fields that field selectors may name, by kind, and how they read. Upstream: the AddFieldLabelConversionFunc calls and ToSelectableFields
/// functions.
package enum SelectableFields {
    /// Refuses a selector that names a field this resource does not offer. Upstream's texts; the caller answers BadRequest.
    package static func check(_ selector: FieldSelector, _ row: ResourceRow) throws(SelectorError) {
        let special = row.isCustom ? Set(row.selectableFields) : fields[row.groupResource]
        for requirement in selector.requirements {
            let field = requirement.field
            if field == "metadata.name" || (field == "metadata.namespace" && (row.namespaced || special == nil)) { continue }
            guard let special else {
                throw SelectorError("\(field.goQuoted) is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
            }
            if !special.contains(field) { throw SelectorError("field label not supported: \(field)") }
        }
    }

    /// Whether an object of `row` matches.
    package static func matches(_ selector: FieldSelector, _ object: Object) -> Bool { selector.matches { value($0, of: object) } }

    /// A field's text: booleans as `true` and `false`, a missing field as its Go zero value.
    package static func value(_ field: String, of object: Object) -> String {
        switch field {
        case "spec.unschedulable", "spec.hostNetwork": return object["spec"][String(field.dropFirst(5))].bool == true ? "true" : "false"
        case "status.successful": return String(object["status"]["succeeded"].int ?? 0)
        case "status.replicas": return String(object["status"]["replicas"].int ?? 0)
        case "status.podIP", "status.podIPs": return object["status"]["podIP"].string ?? ""
        case "source":
            return object["source"]["component"].string ?? object["deprecatedSource"]["component"].string ?? object["reportingComponent"].string ?? ""
        case "reportingComponent", "reportingController": return object["reportingComponent"].string ?? object["reportingController"].string ?? ""
        default: break
        }
        var path = field.split(separator: ".").map(String.init)
        // core and events.k8s.io name the same member differently.
        if path.first == "involvedObject", object["involvedObject"] == nil { path[0] = "regarding" }
        if path.first == "regarding", object["regarding"] == nil { path[0] = "involvedObject" }
        var view: JSONView? = object.root
        for step in path { view = view[step] }
        guard let view else { return "" }
        return view.string ?? view.int.map { String($0) } ?? view.bool.map { $0 ? "true" : "false" } ?? ""
    }

    private static let fields: [GroupResource: Set<String>] = [
        GroupResource(group: "", resource: "pods"): [
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase",
            "status.podIP",
            "status.podIPs", "status.nominatedNodeName",
        ],
        GroupResource(group: "", resource: "nodes"): ["spec.unschedulable"],
        GroupResource(group: "", resource: "namespaces"): ["status.phase"],
        GroupResource(group: "", resource: "secrets"): ["type"],
        GroupResource(group: "", resource: "services"): ["spec.clusterIP", "spec.type"],
        GroupResource(group: "", resource: "replicationcontrollers"): ["status.replicas"],
        GroupResource(group: "", resource: "events"): eventFields.union(prefixed("involvedObject")),
        GroupResource(group: "events.k8s.io", resource: "events"): eventFields.union(prefixed("regarding")),
        GroupResource(group: "apps", resource: "replicasets"): ["status.replicas"],
        GroupResource(group: "batch", resource: "jobs"): ["status.successful"],
        GroupResource(group: "certificates.k8s.io", resource: "certificatesigningrequests"): ["spec.signerName"],
        GroupResource(group: "resource.k8s.io", resource: "resourceslices"): ["spec.nodeName", "spec.driver"],
    ]
    private static let eventFields: Set<String> = ["reason", "reportingComponent", "reportingController", "source", "type"]
    private static func prefixed(_ member: String) -> Set<String> {
        Set(["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map { "\(member).\($0)" })
    }
}
