/// What expressions may name beside the base environment's functions and types. Upstream: cel.Env.
package struct CELEnvironment: Sendable {
    private let variables: [String: CELVariable]
    /// Types that `Name{field: value}` makes, by name or by a function of it. Upstream: the types of mutating admission policies.
    private let constructibleTypes: @Sendable (String) -> CELObjectType?

    /// `constructible` finds the object types that expressions may make (`JSONPatch`, `Object.spec`).
    package init(variables: [CELVariable], constructible: @escaping @Sendable (String) -> CELObjectType? = { _ in nil }) {
        self.variables = Dictionary(variables.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
        constructibleTypes = constructible
    }

    package func variable(_ name: String) -> CELVariable? { variables[name] }

    /// The same environment with more variables.
    package func adding(_ more: [CELVariable]) -> CELEnvironment {
        CELEnvironment(variables: Array(variables.values) + more, constructible: constructibleTypes)
    }

    func constructible(_ name: String) -> CELObjectType? { constructibleTypes(name) }

    /// The type that a name stands for as a value: `int`, `google.protobuf.Duration`.
    func typeNamed(_ name: String) -> CELType? { Self.types[name] ?? constructibleTypes(name).map { .object($0) } }

    private static let types: [String: CELType] = [
        "bool": .bool, "int": .int, "uint": .uint, "double": .double, "string": .string, "bytes": .bytes, "null_type": .null, "type": .type(nil),
        "list": .list(.dyn), "map": .map(.dyn, .dyn), "optional_type": .optional(.dyn), "google.protobuf.Duration": .duration,
        "google.protobuf.Timestamp": .timestamp, "kubernetes.URL": .opaque("kubernetes.URL"), "kubernetes.Quantity": .opaque("kubernetes.Quantity"),
        "kubernetes.Semver": .opaque("kubernetes.Semver"), "net.IP": .opaque("net.IP"), "net.CIDR": .opaque("net.CIDR"),
        "kubernetes.NamedFormat": .opaque("kubernetes.NamedFormat"),
        "kubernetes.authorization.Authorizer": .opaque("kubernetes.authorization.Authorizer"),
    ]
}
