import AWSServices
import CloudControllers

/// Launches the instance of one pod on Fargate, sized to the pod, in a subnet of the profile. Its machine is started by the instance's own step.
/// Upstream: EKS User Guide, "Understand Fargate Pod configuration details".
struct LaunchFargateStep {
    static let computeType = "eks.amazonaws.com/compute-type"
    static let taint = NodeTaint(key: computeType, value: "fargate", effect: "NoSchedule")

    /// Returns the instance's id. Throws `AWSError` when the profile's subnets have no room.
    func run(_ pod: FargatePod, _ profile: FargateProfileRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws -> String {
        var holding: [String: Int] = [:]
        for id in await context.state.read({ tables in tables.fargateInstances(of: cluster.name).map(\.subnetID) }) { holding[id, default: 0] += 1 }
        let subnets = await context.network.subnets(profile.subnetIDs)
        guard let subnet = LaunchInstancesStep.subnet(for: subnets, holding: holding) else {
            throw EKSFault.invalidParameter("None of the Fargate profile's subnets exists any more: \(profile.subnetIDs.joined(separator: ", "))")
        }
        // One interface, with an address for the machine and one for the pod.
        let type = InstanceTypeFacts(
            name: "", vcpus: max(1, pod.capacity.milliCPU / 1_000), memoryMiB: pod.capacity.memoryMiB, architecture: HostArchitecture.name,
            maxInterfaces: 1, addressesPerInterface: 2, isBurstable: false)
        var request = InstanceRequest(type: type, imageID: "")
        request.fargate = FargateTask(
            profile: profile.name, podUID: pod.uid, namespace: pod.namespace, podName: pod.name, milliCPU: pod.capacity.milliCPU)
        request.securityGroupIDs = [cluster.network.clusterSecurityGroupID].compactMap { $0 }
        request.tags = ["eks:fargate-profile-name": profile.name]
        request.labels = [Self.computeType: "fargate"]
        request.taints = [Self.taint]
        request.version = cluster.version
        request.kubelet.maxPods = 1
        // What was reckoned with when the machine was sized; the rest is the pod's.
        request.kubelet.kubeReserved = ["cpu": "0", "memory": "\(FargateCapacity.componentsMiB)Mi"]
        return try await InstanceLauncher(context: context).launch(request, cluster, subnet, share: 2).instanceID
    }
}
