package import KubeAPI

/// Turns objects into the table that `kubectl get` shows: columns from the resource's row, cells from one function per kind.
/// Upstream: metav1.Table and pkg/printers/internalversion.
package enum TablePrinter {
    /// What of each object goes along with its cells. Upstream: metav1.IncludeObjectPolicy.
    package enum IncludeObject: String, Sendable {
        case metadata = "Metadata"
        case object = "Object"
        case none = "None"
    }

    /// The list's own metadata.
    package struct ListMeta: Sendable {
        package var resourceVersion: String
        package var continueToken: String
        package var remainingItemCount: Int64?

        package init(resourceVersion: String = "", continueToken: String = "", remainingItemCount: Int64? = nil) {
            self.resourceVersion = resourceVersion
            self.continueToken = continueToken
            self.remainingItemCount = remainingItemCount
        }
    }

    /// A Table as JSON. `now` is what ages count to. A watch sends the columns with its first event only: `withColumns` false leaves them out.
    /// `version` is the version of meta.k8s.io the client asked for.
    package static func table(
        row: ResourceRow, objects: [Object], listMeta: ListMeta = ListMeta(), includeObject: IncludeObject = .metadata, now: Timestamp = .now,
        withColumns: Bool = true, version: String = "v1"
    ) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(1024 + objects.count * 512)
        var metadata: Value = [:]
        if !listMeta.resourceVersion.isEmpty { metadata["resourceVersion"] = .string(listMeta.resourceVersion) }
        if !listMeta.continueToken.isEmpty { metadata["continue"] = .string(listMeta.continueToken) }
        if let count = listMeta.remainingItemCount { metadata["remainingItemCount"] = .int(count) }
        out += "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/\(version)\",\"metadata\":".utf8
        metadata.write(to: &out)
        let columns = Self.columns(row)
        out += ",\"columnDefinitions\":".utf8
        if withColumns {
            Value.array(columns.map(definition)).write(to: &out)
        } else {
            out += "null".utf8
        }
        out += ",\"rows\":[".utf8
        let print = printer(row)
        for (index, object) in objects.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            out += "{\"cells\":".utf8
            // Never more cells than columns: clients pair them by place.
            Value.array(Array(print(object, now).prefix(columns.count))).write(to: &out)
            if let conditions = conditions(row, object) {
                out += ",\"conditions\":".utf8
                conditions.write(to: &out)
            }
            out += ",\"object\":".utf8
            switch includeObject {
            case .none: out += "null".utf8
            case .object: out += object.bytes
            case .metadata:
                out += "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/\(version)\",\"metadata\":".utf8
                if let metadata = object["metadata"] { out += metadata.rawBytes } else { out += "{}".utf8 }
                out.append(UInt8(ascii: "}"))
            }
            out.append(UInt8(ascii: "}"))
        }
        out += "]}".utf8
        return out
    }

    /// Name and Created At, of resources nobody made columns for. Upstream: rest.NewDefaultTableConvertor.
    private static let defaultColumns = [
        TableColumn(name: "Name", type: "string", format: "name"), TableColumn(name: "Created At", type: "date"),
    ]
    private static let defaultCustomColumns = [
        TableColumn(name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp")
    ]

    private static func columns(_ row: ResourceRow) -> [TableColumn] {
        if row.isCustom { return [defaultColumns[0]] + (row.columns.isEmpty ? defaultCustomColumns : row.columns) }
        return row.columns.isEmpty ? defaultColumns : row.columns
    }

    private static func definition(_ column: TableColumn) -> Value {
        [
            "name": .string(column.name), "type": .string(column.type), "format": .string(column.format), "description": "",
            "priority": .int(Int64(column.priority)),
        ]
    }

    /// Cells of one object, in the order of the columns.
    typealias Printer = @Sendable (Object, Timestamp) -> [Value]

    private static func printer(_ row: ResourceRow) -> Printer {
        if row.isCustom {
            let columns = (row.columns.isEmpty ? defaultCustomColumns : row.columns).map { ($0, JSONPath($0.jsonPath)) }
            return { object, now in [.string(object.metadata.name)] + columns.map { CustomResourceTable.cell($0.0, $0.1, object, now) } }
        }
        return printers[row.groupResource] ?? { object, _ in
            [.string(object.metadata.name), .string(object["metadata"]["creationTimestamp"].string ?? "")]
        }
    }

    private static let printers: [GroupResource: Printer] = {
        var all: [GroupResource: Printer] = [:]
        for (group, resource, printer) in WorkloadTables.printers + ServiceTables.printers + ClusterTables.printers + StorageTables.printers
            + PolicyTables.printers
        {
            all[GroupResource(group: group, resource: resource)] = printer
        }
        return all
    }()

    /// What kubectl greys out: pods that are done.
    private static func conditions(_ row: ResourceRow, _ object: Object) -> Value? {
        guard row.group.isEmpty, row.resource == "pods" else { return nil }
        switch object["status"]["phase"].string {
        case "Succeeded":
            return [["type": "Completed", "status": "True", "reason": "Succeeded", "message": "The pod has completed successfully."]]
        case "Failed": return [["type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."]]
        default: return nil
        }
    }
}
