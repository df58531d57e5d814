import AWSProtocol

extension EC2Network {
    /// The options that VPCs have unless told otherwise.
    var standardDHCPOptions: DHCPOptionsRecord {
        let digest = CanonicalRequest.hash(of: Array("\(account)/\(region)/dhcp".utf8))
        let domain = region == "us-east-1" ? "ec2.internal" : "\(region).compute.internal"
        return DHCPOptionsRecord(
            id: "dopt-" + digest.prefix(17), options: ["domain-name": [domain], "domain-name-servers": ["AmazonProvidedDNS"]])
    }
}

extension XMLWriter {
    fileprivate mutating func dhcpOptions(_ record: DHCPOptionsRecord, _ tags: [String: String], account: String) {
        leaf("dhcpOptionsId", record.id)
        leaf("ownerId", account)
        list("dhcpConfigurationSet", of: record.options.sorted { $0.key < $1.key }) { xml, option in
            xml.leaf("key", option.key)
            xml.list("valueSet", of: option.value) { $0.leaf("value", $1) }
        }
        ec2Tags(tags)
    }
}

extension EC2Service {
    private static let keys: Set<String> = [
        "domain-name", "domain-name-servers", "ntp-servers", "netbios-name-servers", "netbios-node-type", "ipv6-address-preferred-lease-time",
    ]

    static let dhcpOperations: [String: EC2Operation] = [
        "CreateDhcpOptions": EC2Operation("dhcp-options/*") { call in
            let tags = try call.tags(for: "dhcp-options")
            var options: [String: [String]] = [:]
            for entry in call.parameters.list("DhcpConfiguration") {
                let (key, values) = (entry["Key"] ?? "", entry.strings("Value"))
                guard keys.contains(key), !values.isEmpty else {
                    throw EC2Fault.invalidValue("Value (\(key.prefix(64))) for parameter Key is invalid.")
                }
                options[key] = values
            }
            guard !options.isEmpty else { throw EC2Fault.missingParameter("dhcpConfigurationSet") }
            let record = DHCPOptionsRecord(id: AWSIdentifier.resource("dopt"), options: options)
            try await call.update { tables in
                tables.dhcpOptions[record.id] = record
                tables.setTags(tags, on: record.id)
            }
            return { $0.element("dhcpOptions") { $0.dhcpOptions(record, tags, account: call.network.account) } }
        },
        "AssociateDhcpOptions": EC2Operation("dhcp-options/{DhcpOptionsId}") { call in
            let (id, vpcID, standard) = (try call.required("DhcpOptionsId"), try call.required("VpcId"), call.network.standardDHCPOptions.id)
            try await call.update { tables in
                var vpc = try tables.vpc(vpcID)
                guard id == "default" || id == standard || tables.dhcpOptions[id] != nil else {
                    throw EC2Fault.missing("InvalidDhcpOptionID.NotFound", "dhcpOption", id)
                }
                vpc.dhcpOptionsID = id == "default" || id == standard ? nil : id
                tables.vpcs[vpcID] = vpc
            }
            return { $0.success() }
        },
        "DeleteDhcpOptions": EC2Operation("dhcp-options/{DhcpOptionsId}") { call in
            let id = try call.required("DhcpOptionsId")
            try await call.update { tables in
                guard tables.dhcpOptions[id] != nil else { throw EC2Fault.missing("InvalidDhcpOptionID.NotFound", "dhcpOption", id) }
                guard !tables.vpcs.values.contains(where: { $0.dhcpOptionsID == id }) else {
                    throw EC2Fault.dependency("The dhcpOptions '\(id)' has dependencies and cannot be deleted.")
                }
                tables.dhcpOptions[id] = nil
                tables.tags[id] = nil
            }
            return { $0.success() }
        },
        "DescribeDhcpOptions": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let standard = call.network.standardDHCPOptions
            let found = try call.describe(
                tables.dhcpOptions.rows.merging([standard.id: standard]) { first, _ in first }, ids: call.parameters.strings("DhcpOptionsId"),
                tags: tables.tags.rows, missing: { EC2Fault.missing("InvalidDhcpOptionID.NotFound", "dhcpOption", $0) }
            ) { record, filter in
                switch filter {
                case "dhcp-options-id": [record.id]
                case "key": Array(record.options.keys)
                case "value": record.options.values.flatMap { $0 }
                case "owner-id": [call.network.account]
                default: nil
                }
            }
            return { xml in
                xml.list("dhcpOptionsSet", of: found.rows) { $0.dhcpOptions($1.row, tables.tags(of: $1.id), account: call.network.account) }
                found.finish(&xml)
            }
        },
    ]
}
