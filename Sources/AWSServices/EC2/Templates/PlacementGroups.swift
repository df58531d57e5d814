import AWSProtocol

extension XMLWriter {
    fileprivate mutating func placementGroup(_ group: PlacementGroupRecord, _ tags: [String: String], _ network: EC2Network) {
        leaf("groupId", group.id)
        leaf("groupName", group.name)
        leaf("groupArn", network.arn("placement-group/\(group.name)"))
        leaf("state", "available")
        leaf("strategy", group.strategy)
        if let count = group.partitionCount { leaf("partitionCount", count) }
        leaf("spreadLevel", group.spreadLevel)
        ec2Tags(tags)
    }
}

extension EC2Service {
    /// Records: all machines are on one host.
    static let placementGroupOperations: [String: EC2Operation] = [
        "CreatePlacementGroup": EC2Operation("placement-group/{GroupName}") { call in
            let (name, strategy, tags) = (
                try call.required("GroupName"), call.parameters["Strategy"] ?? "cluster", try call.tags(for: "placement-group")
            )
            guard ["cluster", "spread", "partition"].contains(strategy) else {
                throw EC2Fault.invalidValue("The strategy \(strategy.prefix(20)) is invalid")
            }
            let count = try call.integer("PartitionCount", in: 1...7)
            let group = PlacementGroupRecord(
                id: AWSIdentifier.resource("pg"), name: name, strategy: strategy, partitionCount: strategy == "partition" ? count ?? 2 : nil,
                spreadLevel: strategy == "spread" ? call.parameters["SpreadLevel"] ?? "rack" : nil)
            try await call.update { tables in
                guard !tables.placementGroups.values.contains(where: { $0.name == name }) else {
                    throw AWSError("InvalidPlacementGroup.Duplicate", "The placement group '\(name)' already exists.")
                }
                tables.placementGroups[group.id] = group
                tables.setTags(tags, on: group.id)
            }
            return { $0.element("placementGroup") { $0.placementGroup(group, tags, call.network) } }
        },
        "DeletePlacementGroup": EC2Operation("placement-group/{GroupName}") { call in
            let name = try call.required("GroupName")
            try await call.update { tables in
                guard let group = tables.placementGroups.values.first(where: { $0.name == name }) else {
                    throw AWSError("InvalidPlacementGroup.Unknown", "The Placement Group '\(name)' is unknown.")
                }
                tables.placementGroups[group.id] = nil
                tables.tags[group.id] = nil
            }
            return { $0.success() }
        },
        "DescribePlacementGroups": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let names = call.parameters.strings("GroupName")
            for name in names where !tables.placementGroups.values.contains(where: { $0.name == name }) {
                throw AWSError("InvalidPlacementGroup.Unknown", "The Placement Group '\(name)' is unknown.")
            }
            let found = try call.describe(
                tables.placementGroups.rows.filter { names.isEmpty || names.contains($0.value.name) }, ids: call.parameters.strings("GroupId"),
                tags: tables.tags.rows, missing: { AWSError("InvalidPlacementGroupId.NotFound", "The placement group id '\($0)' does not exist") }
            ) { group, filter in
                switch filter {
                case "group-name": [group.name]
                case "strategy": [group.strategy]
                case "state": ["available"]
                default: nil
                }
            }
            return { xml in xml.list("placementGroupSet", of: found.rows) { $0.placementGroup($1.row, tables.tags(of: $1.id), call.network) } }
        },
    ]
}
