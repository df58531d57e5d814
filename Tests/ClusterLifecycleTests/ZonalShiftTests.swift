import AWSProtocol
import AWSServices
import Testing

@testable import ClusterLifecycle

@Suite struct ZonalShiftTests {
    private static let arn = "arn:aws:eks:eu-central-1:000000000000:cluster/demo"
    private static let start = 1_790_000_000.0

    private func zones(_ world: World) async throws -> (a: String, b: String) {
        let subnets = try await world.service.describeCluster("demo").network.subnetIDs
        let facts = await world.network.subnets(subnets)
        let id = { (zone: String) in try #require(facts.first { $0.zone == zone }?.zoneID) }
        return (try id("eu-central-1a"), try id("eu-central-1b"))
    }

    /// A cluster that may be shifted, and its subnets.
    private func ready(_ world: World, isEnabled: Bool = true) async throws -> [String] {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets) { $0.zonalShiftEnabled = isEnabled }
        try await world.cluster(.active)
        return subnets
    }

    private func shifted(_ world: World, _ zones: Set<String>) async throws {
        try await until("zones \(zones)") { await world.hosts.shiftedZones["demo"] ?? [] == zones }
    }

    @Test("a shift keeps nodes of its zone from pods and new instances from the zone, until it is canceled")
    func effect() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            let (a, _) = try await zones(world)
            try await shifted(world, [])
            let shift = try await world.service.startZonalShift(Self.arn, awayFrom: a, expiresIn: "3h", comment: "drill")
            #expect(shift.status(at: world.service.now) == .active && shift.zone == "eu-central-1a" && shift.expiryTime == shift.startTime + 10_800)
            try await shifted(world, ["eu-central-1a"])
            #expect(try await world.service.zonalShiftResource(Self.arn).shifts.map(\.id) == [shift.id])
            _ = try await world.createNodegroup(subnets) { $0.scaling = ScalingConfig(minSize: 1, maxSize: 4, desiredSize: 3) }
            try await world.nodegroup(.active)
            #expect(try await Set(world.service.instances("demo", "ng").map(\.zone)) == ["eu-central-1b"])
            let canceled = try await world.service.cancelZonalShift(shift.id)
            #expect(canceled.status(at: world.service.now) == .canceled)
            try await shifted(world, [])
            #expect(await refusal { _ = try await world.service.cancelZonalShift(shift.id) }?.fields["reason"] == "ZonalShiftStatusNotActive")
            #expect(await world.service.listZonalShifts(status: "ACTIVE", resource: nil).isEmpty)
            #expect(await world.service.listZonalShifts(status: "CANCELED", resource: Self.arn).map(\.id) == [shift.id])
        }
    }

    @Test("a shift ends by itself, also when the service was away at that moment")
    func expiry() async throws {
        let (storage, hosts, time) = (MemoryRowStorage(), SimulatedHosts(), MovableClock(Self.start))
        let world = try await World(storage: storage, hosts: hosts, clock: time.clock)
        let id = try await world.running {
            _ = try await ready(world)
            let (_, b) = try await zones(world)
            let shift = try await world.service.startZonalShift(Self.arn, awayFrom: b, expiresIn: "1m", comment: "")
            try await shifted(world, ["eu-central-1b"])
            _ = try await world.service.updateZonalShift(shift.id, comment: "longer", expiresIn: "2m")
            return shift.id
        }
        time.set(Self.start + 119)
        let again = try await World(storage: storage, hosts: hosts, isNew: false, clock: time.clock)
        try await again.running { try await shifted(again, ["eu-central-1b"]) }
        time.set(Self.start + 121)
        let later = try await World(storage: storage, hosts: hosts, isNew: false, clock: time.clock)
        try await later.running {
            try await shifted(later, [])
            let shift = try #require(await later.service.listZonalShifts(status: "EXPIRED", resource: nil).first)
            #expect(shift.id == id && shift.comment == "longer")
            let (_, b) = try await zones(later)
            _ = try await later.service.startZonalShift(Self.arn, awayFrom: b, expiresIn: "1m", comment: "")
        }
    }

    @Test("what is no zone of the cluster, no time, or a second shift is refused; a cluster must allow it")
    func refusals() async throws {
        let world = try await World()
        try await world.running {
            _ = try await ready(world)
            let (a, b) = try await zones(world)
            func reason(_ zone: String, _ time: String, arn: String = Self.arn) async -> AWSError? {
                await refusal { _ = try await world.service.startZonalShift(arn, awayFrom: zone, expiresIn: time, comment: "") }
            }
            #expect(await reason("euc1-az9", "1h")?.fields["reason"] == "InvalidAz")
            for time in ["0m", "73h", "4321m", "1d", "m", "99999999999999999999h", "-1h"] {
                #expect(await reason(a, time)?.fields["reason"] == "InvalidExpiresIn", "\(time)")
            }
            #expect(await reason(a, "1h", arn: "arn:aws:eks:eu-central-1:000000000000:cluster/other")?.code == "ResourceNotFoundException")
            #expect(await reason(a, "72h") == nil)
            let second = await reason(b, "1h")
            #expect(second?.status == 409 && second?.fields["reason"] == "ZonalShiftAlreadyExists")
            #expect(await refusal { _ = try await world.service.updateZonalShift("none", comment: "x", expiresIn: nil) }?.status == 404)
            #expect(
                await refusal { _ = try await world.service.updateZonalShift("none", comment: nil, expiresIn: nil) }?.fields["reason"]
                    == "MissingValue")
            try await shifted(world, ["eu-central-1a"])
            let off = ClusterChange.zonalShift(ZonalShiftUpdate(enabled: false))
            _ = try await world.service.updateClusterConfig("demo", off, token: nil, caller: world.caller)
            try await shifted(world, [])
            #expect(await reason(a, "1h")?.code == "ResourceNotFoundException")
            #expect(await world.service.zonalShiftResources().isEmpty)
        }
    }

    @Test("a cluster's shifts go with it")
    func deletion() async throws {
        let world = try await World()
        try await world.running {
            _ = try await ready(world)
            let (a, _) = try await zones(world)
            _ = try await world.service.startZonalShift(Self.arn, awayFrom: a, expiresIn: "1h", comment: "")
            _ = try await world.service.deleteCluster("demo")
            try await world.gone { _ = try await world.service.describeCluster("demo") }
            #expect(await world.service.listZonalShifts(status: nil, resource: nil).isEmpty)
        }
    }
}
