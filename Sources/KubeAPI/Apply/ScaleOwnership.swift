/// The ownership of an object's replicas as it looks through its scale subresource. Upstream: managedfields.ScaleHandler.
package struct ScaleOwnership: Sendable {
    package static let scaleVersion = "autoscaling/v1"
    /// Where a Scale and all built-in kinds keep the number.
    private static let scaleReplicas: [PathElement] = [.field("spec"), .field("replicas")]
    private static let scaleSet = FieldSet(paths: [scaleReplicas])

    private let parent: ManagedFields
    private let apiVersion: String
    /// Where the object keeps the number. Upstream: replicasPathMapping of each resource.
    private let replicas: [PathElement]
    private let replicasSet: FieldSet

    /// `managedFields` of the object itself, whose version is `apiVersion`; `replicas` is the path of the number in it. Throws `FieldSetError`.
    package init(_ managedFields: Value?, apiVersion: String, replicas: [String] = ["spec", "replicas"]) throws(FieldSetError) {
        parent = try ManagedFields(managedFields)
        self.apiVersion = apiVersion
        self.replicas = replicas.map { .field($0) }
        replicasSet = FieldSet(paths: [self.replicas])
    }

    /// The managedFields of the Scale: the entries that own the replicas, in the Scale's version. Upstream: ToSubresource.
    package var ofScale: Value? {
        ManagedFields(
            parent.entries.filter { $0.fields.contains(replicas) }.map { entry in
                var entry = entry
                entry.apiVersion = Self.scaleVersion
                entry.fields = Self.scaleSet
                return entry
            }
        ).value
    }

    /// The object's managedFields after the Scale was written with `scale` as its own. Upstream: ToParent.
    package func afterWrite(_ scale: Value?) throws(FieldSetError) -> Value? {
        var owners = try ManagedFields(scale).entries.filter { $0.fields.contains(Self.scaleReplicas) }
        var entries: [ManagedFieldsEntry] = []
        for var entry in parent.entries {
            if entry.fields.contains(replicas) {
                if let place = owners.firstIndex(where: { isSame($0, entry) }) {
                    owners.remove(at: place)
                } else {
                    entry.fields = entry.fields.difference(replicasSet)
                }
            }
            if !entry.fields.isEmpty { entries.append(entry) }
        }
        for var owner in owners {
            owner.apiVersion = apiVersion
            owner.fields = replicasSet
            entries.append(owner)
        }
        return ManagedFields(entries).value
    }

    /// Versions differ between the two by nature.
    private func isSame(_ a: ManagedFieldsEntry, _ b: ManagedFieldsEntry) -> Bool {
        a.manager == b.manager && a.operation == b.operation && a.subresource == b.subresource
    }
}
