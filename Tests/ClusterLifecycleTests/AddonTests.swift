import AWSProtocol
import AWSServices
import Testing

@testable import ClusterLifecycle

@Suite struct AddonTests {
    private func active(_ world: World) async throws -> [String] {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        return subnets
    }

    private func addon(_ world: World, _ name: String, is status: AddonStatus) async throws {
        try await until("\(name) is \(status)") { try await world.service.describeAddon("demo", name).addon.status == status }
    }

    private func create(_ world: World, _ name: String, _ change: (inout AddonInput) -> Void = { _ in }) async throws -> AddonRecord {
        var input = AddonInput(clusterName: "demo", name: name)
        change(&input)
        return try await world.service.createAddon(input, caller: world.caller)
    }

    @Test("an add-on comes into its cluster, is updated and deleted, and its updates are kept until then")
    func lifecycle() async throws {
        let world = try await World()
        try await world.running {
            _ = try await active(world)
            let made = try await create(world, "kube-proxy")
            #expect(made.status == .creating && made.version == "v1.36.2-eksbuild.2")
            #expect(made.arn.hasPrefix("arn:aws:eks:eu-central-1:000000000000:addon/demo/kube-proxy/"))
            try await addon(world, "kube-proxy", is: .active)
            #expect(try await world.service.listAddons("demo") == ["kube-proxy"])
            let again = await refusal { _ = try await create(world, "kube-proxy") }
            #expect(again?.code == "ResourceInUseException" && again?.message == "Addon already exists.")
            var change = AddonInput(clusterName: "demo", name: "kube-proxy")
            change.resolveConflicts = .overwrite
            let update = try await world.service.updateAddon(change, caller: world.caller)
            #expect(update.type == "AddonUpdate" && update.parameters == [UpdateParameter(type: "ResolveConflicts", value: "OVERWRITE")])
            try await until("the update is done") {
                try await world.service.describeUpdate("demo", id: update.id, of: .addon("kube-proxy")).status == .successful
            }
            #expect(try await world.service.listUpdates("demo", of: .addon("kube-proxy")) == [update.id])
            #expect(try await world.service.listUpdates("demo", of: .cluster).isEmpty)
            _ = try await world.service.deleteAddon("demo", "kube-proxy", preserve: false)
            try await world.gone { _ = try await world.service.describeAddon("demo", "kube-proxy") }
            #expect(await world.hosts.calls.contains("remove addon kube-proxy"))
            let missing = await refusal { _ = try await world.service.describeAddon("demo", "kube-proxy") }
            #expect(missing?.message == "No addon: kube-proxy found in cluster: demo")
        }
    }

    @Test("deleted with preserve, an add-on leaves its objects")
    func preserve() async throws {
        let world = try await World()
        try await world.running {
            _ = try await active(world)
            _ = try await create(world, "vpc-cni")
            try await addon(world, "vpc-cni", is: .active)
            _ = try await world.service.deleteAddon("demo", "vpc-cni", preserve: true)
            try await world.gone { _ = try await world.service.describeAddon("demo", "vpc-cni") }
            #expect(await !world.hosts.calls.contains("remove addon vpc-cni"))
        }
    }

