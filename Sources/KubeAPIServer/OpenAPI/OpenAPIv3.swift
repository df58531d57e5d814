import KubeAPI

/// The OpenAPI v3 document of one group and version. Descriptions are left out. Upstream: /openapi/v3/apis/GROUP/VERSION.
struct OpenAPIv3 {
    private let resources: ResourceTable
    private let writer: SchemaWriter
    private let version: VersionInfo
    private let custom: [GroupVersionResource: CustomResourceVersion]

    init(
        _ resources: ResourceTable, _ schema: SchemaTable, _ version: VersionInfo, custom: [GroupVersionResource: CustomResourceVersion] = [:]
    ) {
        self.resources = resources
        self.custom = custom
        self.writer = SchemaWriter(table: schema, prefix: "#/components/schemas/", wrapsReferences: true)
        self.version = version
    }

    func document(group: String, version: String) -> Value {
        let rows = resources.rows(group: group, version: version)
        var schemas = writer.schemas(reachableFrom: writer.roots(rows))
        for row in rows where schemas[writer.typeName(row)] == nil {
            guard let version = custom[row.groupVersionResource] else {
                schemas[writer.typeName(row)] = SchemaWriter.opaque(row)
                continue
            }
            for (name, schema) in CustomResourceOpenAPI(version, isV2: false).schemas(writer) { schemas[name] = schema }
        }
        var paths: [(String, Value)] = []
        for row in rows {
            for path in OperationWriter.paths(row) { paths.append((path.path, item(path, row))) }
        }
        paths += DiscoveryOperations.paths(group: group, version: version).map { ($0.path, discovery($0)) }
        paths.sort { $0.0 < $1.0 }
        let bearer: Value = ["description": "Bearer Token authentication", "in": "header", "name": "authorization", "type": "apiKey"]
        return [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": .string(self.version.gitVersion)], "paths": .object(Members(paths)),
            "components": ["schemas": .object(schemas), "securitySchemes": ["BearerToken": bearer]], "security": [["BearerToken": []]],
        ]
    }

    private func item(_ path: OperationWriter.Path, _ row: ResourceRow) -> Value {
        var item = Members()
        for operation in path.operations { item[operation.method] = self.operation(operation, row) }
        let names = OperationWriter.pathParameters(path.path)
        item["parameters"] = .array(
            names.map { (name: String) -> Value in
                ["name": .string(name), "in": "path", "required": true, "schema": ["type": "string", "uniqueItems": true]]
            } + path.parameters.filter { !names.contains($0.name) }.map(query))
        return .object(item)
    }

    private func query(_ parameter: OperationWriter.Parameter) -> Value {
        ["name": .string(parameter.name), "in": "query", "schema": ["type": .string(parameter.type), "uniqueItems": true]]
    }

    private func operation(_ operation: OperationWriter.Operation, _ row: ResourceRow) -> Value {
        var result: Value = [
            "tags": [.string(OperationWriter.tag(row))], "description": .string(OperationWriter.description(operation, row)),
            "operationId": .string(operation.id),
        ]
        if !operation.parameters.isEmpty { result["parameters"] = .array(operation.parameters.map(query)) }
        switch operation.body {
        case .none: break
        case .kind: result["requestBody"] = ["content": ["*/*": ["schema": reference(operation.kind, row)]], "required": true]
        case .patch:
            let patch = meta("Patch")
            result["requestBody"] = [
                "content": .object(Members(OperationWriter.patchTypes(row).map { ($0.rawValue, ["schema": patch]) })), "required": true,
            ]
        case .deleteOptions: result["requestBody"] = ["content": ["*/*": ["schema": meta("DeleteOptions")]]]
        }
        let answer: Value =
            switch operation.answer {
            case .kind: reference(operation.kind, row)
            case .list: reference(GroupVersionKind(group: row.group, version: row.version, kind: row.listKind), row)
            case .status: meta("Status")
            case .watchEvent: meta("WatchEvent")
            case .text: ["type": "string"]
            }
        let content = Value.object(Members(OperationWriter.produced(operation, row).map { ($0, ["schema": answer]) }))
        var responses = Members()
        for code in operation.codes { responses[String(code)] = ["description": .string(OpenAPIv2.reasons[code] ?? ""), "content": content] }
        responses["401"] = ["description": "Unauthorized"]
        result["responses"] = .object(responses)
        result["x-kubernetes-action"] = .string(operation.action)
        result["x-kubernetes-group-version-kind"] = SchemaWriter.kind(operation.kind)
        return result
    }

    private func discovery(_ operation: DiscoveryOperations.Operation) -> Value {
        let answer: Value = operation.type.isEmpty ? ["type": "object"] : meta(operation.type)
        let types = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]
        let content = Value.object(Members(types.map { ($0, ["schema": answer]) }))
        return [
            "get": [
                "tags": [.string(operation.tag)], "description": .string(operation.description), "operationId": .string(operation.id),
                "responses": ["200": ["description": "OK", "content": content], "401": ["description": "Unauthorized"]],
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
