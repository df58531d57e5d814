import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let identityProviderHandlers: [String: EKSHandler] = [
        "AssociateIdentityProviderConfig": { call in
            let provider = call.identityProvider()
            let update = try await call.service.associateIdentityProvider(provider, token: call.token(now: call.service.now))
            return ["update": update.json, "tags": .map(provider.tags)]
        },
        "DisassociateIdentityProviderConfig": { call in
            let config = call.input["identityProviderConfig"] ?? [:]
            let update = try await call.service.disassociateIdentityProvider(
                call.required("clusterName"), type: config["type"]?.stringValue ?? "", name: config["name"]?.stringValue ?? "",
                token: call.token(now: call.service.now))
            return ["update": update.json]
        },
        "DescribeIdentityProviderConfig": { call in
            let config = call.input["identityProviderConfig"] ?? [:]
            let provider = try await call.service.describeIdentityProvider(
                call.required("clusterName"), type: config["type"]?.stringValue ?? "", name: config["name"]?.stringValue ?? "")
            return ["identityProviderConfig": ["oidc": provider.json]]
        },
        "ListIdentityProviderConfigs": { call in
            try call.page(await call.service.listIdentityProviders(call.required("clusterName")), as: "identityProviderConfigs") {
                ["type": .string(IdentityProviderRecord.type), "name": .string($0)]
            }
        },
    ]
}

extension EKSCall {
    fileprivate func identityProvider() -> IdentityProviderRecord {
        let oidc = input["oidc"] ?? [:]
        var provider = IdentityProviderRecord(
            clusterName: required("clusterName"), name: oidc["identityProviderConfigName"]?.stringValue ?? "",
            issuerURL: oidc["issuerUrl"]?.stringValue ?? "", clientID: oidc["clientId"]?.stringValue ?? "")
        provider.userNameClaim = oidc["usernameClaim"]?.stringValue
        provider.userNamePrefix = oidc["usernamePrefix"]?.stringValue
        provider.groupsClaim = oidc["groupsClaim"]?.stringValue
        provider.groupsPrefix = oidc["groupsPrefix"]?.stringValue
        provider.requiredClaims = oidc["requiredClaims"]?.stringMap ?? [:]
        provider.tags = input["tags"]?.stringMap ?? [:]
        return provider
    }
}

extension IdentityProviderRecord {
    /// Upstream: eks OidcIdentityProviderConfig.
    var json: AWSJSON {
        .compact([
            "identityProviderConfigName": .string(name), "identityProviderConfigArn": .string(arn), "clusterName": .string(clusterName),
            "issuerUrl": .string(issuerURL), "clientId": .string(clientID), "usernameClaim": userNameClaim.map(AWSJSON.string),
            "usernamePrefix": userNamePrefix.map(AWSJSON.string), "groupsClaim": groupsClaim.map(AWSJSON.string),
            "groupsPrefix": groupsPrefix.map(AWSJSON.string), "requiredClaims": requiredClaims.isEmpty ? nil : .map(requiredClaims),
            "tags": .map(tags), "status": .string(status.rawValue),
        ])
    }
}
