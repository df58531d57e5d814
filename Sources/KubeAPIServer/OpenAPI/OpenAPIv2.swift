import KubeAPI

/// The OpenAPI v2 document of everything served, for older clients: definitions with their merge marks, and the operations on each path.
/// Descriptions are left out. Upstream: /openapi/v2.
struct OpenAPIv2 {
    private let resources: ResourceTable
    private let writer: SchemaWriter
    private let version: VersionInfo
    private let custom: [GroupVersionResource: CustomResourceVersion]

    init(
        _ resources: ResourceTable, _ schema: SchemaTable, _ version: VersionInfo, custom: [GroupVersionResource: CustomResourceVersion] = [:]
    ) {
        self.resources = resources
        self.custom = custom
        self.writer = SchemaWriter(table: schema, prefix: "#/definitions/", wrapsReferences: false)
        self.version = version
    }

    var document: Value {
        var definitions = writer.schemas(reachableFrom: writer.roots(resources.rows))
        for row in resources.rows where definitions[writer.typeName(row)] == nil {
            guard let version = custom[row.groupVersionResource] else {
                definitions[writer.typeName(row)] = SchemaWriter.opaque(row)
                continue
            }
            for (name, schema) in CustomResourceOpenAPI(version, isV2: true).schemas(writer) { definitions[name] = schema }
        }
        // Swagger 2 knows no alternatives: upstream writes these as plain strings.
        for (name, schema) in definitions where schema["oneOf"] != nil {
            var plain: Value = ["type": "string"]
            if let format = schema["format"] { plain["format"] = format }
            definitions[name] = plain
        }
        var paths: [(String, Value)] = []
        for row in resources.rows {
            for path in OperationWriter.paths(row) { paths.append((path.path, item(path, row))) }
        }
        paths += DiscoveryOperations.paths(resources).map { ($0.path, discovery($0)) }
        paths.sort { $0.0 < $1.0 }
        let bearer: Value = ["description": "Bearer Token authentication", "in": "header", "name": "authorization", "type": "apiKey"]
        return [
            "swagger": "2.0", "info": ["title": "Kubernetes", "version": .string(version.gitVersion)], "paths": .object(Members(paths)),
            "definitions": .object(definitions), "securityDefinitions": ["BearerToken": bearer], "security": [["BearerToken": []]],
        ]
    }

    private func item(_ path: OperationWriter.Path, _ row: ResourceRow) -> Value {
        var item = Members()
        for operation in path.operations { item[operation.method] = self.operation(operation, row) }
        let names = OperationWriter.pathParameters(path.path)
        item["parameters"] = .array(
            names.map { (name: String) -> Value in
                ["name": .string(name), "in": "path", "required": true, "type": "string", "uniqueItems": true]
            } + path.parameters.filter { !names.contains($0.name) }.map(query))
        return .object(item)
    }

    private func query(_ parameter: OperationWriter.Parameter) -> Value {
        ["name": .string(parameter.name), "in": "query", "type": .string(parameter.type), "uniqueItems": true]
    }

    private func operation(_ operation: OperationWriter.Operation, _ row: ResourceRow) -> Value {
        var parameters: [Value] = []
        switch operation.body {
        case .none: break
        case .kind: parameters.append(["name": "body", "in": "body", "required": true, "schema": reference(operation.kind, row)])
        case .patch: parameters.append(["name": "body", "in": "body", "required": true, "schema": meta("Patch")])
        case .deleteOptions: parameters.append(["name": "body", "in": "body", "schema": meta("DeleteOptions")])
        }
        parameters += operation.parameters.map(query)
        let answer: Value =
            switch operation.answer {
            case .kind: reference(operation.kind, row)
            case .list: reference(GroupVersionKind(group: row.group, version: row.version, kind: row.listKind), row)
            case .status: meta("Status")
            case .watchEvent: meta("WatchEvent")
            case .text: ["type": "string"]
            }
        var responses = Members()
        for code in operation.codes { responses[String(code)] = ["description": .string(Self.reasons[code] ?? ""), "schema": answer] }
        responses["401"] = ["description": "Unauthorized"]
        var result: Value = [
            "consumes": operation.body == .patch ? Value(OperationWriter.patchTypes(row).map(\.rawValue)) : ["*/*"],
            "description": .string(OperationWriter.description(operation, row)), "operationId": .string(operation.id),
        ]
        if !parameters.isEmpty { result["parameters"] = .array(parameters) }
        result["produces"] = Value(OperationWriter.produced(operation, row))
        result["responses"] = .object(responses)
        result["schemes"] = ["https"]
        result["tags"] = [.string(OperationWriter.tag(row))]
        result["x-kubernetes-action"] = .string(operation.action)
        result["x-kubernetes-group-version-kind"] = SchemaWriter.kind(operation.kind)
        return result
    }

    static let reasons = [200: "OK", 201: "Created", 202: "Accepted"]

    private func discovery(_ operation: DiscoveryOperations.Operation) -> Value {
        let answer: Value = operation.type.isEmpty ? ["type": "object"] : meta(operation.type)
        return [
            "get": [
                "consumes": ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"],
                "description": .string(operation.description), "operationId": .string(operation.id),
                "produces": ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"],
                "responses": ["200": ["description": "OK", "schema": answer], "401": ["description": "Unauthorized"]], "schemes": ["https"],
                "tags": [.string(operation.tag)],
            ]
        ]
    }

    private func meta(_ type: String) -> Value { writer.reference(SchemaWriter.name("apimachinery.pkg.apis.meta.v1." + type)) }

    private func reference(_ kind: GroupVersionKind, _ row: ResourceRow) -> Value {
        if kind == row.groupVersionKind { return writer.reference(writer.typeName(row)) }
        if kind.kind == row.listKind, row.isCustom, custom[row.groupVersionResource] != nil { return writer.reference(writer.listTypeName(row)) }
        return writer.table.type(of: kind).map { writer.reference(SchemaWriter.name($0.name)) } ?? ["type": "object"]
    }
}
