/// The ownership of an object's replicas as it looks through its scale subresource. Upstream: managedfields.ScaleHandler.
package struct ScaleOwnership: Sendable {
    package static let scaleVersion = "autoscaling/v1"
    /// Where both a Scale and all that can be scaled keep the number. Upstream: replicasPathMapping of each resource.
    private static let replicas: [PathElement] = [.field("spec"), .field("replicas")]
    private static let replicasSet = FieldSet(paths: [replicas])

    private let parent: ManagedFields
    private let apiVersion: String

    /// `managedFields` of the object itself, whose version is `apiVersion`. Throws `FieldSetError`.
    package init(_ managedFields: Value?, apiVersion: String) throws(FieldSetError) {
        parent = try ManagedFields(managedFields)
        self.apiVersion = apiVersion
    }

    /// The managedFields of the Scale: the entries that own the replicas, in the Scale's version. Upstream: ToSubresource.
    package var ofScale: Value? {
        ManagedFields(
            parent.entries.filter { $0.fields.contains(Self.replicas) }.map { entry in
                var entry = entry
                entry.apiVersion = Self.scaleVersion
                entry.fields = Self.replicasSet
                return entry
            }
        ).value
    }

    /// The object's managedFields after the Scale was written with `scale` as its own. Upstream: ToParent.
    package func afterWrite(_ scale: Value?) throws(FieldSetError) -> Value? {
        var owners = try ManagedFields(scale).entries.filter { $0.fields.contains(Self.replicas) }
        var entries: [ManagedFieldsEntry] = []
        for var entry in parent.entries {
            if entry.fields.contains(Self.replicas) {
                if let place = owners.firstIndex(where: { isSame($0, entry) }) {
                    owners.remove(at: place)
                } else {
                    entry.fields = entry.fields.difference(Self.replicasSet)
                }
            }
            if !entry.fields.isEmpty { entries.append(entry) }
        }
        for var owner in owners {
            owner.apiVersion = apiVersion
            entries.append(owner)
        }
        return ManagedFields(entries).value
    }

    /// Versions differ between the two by nature.
    private func isSame(_ a: ManagedFieldsEntry, _ b: ManagedFieldsEntry) -> Bool {
        a.manager == b.manager && a.operation == b.operation && a.subresource == b.subresource
    }
}
