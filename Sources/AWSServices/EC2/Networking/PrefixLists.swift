import AWSProtocol

extension EC2Network {
    /// The services of gateway endpoints, with ranges of theirs. AWS keeps these lists itself; its ranges lead nowhere here.
    private static let gatewayServices: [(name: String, cidrs: [String])] = [
        ("s3", ["52.92.128.0/17", "52.218.128.0/17", "3.5.76.0/22", "3.5.80.0/21"]),
        ("dynamodb", ["52.94.10.0/24", "52.94.28.0/23", "35.71.64.0/22"]),
    ]

    /// AWS's own prefix lists.
    var awsPrefixLists: [String: PrefixListRecord] {
        var lists: [String: PrefixListRecord] = [:]
        for service in Self.gatewayServices {
            let name = "com.amazonaws.\(region).\(service.name)"
            let id = "pl-" + CanonicalRequest.hash(of: Array(name.utf8)).prefix(8)
            lists[id] = PrefixListRecord(
                id: id, name: name, family: "IPv4", maxEntries: service.cidrs.count, version: 1, entries: service.cidrs.map { .init(cidr: $0) })
        }
        return lists
    }

    /// The prefix list of a gateway endpoint's service: `com.amazonaws.us-west-2.s3`.
    func prefixListID(ofService name: String) -> String? { awsPrefixLists.values.first { $0.name == name }?.id }
}

extension EC2Tables {
    /// Throws InvalidPrefixListID.NotFound.
    func prefixList(_ id: String) throws(AWSError) -> PrefixListRecord {
        guard let found = prefixLists[id] else {
            throw AWSError("InvalidPrefixListID.NotFound", "The prefix list ID '\(id)' does not exist")
        }
        return found
    }
}

extension XMLWriter {
    fileprivate mutating func prefixList(_ list: PrefixListRecord, _ tags: [String: String], _ network: EC2Network, isNew: Bool = false) {
        let isAWS = list.name.hasPrefix("com.amazonaws.")
        leaf("prefixListId", list.id)
        leaf("prefixListName", list.name)
        leaf("prefixListArn", network.arn("prefix-list/\(list.id)"))
        leaf("addressFamily", list.family)
        leaf("state", isNew ? "create-in-progress" : list.version == 1 ? "create-complete" : "modify-complete")
        if !isAWS {
            leaf("maxEntries", list.maxEntries)
            leaf("version", list.version)
        }
        leaf("ownerId", isAWS ? "AWS" : network.account)
        ec2Tags(tags)
    }
}

extension EC2Call {
    private func entries(_ name: String) throws(AWSError) -> [PrefixListRecord.Entry] {
        var entries: [PrefixListRecord.Entry] = []
        for entry in parameters.list(name) {
            let cidr = entry["Cidr"] ?? ""
            guard cidr.contains(":") || IPv4Block(cidr) != nil else {
                throw AWSError("InvalidParameterValue", "The CIDR (\(cidr.prefix(64))) is not valid.")
            }
            entries.append(.init(cidr: cidr, description: entry["Description"]))
        }
        return entries
    }

    fileprivate func newPrefixList() throws(AWSError) -> PrefixListRecord {
        let (name, family) = (try required("PrefixListName"), try required("AddressFamily"))
        guard let most = try integer("MaxEntries", in: 1...1_000) else { throw EC2Fault.missingParameter("MaxEntries") }
        guard family == "IPv4" || family == "IPv6" else { throw EC2Fault.invalidValue("The address family must be IPv4 or IPv6.") }
        guard !name.hasPrefix("com.amazonaws") else { throw EC2Fault.invalidValue("The name cannot start with com.amazonaws.") }
        let entries = try entries("Entry")
        guard entries.count <= most else {
            throw AWSError("PrefixListMaxEntriesExceeded", "You've reached the maximum number of entries for the prefix list.")
        }
        return PrefixListRecord(id: AWSIdentifier.resource("pl"), name: name, family: family, maxEntries: most, version: 1, entries: entries)
    }