    @Test("an add-on that needs a node waits for one, and is degraded when the last one goes")
    func needsNode() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await active(world)
            _ = try await create(world, "coredns")
            try await until("it says what it lacks") {
                try await world.service.describeAddon("demo", "coredns").addon.health.map(\.code) == ["InsufficientNumberOfReplicas"]
            }
            #expect(try await world.service.describeAddon("demo", "coredns").addon.status == .creating)
            _ = try await world.createNodegroup(subnets)
            try await addon(world, "coredns", is: .active)
            #expect(try await world.service.describeAddon("demo", "coredns").addon.health.isEmpty)
        }
    }

    @Test("without a node it is CREATING while it may still come, then DEGRADED")
    func verdicts() {
        var record = AddonRecord(clusterName: "demo", name: "coredns", arn: "a", version: "v", createdAt: 1_000)
        func verdict(_ nodes: Int, _ now: Double) -> (AddonStatus, Double?) {
            let verdict = AddonStep.verdict(record, AddonCatalog.coredns, readyNodes: nodes, now: now, patience: 100)
            return (verdict.status, verdict.again)
        }
        #expect(verdict(0, 1_040) == (.creating, 60) && verdict(0, 1_100) == (.degraded, nil) && verdict(1, 1_100) == (.active, nil))
        record.status = .active
        #expect(verdict(0, 1_001) == (.degraded, nil))
        #expect(AddonStep.verdict(record, AddonCatalog.vpcCNI, readyNodes: 0, now: 0, patience: 0).status == .active)
    }

    @Test("fields of others stop an add-on unless they may be overwritten")
    func conflicts() async throws {
        let world = try await World()
        var faults = SimulatedHosts.Faults()
        faults.addonConflict = "ServiceAccount aws-node - .metadata.annotations.eks.amazonaws.com/role-arn"
        await world.hosts.set(faults)
        try await world.running {
            _ = try await active(world)
            _ = try await create(world, "vpc-cni")
            try await addon(world, "vpc-cni", is: .createFailed)
            let issue = try await world.service.describeAddon("demo", "vpc-cni").addon.health.first
            #expect(issue?.code == "ConfigurationConflict" && issue?.message.contains("role-arn") == true)
            var change = AddonInput(clusterName: "demo", name: "vpc-cni")
            change.resolveConflicts = .overwrite
            _ = try await world.service.updateAddon(change, caller: world.caller)
            try await addon(world, "vpc-cni", is: .active)
        }
    }

    @Test("associations of an add-on come and go with it")
    func associations() async throws {
        let world = try await World()
        let trust =
            #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"#
            + #""Action":["sts:AssumeRole","sts:TagSession"]}]}"#
        _ = try await world.call(world.iam, "CreateRole", ["RoleName": "cni", "AssumeRolePolicyDocument": trust])
        let role = "arn:aws:iam::000000000000:role/cni"
        try await world.running {
            _ = try await active(world)
            _ = try await create(world, "vpc-cni") { $0.podIdentities = [AddonPodIdentity(serviceAccount: "aws-node", roleARN: role)] }
            let (made, associations) = try await world.service.describeAddon("demo", "vpc-cni")
            #expect(associations.count == 1)
            #expect(await world.service.hasPodIdentity("demo", namespace: "kube-system", serviceAccount: "aws-node"))
            #expect(try await world.service.listPodIdentities("demo", namespace: nil, serviceAccount: nil).map(\.ownerARN) == [made.arn])
            let wrong = await refusal {
                _ = try await create(world, "coredns") { $0.podIdentities = [AddonPodIdentity(serviceAccount: "aws-node", roleARN: role)] }
            }
            #expect(wrong?.message == "Service account aws-node in pod identity configuration is not supported for addon coredns")
            try await addon(world, "vpc-cni", is: .active)
            var change = AddonInput(clusterName: "demo", name: "vpc-cni")
            change.configurationValues = "{}"
            _ = try await world.service.updateAddon(change, caller: world.caller)
            try await addon(world, "vpc-cni", is: .active)
            #expect(try await world.service.describeAddon("demo", "vpc-cni").associationARNs == associations, "left as they are when not named")
            change.podIdentities = []
            _ = try await world.service.updateAddon(change, caller: world.caller)
            #expect(try await world.service.describeAddon("demo", "vpc-cni").associationARNs.isEmpty)
        }
    }

    @Test("what an add-on cannot be is refused in EKS's words")
    func refusals() async throws {
        let world = try await World()
        try await world.running {
            _ = try await active(world)
            func message(_ name: String, _ change: (inout AddonInput) -> Void = { _ in }) async -> String {
                await refusal { _ = try await create(world, name, change) }?.message ?? ""
            }
            #expect(await message("nothing") == "Addon nothing specified is not supported in 1.36 kubernetes version")
            #expect(await message("vpc-cni") { $0.version = "v0" } == "Addon version specified is not supported")
            #expect(await message("kube-proxy") { $0.version = "v1.32.9-eksbuild.2" } == "Addon version specified is not supported")
            #expect(await message("aws-ebs-csi-driver").contains("not implemented"))
            #expect(await message("vpc-cni") { $0.configurationValues = #"{"eniConfig":{}}"# }.contains("[$.eniConfig: is not defined in the schema"))
            #expect(await message("vpc-cni") { $0.configurationValues = "nonsense" }.contains("must be a JSON or YAML object"))
            #expect(
                await message("vpc-cni") { $0.configurationValues = "enableNetworkPolicy: true" }
                    .hasSuffix("Json schema validation failed with error: [$.enableNetworkPolicy: boolean found, string expected]"))
            #expect(
                await message("kube-proxy") { $0.configurationValues = "mode: ipvs" }.contains("does not have a value in the enumeration [nftables]"))
            #expect(
                await message("coredns") { $0.configurationValues = "corefile: |\n  .:53 {\n    whoami\n  }\n" }
                    .hasSuffix("$.corefile: Corefile:2 - Error during parsing: Unknown directive 'whoami'"))
            #expect(await message("vpc-cni") { $0.namespace = "other" }.contains("namespace kube-system only"))
            #expect(await message("vpc-cni") { $0.serviceAccountRoleARN = "arn:aws:iam::000000000000:role/none" }.contains("does not exist"))
        }
    }

    @Test("each add-on has one version that a cluster gets when it names none, in the catalogue")
    func catalogue() {
        for definition in AddonCatalog.all {
            for kubernetes in KubernetesVersions.all.map(\.name) {
                #expect(definition.versions.count { $0.defaultFor.contains(kubernetes) } == 1, "\(definition.name) \(kubernetes)")
            }
            for version in definition.versions { #expect(Set(version.defaultFor).isSubset(of: version.kubernetesVersions)) }
        }
    }

    @Test("settings are read from JSON and YAML, and become what the nodes follow")
    func settings() throws {
        let yaml = try AddonSettings("corefile: |\n  . {\n    forward . 10.0.0.2\n  }\nreplicaCount: 3\n")
        #expect(yaml.problems(AddonSchemas.coredns).isEmpty && yaml.corefileProblem == nil)
        #expect(yaml.configMaps(of: "coredns") == ["coredns": ["Corefile": ". {\n  forward . 10.0.0.2\n}\n"]])
        #expect(try AddonSettings(nil).configMaps(of: "coredns")["coredns"]?["Corefile"]?.contains("forward . /etc/resolv.conf") == true)
        let json = try AddonSettings(#"{"enableNetworkPolicy":"false","env":{"WARM_IP_TARGET":"3"}}"#)
        #expect(json.problems(AddonSchemas.vpcCNI).isEmpty)
        #expect(json.configMaps(of: "vpc-cni") == ["amazon-vpc-cni": ["enable-network-policy-controller": "false", "warm-ip-target": "3"]])
        #expect(try AddonSettings("{}").configMaps(of: "vpc-cni")["amazon-vpc-cni"] == ["enable-network-policy-controller": "true"])
        #expect(throws: AddonSettings.Unreadable.document) { try AddonSettings("a: b: c") }
        #expect(throws: AddonSettings.Unreadable.document) { try AddonSettings("[1]") }
        #expect(throws: AddonSettings.Unreadable.document) { try AddonSettings("a: 1\na: 2") }
    }

    @Test("settings are checked in the validator's words")
    func schema() throws {
        func problems(_ text: String, _ schema: AddonSchema = AddonSchemas.coredns) throws -> [String] { try AddonSettings(text).problems(schema) }
        #expect(try problems(#"{"replicaCount":"3"}"#) == ["$.replicaCount: string found, integer expected"])
        #expect(try problems(#"{"replicaCount":0}"#) == ["$.replicaCount: must have a minimum value of 1"])
        #expect(try problems(#"{"replicaCount":2.5}"#) == ["$.replicaCount: number found, integer expected"])
        #expect(try problems(#"{"autoScaling":{"enabled":"yes","other":1}}"#).count == 2)
        #expect(try problems(#"{"tolerations":[{"key":"a"},"b"]}"#) == ["$.tolerations[1]: string found, object expected"])
        #expect(try problems(#"{"podLabels":{"a":1}}"#) == ["$.podLabels.a: integer found, string expected"])
        #expect(try problems(#"{"env":{"ENABLE_POD_ENI":"true"}}"#, AddonSchemas.vpcCNI).first?.contains("enumeration [false]") == true)
        let document = AddonSchemas.vpcCNI.document(title: "vpc-cni")
        #expect(document["properties"]?["enableNetworkPolicy"]?["enum"] == ["true", "false"] && document["additionalProperties"] == false)
    }
}
