import AWSProtocol

/// A kind of resource that has tags: which ARNs are its, and where its records keep them.
struct TaggedKind: Sendable {
    /// The first part of the ARN's resource: `nodegroup`.
    var name: String
    /// The tags of the resource of an ARN, whose resource has these parts; nil when there is none.
    var tags: @Sendable (LifecycleTables, _ arn: String, _ parts: [String]) -> [String: String]?
    /// Sets the tags of a resource that there is.
    var set: @Sendable (inout LifecycleTables, _ arn: String, _ parts: [String], _ tags: [String: String]) -> Void
}

/// The kinds that have tags, a row each. Upstream: eks TagResource.
enum TaggedKinds {
    static let all: [TaggedKind] = [cluster, nodegroup, podIdentity, accessEntry, identityProvider, addon] + recordKinds

    private static let cluster = TaggedKind(
        name: "cluster",
        tags: { tables, arn, parts in
            guard parts.count == 2 else { return nil }
            if let registered = tables.registrations[parts[1]] { return registered.arn == arn ? registered.tags : nil }
            return tables.clusters[parts[1]].flatMap { $0.arn == arn ? $0.tags : nil }
        },
        set: { tables, _, parts, tags in
            tables.registrations[parts[1]]?.tags = tags
            tables.clusters[parts[1]]?.tags = tags
        })

    private static let recordKinds: [TaggedKind] = [
        TaggedKind(
            name: "fargateprofile",
            tags: { tables, arn, _ in tables.fargateProfiles.values.first { $0.arn == arn }?.tags },
            set: { tables, arn, _, tags in
                for profile in tables.fargateProfiles.values where profile.arn == arn { tables.fargateProfiles[profile.key]?.tags = tags }
            }),
        TaggedKind(
            name: "capability",
            tags: { tables, arn, _ in tables.capabilities.values.first { $0.arn == arn }?.tags },
            set: { tables, arn, _, tags in
                for capability in tables.capabilities.values where capability.arn == arn { tables.capabilities[capability.key]?.tags = tags }
            }),
        TaggedKind(
            name: "eks-anywhere-subscription",
            tags: { tables, arn, _ in tables.subscriptions.values.first { $0.arn == arn }?.tags },
            set: { tables, arn, _, tags in
                for subscription in tables.subscriptions.values where subscription.arn == arn { tables.subscriptions[subscription.id]?.tags = tags }
            }),
    ]

    private static let nodegroup = TaggedKind(
        name: "nodegroup",
        tags: { tables, arn, parts in
            parts.count == 4 ? tables.nodegroups[LifecycleTables.key(parts[1], parts[2])].flatMap { $0.arn == arn ? $0.tags : nil } : nil
        },
        set: { tables, _, parts, tags in tables.nodegroups[LifecycleTables.key(parts[1], parts[2])]?.tags = tags })

    private static let identityProvider = TaggedKind(
        name: "identityproviderconfig",
        tags: { tables, arn, parts in
            parts.count == 5 ? tables.identityProviders[LifecycleTables.key(parts[1], parts[3])].flatMap { $0.arn == arn ? $0.tags : nil } : nil
        },
        set: { tables, _, parts, tags in tables.identityProviders[LifecycleTables.key(parts[1], parts[3])]?.tags = tags })

    private static let accessEntry = TaggedKind(
        name: "access-entry", tags: { tables, arn, parts in tables.accessEntries(of: parts[1]).first { $0.arn == arn }?.tags },
        set: { tables, arn, parts, tags in
            guard var entry = tables.accessEntries(of: parts[1]).first(where: { $0.arn == arn }) else { return }
            entry.tags = tags
            tables.set(entry)
        })
}

extension EKSService {
    /// The tags of a resource. Upstream: eks ListTagsForResource. Throws NotFoundException, BadRequestException.
    package func tags(of arn: String) async throws -> [String: String] {
        let (kind, parts) = try taggable(arn)
        return try await state.read { tables in
            guard let tags = kind.tags(tables, arn, parts) else { throw TagFault.notFound(arn) }
            return tags
        }
    }

    /// Adds and removes tags of a resource. Upstream: eks TagResource, UntagResource. Throws NotFoundException, BadRequestException.
    package func changeTags(of arn: String, add: [String: String], remove: [String]) async throws {
        let (kind, parts) = try taggable(arn)
        try TagFault.check(add)
        try await state.update { tables in
            guard let old = kind.tags(tables, arn, parts) else { throw TagFault.notFound(arn) }
            let tags = old.merging(add) { _, new in new }.filter { !remove.contains($0.key) }
            guard tags.count <= TagFault.limit else { throw TagFault.bad("A resource can have \(TagFault.limit) tags at most.") }
            kind.set(&tables, arn, parts, tags)
        }
    }

    private func taggable(_ text: String) throws(AWSError) -> (kind: TaggedKind, parts: [String]) {
        guard let arn = ARN(text), arn.service == "eks", arn.account == configuration.account, arn.region == configuration.region else {
            throw TagFault.bad("Invalid ARN: \(text.prefix(200))")
        }
        let parts = arn.resourceParts.map(String.init)
        guard parts.count >= 2, let kind = TaggedKinds.all.first(where: { $0.name == parts[0] }) else {
            throw TagFault.bad("Resources of this type cannot be tagged here: \(text.prefix(200))")
        }
        return (kind, parts)
    }
}

/// The tag operations have errors of their own. Upstream: eks BadRequestException, NotFoundException.
package enum TagFault {
    /// Tags on a resource. Upstream: EKS User Guide, "Tag restrictions".
    static let limit = 50

    static func bad(_ text: String) -> AWSError { AWSError("BadRequestException", text, status: 400) }
    static func notFound(_ arn: String) -> AWSError { AWSError("NotFoundException", "Resource not found: \(arn.prefix(300))", status: 404) }

    /// The tags of a new resource: what is wrong with them is the create call's own error, which does not know BadRequestException.
    static func checkNew(_ tags: [String: String]) throws(AWSError) {
        guard tags.count <= limit else { throw EKSFault.invalidParameter("A resource can have \(limit) tags at most.") }
        do throws(AWSError) { try check(tags) } catch { throw EKSFault.invalidParameter(error.message) }
    }

    static func check(_ tags: [String: String]) throws(AWSError) {
        for (key, value) in tags {
            guard !key.isEmpty, key.count <= 128, value.count <= 256 else {
                throw bad("Tag keys must have from 1 to 128 characters and values 256 at most.")
            }
            guard !key.lowercased().hasPrefix("aws:") else { throw bad("Tag keys must not begin with aws:") }
        }
    }
}
