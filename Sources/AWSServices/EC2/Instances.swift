import AWSProtocol

extension XMLWriter {
    fileprivate mutating func instance(_ instance: EC2InstanceRecord, _ tables: EC2Tables, _ network: EC2Network) {
        leaf("instanceId", instance.id)
        leaf("imageId", instance.imageID)
        element("instanceState") { xml in
            xml.leaf("code", EC2InstanceRecord.stateCodes[instance.state] ?? 0)
            xml.leaf("name", instance.state)
        }
        let isGone = instance.state == "terminated"
        leaf("privateDnsName", isGone ? "" : instance.privateDNSName)
        leaf("dnsName", "")
        leaf("instanceType", instance.instanceType)
        leaf("keyName", instance.keyName)
        leaf("amiLaunchIndex", 0)
        leaf("launchTime", AWSTimestamp.extendedMilliseconds(instance.launchedAt))
        element("placement") { xml in
            xml.leaf("availabilityZone", instance.zone)
            xml.leaf("tenancy", "default")
        }
        element("monitoring") { $0.leaf("state", "disabled") }
        if !isGone {
            leaf("subnetId", instance.subnetID)
            leaf("vpcId", instance.vpcID)
            leaf("privateIpAddress", instance.privateAddress)
            leaf("ipv6Address", instance.interfaceIDs.first.flatMap { tables.interfaces[$0]?.ipv6Addresses?.first })
            groupSet(instance.groupIDs, tables)
        }
        leaf("architecture", instance.architecture)
        leaf("rootDeviceType", "ebs")
        leaf("rootDeviceName", "/dev/xvda")
        leaf("virtualizationType", "hvm")
        leaf("hypervisor", "xen")
        leaf("ebsOptimized", false)
        if instance.isSpot ?? false { leaf("instanceLifecycle", "spot") }
        metadataOptions(instance.metadataOptions ?? InstanceMetadataOptions())
        list("networkInterfaceSet", of: instance.interfaceIDs.compactMap { tables.interfaces[$0] }) { xml, interface in
            xml.leaf("networkInterfaceId", interface.id)
            xml.leaf("subnetId", interface.subnetID)
            xml.leaf("vpcId", interface.vpcID)
            xml.leaf("description", interface.description)
            xml.leaf("ownerId", network.account)
            xml.leaf("status", "in-use")
            xml.leaf("macAddress", interface.macAddress)
            xml.leaf("privateIpAddress", interface.primaryAddress)
            xml.leaf("privateDnsName", IPv4Address(interface.primaryAddress).map(network.privateDNSName))
            xml.leaf("sourceDestCheck", true)
            xml.groupSet(interface.groupIDs, tables)
            if let attachment = interface.attachment {
                xml.element("attachment") { xml in
                    xml.leaf("attachmentId", attachment.id)
                    xml.leaf("deviceIndex", attachment.deviceIndex)
                    xml.leaf("status", "attached")
                    xml.leaf("attachTime", AWSTimestamp.extendedMilliseconds(attachment.attachedAt))
                    xml.leaf("deleteOnTermination", true)
                }
            }
            xml.privateAddresses(interface, network)
            xml.ipv6Addresses(interface)
        }
        ec2Tags(tables.tags(of: instance.id))
    }
}

