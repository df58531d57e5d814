import AWSProtocol

/// A running instance as the cloud controllers of its cluster see it.
package struct RunningInstance: Sendable, Equatable {
    package var id: String
    package var privateDNSName: String
    package var instanceType: String
    package var zone: String
    package var privateAddress: String
}

/// What an instance was launched with and may learn of itself.
package struct LaunchedInstance: Sendable, Equatable {
    package var isSpot: Bool
    /// Decoded.
    package var userData: [UInt8]?
    package var tags: [String: String]
    package var metadataOptions: InstanceMetadataOptions
}

extension EC2Network {
    /// Nil when there is no such instance.
    package func launched(_ id: String) async -> LaunchedInstance? {
        await state.read { tables in
            tables.instances[id].map { instance in
                LaunchedInstance(
                    isSpot: instance.isSpot ?? false, userData: instance.userData.flatMap { Base64URL.decodeStandard($0) }, tags: tables.tags(of: id),
                    metadataOptions: instance.metadataOptions ?? InstanceMetadataOptions())
            }
        }
    }

    /// The primary addresses of those of the interfaces that exist, in the given order.
    package func primaryAddresses(ofInterfaces ids: [String]) async -> [String] {
        await state.read { tables in ids.compactMap { tables.interfaces[$0]?.primaryAddress } }
    }

    /// Whether a subnet's route table leads to an internet gateway: that of its own, else its VPC's main one.
    package func isPublic(subnetID id: String) async -> Bool {
        await state.read { tables in
            guard let subnet = tables.subnets[id] else { return false }
            let own = tables.routeTables.values.first { $0.associations.contains { $0.subnetID == id } }
            let table = own ?? tables.routeTables.values.first { $0.vpcID == subnet.vpcID && $0.isMain }
            return table?.routes.contains { $0.gatewayID?.hasPrefix("igw-") ?? false } ?? false
        }
    }

    /// The instance of a private DNS name that is not terminated.
    package func instance(privateDNSName name: String) async -> RunningInstance? {
        await state.read { tables in
            guard let instance = tables.instances.values.first(where: { $0.privateDNSName == name && $0.state != "terminated" }) else { return nil }
            return RunningInstance(
                id: instance.id, privateDNSName: name, instanceType: instance.instanceType,
                zone: tables.subnets[instance.subnetID]?.zone ?? "", privateAddress: instance.privateAddress)
        }
    }

    /// Whether an instance of this id exists and is not terminated.
    package func instanceExists(_ id: String) async -> Bool {
        await state.read { tables in tables.instances[id].map { $0.state != "terminated" } ?? false }
    }
}
