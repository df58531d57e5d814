import KubeAPI

extension CustomResourceVersion {
    /// Reads a request's body as an object of this version: metadata in its Go form, unknown fields dropped and told, nulls dropped, defaults set.
    /// Returns the object and warnings. Throws BadRequest, for unknown and duplicate fields when `validation` is strict.
    /// Upstream: schemaCoercingDecoder with unstructuredDefaulter.
    func decode(_ bytes: [UInt8], validation: FieldValidation) throws(StatusError) -> (Value, [String]) {
        let kind = row.groupVersionKind
        let root: JSONView
        do throws(JSONError) { root = try JSONDocument(bytes).root } catch {
            // The decoder of all kinds words it.
            return try ObjectDecoder.decode(bytes, kind: kind, type: nil, validation: validation)
        }
        guard root.kind == .object else { return try ObjectDecoder.decode(bytes, kind: kind, type: nil, validation: validation) }
        let sent = GroupVersionKind(apiVersion: root["apiVersion"].string ?? "", kind: root["kind"].string ?? "")
        if !sent.version.isEmpty, sent.apiVersion != kind.apiVersion || (!sent.kind.isEmpty && sent.kind != kind.kind) {
            return try ObjectDecoder.decode(bytes, kind: kind, type: nil, validation: validation)
        }
        return try decode(root, validation: validation)
    }

    /// The same for the outcome of a patch.
    func decode(tree: Value, validation: FieldValidation) throws(StatusError) -> (Value, [String]) {
        let document: JSONDocument
        do throws(JSONError) { document = try JSONDocument(tree.jsonBytes) } catch { throw .badRequest("\(error)") }
        return try decode(document.root, validation: validation)
    }

    private func decode(_ root: JSONView, validation: FieldValidation) throws(StatusError) -> (Value, [String]) {
        let kind = row.groupVersionKind
        var problems: [String] = []
        if validation != .ignore { problems = DuplicateKeys.problems(root) }
        var object = root.value
        object["kind"] = .string(kind.kind)
        object["apiVersion"] = .string(kind.apiVersion)
        if let metadata = root["metadata"], !metadata.isNull {
            let (value, unknown) = try Self.metadata(metadata, kind)
            object["metadata"] = value
            problems += unknown.map { "unknown field \"metadata.\($0)\"" }
        }
        let schema = schema
        if !keepsUnknownFields {
            problems += SchemaPruning.prune(&object, schema, collects: validation != .ignore).map { "unknown field \"\($0)\"" }
            SchemaDefaulting.dropNulls(&object, schema, isRoot: true)
        }
        if schema.hasEmbeddedResources {
            var coercion = EmbeddedResources(kind: kind)
            try coercion.coerce(&object, schema, isRoot: true)
            problems += coercion.unknown.map { "unknown field \"\($0)\"" }
        }
        SchemaDefaulting.apply(&object, schema)
        guard validation != .ignore, !problems.isEmpty else { return (object, []) }
        problems = Array(problems.prefix(ObjectDecoder.problemLimit))
        guard validation == .strict else { return (object, problems) }
        throw .badRequest(
            "\(kind.kind) in version \(kind.version.goQuoted) cannot be handled as a \(kind.kind): strict decoding error: "
                + problems.joined(separator: ", "))
    }

    private static let metadataType = SchemaTable.shared.type(named: "apimachinery.pkg.apis.meta.v1.ObjectMeta")

    /// Metadata in the form Go's ObjectMeta gives it, with the names of the fields it does not have.
    static func metadata(_ view: JSONView, _ kind: GroupVersionKind) throws(StatusError) -> (Value, unknown: [String]) {
        guard view.kind == .object else {
            throw .badRequest(
                "\(kind.kind) in version \(kind.version.goQuoted) cannot be handled as a \(kind.kind): json: cannot unmarshal "
                    + "\(view.kind == .array ? "array" : view.string == nil ? "number" : "string") "
                    + "into Go struct field .metadata of type v1.ObjectMeta")
        }
        let (value, problems) = try ObjectDecoder.decode(view, kind: kind, type: metadataType, validation: .warn)
        let mark = "unknown field \""
        return (value, problems.filter { $0.hasPrefix(mark) }.map { String($0.dropFirst(mark.count).dropLast()) })
    }
}

/// Keys that stand twice in an object, with their paths. Upstream: kjson.UnmarshalStrict.
enum DuplicateKeys {
    static func problems(_ root: JSONView) -> [String] {
        var problems: [String] = []
        var path: [String] = []
        visit(root, &path, &problems)
        return problems
    }

    private static func visit(_ view: JSONView, _ path: inout [String], _ problems: inout [String]) {
        switch view.kind {
        case .object:
            var seen: Set<String> = []
            for (name, member) in view.members {
                if !seen.insert(name).inserted, problems.count < ObjectDecoder.problemLimit {
                    problems.append("duplicate field \"\(path.joined())\(path.isEmpty ? "" : ".")\(name)\"")
                }
                guard member.kind == .object || member.kind == .array else { continue }
                path.append(path.isEmpty ? name : "." + name)
                visit(member, &path, &problems)
                path.removeLast()
            }
        case .array:
            for (index, item) in view.elements.enumerated() where item.kind == .object || item.kind == .array {
                path.append("[\(index)]")
                visit(item, &path, &problems)
                path.removeLast()
            }
        default: break
        }
    }
}

