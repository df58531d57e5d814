internal import Synchronization

/// A cluster's Fargate profiles that pods may run by. Given to a control plane as a whole at each change. Upstream: eks FargateProfile.
package struct FargateProfiles: Sendable, Equatable {
    /// All of the labels, in the namespace. Names, label keys and values may have wildcards. Upstream: eks FargateProfileSelector.
    package struct Selector: Sendable, Equatable {
        package var namespace: String
        package var labels: [String: String]

        package init(namespace: String, labels: [String: String] = [:]) {
            self.namespace = namespace
            self.labels = labels
        }

        func matches(namespace: String, labels present: [String: String]) -> Bool {
            guard WildcardPattern.matches(self.namespace, namespace) else { return false }
            return labels.allSatisfy { wanted in
                present.contains { WildcardPattern.matches(wanted.key, $0.key) && WildcardPattern.matches(wanted.value, $0.value) }
            }
        }
    }

    /// Grows with each change of the records: profiles that arrive late do not replace newer ones.
    package var revision: Int
    /// By name.
    package var selectors: [String: [Selector]]

    package init(revision: Int, selectors: [String: [Selector]]) {
        self.revision = revision
        self.selectors = selectors
    }

    /// The profile of a new pod: the one that its label asks for, if that matches; without a label the first by name of those that match.
    /// Upstream: EKS User Guide, "Define which Pods use AWS Fargate when launched".
    func profile(namespace: String, labels: [String: String], asked: String?) -> String? {
        let matching = selectors.filter { $0.value.contains { $0.matches(namespace: namespace, labels: labels) } }.keys
        guard let asked else { return matching.min() }
        return matching.contains(asked) ? asked : nil
    }
}

/// The profiles that a cluster's API server admits pods by.
package final class FargateBook: Sendable {
    private let state = Mutex(FargateProfiles(revision: -1, selectors: [:]))

    package init() {}

    /// Takes over the service's profiles, unless newer ones are here.
    package func set(_ profiles: FargateProfiles) { state.withLock { if profiles.revision >= $0.revision { $0 = profiles } } }

    var profiles: FargateProfiles { state.withLock { $0 } }
}
