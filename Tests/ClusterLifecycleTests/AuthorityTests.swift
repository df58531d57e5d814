import AWSProtocol
import ControlPlane
import Testing

@testable import ClusterLifecycle

/// The rotation of a cluster's certificate authority as the records and the calls to hosts show it.
@Suite struct AuthorityTests {
    private static let year = 365 * 86_400.0

    private func active(_ world: World, nodes: Bool = true) async throws {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        guard nodes else { return }
        _ = try await world.createNodegroup(subnets)
        try await world.nodegroup(.active)
    }

    private func finished(_ world: World, _ update: UpdateRecord, _ status: UpdateStatus = .successful) async throws {
        try await until("update \(status)") { try await world.service.describeUpdate("demo", id: update.id, of: .cluster).status == status }
        try await world.cluster(.active)
    }

    private func all(_ world: World) async throws -> [ClusterAuthority] { try await world.service.listCertificateAuthorities("demo") }

    /// A successor, distributed: its id.
    private func appended(_ world: World) async throws -> String {
        let made = try await world.service.createCertificateAuthority("demo", token: nil)
        try await finished(world, made.update)
        return try #require(made.authority).id
    }

    private func activate(_ world: World, _ id: String) async throws {
        try await finished(world, try await world.service.activateCertificateAuthority("demo", id: id, token: nil).update)
    }

    @Test("a cluster begins with one authority, the same at every look, whose certificate is DescribeCluster's")
    func initial() async throws {
        let world = try await World()
        try await world.running {
            try await active(world, nodes: false)
            let first = try await all(world)
            #expect(try await all(world) == first && first.count == 1)
            #expect(first[0].signingStatus == .inUse && first[0].distributionStatus == .complete && first[0].createdBy == .eks)
            #expect(first[0].id.split(separator: "-").map(\.count) == [8, 4, 4, 4, 12])
            let cluster = try await world.service.describeCluster("demo")
            let shown = try await world.service.describeCertificateAuthority("demo", id: first[0].id)
            #expect(shown.authority.certificateData == cluster.endpoint?.certificateAuthorityData && !shown.canRollBack)
            #expect(shown.firstAutoActivation == nil)
            let validity = try #require(shown.notAfter) - cluster.createdAt
            #expect((9.9 * Self.year..<10.1 * Self.year).contains(validity))
        }
    }

    @Test("create, activate, delete: every step reaches the nodes and the control plane, and shows while it is under way")
    func rotation() async throws {
        let world = try await World()
        try await world.running {
            try await active(world)
            let old = try await all(world)[0].id
            let made = try await world.service.createCertificateAuthority("demo", token: nil)
            let new = try #require(made.authority).id
            #expect(made.update.type == "CertificateAuthorityUpdate" && made.update.status == .inProgress)
            #expect(made.update.parameters == [UpdateParameter(type: "CertificateAuthorityId", value: new)])
            #expect(made.authority?.distributionStatus == .inProgress && made.authority?.signingStatus == .notUsed)
            #expect(made.authority?.createdBy == .customer && made.authority?.activatedAt == nil)
            try await finished(world, made.update)
            #expect(try await all(world).map(\.distributionStatus) == [.complete, .complete])
            let both = ClusterAuthorities(signer: "ca", trusted: ["ca", "ca-\(new)"])
            #expect(await world.hosts.records["demo"]?.clusterAuthorities == both)
            #expect(try await world.service.instances("demo", "ng").allSatisfy { $0.authorities == both.revision })
            #expect(try await world.service.describeCertificateAuthority("demo", id: new).finalAutoActivation != nil)

            let activation = try await world.service.activateCertificateAuthority("demo", id: new, token: nil)
            #expect(activation.authority?.signingStatus == .activating)
            #expect(activation.update.parameters == [UpdateParameter(type: "ActiveCertificateAuthority", value: new)])
            try await finished(world, activation.update)
            #expect(try await all(world).map(\.signingStatus) == [.notUsed, .inUse])
            #expect(try await all(world)[1].activatedBy == .customer)
            #expect(try await world.service.describeCertificateAuthority("demo", id: old).canRollBack)
            let signing = ClusterAuthorities(signer: "ca-\(new)", trusted: ["ca", "ca-\(new)"])
            #expect(await world.hosts.records["demo"]?.clusterAuthorities == signing)
            #expect(try await world.service.instances("demo", "ng").allSatisfy { $0.authorities == signing.revision })

            let deletion = try await world.service.deleteCertificateAuthority("demo", id: old, token: nil)
            #expect(deletion.authority?.distributionStatus == .deleting)
            try await finished(world, deletion.update)
            #expect(try await all(world).map(\.id) == [new])
            #expect(await world.hosts.calls.contains("remove authority ca"))
            let alone = ClusterAuthorities(signer: "ca-\(new)", trusted: ["ca-\(new)"])
            #expect(await world.hosts.records["demo"]?.clusterAuthorities == alone)
            let gone = await refusal { _ = try await world.service.describeCertificateAuthority("demo", id: old) }
            #expect(gone?.code == "ResourceNotFoundException")
            // Machines are touched, never started anew.
            let calls = await world.hosts.calls
            #expect(calls.count { $0.hasPrefix("renew ") } == 6 && calls.count { $0.hasPrefix("machine ") } == 2)
            // A node that comes now is by the authorities of now.
            var more = UpdateNodegroupConfigInput(clusterName: "demo", name: "ng")
            more.desiredSize = 3
            _ = try await world.service.updateNodegroupConfig(more)
            try await until("a third node") {
                let instances = try await world.service.instances("demo", "ng")
                return instances.count == 3 && instances.allSatisfy { $0.phase == .ready && $0.authorities == alone.revision }
            }
        }
    }

