package import KubeAPI

/// Names an object, or a part of one. Upstream: core/v1 ObjectReference.
package struct ObjectReference: Sendable, Hashable {
    package var apiVersion: String
    package var kind: String
    package var namespace: String
    package var name: String
    package var uid: String
    package var resourceVersion: String
    /// `spec.containers{web}`: the part that is meant.
    package var fieldPath: String

    package init(
        apiVersion: String, kind: String, namespace: String = "", name: String, uid: String = "", resourceVersion: String = "", fieldPath: String = ""
    ) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.resourceVersion = resourceVersion
        self.fieldPath = fieldPath
    }

    /// A reference to `object`. Upstream: client-go/tools/reference.GetReference.
    package init(_ object: Object, fieldPath: String = "") {
        let metadata = object.metadata
        self.init(
            apiVersion: object.apiVersion, kind: object.kind, namespace: metadata.namespace, name: metadata.name, uid: metadata.uid,
            resourceVersion: metadata.resourceVersion, fieldPath: fieldPath)
    }

    package var value: Value {
        var value: Value = ["kind": .string(kind), "apiVersion": .string(apiVersion), "name": .string(name)]
        if !namespace.isEmpty { value["namespace"] = .string(namespace) }
        if !uid.isEmpty { value["uid"] = .string(uid) }
        if !resourceVersion.isEmpty { value["resourceVersion"] = .string(resourceVersion) }
        if !fieldPath.isEmpty { value["fieldPath"] = .string(fieldPath) }
        return value
    }
}