/// Resources inside of resources: they have an apiVersion, a kind and metadata as all have. Upstream: objectmeta.CoerceWithOptions and
/// objectmeta.Validate.
struct EmbeddedResources {
    let kind: GroupVersionKind
    /// Paths of fields that metadata does not have.
    private(set) var unknown: [String] = []
    private var path: [String] = []
    private var errors = FieldErrors()

    init(kind: GroupVersionKind) { self.kind = kind }

    private var name: String { path.joined() }

    /// Brings the metadata of all embedded resources below the root into Go's form. Throws BadRequest for what cannot be.
    mutating func coerce(_ value: inout Value, _ schema: StructuralSchema, isRoot: Bool = false) throws(StatusError) {
        guard schema.hasEmbeddedResources else { return }
        switch value {
        case .object(var members):
            if schema.isEmbeddedResource, !isRoot {
                for field in ["apiVersion", "kind"] {
                    if let given = members[field], given.string == nil {
                        throw .badRequest(
                            "\(kind.kind) in version \(kind.version.goQuoted) cannot be handled as a \(kind.kind): "
                                + "\(name).\(field): Invalid value: \(SchemaValidator.shown(given)): must be a string")
                    }
                }
                if let metadata = members["metadata"], !metadata.isNull {
                    let document: JSONDocument
                    do throws(JSONError) { document = try JSONDocument(metadata.jsonBytes) } catch { throw .badRequest("\(error)") }
                    let (clean, fields) = try CustomResourceVersion.metadata(document.root, kind)
                    members["metadata"] = clean
                    unknown += fields.map { "\(name).metadata.\($0)" }
                }
            }
            for name in members.keys {
                guard let inner = schema.property(name) ?? schema.additionalSchema, inner.hasEmbeddedResources, var member = members[name] else {
                    continue
                }
                path.append(path.isEmpty ? name : "." + name)
                try coerce(&member, inner)
                path.removeLast()
                members[name] = member
            }
            value = .object(members)
        case .array(var items):
            guard let inner = schema.items else { return }
            for index in items.indices {
                path.append("[\(index)]")
                try coerce(&items[index], inner)
                path.removeLast()
            }
            value = .array(items)
        default: break
        }
    }

    /// Errors of the names and metadata of embedded resources.
    static func problems(_ value: Value, _ schema: StructuralSchema, kind: GroupVersionKind) -> [StatusError.Cause] {
        guard schema.hasEmbeddedResources else { return [] }
        var resources = EmbeddedResources(kind: kind)
        resources.validate(value, schema, isRoot: true)
        return resources.errors.causes
    }

    private mutating func validate(_ value: Value, _ schema: StructuralSchema, isRoot: Bool = false) {
        guard schema.hasEmbeddedResources else { return }
        switch value {
        case .object(let members):
            if schema.isEmbeddedResource, !isRoot { names(members) }
            for (name, member) in members {
                guard let inner = schema.property(name) ?? schema.additionalSchema else { continue }
                path.append(path.isEmpty ? name : "." + name)
                validate(member, inner)
                path.removeLast()
            }
        case .array(let items):
            guard let inner = schema.items else { return }
            for (index, item) in items.enumerated() {
                path.append("[\(index)]")
                validate(item, inner)
                path.removeLast()
            }
        default: break
        }
    }

    private mutating func names(_ members: Members) {
        let apiVersion = members["apiVersion"]?.string ?? ""
        let kind = members["kind"]?.string ?? ""
        if apiVersion.isEmpty {
            errors.required("\(name).apiVersion", "must not be empty")
        } else if apiVersion.split(separator: "/", omittingEmptySubsequences: false).count > 2 {
            errors.invalid("\(name).apiVersion", .string(apiVersion), "unexpected GroupVersion string: \(apiVersion)")
        }
        if kind.isEmpty {
            errors.required("\(name).kind", "must not be empty")
        } else {
            let problems = Names.problems(kind.lowercased(), .dns1035Label)
            if !problems.isEmpty {
                errors.invalid(
                    "\(name).kind", .string(kind), "may have mixed case, but should otherwise match: " + problems.joined(separator: ","))
            }
        }
        guard let metadata = members["metadata"], let object = try? Object(["metadata": metadata]) else { return }  // A tree of JSON is JSON.
        let place = "\(name).metadata"
        let own = object.metadata
        var causes = MetadataValidation.validateMaps(own)
        if !own.name.isEmpty {
            for problem in Names.problems(own.name, .dnsSubdomain) {
                causes.append(MetadataValidation.invalid("metadata.name", .string(own.name), problem))
            }
        }
        for var cause in causes {
            cause.field = place + cause.field.dropFirst("metadata".count)
            errors.append([cause])
        }
    }
}
