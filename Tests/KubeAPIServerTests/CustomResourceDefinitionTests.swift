import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Validation of CustomResourceDefinitions")
struct CustomResourceDefinitionTests {
    private typealias F = CustomResourceFixtures

    private func causes(_ definition: Value) throws -> [String] {
        CustomResourceDefinitionStrategy().validate(try Object(Self.prepared(definition))).map { "\($0.field): \($0.message)" }
    }

    private struct NoObjects: ObjectReader {
        func get(_ resource: GroupResource, namespace: String, name: String) -> Object? { nil }
        func list(_ resource: GroupResource, namespace: String?) -> [Object] { [] }
        func observe(_ resource: GroupResource, _ changed: @escaping @Sendable (_ old: Object?, _ new: Object?) -> Void) {}
    }

    private static func prepared(_ definition: Value) throws -> Value {
        var value = definition
        try CustomResourceDefinitionStrategy().prepareForCreate(&value, NoObjects())
        return value
    }

    private func schemaCauses(_ spec: String) throws -> [String] {
        let all = try causes(try F.cronTab(#"{"type":"object","properties":{"spec":\#(spec)}}"#))
        return all.map { $0.replacing("spec.validation.openAPIV3Schema.properties[spec]", with: "~") }
    }

    @Test("the documentation's example is valid") func example() throws { #expect(try causes(try F.cronTab()) == []) }

    @Test("formats that nobody checks are warned of, on an update those that are new")
    func formats() throws {
        func definition(_ format: String) throws -> Object {
            try Object(
                try F.cronTab(
                    """
                    {"type":"object","properties":{"a":{"type":"string","format":"\(format)"},"n":{"type":"integer","format":"int7"},
                    "l":{"type":"array","items":{"type":"string","format":"date-time"}},
                    "m":{"type":"object","additionalProperties":{"type":"string","format":"odd","anyOf":[{"type":"string","format":"odd"}]}}}}
                    """))
        }
        let strategy = CustomResourceDefinitionStrategy()
        let new = try definition("x")
        #expect(Set(strategy.warnings(new, old: nil)) == ["unrecognized format \"x\"", "unrecognized format \"odd\""])
        #expect(strategy.warnings(new, old: nil).count == 2)
        #expect(strategy.warnings(new, old: try definition("uuid")) == ["unrecognized format \"x\""])
        #expect(strategy.warnings(new, old: new).isEmpty)
    }

    @Test("names, scope, versions")
    func names() throws {
        var definition = try F.cronTab()
        definition[path: "metadata", "name"] = "x.stable.example.com"
        #expect(
            try causes(definition)
                == ["metadata.name: Invalid value: \"x.stable.example.com\": must be spec.names.plural+\".\"+spec.group"])
        #expect(
            try causes(try F.cronTab(scope: "Global"))
                == ["spec.scope: Unsupported value: \"Global\": supported values: \"Cluster\", \"Namespaced\""])
        var twice = try F.cronTab()
        let version = twice[path: "spec", "versions"]?.array?.first ?? .null
        twice[path: "spec", "versions"] = .array([version, version])
        let found = try causes(twice)
        #expect(found.contains { $0.hasSuffix("must contain unique version names") })
        #expect(found.contains { $0.hasSuffix("must have exactly one version marked as storage version") })
    }

    @Test("schemas must be structural")
    func structural() throws {
        #expect(
            try schemaCauses(#"{"properties":{"a":{"type":"string"}}}"#) == ["~.type: Required value: must not be empty for specified object fields"])
        #expect(try schemaCauses(#"{"type":"array"}"#) == ["~.items: Required value: must be specified"])
        #expect(
            try schemaCauses(#"{"type":"object","anyOf":[{"properties":{"a":{"type":"string"}}}]}"#)
                == [
                    "~.anyOf[0].properties[a].type: Forbidden: must be empty to be structural",
                    "~.properties[a]: Required value: because it is defined in ~.anyOf[0].properties[a]",
                ])
        #expect(try schemaCauses(#"{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]}"#) == [])
        #expect(
            try schemaCauses(#"{"type":"string","pattern":"("}"#)
                == ["~.pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: error parsing regexp: missing closing ): `(`"])
    }

    @Test("list and map types, defaults, forbidden keywords")
    func extensions() throws {
        #expect(
            try schemaCauses(
                #"{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a"],"items":{"type":"object","properties":{"a":{"type":"string"}}}}"#
            )
                == [
                    "~.items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
                ])
        #expect(
            try schemaCauses(#"{"type":"integer","default":"x"}"#)
                == ["~.default: Invalid value: \"string\":  in body must be of type integer: \"string\""])
        #expect(
            try schemaCauses(#"{"type":"object","properties":{"a":{"type":"string"}},"default":{"b":1}}"#)
                == ["~.default: Invalid value: {\"b\":1}: must not have unknown fields"])
        #expect(
            try schemaCauses(#"{"type":"array","uniqueItems":true,"items":{"type":"string"}}"#)
                == ["~.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"])
        #expect(try schemaCauses(##"{"type":"object","$ref":"#/x"}"##) == ["~.$ref: Forbidden: $ref is not supported"])
    }

    @Test("at most eight selectable fields, of plain types")
    func selectableFields() throws {
        let properties = (0..<9).map { #""f\#($0)":{"type":"string"}"# }.joined(separator: ",")
        let schema = #"{"type":"object","properties":{"spec":{"type":"object","properties":{\#(properties),"o":{"type":"object"}}}}}"#
        let fields = (0..<9).map { #"{"jsonPath":".spec.f\#($0)"}"# }.joined(separator: ",")
        #expect(
            try causes(try F.cronTab(schema, extra: #","selectableFields":[\#(fields)]"#))
                == ["spec.selectableFields: Too many: 9: must have at most 8 items"])
        #expect(
            try causes(try F.cronTab(schema, extra: #","selectableFields":[{"jsonPath":".spec.o"},{"jsonPath":".spec.x"}]"#))
                == [
                    "spec.selectableFields[0].jsonPath: Invalid value: \".spec.o\": must point to a field of type string, boolean or integer. "
                        + "Enum string fields and strings with formats are allowed.",
                    "spec.selectableFields[1].jsonPath: Invalid value: \".spec.x\": is an invalid path: does not refer to a valid field",
                ])
    }

    @Test("groups of the project need its approval")
    func approval() throws {
        var definition = try F.cronTab()
        definition[path: "spec", "group"] = "stable.k8s.io"
        definition[path: "metadata", "name"] = "crontabs.stable.k8s.io"
        #expect(
            try causes(definition) == [
                "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "
                    + "\"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111"
            ])
        definition[path: "metadata", "annotations"] = ["api-approved.kubernetes.io": "unapproved, testing"]
        #expect(try causes(definition) == [])
    }

    @Test("a stored version cannot be dropped, group and plural cannot change")
    func updates() throws {
        let old = try Self.prepared(try F.cronTab())
        var new = old
        new[path: "status", "storedVersions"] = ["v0", "v1"]
        new[path: "spec", "group"] = "other.example.com"
        let causes = CustomResourceDefinitionStrategy().validateUpdate(try Object(new), old: try Object(old), subresource: "")
        #expect(
            causes.map { "\($0.field): \($0.message)" } == [
                "spec.group: Invalid value: \"other.example.com\": field is immutable",
                "status.storedVersions[0]: Invalid value: \"v0\": missing from spec.versions; v0 was previously a storage version, and must remain in "
                    + "spec.versions until a storage migration ensures no data remains persisted in v0 and removes v0 from status.storedVersions",
            ])
    }
}