    @Test("a third authority, activating or deleting the one in use, and unknown ones are refused in EKS's codes")
    func refusals() async throws {
        let world = try await World()
        try await world.running {
            try await active(world, nodes: false)
            let service = world.service
            let old = try await all(world)[0].id
            func activate(_ id: String) async -> AWSError? {
                await refusal { _ = try await service.activateCertificateAuthority("demo", id: id, token: nil) }
            }
            func delete(_ id: String) async -> AWSError? {
                await refusal { _ = try await service.deleteCertificateAuthority("demo", id: id, token: nil) }
            }
            #expect(await activate(old)?.code == "InvalidParameterException")
            #expect(await delete(old)?.code == "ResourceInUseException")
            #expect(await activate("x")?.code == "ResourceNotFoundException")
            #expect(await delete("x")?.code == "ResourceNotFoundException")
            #expect(await refusal { _ = try await service.createCertificateAuthority("none", token: nil) }?.code == "ResourceNotFoundException")
            let new = try await appended(world)
            let third = await refusal { _ = try await service.createCertificateAuthority("demo", token: nil) }
            #expect(third?.code == "ResourceLimitExceededException")
            #expect(try await all(world).map(\.id) == [old, new])
        }
    }

    @Test("while a rotation's update is under way every other is refused, its token is answered the same, and it goes on after a crash")
    func exclusionAndResumption() async throws {
        let world = try await World()
        try await world.running { try await active(world) }
        let token = IdempotencyToken(token: "t", parameters: ["a": 1], createdAt: world.service.now)
        // Nobody reconciles: it stays under way, as after a crash.
        let made = try await world.service.createCertificateAuthority("demo", token: token)
        let again = try await world.service.createCertificateAuthority("demo", token: token)
        #expect(again.update.id == made.update.id && again.authority == made.authority)
        #expect(await refusal { _ = try await world.service.createCertificateAuthority("demo", token: nil) }?.code == "ResourceInUseException")
        let shift = ClusterChange.zonalShift(ZonalShiftUpdate(enabled: true))
        let other = await refusal { _ = try await world.service.updateClusterConfig("demo", shift, token: nil, caller: world.caller) }
        #expect(other?.code == "ResourceInUseException")
        let id = try #require(made.authority).id
        // Not believed before it is distributed.
        #expect(try await world.service.describeCluster("demo").clusterAuthorities == .initial)
        let next = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await next.running {
            try await finished(next, made.update)
            #expect(try await all(next).last?.id == id)
            #expect(try await all(next).map(\.distributionStatus) == [.complete, .complete])
        }
    }

