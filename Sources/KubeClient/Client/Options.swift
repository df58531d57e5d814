package import KubeAPI

/// How a list or a watch is narrowed. Upstream: metav1.ListOptions.
package struct ListOptions: Sendable, Hashable {
    /// `app=web,tier!=db`, as in the query.
    package var labelSelector: String?
    /// `spec.nodeName=n1`.
    package var fieldSelector: String?
    package var resourceVersion: String?
    /// `Exact` or `NotOlderThan`.
    package var resourceVersionMatch: String?

    package init(labelSelector: String? = nil, fieldSelector: String? = nil, resourceVersion: String? = nil, resourceVersionMatch: String? = nil) {
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
        self.resourceVersion = resourceVersion
        self.resourceVersionMatch = resourceVersionMatch
    }

    var query: [(name: String, value: String)] {
        var query: [(name: String, value: String)] = []
        if let labelSelector, !labelSelector.isEmpty { query.append(("labelSelector", labelSelector)) }
        if let fieldSelector, !fieldSelector.isEmpty { query.append(("fieldSelector", fieldSelector)) }
        if let resourceVersion, !resourceVersion.isEmpty { query.append(("resourceVersion", resourceVersion)) }
        if let resourceVersionMatch, !resourceVersionMatch.isEmpty { query.append(("resourceVersionMatch", resourceVersionMatch)) }
        return query
    }
}

/// What becomes of an object's dependents. Upstream: metav1.DeletionPropagation.
package enum PropagationPolicy: String, Sendable {
    case background = "Background"
    case foreground = "Foreground"
    case orphan = "Orphan"
}

/// Upstream: metav1.DeleteOptions.
package struct DeleteOptions: Sendable {
    /// Nil takes the kind's own default; 0 deletes at once.
    package var gracePeriodSeconds: Int64?
    package var propagationPolicy: PropagationPolicy?
    /// The deletion is refused with 409 Conflict when the object has another uid.
    package var preconditionUID: String?
    package var preconditionResourceVersion: String?

    package init(
        gracePeriodSeconds: Int64? = nil, propagationPolicy: PropagationPolicy? = nil, preconditionUID: String? = nil,
        preconditionResourceVersion: String? = nil
    ) {
        self.gracePeriodSeconds = gracePeriodSeconds
        self.propagationPolicy = propagationPolicy
        self.preconditionUID = preconditionUID
        self.preconditionResourceVersion = preconditionResourceVersion
    }

    /// The DeleteOptions object for a request's body.
    package var value: Value {
        var options: Value = ["kind": "DeleteOptions", "apiVersion": "v1"]
        if let gracePeriodSeconds { options["gracePeriodSeconds"] = .int(gracePeriodSeconds) }
        if let propagationPolicy { options["propagationPolicy"] = .string(propagationPolicy.rawValue) }
        if let preconditionUID { options[path: "preconditions", "uid"] = .string(preconditionUID) }
        if let preconditionResourceVersion { options[path: "preconditions", "resourceVersion"] = .string(preconditionResourceVersion) }
        return options
    }
}

/// A list as it came from the server, each item an object of its own.
package struct ObjectList: Sendable {
    package var items: [Object]
    /// The revision as of which the list is complete: where a watch continues.
    package var resourceVersion: String
    /// Where the next page begins; empty on the last one.
    package var continueToken: String

    /// Takes a List object apart. Items of a list may lack `apiVersion` and `kind` (upstream leaves them out); they are set from the list's own.
    /// Throws `JSONError` when an item is no object.
    package init(list: Object) throws(JSONError) {
        let kind = list.kind.hasSuffix("List") ? String(list.kind.dropLast(4)) : ""
        let apiVersion = list.apiVersion
        resourceVersion = list.metadata.resourceVersion
        continueToken = list["metadata"]["continue"].string ?? ""
        items = []
        for item in list["items"].elements {
            var bytes: [UInt8] = []
            let raw = item.rawBytes
            if item.kind == .object, !kind.isEmpty, item["kind"] == nil, item["apiVersion"] == nil {
                bytes.reserveCapacity(raw.count + 64)
                bytes.append(UInt8(ascii: "{"))
                bytes.append(contentsOf: "\"apiVersion\":".utf8)
                Value.write(apiVersion, to: &bytes)
                bytes.append(contentsOf: ",\"kind\":".utf8)
                Value.write(kind, to: &bytes)
                if item.members.first(where: { _ in true }) != nil { bytes.append(UInt8(ascii: ",")) }
                bytes.append(contentsOf: raw.dropFirst())
            } else {
                bytes = Array(raw)
            }
            items.append(try Object(bytes: bytes))
        }
    }
}
