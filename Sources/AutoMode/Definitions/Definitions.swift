import KubeAPI

/// The kinds of EKS Auto Mode, as CustomResourceDefinitions. Upstream: karpenter.sh/v1, eks.amazonaws.com/v1; the fields as their documentation names
/// them, in our own words.
enum Definitions {
    /// In the order in which they are made.
    static let all = [NodeClassDefinition.text, NodePoolDefinition.text, NodeClaimDefinition.text]

    /// Our own texts: what they hold is checked by a test. Throws for one that is no YAML.
    static func value(_ text: String) throws -> Value { try Value(json: try YAMLDecoder.decode(Array(text.utf8)).json) }
}

/// Parts that the definitions share.
enum DefinitionParts {
    /// `status.conditions`, indented to stand below a `properties` of twelve.
    static let conditions = """
                      conditions:
                        type: array
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [type]
                        items:
                          type: object
                          required: [type, status]
                          properties:
                            type: {type: string, maxLength: 316}
                            status: {type: string, enum: ["True", "False", Unknown]}
                            reason: {type: string, maxLength: 1024}
                            message: {type: string, maxLength: 32768}
                            observedGeneration: {type: integer, format: int64, minimum: 0}
                            lastTransitionTime: {type: string, format: date-time}
        """

    /// A taint's fields.
    static let taint = """
        {type: object, required: [key, effect], properties: {key: {type: string, minLength: 1}, value: {type: string}, \
        effect: {type: string, enum: [NoSchedule, PreferNoSchedule, NoExecute]}, timeAdded: {type: string, format: date-time}}}
        """

    /// A requirement's fields, with the rules that belong to its operator.
    static let requirement = """
        {type: object, required: [key, operator], properties: {key: {type: string, maxLength: 316, x-kubernetes-validations: [\
        {rule: "self != 'kubernetes.io/hostname'", message: "label \\"kubernetes.io/hostname\\" is restricted"}, \
        {rule: "self != 'karpenter.sh/nodepool'", message: "label \\"karpenter.sh/nodepool\\" is restricted"}]}, \
        operator: {type: string, enum: [In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte, Lte]}, \
        values: {type: array, maxItems: 100, items: {type: string, maxLength: 63}}, minValues: {type: integer, minimum: 1, maximum: 50}}}
        """

    static let requirementRules = """
        [{rule: "self.all(x, x.operator == 'In' ? has(x.values) && x.values.size() != 0 : true)", \
        message: "requirements with operator 'In' must have a value defined"}, \
        {rule: "self.all(x, x.operator in ['Gt', 'Lt', 'Gte', 'Lte'] ? has(x.values) && x.values.size() == 1 && x.values[0].matches('^[0-9]+$') : true)", \
        message: "requirements operator 'Gt' or 'Lt' must have a single positive integer value"}]
        """

    /// `30s`, `1h30m`, `Never`.
    static let nillableDuration = #"'^(([0-9]+(s|m|h))+|Never)$'"#
    static let duration = #"'^([0-9]+(s|m|h))+$'"#
    static let classReference = """
        {type: object, required: [group, kind, name], properties: {group: {type: string, pattern: '^[^/]*$'}, kind: {type: string, minLength: 1}, \
        name: {type: string, minLength: 1}}}
        """
    static let quantities = """
        {type: object, additionalProperties: {anyOf: [{type: integer}, {type: string}], x-kubernetes-int-or-string: true, \
        pattern: '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$'}}
        """
}
