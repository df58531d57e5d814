import AWSProtocol

extension EC2Tables {
    /// The kind of an existing resource as tags name it; nil when there is no such resource.
    fileprivate func kind(of id: String) -> String? {
        if vpcs[id] != nil { return "vpc" }
        if subnets[id] != nil { return "subnet" }
        if securityGroups[id] != nil { return "security-group" }
        if internetGateways[id] != nil { return "internet-gateway" }
        if routeTables[id] != nil { return "route-table" }
        if interfaces[id] != nil { return "network-interface" }
        if instances[id] != nil { return "instance" }
        return kindOfNetworking(id)
    }

    private func kindOfNetworking(_ id: String) -> String? {
        if addresses[id] != nil { return "elastic-ip" }
        if let gateway = natGateways[id] { return gateway.deletedAt == nil ? "natgateway" : nil }
        if egressOnlyGateways[id] != nil { return "egress-only-internet-gateway" }
        if dhcpOptions[id] != nil { return "dhcp-options" }
        if networkACLs[id] != nil { return "network-acl" }
        if prefixLists[id] != nil { return "prefix-list" }
        if endpoints[id] != nil { return "vpc-endpoint" }
        if launchTemplates[id] != nil { return "launch-template" }
        if keyPairs[id] != nil { return "key-pair" }
        if placementGroups[id] != nil { return "placement-group" }
        if id.hasPrefix("sgr-"), securityGroups.values.contains(where: { $0.rules.contains { $0.id == id } }) { return "security-group-rule" }
        return nil
    }

    fileprivate func checkExist(_ ids: [String]) throws(AWSError) {
        guard !ids.isEmpty else { throw EC2Fault.missingParameter("resourceIdSet") }
        for id in ids where kind(of: id) == nil { throw AWSError("InvalidID", "The ID '\(id.prefix(64))' is not valid") }
    }
}

extension EC2Service {
    static let regionOperations: [String: EC2Operation] = [
        "DescribeAvailabilityZones": EC2Operation("*") { call in
            let network = call.network
            let names = call.parameters.strings("ZoneName")
            let ids = call.parameters.strings("ZoneId")
            var zones: [String: String] = [:]
            for zone in network.zones.zones where ids.isEmpty || ids.contains(zone.id) { zones[zone.name] = zone.id }
            let found = try call.describe(
                zones, ids: names, tags: [:], missing: { EC2Fault.invalidValue("Invalid availability zone: [\($0.prefix(64))]") }
            ) { id, filter in
                switch filter {
                case "zone-id": [id]
                case "zone-name": network.zones.zones.filter { $0.id == id }.map(\.name)
                case "region-name", "group-name": [network.region]
                case "state": ["available"]
                case "zone-type": ["availability-zone"]
                case "opt-in-status": ["opt-in-not-required"]
                default: nil
                }
            }
            return { xml in
                xml.list("availabilityZoneInfo", of: found.rows) { xml, zone in
                    xml.leaf("zoneName", zone.id)
                    xml.leaf("zoneId", zone.row)
                    xml.leaf("zoneState", "available")
                    xml.leaf("regionName", network.region)
                    xml.leaf("groupName", network.region)
                    xml.leaf("networkBorderGroup", network.region)
                    xml.leaf("zoneType", "availability-zone")
                    xml.leaf("optInStatus", "opt-in-not-required")
                    xml.element("messageSet") { _ in }
                }
            }
        },
        "DescribeRegions": EC2Operation("*") { call in
            let region = call.network.region
            for name in call.parameters.strings("RegionName") where name != region {
                throw EC2Fault.invalidValue("Invalid values found for parameter RegionNames: [\(name.prefix(64))]")
            }
            return { xml in
                xml.list("regionInfo", of: [region]) { xml, name in
                    xml.leaf("regionName", name)
                    xml.leaf("regionEndpoint", "ec2.\(name).amazonaws.com")
                    xml.leaf("optInStatus", "opt-in-not-required")
                }
            }
        },
    ]

    static let tagOperations: [String: EC2Operation] = [
        "CreateTags": EC2Operation("*") { call in
            let ids = call.parameters.strings("ResourceId")
            var tags: [String: String] = [:]
            for tag in call.parameters.list("Tag") { tags[tag["Key"] ?? ""] = tag["Value"] ?? "" }
            guard !tags.isEmpty else { throw EC2Fault.missingParameter("tagSet") }
            try EC2Call.check(tags)
            let new = tags
            try await call.update { tables in
                try tables.checkExist(ids)
                for id in ids {
                    tables.setTags(new, on: id)
                    guard tables.tags(of: id).count <= 50 else {
                        throw AWSError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
                    }
                }
            }
            return { $0.success() }
        },
        "DeleteTags": EC2Operation("*") { call in
            let ids = call.parameters.strings("ResourceId")
            let wanted = call.parameters.list("Tag").map { (key: $0["Key"] ?? "", value: $0["Value"]) }
            try await call.update { tables in
                guard !ids.isEmpty else { throw EC2Fault.missingParameter("resourceIdSet") }
                for id in ids {
                    var tags = tables.tags(of: id)
                    if wanted.isEmpty { tags = tags.filter { $0.key.hasPrefix("aws:") } }
                    for tag in wanted where !tag.key.hasPrefix("aws:") && (tag.value == nil || tags[tag.key] == tag.value) { tags[tag.key] = nil }
                    tables.tags[id] = tags.isEmpty ? nil : tags
                }
            }
            return { $0.success() }
        },
        "DescribeTags": EC2Operation("*") { call in
            struct Entry: Sendable {
                var id: String
                var kind: String
                var key: String
                var value: String
            }
            let entries = try await call.read { tables in
                var entries: [String: Entry] = [:]
                for (id, tags) in tables.tags.rows {
                    guard let kind = tables.kind(of: id) else { continue }
                    for (key, value) in tags { entries[id + "\u{0}" + key] = Entry(id: id, kind: kind, key: key, value: value) }
                }
                return entries
            }
            let found = try call.describe(entries, ids: [], tags: [:], missing: { AWSError("InvalidID", "The ID '\($0)' is not valid") }) {
                entry, filter in
                switch filter {
                case "resource-id": [entry.id]
                case "resource-type": [entry.kind]
                case "key": [entry.key]
                case "value": [entry.value]
                default: nil
                }
            }
            return { xml in
                xml.list("tagSet", of: found.rows) { xml, entry in
                    xml.leaf("resourceId", entry.row.id)
                    xml.leaf("resourceType", entry.row.kind)
                    xml.leaf("key", entry.row.key)
                    xml.leaf("value", entry.row.value)
                }
                found.finish(&xml)
            }
        },
    ]
}
