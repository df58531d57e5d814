import AWSProtocol
import Synchronization
import Testing

@testable import ClusterLifecycle

/// A clock that a test sets.
final class MovableClock: Sendable {
    private let time: Mutex<Double>
    init(_ start: Double) { time = Mutex(start) }
    var clock: AWSClock { AWSClock { self.time.withLock { $0 } } }
    func set(_ now: Double) { time.withLock { $0 = now } }
}

@Suite struct ClusterUpdateTests {
    private static let day = 86_400.0
    /// All of 1.33 to 1.36 are in standard support: 2026-06-10.
    private static let summer = 20_614 * day

    private func active(_ world: World, _ version: String? = nil) async throws {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets) { $0.version = version }
        try await world.cluster(.active)
    }

    private func finished(_ world: World, _ update: UpdateRecord, _ status: UpdateStatus = .successful) async throws {
        try await until("update \(update.type) \(status)") {
            try await world.service.describeUpdate("demo", id: update.id, of: .cluster).status == status
        }
        #expect(try await world.service.describeCluster("demo").status == .active)
    }

    @discardableResult private func change(_ world: World, _ change: ClusterChange) async throws -> UpdateRecord {
        let update = try await world.service.updateClusterConfig("demo", change, token: nil, caller: world.caller)
        #expect(update.status == .inProgress)
        try await finished(world, update)
        return update
    }

    private func to(_ version: String) -> UpdateClusterVersionInput { UpdateClusterVersionInput(name: "demo", version: version) }

    @Test("a cluster goes to the next minor: UPDATING, the control plane anew, ACTIVE")
    func version() async throws {
        let world = try await World(clock: MovableClock(Self.summer).clock)
        try await world.running {
            try await active(world, "1.34")
            let update = try await world.service.updateClusterVersion(to("1.35"))
            #expect(update.type == "VersionUpdate" && update.parameters.map(\.type) == ["Version", "PlatformVersion"])
            #expect(update.parameters.map(\.value) == ["1.35", "eks.1"])
            try await finished(world, update)
            #expect(try await world.service.describeCluster("demo").version == "1.35")
            #expect(await world.hosts.records["demo"]?.version == "1.35")
            #expect(try await world.service.listUpdates("demo", of: .cluster) == [update.id])
        }
    }

    @Test("versions are not skipped, not gone back to, not unknown; node groups must have followed")
    func versionRules() async throws {
        let world = try await World(clock: MovableClock(Self.summer).clock)
        try await world.running {
            try await active(world, "1.34")
            func error(_ version: String) async -> AWSError? { await refusal { _ = try await world.service.updateClusterVersion(to(version)) } }
            #expect(await error("1.36")?.message == "Unsupported Kubernetes minor version update from 1.34 to 1.36")
            #expect(await error("1.33")?.message == "Unsupported Kubernetes minor version update from 1.34 to 1.33")
            #expect(await error("1.34")?.message == "Unsupported Kubernetes minor version update from 1.34 to 1.34")
            #expect(await error("2.0")?.code == "InvalidParameterException")
            _ = try await world.createNodegroup(try await world.service.describeCluster("demo").network.subnetIDs)
            try await world.nodegroup(.active)
            try await finished(world, try await world.service.updateClusterVersion(to("1.35")))
            #expect(
                await error("1.36")?.message == "Nodegroups ng must be updated to match cluster version 1.35 before updating cluster version")
            // Instances of the group are still of its version.
            #expect(try await world.service.instances("demo", "ng").allSatisfy { $0.version == "1.34" })
        }
    }

    @Test("for a week the version before can be gone back to, once")
    func rollback() async throws {
        let time = MovableClock(Self.summer)
        let world = try await World(clock: time.clock)
        try await world.running {
            try await active(world, "1.35")
            try await finished(world, try await world.service.updateClusterVersion(to("1.36")))
            var input = to("1.35")
            input.rollbackTimeoutMinutes = 60
            #expect(await refusal { _ = try await world.service.updateClusterVersion(input) }?.message.contains("from 120 to 10080") == true)
            input.rollbackTimeoutMinutes = 120
            let update = try await world.service.updateClusterVersion(input)
            #expect(update.type == "VersionRollback")
            try await finished(world, update)
            #expect(await world.hosts.records["demo"]?.version == "1.35")
            #expect(await refusal { _ = try await world.service.cancelUpdate("demo", id: update.id) }?.code == "InvalidStateException")
            try await finished(world, try await world.service.updateClusterVersion(to("1.36")))
            time.set(Self.summer + 8 * Self.day)
            let late = await refusal { _ = try await world.service.updateClusterVersion(to("1.35")) }
            #expect(late?.message == "Unsupported Kubernetes minor version update from 1.36 to 1.35")
        }
    }

    @Test("a version whose control plane does not start fails the update, and the cluster goes on as it was")
    func failure() async throws {
        let world = try await World(clock: MovableClock(Self.summer).clock)
        try await world.running {
            try await active(world, "1.35")
            var faults = SimulatedHosts.Faults()
            faults.failingVersion = "1.36"
            await world.hosts.set(faults)
            let update = try await world.service.updateClusterVersion(to("1.36"))
            try await finished(world, update, .failed)
            let error = try #require(try await world.service.describeUpdate("demo", id: update.id, of: .cluster).errors.first)
            #expect(error.code == "Unknown" && error.message.contains("does not start"))
            #expect(await world.hosts.records["demo"]?.version == "1.35")
            #expect(try await world.service.describeCluster("demo").version == "1.35")
        }
    }

    @Test("a version update that the service's end interrupted is finished by the next one")
    func resumed() async throws {
        let time = MovableClock(Self.summer)
        let world = try await World(clock: time.clock)
        try await world.running { try await active(world, "1.35") }
        let update = try await world.service.updateClusterVersion(to("1.36"))
        var faults = SimulatedHosts.Faults()
        faults.holdsControlPlaneStart = true
        await world.hosts.set(faults)
        let second = try await World(storage: world.storage, hosts: world.hosts, isNew: false, clock: time.clock)
        try await second.running { try await until("the start") { await second.hosts.calls.filter { $0 == "start demo" }.count >= 2 } }
        #expect(try await second.service.describeCluster("demo").status == .updating)
        await world.hosts.set(SimulatedHosts.Faults())
        let third = try await World(storage: world.storage, hosts: world.hosts, isNew: false, clock: time.clock)
        try await third.running { try await finished(third, update) }
        #expect(await third.hosts.records["demo"]?.version == "1.36")
    }

    @Test("at the end of its support a cluster is updated by itself, by its upgrade policy")
    func calendar() async throws {
        let time = MovableClock(Self.summer)
        let world = try await World(clock: time.clock)
        try await world.running {
            try await active(world, "1.34")
            let version = try #require(KubernetesVersions.named("1.34"))
            time.set(version.endOfStandardSupport + 1)
            await world.service.enforceSupport()
            #expect(try await world.service.listUpdates("demo", of: .cluster).isEmpty)
            // Extended support has begun: it cannot be left.
            let policy = ClusterChange.upgradePolicy(UpgradePolicyUpdate(supportType: "STANDARD"))
            #expect(
                await refusal { _ = try await world.service.updateClusterConfig("demo", policy, token: nil, caller: world.caller) }?.code
                    == "InvalidRequestException")
            time.set(Self.summer)
            try await change(world, policy)
            time.set(version.endOfStandardSupport + 1)
            await world.service.enforceSupport()
            try await until("1.35") { try await world.service.describeCluster("demo").version == "1.35" }
            try await world.cluster(.active)
            await world.service.enforceSupport()
            #expect(try await world.service.describeCluster("demo").version == "1.35")
        }
    }

    @Test("endpoints are opened and closed; both closed, nothing new and no ranges are refused")
    func endpoints() async throws {
        let world = try await World()
        try await world.running {
            try await active(world)
            func error(_ update: EndpointAccessUpdate) async -> AWSError? {
                await refusal { _ = try await world.service.updateClusterConfig("demo", .endpointAccess(update), token: nil, caller: world.caller) }
            }
            #expect(
                await error(EndpointAccessUpdate(publicAccess: true))?.message == "Cluster is already at the desired configuration with "
                    + "endpointPrivateAccess: false , endpointPublicAccess: true, and Public Endpoint Restrictions: [0.0.0.0/0]")
            #expect(await error(EndpointAccessUpdate(publicAccess: false))?.message == "Private and public endpoint access cannot be false")
            #expect(await error(EndpointAccessUpdate(publicCIDRs: ["10.0.0.0/33"]))?.code == "InvalidParameterException")
            #expect(
                await error(EndpointAccessUpdate(publicCIDRs: ["127.0.0.2/32", "fd00::/8"]))?.message
                    == "The following CIDRs are invalid in publicAccessCidrs: [fd00::/8]", "not for IPv4 clusters")
            #expect(await error(EndpointAccessUpdate(privateAccess: true))?.message.contains("enableDnsHostnames") == true)
            let update = try await change(world, .endpointAccess(EndpointAccessUpdate(publicCIDRs: ["127.0.0.2/32"])))
            #expect(update.type == "EndpointAccessUpdate")
            #expect(update.parameters.contains(UpdateParameter(type: "PublicAccessCidrs", value: #"["127.0.0.2/32"]"#)))
            let admits = LocalControlPlaneHost.publicAccess(try await world.service.describeCluster("demo").network)
            #expect(admits("127.0.0.2") && !admits("127.0.0.1") && !admits("::1") && !admits(""))
            var closed = try await world.service.describeCluster("demo").network
            closed.endpointPublicAccess = false
            #expect(!LocalControlPlaneHost.publicAccess(closed)("127.0.0.2"))
        }
    }

    @Test("subnets and security groups change within the VPC and its zones; interfaces follow")
    func vpcConfig() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await world.subnets(
                ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"],
                zones: ["eu-central-1a", "eu-central-1b", "eu-central-1b", "eu-central-1c"])
            let first = Array(subnets[0...1])
            _ = try await world.createCluster(first)
            try await world.cluster(.active)
            func error(_ ids: [String]) async -> AWSError? {
                await refusal {
                    _ = try await world.service.updateClusterConfig(
                        "demo", .vpcConfig(VpcConfigUpdate(subnetIDs: ids)), token: nil, caller: world.caller)
                }
            }
            #expect(await error([subnets[0], subnets[3]])?.message.contains("exact set of AZs 'eu-central-1a,eu-central-1b'") == true)
            #expect(await error(first)?.message.hasPrefix("Cluster is already at the desired configuration") == true)
            #expect(await error([subnets[0], "subnet-x"])?.message == "The subnet ID 'subnet-x' does not exist")
            let before = try await world.service.describeCluster("demo").network.networkInterfaceIDs
            let update = try await change(world, .vpcConfig(VpcConfigUpdate(subnetIDs: [subnets[0], subnets[2]])))
            #expect(update.type == "VpcConfigUpdate" && update.parameters.map(\.type) == ["Subnets"])
            let after = try await world.service.describeCluster("demo").network
            #expect(after.subnetIDs == [subnets[0], subnets[2]] && after.networkInterfaceIDs.count == 2 && after.networkInterfaceIDs != before)
            #expect(await world.network.subnets(subnets).map(\.freeAddresses) == [250, 251, 250, 251])
        }
    }

    @Test("log types, zonal shift and deletion protection are changed one at a time; what is so already is refused")
    func settings() async throws {
        let world = try await World()
        try await world.running {
            try await active(world)
            let logging = ClusterChange.logging(LoggingUpdate(enable: ["scheduler", "api"], disable: ["audit"]))
            let update = try await change(world, logging)
            #expect(
                update.parameters.first?.value
                    == #"{"clusterLogging":[{"enabled":true,"types":["api","scheduler"]},{"enabled":false,"types":["audit"]}]}"#)
            #expect(try await world.service.describeCluster("demo").enabledLogTypes == ["api", "scheduler"])
            let same = await refusal { _ = try await world.service.updateClusterConfig("demo", logging, token: nil, caller: world.caller) }
            #expect(same?.message == "No changes needed for the logging config provided")
            try await change(world, .zonalShift(ZonalShiftUpdate(enabled: true)))
            try await change(world, .deletionProtection(DeletionProtectionUpdate(enabled: true)))
            #expect(await refusal { _ = try await world.service.deleteCluster("demo") }?.code == "InvalidRequestException")
            let again = ClusterChange.deletionProtection(DeletionProtectionUpdate(enabled: true))
            #expect(
                await refusal { _ = try await world.service.updateClusterConfig("demo", again, token: nil, caller: world.caller) }?.code
                    == "InvalidParameterException")
            try await change(world, .deletionProtection(DeletionProtectionUpdate(enabled: false)))
            _ = try await world.service.deleteCluster("demo")
        }
    }

    @Test("a control plane's tier is changed, and the update says from which")
    func tier() async throws {
        let world = try await World()
        try await world.running {
            try await active(world)
            #expect(try await world.service.describeCluster("demo").tier == .standard)
            let update = try await change(world, .scalingTier(ScalingTierUpdate(tier: .extraLarge)))
            #expect(update.type == "ControlPlaneScalingConfigUpdate")
            #expect(update.parameters.map(\.value) == ["tier-xl", "standard"])
            #expect(await world.hosts.records["demo"]?.tier.seats == 1_700)
            let back = try await change(world, .scalingTier(ScalingTierUpdate(tier: .standard)))
            #expect(back.parameters.map(\.value) == ["standard", "tier-xl"])
            let same = ClusterChange.scalingTier(ScalingTierUpdate(tier: .standard))
            #expect(
                await refusal { _ = try await world.service.updateClusterConfig("demo", same, token: nil, caller: world.caller) }?.code
                    == "InvalidParameterException")
        }
    }

    @Test("remote networks are private, apart from each other and from the cluster's, and need access entries")
    func remoteNetworks() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        let open = RemoteNetworks(nodes: ["192.168.0.0/24"], pods: ["192.168.1.0/24"])
        try await world.running {
            let early = await refusal { _ = try await world.createCluster(subnets) { $0.remoteNetworks = open } }
            #expect(early?.message.contains("API_AND_CONFIG_MAP") == true)
            _ = try await world.createCluster(subnets) {
                $0.authenticationMode = "API"
                $0.remoteNetworks = open
            }
            try await world.cluster(.active)
            #expect(try await world.service.describeCluster("demo").remoteNetworks == open)
            func refused(_ nodes: [String], _ pods: [String] = []) async -> String {
                let update = ClusterChange.remoteNetwork(RemoteNetworkUpdate(networks: RemoteNetworks(nodes: nodes, pods: pods)))
                return await refusal { _ = try await world.service.updateClusterConfig("demo", update, token: nil, caller: world.caller) }?.message
                    ?? ""
            }
            #expect(await refused(["8.8.8.0/24"]).contains("must be an IPv4 range"))
            #expect(await refused(["nonsense"]).contains("must be an IPv4 range"))
            #expect(await refused(["10.0.0.0/16"]).contains("must not overlap the VPC's range"))
            #expect(await refused(["172.20.4.0/24"]).contains("must not overlap the service range"))
            #expect(await refused(["192.168.0.0/24"], ["192.168.0.128/25"]).contains("must not overlap the remote network"))
            #expect(await refused([], ["192.168.0.0/24"]).contains("need remoteNodeNetworks"))
            #expect(await refused(open.nodes, open.pods).hasPrefix("No changes needed"))
            let none = ClusterChange.remoteNetwork(RemoteNetworkUpdate(networks: RemoteNetworks(nodes: [], pods: [])))
            #expect(try await change(world, none).type == "RemoteNetworkConfigUpdate")
            #expect(try await world.service.describeCluster("demo").remoteNetworks == nil)
        }
    }

    @Test("Secrets are sealed with a key of the region, once and for all")
    func encryption() async throws {
        #expect(throws: AWSError.self) {
            try ClusterEncryption(resources: ["pods"], keyARN: "arn:aws:kms:eu-central-1:0:key/a", region: "eu-central-1")
        }
        #expect(throws: AWSError.self) {
            try ClusterEncryption(resources: ["secrets"], keyARN: "arn:aws:kms:us-west-2:0:key/a", region: "eu-central-1")
        }
        #expect(throws: AWSError.self) { try ClusterEncryption(resources: ["secrets"], keyARN: "key", region: "eu-central-1") }
        let world = try await World()
        let missing = try ClusterEncryption(
            resources: ["secrets"], keyARN: "arn:aws:kms:eu-central-1:000000000000:key/a", region: "eu-central-1")
        let key = try await world.createKey()
        let encryption = try ClusterEncryption(resources: ["secrets"], keyARN: key, region: "eu-central-1")
        try await world.running {
            try await active(world)
            func associate(_ encryption: ClusterEncryption) async throws -> UpdateRecord {
                try await world.service.associateEncryption("demo", encryption, caller: world.caller, token: nil)
            }
            #expect(await refusal { _ = try await associate(missing) }?.code == "InvalidParameterException")
            _ = try await world.kms("DisableKey", ["KeyId": .string(key)])
            let disabled = await refusal { _ = try await associate(encryption) }
            #expect(disabled?.message.contains("is disabled") == true)
            _ = try await world.kms("EnableKey", ["KeyId": .string(key)])
            let update = try await associate(encryption)
            let grant = try #require(try await world.kms("ListGrants", ["KeyId": .string(key)])["Grants"]?.arrayValue?.first)
            #expect(grant["GranteePrincipal"] == .string(World.clusterRole))
            var granted = encryption
            granted.grantID = grant["GrantId"]?.stringValue
            #expect(update.type == "AssociateEncryptionConfig" && update.parameters.map(\.type) == ["EncryptionConfig"])
            try await finished(world, update)
            #expect(try await world.service.describeCluster("demo").encryption == granted)
            #expect(await world.hosts.records["demo"]?.encryption == granted)
            #expect(await refusal { _ = try await associate(encryption) }?.code == "InvalidParameterException")
            func health(_ wanted: [String]) async throws {
                try await until("the health is \(wanted)") { try await world.service.describeCluster("demo").health.map(\.code) == wanted }
            }
            _ = try await world.kms("DisableKey", ["KeyId": .string(key)])
            try await health(["KmsKeyDisabled"])
            _ = try await world.kms("EnableKey", ["KeyId": .string(key)])
            try await health([])
            _ = try await world.kms("ScheduleKeyDeletion", ["KeyId": .string(key)])
            try await health(["KmsKeyMarkedForDeletion"])
            _ = try await world.kms("CancelKeyDeletion", ["KeyId": .string(key)])
            _ = try await world.kms("EnableKey", ["KeyId": .string(key)])
            try await health([])
            _ = try await world.kms("RevokeGrant", ["KeyId": .string(key), "GrantId": grant["GrantId"] ?? ""])
            try await health(["KmsGrantRevoked"])
        }
    }

    @Test("while an update runs others and the cluster's deletion are refused, and its token is answered the same")
    func busy() async throws {
        let world = try await World()
        try await world.running { try await active(world) }
        let change = ClusterChange.zonalShift(ZonalShiftUpdate(enabled: true))
        let token = IdempotencyToken(token: "t", parameters: ["a": 1], createdAt: world.service.now)
        let update = try await world.service.updateClusterConfig("demo", change, token: token, caller: world.caller)
        #expect(try await world.service.updateClusterConfig("demo", change, token: token, caller: world.caller).id == update.id)
        let busy = await refusal { _ = try await world.service.updateClusterConfig("demo", change, token: nil, caller: world.caller) }
        #expect(busy?.code == "ResourceInUseException")
        #expect(busy?.message == "Cannot ZonalShiftConfigUpdate because cluster demo currently has update \(update.id) in progress")
        #expect(await refusal { _ = try await world.service.deleteCluster("demo") }?.message.contains("in progress") == true)
    }
}
