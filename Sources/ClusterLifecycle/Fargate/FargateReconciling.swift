import CloudControllers

/// The part of Fargate: a machine for each pod that a control plane tells of, and the profiles.
///
/// ```
/// pods of the cluster ──watchFargate──▶ .fargatePod(uid): launch │ bind │ end ──▶ .instance ──gone──▶ .fargateProfile when it is DELETING
/// ```
extension Reconciler {
    func isRegistered(_ node: String, in cluster: String) -> Bool { readiness[cluster]?[node] != nil }

    func reconcileFargatePod(_ clusterName: String, _ uid: String) async throws {
        guard fargate.isKnown(clusterName), serving.contains(clusterName) else { return }
        let pod = fargate.pod(uid, of: clusterName)
        let read = await context.state.read { tables -> (ClusterRecord, FargateProfileRecord?, [InstanceRecord])? in
            guard let cluster = tables.clusters[clusterName] else { return nil }
            return (
                cluster, pod.flatMap { tables.fargateProfiles[LifecycleTables.key(clusterName, $0.profile)] },
                tables.instances(ofPod: uid, in: clusterName)
            )
        }
        guard let (cluster, profile, instances) = read else { return }
        let key = ReconcileKey.fargatePod(cluster: clusterName, uid: uid)
        let plan = FargatePodPlan.plan(pod, instances) { isRegistered($0, in: clusterName) }
        try await mark(terminate: plan.terminate)
        guard let pod, pod.nodeName == nil else { return notBefore[key] = nil }
        if let node = plan.node { try await context.controlPlanes.bindPod(pod, to: node, in: clusterName) }
        guard plan.launches, let profile, profile.status != .deleting, !isHeldBack(key) else { return }
        do { wake(.instance(try await launchInTurn(pod, profile, cluster))) } catch {
            try Task.checkCancellation()
            try await context.controlPlanes.reportPod(pod, HealthIssue(error, resourceIDs: []).message, in: clusterName)
            throw error
        }
    }

    /// One after the other: each goes where the fewest are, and is counted before the next one looks.
    private func launchInTurn(_ pod: FargatePod, _ profile: FargateProfileRecord, _ cluster: ClusterRecord) async throws -> String {
        let (previous, context) = (fargateLaunch, context)
        let launch = Task {
            await previous?.value
            return try await LaunchFargateStep().run(pod, profile, cluster, context)
        }
        // What the launch throws is thrown below; the next one only waits for its end.
        fargateLaunch = Task { _ = await launch.result }
        return try await launch.value
    }

    func tellPod(of instance: InstanceRecord, _ message: String) async throws {
        guard let task = instance.fargate, let pod = fargate.pod(task.podUID, of: instance.clusterName), pod.nodeName == nil else { return }
        try await context.controlPlanes.reportPod(pod, message, in: instance.clusterName)
    }

    func reconcileFargateProfile(_ clusterName: String, _ name: String) async throws {
        let read = await context.state.read { tables -> (FargateProfileRecord, ClusterRecord)? in
            guard let profile = tables.fargateProfiles[LifecycleTables.key(clusterName, name)], let cluster = tables.clusters[clusterName] else {
                return nil
            }
            return (profile, cluster)
        }
        // What pods there are must be known before none of them is missed.
        guard let (profile, cluster) = read, serving.contains(clusterName), profile.status != .deleting || fargate.isKnown(clusterName) else {
            return
        }
        let isGone = try await FargateProfileStep(context: context).run(
            profile, cluster, hasPods: fargate.hasPods(of: name, in: clusterName))
        if isGone { wake(.cluster(clusterName)) }
    }

    func wakeFargateProfiles(of cluster: String) async {
        let names = await context.state.read { tables in tables.fargateProfiles(of: cluster).filter { $0.status != .active }.map(\.name) }
        for name in names { wake(.fargateProfile(cluster: cluster, name: name)) }
    }

    func watchFargate(_ cluster: String) async {
        while !Task.isCancelled {
            var isFirst = true
            for await pods in await context.controlPlanes.fargatePods(cluster) {
                var changed = fargate.take(pods, of: cluster)
                // After a restart there may be instances of pods that went meanwhile.
                if isFirst {
                    changed.formUnion(await context.state.read { tables in tables.fargateInstances(of: cluster).compactMap(\.fargate?.podUID) })
                }
                isFirst = false
                for uid in changed { wake(.fargatePod(cluster: cluster, uid: uid)) }
                await wakeFargateProfiles(of: cluster)
            }
            // As with readiness: the control plane was replaced, or goes.
            do { try await Task.sleep(for: context.configuration.firstRetry) } catch { return }
        }
    }
}
