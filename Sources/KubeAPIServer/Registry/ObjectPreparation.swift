import KubeAPI

/// What the generic path does to an object before it is stored, whatever its kind. Upstream: rest.BeforeCreate, rest.BeforeUpdate and
/// rest.FillObjectMetaSystemFields.
enum ObjectPreparation {
    /// Upstream: names.SimpleNameGenerator: five characters after at most 58 of the base, out of letters that make no words and digits that look like
    /// no letter.
    static let generatedSuffixLength = 5
    static let maximumGeneratedBase = 63 - generatedSuffixLength

    static func generateName(_ base: String) -> String { base.prefix(maximumGeneratedBase) + RandomText.suffix(generatedSuffixLength) }

    /// The namespace of an object against the one of the URL. Upstream: rest.EnsureObjectNamespaceMatchesRequestNamespace.
    static func matchNamespace(_ object: inout Value, request namespace: String) throws {
        let own = object[path: "metadata", "namespace"]?.string ?? ""
        if own == namespace { return }
        if namespace.isEmpty {
            object[path: "metadata", "namespace"] = nil
        } else if own.isEmpty {
            object[path: "metadata", "namespace"] = .string(namespace)
        } else {
            throw StatusError.badRequest("the namespace of the provided object does not match the namespace sent on the request")
        }
    }

