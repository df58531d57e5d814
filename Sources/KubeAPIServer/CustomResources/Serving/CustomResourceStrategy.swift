import KubeAPI

/// Validates custom resources by the schema of the version they are written in. Upstream: registry/customresource.customResourceStrategy with
/// customResourceValidator.
struct CustomResourceStrategy: ResourceStrategy {
    private static let unchecked = StatusError.Cause(
        reason: "FieldValueInvalid",
        message: "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to "
            + "complete validation", field: "<nil>")
    /// Errors after which rules are not looked at. Upstream: hasBlockingErr.
    private static let blocking: Set<String> = [
        "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid",
    ]

    let version: CustomResourceVersion

    func validate(_ object: Object) -> [StatusError.Cause] {
        let value = object.value
        let schema = version.schema
        var causes = SchemaValidator.problems(value, schema)
        causes += scaleProblems(value, "spec") + scaleProblems(value, "status")
        causes += EmbeddedResources.problems(value, schema, kind: version.row.groupVersionKind)
        causes += ListTypeValidation.problems(value, schema)
        return causes + rules(value, old: nil, after: causes)
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        let value = object.value
        let oldValue = old.value
        let schema = version.schema
        guard subresource != "status" else { return validateStatus(value, old: oldValue) }
        var causes = SchemaValidator.problems(value, schema, old: oldValue)
        causes += scaleProblems(value, "spec")
        causes += scaleProblems(value, "status")
        causes += EmbeddedResources.problems(value, schema, kind: version.row.groupVersionKind)
        causes += lists(value, old: oldValue, schema)
        return causes + rules(value, old: oldValue, after: causes)
    }

    /// Upstream: statusStrategy.ValidateUpdate: of the schema, the part for the status.
    private func validateStatus(_ value: Value, old: Value) -> [StatusError.Cause] {
        var causes: [StatusError.Cause] = []
        if let status = value["status"], let schema = version.schema.property("status") {
            causes += SchemaValidator.problems(status, schema, old: old["status"], prefix: "status")
        }
        causes += scaleProblems(value, "status")
        causes += lists(value, old: old, version.schema)
        return causes + rules(value, old: old, after: causes)
    }

    /// Objects whose lists broke the rule before may break it still.
    private func lists(_ value: Value, old: Value, _ schema: StructuralSchema) -> [StatusError.Cause] {
        let causes = ListTypeValidation.problems(value, schema)
        return causes.isEmpty || !ListTypeValidation.problems(old, schema).isEmpty ? [] : causes
    }

    private func rules(_ value: Value, old: Value?, after causes: [StatusError.Cause]) -> [StatusError.Cause] {
        guard version.schema.hasRules else { return [] }
        if causes.contains(where: { Self.blocking.contains($0.reason) }) { return [Self.unchecked] }
        return version.rules.problems(value, old: old)
    }

    /// What a Scale of the object would be read from must be a number it can hold. Upstream: ValidateScaleSpec and ValidateScaleStatus.
    private func scaleProblems(_ value: Value, _ part: String) -> [StatusError.Cause] {
        guard let scale = version.scale else { return [] }
        let path = part == "spec" ? scale.specReplicas : scale.statusReplicas
        let shown = part == "spec" ? scale.specReplicasPath : scale.statusReplicasPath
        guard let replicas = value[path: path]?.int else { return [] }
        if replicas < 0 { return [MetadataValidation.invalid(shown, .int(replicas), "should be a non-negative integer")] }
        if replicas > Int64(Int32.max) {
            return [MetadataValidation.invalid(shown, .int(replicas), "should be less than or equal to \(Int32.max)")]
        }
        return []
    }
}
