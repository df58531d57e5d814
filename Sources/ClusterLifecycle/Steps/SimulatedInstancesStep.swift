import AWSProtocol
import AWSServices

/// The instances of a group whose nodes are simulated, many at a time: they have no machine, no place in a subnet and nothing in EC2, only a record and
/// a node in their cluster's fleet.
struct SimulatedInstancesStep {
    /// The tag of a new node group that makes its nodes records.
    static let tag = "eyrie.dev/runtime"
    static let runtime = "simulated"
    /// Their addresses: the first part of what RFC 6598 keeps for carriers, in no VPC.
    static let addresses = "100.64.0.0/12"
    /// Nodes drained at once: each asks for its pods every half second.
    private static let drainsAtOnce = 64

    /// Makes records of `count` more instances. Throws `AWSError`.
    func launch(_ group: NodegroupRecord, _ cluster: ClusterRecord, count: Int, _ context: StepContext) async throws {
        guard let typeName = group.launchTypes.first, let type = InstanceTypes.all[typeName] else {
            throw AWSError("InvalidInstanceType", "The instance type '\(group.launchTypes.first ?? "")' does not exist")
        }
        let subnets = await context.network.subnets(group.subnetIDs)
        guard !subnets.isEmpty else {
            throw EKSFault.invalidParameter("None of the node group's subnets exists any more: \(group.subnetIDs.joined(separator: ", "))")
        }
        let (now, region) = (context.clock.now, context.configuration.region)
        try await context.state.update { tables in
            guard let block = IPv4Block(Self.addresses) else { return }
            let others = tables.instances.values.filter { $0.clusterName == cluster.name }
            let taken = Set(others.map(\.primaryAddress))
            var perSubnet: [String: Int] = [:]
            for instance in others where instance.nodegroup == group.name { perSubnet[instance.subnetID, default: 0] += 1 }
            var offset = 0
            for _ in 0..<count {
                repeat { offset += 1 } while block.address(at: offset).map { taken.contains($0.description) } ?? false
                let subnet = subnets.min { (perSubnet[$0.id] ?? 0, $0.id) < (perSubnet[$1.id] ?? 0, $1.id) }
                guard let address = block.address(at: offset), let subnet else { return }
                perSubnet[subnet.id, default: 0] += 1
                let record = Self.record(group, cluster, type, subnet, address, region: region, now: now)
                tables.instances[record.instanceID] = record
            }
        }
    }

    private static func record(
        _ group: NodegroupRecord, _ cluster: ClusterRecord, _ type: InstanceTypeFacts, _ subnet: SubnetFacts, _ address: IPv4Address, region: String,
        now: Double
    ) -> InstanceRecord {
        // Upstream: EC2 User Guide, "Instance hostnames".
        let domain = region == "us-east-1" ? "ec2.internal" : "\(region).compute.internal"
        let name = "ip-\(address.dashed).\(domain)"
        var record = InstanceRecord(
            instanceID: AWSIdentifier.resource("i"), clusterName: cluster.name, nodegroup: group.name, nodeName: name, instanceType: type.name,
            vcpus: type.vcpus, memoryMiB: type.memoryMiB, maxPods: type.maxPods, vpcID: cluster.network.vpcID, vpcCIDR: cluster.network.vpcCIDR,
            subnetID: subnet.id, subnetCIDR: subnet.cidr, zone: subnet.zone, region: region, networkInterfaceIDs: [],
            primaryAddress: address.description, macAddress: "", podAddresses: [], securityGroupIDs: [],
            labels: LaunchInstancesStep.labels(group), taints: group.taints, createdAt: now)
        record.labels.merge(InstanceLauncher.labels(type, nodeName: name, subnet, region)) { $1 }
        record.version = group.launchVersion
        record.releaseVersion = group.launchRelease
        record.templateVersion = group.launchTemplate?.version
        record.isSimulated = true
        return record
    }

    /// Brings the group's nodes into their cluster: launching becomes joining. Whether there were any to bring.
    func start(_ group: NodegroupRecord, _ instances: [InstanceRecord], _ context: StepContext) async throws -> Bool {
        await context.controlPlanes.setSimulatedNodes(
            instances.filter { $0.phase != .terminating }, ofGroup: group.name, in: group.clusterName)
        let now = context.clock.now
        let launching = instances.filter { $0.phase == .launching }
        try await move(launching, from: .launching, context) {
            $0.phase = .joining
            $0.startedAt = now
        }
        return !launching.isEmpty
    }

    /// Joining becomes ready for instances whose nodes are. Whether there were any.
    func settle(_ instances: [InstanceRecord], isReady: (String) -> Bool, _ context: StepContext) async throws -> Bool {
        let ready = instances.filter { $0.phase == .joining && isReady($0.nodeName) }
        try await move(ready, from: .joining, context) { $0.phase = .ready }
        return !ready.isEmpty
    }

    private func move(
        _ instances: [InstanceRecord], from phase: InstancePhase, _ context: StepContext, _ change: @escaping @Sendable (inout InstanceRecord) -> Void
    ) async throws {
        guard !instances.isEmpty else { return }
        let ids = instances.map(\.instanceID)
        try await context.state.update { tables in
            for id in ids {
                guard var current = tables.instances[id], current.phase == phase else { continue }
                change(&current)
                tables.instances[id] = current
            }
        }
    }

    /// Evicts the pods of some nodes that are to go, as far as budgets allow in the time that is theirs, deletes the nodes and forgets the instances.
    /// Gives those it took.
    func remove(_ group: NodegroupRecord, _ instances: [InstanceRecord], isServing: Bool, _ context: StepContext) async throws -> [InstanceRecord] {
        let leaving = instances.filter { $0.phase == .draining || $0.phase == .terminating }.prefix(Self.drainsAtOnce)
        guard !leaving.isEmpty else { return [] }
        let (cluster, controlPlanes) = (group.clusterName, context.controlPlanes)
        if isServing {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for instance in leaving {
                    tasks.addTask {
                        if instance.phase == .draining {
                            _ = try await controlPlanes.drainNode(cluster, nodeName: instance.nodeName, patience: DrainInstanceStep.patience)
                        }
                        try await controlPlanes.deleteNode(cluster, nodeName: instance.nodeName)
                    }
                }
                try await tasks.waitForAll()
            }
        }
        let ids = Set(leaving.map(\.instanceID))
        await controlPlanes.setSimulatedNodes(instances.filter { !ids.contains($0.instanceID) }, ofGroup: group.name, in: cluster)
        try await context.state.update { tables in for id in ids { tables.instances[id] = nil } }
        return Array(leaving)
    }
}
