import CEL
import KubeAPI

/// Checks a policy's expressions against the types of the kinds it matches, and tells in its status what does not fit. Upstream:
/// validating.TypeChecker with the controller validatingadmissionpolicystatus.
struct PolicyTypeChecking {
    /// Kinds that are looked at. Upstream: maxTypesToCheck.
    private static let maximumKinds = 10

    private let catalog: AdmissionCatalog

    init(reader: any ObjectReader) { catalog = AdmissionCatalog(reader: reader) }

    /// The policy's `status`. A policy that does not compile has no warnings: it is refused.
    func status(of policy: Value, generation: Int64) -> Value {
        var status: Value = ["observedGeneration": .int(generation)]
        var checking: Value = [:]
        // A tree that came from JSON always encodes to an object.
        if let object = try? Object(policy) {
            let warnings = warnings(object)
            if !warnings.isEmpty {
                checking["expressionWarnings"] = .array(warnings.map { ["fieldRef": .string($0.field), "warning": .string($0.text)] })
            }
        }
        status["typeChecking"] = checking
        return status
    }

    private func warnings(_ policy: Object) -> [(field: String, text: String)] {
        let spec = policy["spec"]
        let kinds = kinds(spec["matchConstraints"])
        guard !kinds.isEmpty else { return [] }
        let paramKind = spec["paramKind"].present.map {
            GroupVersionKind(apiVersion: $0["apiVersion"].string ?? "", kind: $0["kind"].string ?? "")
        }
        let params = paramKind.flatMap { Self.schema($0) } ?? .any
        var found: [(field: String, text: String)] = []
        for kind in kinds {
            guard let schema = Self.schema(kind) else { continue }
            var compiler = PolicyCompiler(hasParams: paramKind != nil, object: schema, params: params)
            func check(_ field: String, _ source: String?, _ types: [CELType]?, withAuthorizer: Bool = true) {
                guard let source, !source.isEmpty else { return }
                guard case .failure(let error) = compiler.compile(source, types, withAuthorizer: withAuthorizer).program else { return }
                // The core group is told by the bare slash, and each kind's finding ends with a line break of its own: so GroupVersionKind.String
                // and TypeCheckingResults.String have it.
                let text = "\(kind.group)/\(kind.version), Kind=\(kind.kind): \(error)\n"
                if let place = found.firstIndex(where: { $0.field == field }) {
                    found[place].text += "\n" + text
                } else {
                    found.append((field, text))
                }
            }
            // What is wrong in a variable shows where it is used.
            for variable in spec["variables"].elements { compiler.add(variable: variable) }
            for (index, validation) in spec["validations"].elements.enumerated() {
                check("spec.validations[\(index)].expression", validation["expression"].string, [.bool])
                check("spec.validations[\(index)].messageExpression", validation["messageExpression"].string, [.string], withAuthorizer: false)
            }
        }
        return found
    }

    /// The kinds that rules name without wildcards, sorted. Upstream: TypeChecker.typesToCheck.
    private func kinds(_ constraints: JSONView?) -> [GroupVersionKind] {
        var kinds: Set<GroupVersionKind> = []
        let table = catalog.table()
        for rule in constraints["resourceRules"].elements {
            for group in rule["apiGroups"].strings where group != "*" {
                for version in rule["apiVersions"].strings where version != "*" {
                    for name in rule["resources"].strings where name != "*" && !name.contains("/") {
                        if let row = table[GroupVersionResource(group: group, version: version, resource: name)] {
                            kinds.insert(row.groupVersionKind)
                        }
                    }
                }
            }
        }
        let sorted = kinds.sorted { ($0.group, $0.version, $0.kind) < ($1.group, $1.version, $1.kind) }
        return Array(sorted.prefix(Self.maximumKinds))
    }

    /// The type of a built-in kind; nil: not known, so not checked. Upstream: openapi.SchemaDeclType.
    static func schema(_ kind: GroupVersionKind) -> CELSchema? {
        SchemaTable.shared.type(of: kind).flatMap { SchemaTable.shared.place(of: $0.name) }.map { schema(.object($0)) }
    }

    private static func schema(_ type: FieldType) -> CELSchema {
        switch type {
        case .string, .quantity: .string()
        case .bytes: .string(format: "byte")
        case .bool: .boolean
        case .int32, .int64: .integer
        case .double: .number
        case .time, .microTime: .string(format: "date-time")
        case .intOrString: .intOrString
        case .fields, .any: .any
        case .array(let items): .list(schema(items))
        case .map(let values): .map(schema(values))
        case .object(let place):
            if let found = SchemaTable.shared[place] {
                .object(
                    CELObjectType(name: found.name) { field in
                        found.field(CELIdentifier.unescape(field)).map { schema($0.type) }
                    })
            } else {
                .any
            }
        }
    }
}
