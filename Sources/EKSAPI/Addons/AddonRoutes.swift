import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let addonHandlers: [String: EKSHandler] = [
        "CreateAddon": { call in
            let addon = try await call.service.createAddon(call.addonInput(), caller: call.caller)
            return ["addon": try await call.addon(addon.clusterName, addon.name)]
        },
        "DescribeAddon": { call in ["addon": try await call.addon(call.required("clusterName"), call.required("addonName"))] },
        "ListAddons": { call in try call.page(await call.service.listAddons(call.required("clusterName")), as: "addons") },
        "UpdateAddon": { call in ["update": try await call.service.updateAddon(call.addonInput(), caller: call.caller).json] },
        "DeleteAddon": { call in
            let (_, associations) = try await call.service.describeAddon(call.required("clusterName"), call.required("addonName"))
            let addon = try await call.service.deleteAddon(
                call.required("clusterName"), call.required("addonName"), preserve: call.input["preserve"]?.boolValue ?? false)
            return ["addon": addon.json(associations: associations)]
        },
        "DescribeAddonVersions": { call in
            let kubernetes = call.string("kubernetesVersion")
            if let kubernetes, KubernetesVersions.named(kubernetes) == nil {
                throw EKSFault.invalidParameter("unsupported Kubernetes version: \(kubernetes.prefix(32))")
            }
            func isWanted(_ value: String, _ filter: String) -> Bool { call.strings(filter).isEmpty || call.strings(filter).contains(value) }
            let found = AddonCatalog.all.filter {
                isWanted($0.type, "types") && isWanted($0.publisher, "publishers") && isWanted($0.owner, "owners")
                    && (call.string("addonName") ?? $0.name) == $0.name && !$0.versions(for: kubernetes).isEmpty
            }
            let page = try call.page(found.map(\.name), as: "addons")
            let shown = (page["addons"]?.stringArray ?? []).compactMap { AddonCatalog.named($0)?.json(kubernetes: kubernetes) }
            return .compact(["addons": .array(shown), "nextToken": page["nextToken"]])
        },
        "DescribeAddonConfiguration": { call in
            let (name, version) = (call.required("addonName"), call.required("addonVersion"))
            guard let definition = AddonCatalog.named(name) else {
                throw EKSFault.notFound("Addon \(name.prefix(100)) not found", ["addonName": .string(name)])
            }
            guard definition.versions.contains(where: { $0.name == version }) else {
                throw EKSFault.notFound("Addon version \(version.prefix(100)) not found for addon \(name)", ["addonName": .string(name)])
            }
            let accounts = definition.serviceAccounts.filter { !$0.policies.isEmpty }.map { account -> AWSJSON in
                [
                    "serviceAccount": .string(account.name),
                    "recommendedManagedPolicies": .strings(account.policies.map { "arn:aws:iam::aws:policy/\($0)" }),
                ]
            }
            return [
                "addonName": .string(name), "addonVersion": .string(version), "configurationSchema": .string(definition.configurationSchema),
                "podIdentityConfiguration": .array(accounts),
            ]
        },
    ]
}

extension EKSCall {
    fileprivate func addon(_ cluster: String, _ name: String) async throws -> AWSJSON {
        let (addon, associations) = try await service.describeAddon(cluster, name)
        return addon.json(associations: associations)
    }

    fileprivate func addonInput() -> AddonInput {
        var result = AddonInput(clusterName: required("clusterName"), name: required("addonName"))
        result.version = string("addonVersion")
        result.serviceAccountRoleARN = string("serviceAccountRoleArn")
        result.resolveConflicts = string("resolveConflicts").flatMap(AddonConflictResolution.init)
        result.configurationValues = string("configurationValues")
        result.podIdentities = input["podIdentityAssociations"]?.arrayValue?.map {
            AddonPodIdentity(serviceAccount: $0["serviceAccount"]?.stringValue ?? "", roleARN: $0["roleArn"]?.stringValue ?? "")
        }
        result.namespace = input["namespaceConfig"]?["namespace"]?.stringValue
        result.tags = input["tags"]?.stringMap ?? [:]
        result.token = token(now: service.now)
        return result
    }
}

extension AddonRecord {
    /// Upstream: eks Addon.
    func json(associations: [String]) -> AWSJSON {
        let definition = AddonCatalog.named(name)
        let members: [String: AWSJSON?] = [
            "addonName": .string(name), "clusterName": .string(clusterName), "status": .string(status.rawValue), "addonVersion": .string(version),
            "health": ["issues": .array(health.map(\.json))], "addonArn": .string(arn), "createdAt": .double(createdAt),
            "modifiedAt": .double(modifiedAt), "serviceAccountRoleArn": serviceAccountRoleARN.map(AWSJSON.string), "tags": .map(tags),
            "configurationValues": configurationValues.map(AWSJSON.string),
            "podIdentityAssociations": associations.isEmpty ? nil : .strings(associations),
            "namespaceConfig": definition.map { ["namespace": .string($0.namespace)] },
        ]
        return .compact(members)
    }
}

extension AddonDefinition {
    /// Those that fit a Kubernetes version, or all.
    func versions(for kubernetes: String?) -> [AddonVersion] {
        versions.filter { version in kubernetes.map { version.kubernetesVersions.contains($0) } ?? true }
    }

    /// Upstream: eks AddonInfo.
    func json(kubernetes: String?) -> AWSJSON {
        let shown = versions(for: kubernetes).map { version -> AWSJSON in
            let compatibilities = version.kubernetesVersions.filter { kubernetes == nil || kubernetes == $0 }.map { name -> AWSJSON in
                ["clusterVersion": .string(name), "platformVersions": ["*"], "defaultVersion": .bool(version.defaultFor.contains(name))]
            }
            return [
                "addonVersion": .string(version.name), "architecture": ["amd64", "arm64"], "computeTypes": ["ec2"],
                "compatibilities": .array(compatibilities), "requiresConfiguration": false,
                "requiresIamPermissions": .bool(requiresIAMPermissions),
            ]
        }
        return [
            "addonName": .string(name), "type": .string(type), "addonVersions": .array(shown), "publisher": .string(publisher),
            "owner": .string(owner), "defaultNamespace": .string(namespace),
        ]
    }
}
