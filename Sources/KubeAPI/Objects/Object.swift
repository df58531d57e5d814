/// A Kubernetes object of any kind, read-only: its JSON bytes and a token index over them. Typed views (`ObjectMeta`, `PodView`, …) walk the index;
/// to change an object take its `value`, change that, and make a new `Object`.
package struct Object: Sendable {
    package let document: JSONDocument

    /// Throws `JSONError` when `bytes` is not one JSON object.
    package init(bytes: [UInt8]) throws(JSONError) {
        document = try JSONDocument(bytes)
        guard document.root.kind == .object else { throw JSONError(message: "a Kubernetes object must be a JSON object", offset: 0) }
    }

    package init(json text: String) throws(JSONError) { try self.init(bytes: Array(text.utf8)) }

    package init(_ document: JSONDocument) { self.document = document }

    /// An object of a value tree. Trees come from parsed texts or code, so their own output parses; a tree that is no object throws `JSONError`.
    package init(_ value: Value) throws(JSONError) { try self.init(bytes: value.jsonBytes) }

    package var bytes: [UInt8] { document.bytes }
    package var root: JSONView { document.root }
    package var value: Value { root.value }
    package subscript(key: String) -> JSONView? { root[key] }

    package var apiVersion: String { self["apiVersion"].string ?? "" }
    package var kind: String { self["kind"].string ?? "" }
    package var groupVersionKind: GroupVersionKind { GroupVersionKind(apiVersion: apiVersion, kind: kind) }
    package var metadata: ObjectMeta { ObjectMeta(view: self["metadata"]) }

    /// The same object with `metadata.resourceVersion` set to `revision`: a splice of the bytes, not a re-encoding. What was stored carries no
    /// resourceVersion (the store's revision is the truth), so it is put in front of metadata's other members.
    package func withResourceVersion(_ revision: Int64) -> Object {
        guard let metadata = self["metadata"], metadata.kind == .object, metadata["resourceVersion"] == nil else {
            var tree = value
            tree[path: "metadata", "resourceVersion"] = .string(String(revision))
            return (try? Object(tree)) ?? self  // A tree made of a parsed object always encodes to one.
        }
        let at = metadata.start + 1
        var spliced: [UInt8] = []
        let insertion = "\"resourceVersion\":\"\(revision)\"" + (metadata.members.first { _ in true } == nil ? "" : ",")
        spliced.reserveCapacity(bytes.count + insertion.utf8.count)
        spliced.append(contentsOf: bytes[..<at])
        spliced.append(contentsOf: insertion.utf8)
        spliced.append(contentsOf: bytes[at...])
        return (try? Object(bytes: spliced)) ?? self  // Inserting a member into a valid object leaves it valid.
    }
}

/// The fields every object has under `metadata`. Upstream: metav1.ObjectMeta.
package struct ObjectMeta: Sendable {
    package let view: JSONView?

    package init(view: JSONView?) { self.view = view }

    package var name: String { view["name"].string ?? "" }
    package var generateName: String { view["generateName"].string ?? "" }
    package var namespace: String { view["namespace"].string ?? "" }
    package var uid: String { view["uid"].string ?? "" }
    package var resourceVersion: String { view["resourceVersion"].string ?? "" }
    package var generation: Int64 { view["generation"].int ?? 0 }
    package var labels: [String: String] { view["labels"].stringMap }
    package var annotations: [String: String] { view["annotations"].stringMap }
    package var finalizers: [String] { view["finalizers"].strings }
    package var creationTimestamp: Timestamp? { view["creationTimestamp"].string.flatMap(Timestamp.init(rfc3339:)) }
    package var deletionTimestamp: Timestamp? { view["deletionTimestamp"].string.flatMap(Timestamp.init(rfc3339:)) }
    package var deletionGracePeriodSeconds: Int64? { view["deletionGracePeriodSeconds"].int }
    package var isBeingDeleted: Bool { view["deletionTimestamp"].string != nil }
    package var ownerReferences: [OwnerReference] { view["ownerReferences"].elements.map(OwnerReference.init(view:)) }
    /// The owner that manages this object. Upstream: metav1.GetControllerOf.
    package var controller: OwnerReference? { ownerReferences.first(where: \.controller) }
    /// `namespace/name`, or `name` for an object of no namespace: the key of caches and queues.
    package var key: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }
}

/// Upstream: metav1.OwnerReference.
package struct OwnerReference: Sendable, Equatable {
    package var apiVersion: String
    package var kind: String
    package var name: String
    package var uid: String
    package var controller: Bool
    package var blockOwnerDeletion: Bool

    package init(apiVersion: String, kind: String, name: String, uid: String, controller: Bool = true, blockOwnerDeletion: Bool = true) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        self.uid = uid
        self.controller = controller
        self.blockOwnerDeletion = blockOwnerDeletion
    }

    package init(view: JSONView) {
        apiVersion = view["apiVersion"].string ?? ""
        kind = view["kind"].string ?? ""
        name = view["name"].string ?? ""
        uid = view["uid"].string ?? ""
        controller = view["controller"].bool ?? false
        blockOwnerDeletion = view["blockOwnerDeletion"].bool ?? false
    }

    package var value: Value {
        [
            "apiVersion": .string(apiVersion), "kind": .string(kind), "name": .string(name), "uid": .string(uid), "controller": .bool(controller),
            "blockOwnerDeletion": .bool(blockOwnerDeletion),
        ]
    }
}
