import AWSProtocol
import Testing

@testable import ClusterLifecycle

@Suite struct InsightTests {
    private func active(_ world: World) async throws {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets) { $0.version = "1.35" }
        try await world.cluster(.active)
    }

    private func refresh(_ world: World) async throws {
        _ = try await world.service.startInsightsRefresh("demo")
        try await until("the refresh") { try await world.service.describeInsightsRefresh("demo").status != "IN_PROGRESS" }
    }

    private func insight(_ world: World, _ name: String) async throws -> InsightRecord {
        try #require(try await world.service.listInsights("demo", filter: InsightsFilter()).first { $0.name == name })
    }

    @Test("insights are computed of what the cluster runs and was asked; their ids stay, their transitions are dated")
    func computed() async throws {
        let time = MovableClock(20_614 * 86_400)
        let world = try await World(clock: time.clock)
        try await world.running {
            try await active(world)
            #expect(await refusal { _ = try await world.service.describeInsightsRefresh("demo") }?.code == "ResourceNotFoundException")
            let first = try await world.service.listInsights("demo", filter: InsightsFilter())
            #expect(first.count == 5 && first.allSatisfy { $0.status == .passing && $0.version == "1.36" && $0.category == "UPGRADE_READINESS" })
            var inspection = ClusterInspection()
            inspection.kubelets = ["old": "v1.32.1-eks-1", "edge": "v1.33.0", "new": "v1.35.4"]
            inspection.deprecated = [
                .init(path: "/api/v1/endpoints", userAgent: "kubectl/v1.36.0", requests: 3, lastRequest: 7, warning: "use EndpointSlice")
            ]
            await world.hosts.set(inspection, of: "demo")
            time.set(time.clock.now + 60)
            // Not old enough to be computed anew.
            #expect(try await world.service.listInsights("demo", filter: InsightsFilter()) == first)
            try await refresh(world)
            let kubelets = try await insight(world, "Kubelet version skew")
            #expect(kubelets.status == .error && kubelets.id == first.first { $0.name == kubelets.name }?.id)
            #expect(kubelets.changedAt == time.clock.now && kubelets.resources.map(\.uri) == ["/api/v1/nodes/edge", "/api/v1/nodes/old"])
            #expect(kubelets.resources.map(\.status) == [.warning, .error])
            let deprecated = try await insight(world, "Deprecated APIs in use")
            #expect(deprecated.status == .warning && deprecated.deprecations.first?.clients == inspection.deprecated)
            #expect(try await insight(world, "Cluster health issues").changedAt < time.clock.now)
            var filter = InsightsFilter()
            filter.statuses = ["ERROR"]
            #expect(try await world.service.listInsights("demo", filter: filter).map(\.id) == [kubelets.id])
            filter.categories = ["MISCONFIGURATION"]
            #expect(try await world.service.listInsights("demo", filter: filter).isEmpty)
            #expect(try await world.service.describeInsight("demo", id: kubelets.id) == kubelets)
            #expect(await refusal { _ = try await world.service.describeInsight("demo", id: "x") }?.code == "ResourceNotFoundException")
        }
    }

    @Test("an insight in ERROR stands against an update, unless it is forced")
    func blocking() async throws {
        let world = try await World(clock: MovableClock(20_614 * 86_400).clock)
        try await world.running {
            try await active(world)
            var inspection = ClusterInspection()
            inspection.kubelets = ["old": "v1.32.1"]
            await world.hosts.set(inspection, of: "demo")
            var input = UpdateClusterVersionInput(name: "demo", version: "1.36")
            let blocked = input
            let error = await refusal { _ = try await world.service.updateClusterVersion(blocked) }
            #expect(error?.code == "InvalidStateException" && error?.message.contains("ListInsights") == true)
            input.force = true
            let update = try await world.service.updateClusterVersion(input)
            try await until("the update") { try await world.service.describeUpdate("demo", id: update.id, of: .cluster).status == .successful }
            // Its nodes being older never stands against going back; newer ones do.
            var rollback = UpdateClusterVersionInput(name: "demo", version: "1.35")
            inspection.kubelets = ["new": "v1.36.2"]
            await world.hosts.set(inspection, of: "demo")
            let back = rollback
            #expect(await refusal { _ = try await world.service.updateClusterVersion(back) }?.code == "InvalidStateException")
            try await refresh(world)
            let insight = try #require(try await world.service.listInsights("demo", filter: InsightsFilter()).first)
            #expect(insight.category == "ROLLBACK_READINESS" && insight.status == .error && insight.version == "1.35")
            rollback.force = true
            #expect(try await world.service.updateClusterVersion(rollback).type == "VersionRollback")
        }
    }

    @Test("an add-on's version that does not fit the next minor is an error, one that nobody knows is unknown")
    func addons() async throws {
        let world = try await World(clock: MovableClock(20_614 * 86_400).clock)
        try await world.running {
            try await active(world)
            let cluster = try await world.service.describeCluster("demo")
            func finding(_ name: String, _ version: String, next: String = "1.36") throws -> InsightFinding {
                let addon = AddonRecord(clusterName: "demo", name: name, arn: "arn", version: version, createdAt: 0)
                let facts = InsightFacts(
                    cluster: cluster, addons: [addon], inspection: ClusterInspection(), next: KubernetesVersions.named(next))
                return try #require(InsightChecks.addonVersions(facts))
            }
            let fits = try finding("kube-proxy", "v1.35.4-eksbuild.2")
            #expect(fits.status == .passing && fits.addons.first?.compatibleVersions.contains("v1.36.2-eksbuild.2") == true)
            let newer = try finding("kube-proxy", "v1.36.2-eksbuild.2", next: "1.35")
            #expect(newer.status == .error && newer.resources.map(\.arn) == ["arn"])
            #expect(try finding("kube-proxy", "v0.1").status == .unknown)
        }
    }

    @Test("a cluster that cannot be asked leaves its checks UNKNOWN and the refresh FAILED; an interrupted refresh is finished")
    func trouble() async throws {
        let world = try await World(clock: MovableClock(20_614 * 86_400).clock)
        try await world.running { try await active(world) }
        await world.hosts.set(nil, of: "demo")
        _ = try await world.service.startInsightsRefresh("demo")
        let second = try await World(storage: world.storage, hosts: world.hosts, isNew: false, clock: world.service.clock)
        try await second.running {
            try await until("the end") { try await second.service.describeInsightsRefresh("demo").status == "COMPLETED" }
        }
        await world.hosts.set(nil, of: "demo")
        let step = try await InsightsStep().run(try await world.service.describeCluster("demo"), world.service.context)
        #expect(step.filter { $0.status == .unknown }.count == 3)
    }
}