    /// Throws IncorrectState for a version that is not the current one, PrefixListMaxEntriesExceeded.
    fileprivate func change(_ list: inout PrefixListRecord) throws(AWSError) {
        let (added, removed) = (try entries("AddEntry"), parameters.list("RemoveEntry").map { $0["Cidr"] ?? "" })
        if let text = parameters["CurrentVersion"], Int(text) != list.version {
            throw AWSError("PrefixListVersionMismatch", "The prefix list has the incorrect version number. The current version is \(list.version).")
        }
        if let name = parameters["PrefixListName"] { list.name = name }
        if let most = try integer("MaxEntries", in: 1...1_000) { list.maxEntries = most }
        for cidr in removed {
            guard list.entries.contains(where: { $0.cidr == cidr }) else {
                throw EC2Fault.invalidValue("The CIDR \(cidr.prefix(64)) is not in the prefix list.")
            }
            list.entries.removeAll { $0.cidr == cidr }
        }
        for entry in added {
            list.entries.removeAll { $0.cidr == entry.cidr }
            list.entries.append(entry)
        }
        guard list.entries.count <= list.maxEntries else {
            throw AWSError("PrefixListMaxEntriesExceeded", "You've reached the maximum number of entries for the prefix list.")
        }
        if !added.isEmpty || !removed.isEmpty { list.version += 1 }
    }

    fileprivate func describePrefixLists(_ tables: EC2Tables, _ lists: [String: PrefixListRecord]) throws(AWSError) -> (
        rows: [(id: String, row: PrefixListRecord)], finish: @Sendable (inout XMLWriter) -> Void
    ) {
        try describe(
            lists, ids: parameters.strings("PrefixListId"), tags: tables.tags.rows,
            missing: { AWSError("InvalidPrefixListID.NotFound", "The prefix list ID '\($0)' does not exist") }
        ) { list, filter in
            switch filter {
            case "prefix-list-id": [list.id]
            case "prefix-list-name": [list.name]
            case "owner-id": [list.name.hasPrefix("com.amazonaws.") ? "AWS" : network.account]
            default: nil
            }
        }
    }
}

extension EC2Service {
    private static let one = "prefix-list/{PrefixListId}"

    static let prefixListOperations: [String: EC2Operation] = [
        "CreateManagedPrefixList": EC2Operation("prefix-list/*") { call in
            let (list, tags) = (try call.newPrefixList(), try call.tags(for: "prefix-list"))
            try await call.update { tables in
                tables.prefixLists[list.id] = list
                tables.setTags(tags, on: list.id)
            }
            return { $0.element("prefixList") { $0.prefixList(list, tags, call.network, isNew: true) } }
        },
        "ModifyManagedPrefixList": EC2Operation(one) { call in
            let id = try call.required("PrefixListId")
            let (list, tags) = try await call.update { tables in
                var list = try tables.prefixList(id)
                try call.change(&list)
                tables.prefixLists[id] = list
                return (list, tables.tags(of: id))
            }
            return { $0.element("prefixList") { $0.prefixList(list, tags, call.network) } }
        },
        "DeleteManagedPrefixList": EC2Operation(one) { call in
            let id = try call.required("PrefixListId")
            let (list, tags) = try await call.update { tables in
                let list = try tables.prefixList(id)
                let isUsed =
                    tables.securityGroups.values.contains { $0.rules.contains { $0.prefixListID == id } }
                    || tables.routeTables.values.contains { $0.routes.contains { $0.destination == id } }
                guard !isUsed else { throw EC2Fault.dependency("The prefix list '\(id)' is referenced by other resources and cannot be deleted.") }
                let tags = tables.tags(of: id)
                tables.prefixLists[id] = nil
                tables.tags[id] = nil
                return (list, tags)
            }
            return { $0.element("prefixList") { $0.prefixList(list, tags, call.network) } }
        },
        "DescribeManagedPrefixLists": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describePrefixLists(tables, tables.prefixLists.rows.merging(call.network.awsPrefixLists) { first, _ in first })
            return { xml in
                xml.list("prefixListSet", of: found.rows) { $0.prefixList($1.row, tables.tags(of: $1.id), call.network) }
                found.finish(&xml)
            }
        },
        "DescribePrefixLists": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describePrefixLists(tables, call.network.awsPrefixLists)
            return { xml in
                xml.list("prefixListSet", of: found.rows) { xml, entry in
                    xml.leaf("prefixListId", entry.id)
                    xml.leaf("prefixListName", entry.row.name)
                    xml.element("cidrSet") { xml in for entry in entry.row.entries { xml.leaf("item", entry.cidr) } }
                }
                found.finish(&xml)
            }
        },
        "GetManagedPrefixListEntries": EC2Operation(one) { call in
            let id = try call.required("PrefixListId")
            let aws = call.network.awsPrefixLists[id]
            let list = try await call.read { tables in try aws ?? tables.prefixList(id) }
            if let text = call.parameters["TargetVersion"], Int(text) != list.version {
                throw AWSError("UnsupportedOperation", "Only the current version \(list.version) of a prefix list is kept by Eyrie.")
            }
            return { xml in
                xml.list("entrySet", of: list.entries) { xml, entry in
                    xml.leaf("cidr", entry.cidr)
                    xml.leaf("description", entry.description)
                }
            }
        },
    ]
}