    @Test("a successor that a node does not take has FAILED, is not believed, and can only be deleted")
    func failure() async throws {
        let world = try await World()
        var faults = await world.hosts.faults
        faults.nodesKeepCertificates = true
        let broken = faults
        try await world.running {
            try await active(world)
            await world.hosts.set(broken)
            let made = try await world.service.createCertificateAuthority("demo", token: nil)
            let id = try #require(made.authority).id
            try await finished(world, made.update, .failed)
            let errors = try await world.service.describeUpdate("demo", id: made.update.id, of: .cluster).errors
            #expect(errors.first?.message.contains("has not taken its new certificates") == true)
            #expect(try await all(world).map(\.distributionStatus) == [.complete, .failed])
            #expect(try await world.service.describeCluster("demo").clusterAuthorities == .initial)
            let activation = await refusal { _ = try await world.service.activateCertificateAuthority("demo", id: id, token: nil) }
            #expect(activation?.message.contains("it must be COMPLETE") == true)
            await world.hosts.set(SimulatedHosts.Faults())
            try await finished(world, try await world.service.deleteCertificateAuthority("demo", id: id, token: nil).update)
            #expect(try await all(world).count == 1)
        }
    }

    @Test("an activation that a node does not follow leaves the old authority signing; one that is done can be gone back on")
    func rollback() async throws {
        let world = try await World()
        var faults = await world.hosts.faults
        faults.nodesKeepCertificates = true
        let broken = faults
        try await world.running {
            try await active(world)
            let old = try await all(world)[0].id
            let new = try await appended(world)
            await world.hosts.set(broken)
            try await finished(world, try await world.service.activateCertificateAuthority("demo", id: new, token: nil).update, .failed)
            #expect(try await all(world).map(\.signingStatus) == [.inUse, .notUsed])
            await world.hosts.set(SimulatedHosts.Faults())
            try await activate(world, new)
            try await activate(world, old)
            #expect(try await all(world).map(\.signingStatus) == [.inUse, .notUsed])
            #expect(await world.hosts.records["demo"]?.clusterAuthorities.signer == "ca")
        }
    }

    @Test("EKS adds a successor two years before the end, protects it, and lets it sign half a year before")
    func calendar() async throws {
        let start = 1_780_000_000.0
        let time = MovableClock(start)
        let world = try await World(clock: time.clock)
        try await world.running {
            try await active(world, nodes: false)
            let old = try await all(world)[0].id
            let end = try #require(try await world.service.describeCertificateAuthority("demo", id: old).notAfter)
            await world.service.rotateAuthorities()
            #expect(try await all(world).count == 1)
            time.set(end - 2 * Self.year + 1)
            await world.service.rotateAuthorities()
            try await until("a successor") { try await all(world).map(\.distributionStatus) == [.complete, .complete] }
            try await world.cluster(.active)
            let successor = try await all(world)[1]
            #expect(successor.createdBy == .eks)
            let kept = await refusal { _ = try await world.service.deleteCertificateAuthority("demo", id: successor.id, token: nil) }
            #expect(kept?.code == "InvalidParameterException")
            let moment = try #require(try await world.service.describeCertificateAuthority("demo", id: successor.id).firstAutoActivation)
            time.set(moment - 1)
            await world.service.rotateAuthorities()
            #expect(try await all(world)[1].signingStatus == .notUsed)
            time.set(moment + 1)
            await world.service.rotateAuthorities()
            try await until("it signs") { try await all(world).map(\.signingStatus) == [.notUsed, .inUse] }
            try await world.cluster(.active)
            #expect(try await all(world)[1].activatedBy == .eks)
            time.set(end - 44 * 86_400)
            #expect(try await !world.service.describeCertificateAuthority("demo", id: old).canRollBack)
            let back = await refusal { _ = try await world.service.activateCertificateAuthority("demo", id: old, token: nil) }
            #expect(back?.message.contains("rollback is no longer available") == true)
        }
    }
}
