import KubeAPI

/// The OpenAPI v3 document of one group and version. Descriptions are left out. Upstream: /openapi/v3/apis/GROUP/VERSION.
struct OpenAPIv3 {
    private let resources: ResourceTable
    private let writer: SchemaWriter
    private let version: VersionInfo

    init(_ resources: ResourceTable, _ schema: SchemaTable, _ version: VersionInfo) {
        self.resources = resources
        self.writer = SchemaWriter(table: schema, prefix: "#/components/schemas/", wrapsReferences: true)
        self.version = version
    }

    func document(group: String, version: String) -> Value {
        let rows = resources.rows(group: group, version: version)
        var schemas = writer.schemas(reachableFrom: writer.roots(rows))
        for row in rows where schemas[writer.typeName(row)] == nil { schemas[writer.typeName(row)] = SchemaWriter.opaque(row) }
        var paths = Members()
        for row in rows {
            for (path, operations) in OperationWriter.paths(row) { paths[path] = item(path, operations, row) }
        }
        return [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": .string(self.version.gitVersion)], "paths": .object(paths),
            "components": ["schemas": .object(schemas)],
        ]
    }

    private func item(_ path: String, _ operations: [OperationWriter.Operation], _ row: ResourceRow) -> Value {
        var item = Members()
        for operation in operations { item[operation.method] = self.operation(operation, row) }
        item["parameters"] = .array(
            OperationWriter.pathParameters(path).map { (name: String) -> Value in
                ["name": .string(name), "in": "path", "required": true, "schema": ["type": "string", "uniqueItems": true]]
            })
        return .object(item)
    }

    private func operation(_ operation: OperationWriter.Operation, _ row: ResourceRow) -> Value {
        let kind = reference(operation.kind, row)
        var result: Value = [
            "tags": [.string(tag(row))],
            "parameters": .array(
                operation.parameters.map { (name: String, type: String) -> Value in
                    ["name": .string(name), "in": "query", "schema": ["type": .string(type), "uniqueItems": true]]
                }),
        ]
        switch operation.action {
        case "post", "put": result["requestBody"] = ["content": ["*/*": ["schema": kind]], "required": true]
        case "patch":
            let patch: Value = ["type": "object"]
            result["requestBody"] = [
                "content": .object(Members(OperationWriter.patchTypes(row).map { ($0.rawValue, ["schema": patch]) })), "required": true,
            ]
        case "delete", "deletecollection":
            result["requestBody"] = [
                "content": ["*/*": ["schema": writer.reference(SchemaWriter.name("apimachinery.pkg.apis.meta.v1.DeleteOptions"))]]
            ]
        default: break
        }
        var answer = kind
        if operation.action == "list" {
            answer = reference(GroupVersionKind(group: row.group, version: row.version, kind: row.listKind), row)
        } else if operation.action == "delete" || operation.action == "deletecollection" {
            answer = writer.reference(SchemaWriter.name("apimachinery.pkg.apis.meta.v1.Status"))
        }
        result["responses"] = ["200": ["description": "OK", "content": ["application/json": ["schema": answer]]]]
        result["x-kubernetes-action"] = .string(operation.action)
        result["x-kubernetes-group-version-kind"] = SchemaWriter.kind(operation.kind)
        return result
    }

    private func reference(_ kind: GroupVersionKind, _ row: ResourceRow) -> Value {
        if kind == row.groupVersionKind { return writer.reference(writer.typeName(row)) }
        return writer.table.type(of: kind).map { writer.reference(SchemaWriter.name($0.name)) } ?? ["type": "object"]
    }

    /// `core_v1`, `apps_v1`, `rbacAuthorization_v1`.
    private func tag(_ row: ResourceRow) -> String {
        if row.group.isEmpty { return "core_\(row.version)" }
        let words = row.group.replacingSuffix(".k8s.io").split(separator: ".")
        let name = (words.first.map(String.init) ?? "") + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
        return "\(name)_\(row.version)"
    }
}

extension String {
    /// The text without `suffix` at its end.
    fileprivate func replacingSuffix(_ suffix: String) -> String { hasSuffix(suffix) ? String(dropLast(suffix.count)) : self }
}
