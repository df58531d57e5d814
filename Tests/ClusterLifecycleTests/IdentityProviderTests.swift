import AWSProtocol
import Testing

@testable import ClusterLifecycle

@Suite struct IdentityProviderTests {
    private func provider(_ name: String = "okta", issuer: String = "https://id.example.com/a") -> IdentityProviderRecord {
        IdentityProviderRecord(clusterName: "demo", name: name, issuerURL: issuer, clientID: "kubernetes")
    }

    private func finished(_ world: World, _ update: UpdateRecord) async throws {
        try await until("the update") { try await world.service.describeUpdate("demo", id: update.id, nodegroup: nil).status == .successful }
    }

    @Test("a provider is associated and disassociated by updates; the control plane believes it in between")
    func life() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            var wanted = provider()
            wanted.userNamePrefix = "okta:"
            wanted.groupsClaim = "groups"
            wanted.requiredClaims = ["org": "x"]
            wanted.tags = ["a": "1"]
            let token = IdempotencyToken(token: "t", parameters: ["a": 1], createdAt: world.service.now)
            let update = try await world.service.associateIdentityProvider(wanted, token: token)
            #expect(update.type == "AssociateIdentityProviderConfig")
            #expect(
                update.parameters.map(\.type) == ["IdentityProviderConfig"]
                    && IdentityProviderUpdate.name(in: update) == "okta")
            try await finished(world, update)
            #expect(try await world.service.associateIdentityProvider(wanted, token: token).id == update.id)
            let active = try await world.service.describeIdentityProvider("demo", type: "oidc", name: "okta")
            #expect(active.status == .active && active.arn.hasPrefix("arn:aws:eks:eu-central-1:000000000000:identityproviderconfig/demo/oidc/okta/"))
            let believed = await world.hosts.access["demo"]?.identityProviders.first
            #expect(believed?.issuer == "https://id.example.com/a" && believed?.requiredClaims == ["org": "x"] && believed?.userNamePrefix == "okta:")
            try await world.service.changeTags(of: active.arn, add: ["b": "2"], remove: [])
            #expect(try await world.service.tags(of: active.arn) == ["a": "1", "b": "2"])

            let second = await refusal { _ = try await world.service.associateIdentityProvider(provider(), token: nil) }
            #expect(second?.code == "ResourceInUseException")
            #expect(
                await refusal { _ = try await world.service.associateIdentityProvider(provider("other"), token: nil) }?.code
                    == "InvalidParameterException")
            let own = try await world.service.describeCluster("demo").endpoint?.oidcIssuer ?? ""
            #expect(
                await refusal { _ = try await world.service.associateIdentityProvider(provider("own", issuer: own), token: nil) }?.message
                    == "Incorrect Identity Provider URL configuration. The Identity Provider URL cannot be same as OpenID Connect (OIDC) issuer URL")

            let gone = try await world.service.disassociateIdentityProvider("demo", type: "oidc", name: "okta", token: nil)
            #expect(gone.type == "DisassociateIdentityProviderConfig")
            try await finished(world, gone)
            #expect(try await world.service.listIdentityProviders("demo").isEmpty)
            #expect(await world.hosts.access["demo"]?.identityProviders.isEmpty == true)
            #expect(
                await refusal { _ = try await world.service.describeIdentityProvider("demo", type: "oidc", name: "okta") }?.message
                    == "No config found for cluster: demo, config type: oidc, config name: okta")
            #expect(
                await refusal { _ = try await world.service.describeIdentityProvider("demo", type: "saml", name: "okta") }?.code
                    == "InvalidParameterException")
        }
    }

    @Test(
        "what is no issuer, or would pass for the system's own names, is refused",
        arguments: [
            ("http://id.example.com", "IssuerURL must use https:// scheme."), ("https://", "IssuerURL must name a host"),
            ("https://u@h", "IssuerURL must name a host"), ("https://h/?a=b", "IssuerURL must name a host"),
            ("https://h x", "IssuerURL must name a host"),
        ])
    func issuers(_ issuer: String, _ message: String) async throws {
        let error = await refusal { try IdentityProviderRequirements.check(provider(issuer: issuer)) }
        #expect(error?.message.hasPrefix(message) == true)
        var reserved = provider()
        reserved.groupsPrefix = "system:"
        #expect(
            await refusal { try IdentityProviderRequirements.check(reserved) }?.message == "The prefix system: is reserved for Kubernetes system use")
        #expect(await refusal { try IdentityProviderRequirements.check(provider("")) } != nil)
        #expect(await refusal { try IdentityProviderRequirements.check(provider()) } == nil)
    }

    /// Nearly all that a cluster's providers may have together.
    private func large(_ name: String) -> IdentityProviderRecord {
        var record = provider(name, issuer: "https://\(name)")
        for number in 0..<46 { record.requiredClaims["claim\(number)"] = String(repeating: "x", count: 253) }
        return record
    }

    @Test("the configurations of a cluster's providers are less than 12 KB together")
    func size() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        let (first, second) = (large("p1"), large("p2"))
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            try await finished(world, try await world.service.associateIdentityProvider(first, token: nil))
            let refused = await refusal { _ = try await world.service.associateIdentityProvider(second, token: nil) }
            #expect(refused?.code == "InvalidRequestException" && refused?.message.contains("12 KB") == true)
        }
    }

    @Test("a cluster has ten providers at most; an association that was under way is finished after a restart")
    func limits() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            for number in 1...10 {
                let one = provider("p\(number)", issuer: "https://p\(number)")
                try await finished(world, try await world.service.associateIdentityProvider(one, token: nil))
            }
            #expect(try await world.service.listIdentityProviders("demo").count == 10)
            let eleventh = await refusal { _ = try await world.service.associateIdentityProvider(provider("p11", issuer: "https://p11"), token: nil) }
            #expect(eleventh?.code == "InvalidRequestException")
            try await finished(world, try await world.service.disassociateIdentityProvider("demo", type: "oidc", name: "p1", token: nil))
        }
        let update = try await world.service.associateIdentityProvider(provider(), token: nil)
        let next = try await World(storage: world.storage, isNew: false)
        try await next.running {
            try await finished(next, update)
            #expect(await next.hosts.access["demo"]?.identityProviders.count == 10)
        }
    }
}
