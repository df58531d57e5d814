import KubeAPI

/// The status a definition should have: which of its names it got, and whether it is served. A pure function of the definition and the others of its
/// group. Upstream: status.NamingConditionController with establish.EstablishingController and
/// apiapproval.KubernetesAPIApprovalPolicyConformantConditionController, whose steps are one here.
enum DefinitionStatus {
    /// The definition with its new status; nil when it has it already. `others` are the other definitions of the group.
    static func plan(_ definition: CustomResourceDefinition, others: [CustomResourceDefinition], now: Timestamp) -> Value? {
        var tree = definition.object.value
        approve(definition, &tree, now: now)
        if definition.names != definition.acceptedNames || definition.condition("NamesAccepted") == nil {
            accept(definition, others, &tree, now: now)
        } else if definition.isTrue("NamesAccepted"), !definition.isEstablished {
            establish(&tree, now: now)
        }
        // Not a ternary: there `nil` would be the JSON null.
        guard tree != definition.object.value else { return nil }
        return tree
    }

    private static func establish(_ tree: inout Value, now: Timestamp) {
        DefinitionCondition.set("Established", true, "InitialNamesAccepted", "the initial names have been accepted", in: &tree, now: now)
    }

    private static func approve(_ definition: CustomResourceDefinition, _ tree: inout Value, now: Timestamp) {
        guard APIApproval.isProtected(definition.group) else { return }
        let state = APIApproval(definition.object.metadata.annotations)
        let reason =
            switch state.kind {
            case .missing: "MissingAnnotation"
            case .invalid: "InvalidAnnotation"
            case .approved: "ApprovedAnnotation"
            case .bypassed: "UnapprovedAnnotation"
            }
        let old = definition.condition("KubernetesAPIApprovalPolicyConformant")
        if old["reason"].string == reason, old["message"].string == state.message { return }
        DefinitionCondition.set(
            "KubernetesAPIApprovalPolicyConformant", state.kind == .approved, reason, state.message, in: &tree, now: now)
    }

    /// Upstream: calculateNamesAndConditions.
    private static func accept(
        _ definition: CustomResourceDefinition, _ others: [CustomResourceDefinition], _ tree: inout Value, now: Timestamp
    ) {
        var resources: Set<String> = []
        var kinds: Set<String> = []
        for names in others.map(\.acceptedNames) {
            resources.formUnion([names.plural, names.singular])
            resources.formUnion(names.shortNames)
            kinds.formUnion([names.kind, names.listKind])
        }
        let wanted = definition.names
        let own = definition.acceptedNames
        var names = own
        var conflict: (reason: String, message: String)?
        func take(_ name: String, _ accepted: String, _ used: Set<String>, _ what: String) -> String {
            if name == accepted || !used.contains(name) { return name }
            conflict = ("\(what)Conflict", "\(name.goQuoted) is already in use")
            return accepted
        }
        names.plural = take(wanted.plural, own.plural, resources, "Plural")
        names.singular = take(wanted.singular, own.singular, resources, "Singular")
        let taken = wanted.shortNames.filter { !own.shortNames.contains($0) && resources.contains($0) }
        if taken.isEmpty {
            names.shortNames = wanted.shortNames
        } else {
            let texts = taken.map { "\($0.goQuoted) is already in use" }
            conflict = ("ShortNamesConflict", texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]")
        }
        names.kind = take(wanted.kind, own.kind, kinds, "Kind")
        names.listKind = take(wanted.listKind, own.listKind, kinds, "ListKind")
        names.categories = wanted.categories

        tree[path: "status", "acceptedNames"] = names.value
        if let conflict {
            DefinitionCondition.set("NamesAccepted", false, conflict.reason, conflict.message, in: &tree, now: now)
            if definition.condition("Established") == nil {
                DefinitionCondition.set("Established", false, "NotAccepted", "not all names are accepted", in: &tree, now: now)
            }
        } else {
            DefinitionCondition.set("NamesAccepted", true, "NoConflicts", "no conflicts found", in: &tree, now: now)
            if !definition.isEstablished { establish(&tree, now: now) }
        }
    }
}
