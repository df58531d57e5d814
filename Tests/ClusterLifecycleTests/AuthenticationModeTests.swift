import AWSProtocol
import Testing

@testable import ClusterLifecycle

@Suite struct AuthenticationModeTests {
    @Test("a cluster's mode goes from CONFIG_MAP over API_AND_CONFIG_MAP to API, each step an update, and never back")
    func modes() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            @Sendable func change(_ mode: String) async throws -> UpdateRecord {
                try await world.service.updateAuthenticationMode("demo", to: mode, token: nil)
            }
            let direct = await refusal { _ = try await change("API") }
            #expect(direct?.code == "InvalidParameterException" && direct?.message == "Unsupported authentication mode update from CONFIG_MAP to API")
            for mode in ["API_AND_CONFIG_MAP", "API"] {
                let update = try await change(mode)
                #expect(update.type == "AccessConfigUpdate" && update.status == .inProgress && update.nodegroup == nil)
                #expect(update.parameters == [UpdateParameter(type: "AuthenticationMode", value: "\"\(mode)\"")])
                try await until("the update") { try await world.service.describeUpdate("demo", id: update.id, nodegroup: nil).status == .successful }
                let cluster = try await world.service.describeCluster("demo")
                #expect(cluster.access.authenticationMode == mode && cluster.status == .active)
            }
            for mode in ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"] {
                #expect(await refusal { _ = try await change(mode) }?.message == "Unsupported authentication mode update from API to \(mode)")
            }
            #expect(try await world.service.listUpdates("demo", nodegroup: nil).count == 2)
            #expect(
                await refusal { _ = try await world.service.updateAuthenticationMode("none", to: "API", token: nil) }?.message
                    == "No cluster found for name: none.")
        }
    }

    @Test("a cluster has one update at a time; the same token is answered the same")
    func oneAtATime() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
        }
        // Nothing reconciles now: the update stays under way.
        let token = IdempotencyToken(token: "t", parameters: ["mode": "both"], createdAt: world.service.now)
        let update = try await world.service.updateAuthenticationMode("demo", to: "API_AND_CONFIG_MAP", token: token)
        #expect(try await world.service.updateAuthenticationMode("demo", to: "API_AND_CONFIG_MAP", token: token).id == update.id)
        let second = await refusal { _ = try await world.service.updateAuthenticationMode("demo", to: "API_AND_CONFIG_MAP", token: nil) }
        #expect(second?.code == "ResourceInUseException")
        #expect(second?.message == "Cannot AccessConfigUpdate because cluster demo currently has update \(update.id) in progress")
        #expect(try await world.service.describeCluster("demo").status == .updating)
    }

    @Test("an update that was under way when the service ended is finished by the next one")
    func resumed() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
        }
        let update = try await world.service.updateAuthenticationMode("demo", to: "API_AND_CONFIG_MAP", token: nil)
        let next = try await World(storage: world.storage, isNew: false)
        try await next.running {
            try await until("the update") { try await next.service.describeUpdate("demo", id: update.id, nodegroup: nil).status == .successful }
            #expect(try await next.service.describeCluster("demo").access.authenticationMode == "API_AND_CONFIG_MAP")
        }
    }
}