    /// Fills what the server alone decides about a new object: uid, creation time, generated name; drops what a client may not set.
    static func fillSystemFields(_ object: inout Value, row: ResourceRow, now: Timestamp) {
        var metadata = object["metadata"] ?? .object(Members())
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] { metadata[field] = nil }
        metadata["uid"] = .string(RandomText.uuid())
        metadata["creationTimestamp"] = .string(now.rfc3339)
        metadata["generation"] = hasGeneration(row) ? .int(1) : Value?.none
        object["metadata"] = metadata
    }

    /// Resources whose strategy counts generations. Upstream: the PrepareForCreate of each.
    static func hasGeneration(_ row: ResourceRow) -> Bool {
        row.isCustom || generationResources.contains("\(row.group)/\(row.resource)")
    }
    private static let generationResources: Set<String> = [
        "/pods", "/podtemplates", "/replicationcontrollers", "apps/deployments", "apps/replicasets", "apps/statefulsets", "apps/daemonsets",
        "batch/jobs",
        "batch/cronjobs", "policy/poddisruptionbudgets", "networking.k8s.io/ingresses", "networking.k8s.io/ingressclasses",
        "networking.k8s.io/networkpolicies",
        "apiextensions.k8s.io/customresourcedefinitions", "discovery.k8s.io/endpointslices", "flowcontrol.apiserver.k8s.io/flowschemas",
        "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations", "admissionregistration.k8s.io/mutatingwebhookconfigurations",
        "admissionregistration.k8s.io/validatingwebhookconfigurations", "admissionregistration.k8s.io/validatingadmissionpolicies",
        "admissionregistration.k8s.io/mutatingadmissionpolicies", "scheduling.k8s.io/priorityclasses", "resource.k8s.io/deviceclasses",
        "resource.k8s.io/resourceslices",
    ]

    /// Whether a create leaves the status to the status path. Nodes bring theirs: the kubelet registers with capacity and addresses.
    static func dropsStatusOnCreate(_ row: ResourceRow) -> Bool {
        row.hasStatus && !(row.group.isEmpty && row.resource == "nodes")
    }

    /// Whether a write to a name that does not exist makes it. Upstream: AllowCreateOnUpdate of each strategy.
    static func allowsCreateOnUpdate(_ row: ResourceRow) -> Bool {
        createOnUpdateResources.contains("\(row.group)/\(row.resource)") || row.group == "rbac.authorization.k8s.io"
    }
    private static let createOnUpdateResources: Set<String> = [
        "/endpoints", "/events", "/limitranges", "/services", "events.k8s.io/events", "coordination.k8s.io/leases",
    ]

    /// Whether an update may come without a resourceVersion. Upstream: AllowUnconditionalUpdate of each strategy.
    static func allowsUnconditionalUpdate(_ row: ResourceRow) -> Bool {
        !row.isCustom && !conditionalResources.contains("\(row.group)/\(row.resource)")
    }
    private static let conditionalResources: Set<String> = [
        "coordination.k8s.io/leases", "apiextensions.k8s.io/customresourcedefinitions", "apiregistration.k8s.io/apiservices",
        "policy/poddisruptionbudgets",
        "networking.k8s.io/ipaddresses",
    ]

    /// Whether a deletion answers the deleted object instead of a Status. Upstream: genericregistry.Store.ReturnDeletedObject.
    static func returnsDeletedObject(_ row: ResourceRow) -> Bool {
        row.group.isEmpty
            && ["pods", "services", "serviceaccounts", "persistentvolumeclaims", "persistentvolumes", "podtemplates", "resourcequotas"].contains(
                row.resource)
    }

    /// Puts an update on top of the stored object: what the server alone decides stays, and each path (main, `status`) changes its part only.
    static func prepareForUpdate(_ object: inout Value, old oldValue: Value, row: ResourceRow, subresource: String) {
        let oldMetadata = oldValue["metadata"] ?? .object(Members())
        var metadata = object["metadata"] ?? .object(Members())
        for field in ["selfLink", "resourceVersion"] { metadata[field] = nil }
        if (metadata["uid"]?.string ?? "").isEmpty { metadata["uid"] = oldMetadata["uid"] }
        for field in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] { metadata[field] = oldMetadata[field] }
        if (metadata["generateName"]?.string ?? "").isEmpty { metadata["generateName"] = oldMetadata["generateName"] }
        object["metadata"] = metadata
        if subresource == "status" {
            // Upstream's status strategies differ in which metadata they let through.
            let status = object["status"]
            var kept = oldValue
            for field in metadataKeptByStatus(row) { metadata[field] = oldMetadata[field] }
            kept["metadata"] = metadata
            kept["status"] = status
            object = kept
        } else if row.hasStatus, subresource.isEmpty {
            object["status"] = oldValue["status"]
        }
    }

    /// Fields of metadata that the status path does not write.
    static func metadataKeptByStatus(_ row: ResourceRow) -> [String] {
        switch (row.group, row.resource) {
        case ("", "pods"): return ["ownerReferences"]
        case ("apps", "deployments"): return ["labels"]
        case ("flowcontrol.apiserver.k8s.io", _), ("admissionregistration.k8s.io", _), ("resource.k8s.io", _), ("apiextensions.k8s.io", _),
            ("apiregistration.k8s.io", _), ("storage.k8s.io", _), ("networking.k8s.io", "servicecidrs"):
            return everyMember
        default: return row.isCustom ? everyMember : []
        }
    }
    /// Upstream: metav1.ResetObjectMetaForStatus.
    private static let everyMember = ["labels", "annotations", "finalizers", "ownerReferences"]

    /// +1 when anything but metadata and status differs, for kinds that count. Called after the strategy has prepared the object.
    static func countGeneration(_ object: inout Value, old: Value, row: ResourceRow) {
        guard hasGeneration(row) else { return }
        func desired(_ value: Value) -> Value {
            var value = value
            value["metadata"] = nil
            // Of custom resources without a path for it, the status is written with the rest and counts as it does.
            if !row.isCustom || row.hasStatus { value["status"] = nil }
            return value
        }
        let generation = old[path: "metadata", "generation"]?.int ?? 0
        if desired(object) != desired(old) { object[path: "metadata", "generation"] = .int(generation &+ 1) }
    }

    /// The form that is stored: apiVersion, kind and metadata first, no resourceVersion. Throws only for a tree that is no object.
    static func stored(_ object: Value, kind: GroupVersionKind) throws -> Object {
        var members: [(String, Value)] = [("apiVersion", .string(kind.apiVersion)), ("kind", .string(kind.kind))]
        var metadata = object["metadata"] ?? .object(Members())
        metadata["resourceVersion"] = nil
        metadata["selfLink"] = nil
        members.append(("metadata", metadata))
        for (key, value) in object.object ?? Members() where key != "apiVersion" && key != "kind" && key != "metadata" {
            members.append((key, value))
        }
        return try Object(.object(Members(members)))
    }
}
