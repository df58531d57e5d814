import AWSProtocol

/// Upstream: eks FargateProfileStatus.
package enum FargateProfileStatus: String, Codable, Sendable {
    case creating = "CREATING"
    case active = "ACTIVE"
    case deleting = "DELETING"
}

/// Which pods a profile is for: all of the labels, in the namespace. `*` and `?` stand for any characters. Upstream: eks FargateProfileSelector.
package struct FargateSelector: Codable, Sendable, Equatable {
    package var namespace: String
    package var labels: [String: String]

    package init(namespace: String, labels: [String: String] = [:]) {
        self.namespace = namespace
        self.labels = labels
    }
}

/// A Fargate profile as the service keeps it. Upstream: eks FargateProfile.
package struct FargateProfileRecord: Codable, Sendable, Equatable {
    package var clusterName: String
    package var name: String
    package var arn: String
    /// Seconds since 1970.
    package var createdAt: Double
    package var roleARN: String
    package var subnetIDs: [String]
    package var selectors: [FargateSelector]
    package var status: FargateProfileStatus
    package var tags: [String: String]

    var key: String { LifecycleTables.key(clusterName, name) }
}

extension LifecycleTables {
    func fargateProfiles(of cluster: String) -> [FargateProfileRecord] { fargateProfiles.values.filter { $0.clusterName == cluster } }

    func fargateInstances(of cluster: String) -> [InstanceRecord] { instances.values.filter { $0.clusterName == cluster && $0.fargate != nil } }

    /// The instances for one pod.
    func instances(ofPod uid: String, in cluster: String) -> [InstanceRecord] {
        instances.values.filter { $0.clusterName == cluster && $0.fargate?.podUID == uid }.sorted { $0.instanceID < $1.instanceID }
    }
}
