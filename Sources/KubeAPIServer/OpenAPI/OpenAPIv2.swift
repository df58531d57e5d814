import KubeAPI

/// The OpenAPI v2 document of everything served, for older clients: definitions with their merge marks, and the operations on each path.
/// Descriptions are left out. Upstream: /openapi/v2.
struct OpenAPIv2 {
    private let resources: ResourceTable
    private let writer: SchemaWriter
    private let version: VersionInfo

    init(_ resources: ResourceTable, _ schema: SchemaTable, _ version: VersionInfo) {
        self.resources = resources
        self.writer = SchemaWriter(table: schema, prefix: "#/definitions/", wrapsReferences: false)
        self.version = version
    }

    var document: Value {
        var definitions = writer.schemas(reachableFrom: writer.roots(resources.rows))
        for row in resources.rows where definitions[writer.typeName(row)] == nil { definitions[writer.typeName(row)] = SchemaWriter.opaque(row) }
        // Swagger 2 knows no alternatives: upstream writes these as plain strings.
        for (name, schema) in definitions where schema["oneOf"] != nil {
            var plain: Value = ["type": "string"]
            if let format = schema["format"] { plain["format"] = format }
            definitions[name] = plain
        }
        var paths: [(String, Value)] = []
        for row in resources.rows {
            for (path, operations) in OperationWriter.paths(row) { paths.append((path, item(path, operations, row))) }
        }
        return [
            "swagger": "2.0", "info": ["title": "Kubernetes", "version": .string(version.gitVersion)], "paths": .object(Members(paths)),
            "definitions": .object(definitions),
        ]
    }

    private func item(_ path: String, _ operations: [OperationWriter.Operation], _ row: ResourceRow) -> Value {
        var item = Members()
        for operation in operations {
            var parameters = operation.parameters.map { (name: String, type: String) -> Value in
                ["name": .string(name), "in": "query", "type": .string(type), "uniqueItems": true]
            }
            if ["post", "put", "patch"].contains(operation.action) {
                let schema: Value = operation.action == "patch" ? ["type": "object"] : reference(operation.kind, row)
                parameters.append(["name": "body", "in": "body", "required": true, "schema": schema])
            }
            var result: Value = [
                "consumes": operation.action == "patch" ? Value(OperationWriter.patchTypes(row).map(\.rawValue)) : ["*/*"],
                "produces": ["application/json"],
                "parameters": .array(parameters),
            ]
            let answer: Value =
                operation.action == "list"
                ? reference(GroupVersionKind(group: row.group, version: row.version, kind: row.listKind), row)
                : operation.action.hasPrefix("delete")
                    ? writer.reference(SchemaWriter.name("apimachinery.pkg.apis.meta.v1.Status")) : reference(operation.kind, row)
            result["responses"] = ["200": ["description": "OK", "schema": answer]]
            result["x-kubernetes-action"] = .string(operation.action)
            result["x-kubernetes-group-version-kind"] = SchemaWriter.kind(operation.kind)
            item[operation.method] = result
        }
        item["parameters"] = .array(
            OperationWriter.pathParameters(path).map { (name: String) -> Value in
                ["name": .string(name), "in": "path", "required": true, "type": "string", "uniqueItems": true]
            })
        return .object(item)
    }

    private func reference(_ kind: GroupVersionKind, _ row: ResourceRow) -> Value {
        if kind == row.groupVersionKind { return writer.reference(writer.typeName(row)) }
        return writer.table.type(of: kind).map { writer.reference(SchemaWriter.name($0.name)) } ?? ["type": "object"]
    }
}