extension EC2Service {
    static let instanceOperations: [String: EC2Operation] = [
        "DescribeInstances": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describe(
                tables.instances.rows.filter { $0.value.isFargate != true }, ids: call.parameters.strings("InstanceId"), tags: tables.tags.rows,
                missing: { AWSError("InvalidInstanceID.NotFound", "The instance ID '\($0)' does not exist") }
            ) { instance, filter in
                switch filter {
                case "instance-id": [instance.id]
                case "instance-state-name": [instance.state]
                case "instance-state-code": ["\(EC2InstanceRecord.stateCodes[instance.state] ?? 0)"]
                case "instance-type": [instance.instanceType]
                case "vpc-id", "network-interface.vpc-id": [instance.vpcID]
                case "subnet-id", "network-interface.subnet-id": [instance.subnetID]
                case "availability-zone": [instance.zone]
                case "private-ip-address": [instance.privateAddress]
                case "private-dns-name": [instance.privateDNSName]
                case "instance.group-id", "network-interface.group-id": instance.groupIDs
                case "image-id": [instance.imageID]
                case "key-name": [instance.keyName].compactMap { $0 }
                case "instance-lifecycle": instance.isSpot ?? false ? ["spot"] : []
                case "architecture": [instance.architecture]
                case "reservation-id": [instance.reservationID]
                case "owner-id": [call.network.account]
                default: nil
                }
            }
            return { xml in
                xml.list("reservationSet", of: found.rows) { xml, entry in
                    xml.leaf("reservationId", entry.row.reservationID)
                    xml.leaf("ownerId", call.network.account)
                    xml.element("groupSet") { _ in }
                    xml.element("instancesSet") { $0.element("item") { $0.instance(entry.row, tables, call.network) } }
                }
                found.finish(&xml)
            }
        },
        "DescribeInstanceTypes": EC2Operation("*") { call in
            let wanted = call.parameters.strings("InstanceType")
            let unknown = wanted.filter { InstanceTypes.all[$0] == nil }
            guard unknown.isEmpty else {
                throw AWSError(
                    "InvalidInstanceType",
                    "The following supplied instance types do not exist: [\(unknown.map { String($0.prefix(64)) }.joined(separator: ", "))]")
            }
            let found = try call.describe(
                InstanceTypes.all, ids: wanted, tags: [:],
                missing: { AWSError("InvalidInstanceType", "The following supplied instance types do not exist: [\($0)]") }
            ) { type, filter in
                switch filter {
                case "instance-type": [type.name]
                case "vcpu-info.default-vcpus": ["\(type.vcpus)"]
                case "memory-info.size-in-mib": ["\(type.memoryMiB)"]
                case "processor-info.supported-architecture": [type.architecture]
                case "burstable-performance-supported": ["\(type.isBurstable)"]
                case "current-generation": ["\(!type.name.hasPrefix("t2."))"]
                case "supported-usage-class": ["on-demand", "spot"]
                case "bare-metal": ["false"]
                default: nil
                }
            }
            return { xml in
                xml.list("instanceTypeSet", of: found.rows) { $0.instanceType($1.row) }
                found.finish(&xml)
            }
        },
    ]
}

extension XMLWriter {
    fileprivate mutating func instanceType(_ type: InstanceTypeFacts) {
        leaf("instanceType", type.name)
        leaf("currentGeneration", !type.name.hasPrefix("t2."))
        leaf("freeTierEligible", type.name == "t2.micro" || type.name == "t3.micro")
        element("supportedUsageClasses") { xml in for name in ["on-demand", "spot"] { xml.leaf("item", name) } }
        element("supportedRootDeviceTypes") { $0.leaf("item", "ebs") }
        element("supportedVirtualizationTypes") { $0.leaf("item", "hvm") }
        leaf("bareMetal", false)
        leaf("hypervisor", type.name.hasPrefix("t2.") ? "xen" : "nitro")
        element("processorInfo") { $0.element("supportedArchitectures") { $0.leaf("item", type.architecture) } }
        element("vCpuInfo") { $0.leaf("defaultVCpus", type.vcpus) }
        element("memoryInfo") { $0.leaf("sizeInMiB", type.memoryMiB) }
        leaf("instanceStorageSupported", false)
        element("networkInfo") { xml in
            xml.leaf("maximumNetworkInterfaces", type.maxInterfaces)
            xml.leaf("maximumNetworkCards", 1)
            xml.leaf("defaultNetworkCardIndex", 0)
            xml.leaf("ipv4AddressesPerInterface", type.addressesPerInterface)
            xml.leaf("ipv6AddressesPerInterface", type.addressesPerInterface)
            xml.leaf("ipv6Supported", true)
            xml.leaf("efaSupported", false)
        }
        leaf("hibernationSupported", false)
        leaf("burstablePerformanceSupported", type.isBurstable)
        leaf("dedicatedHostsSupported", false)
        leaf("autoRecoverySupported", true)
    }
}
