internal import KubeAPIServer

/// The access policies that can be associated with access entries. Upstream: EKS User Guide, "Review access policy permissions".
package enum AccessPolicies {
    /// One policy with its rules.
    struct Policy: Sendable {
        var name: String
        var rules: [PolicyRule]
    }

    /// Those that EKS gives to roles of its own alone. Upstream: "This policy is designated for AWS service-linked roles only".
    private static let ofServiceLinkedRoles: Set<String> = [
        "AmazonEKSBlockStoragePolicy", "AmazonEKSBlockStorageClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSComputeClusterPolicy",
        "AmazonEKSHybridPolicy", "AmazonEKSClusterInsightsPolicy",
    ]

    private static let all: [String: Policy] = (PolicyNotation.parse(AccessPolicyTable.userFacing) + PolicyNotation.parse(AccessPolicyTable.ofEKS))
        .reduce(into: [:]) { $0[$1.name] = Policy(name: $1.name, rules: $1.rules) }

    /// All names, sorted.
    package static let names: [String] = all.keys.sorted()

    /// The name in a policy's ARN, `arn:PARTITION:eks::aws:cluster-access-policy/NAME`; nil for an ARN of another kind.
    package static func name(inARN arn: String) -> String? {
        let parts = arn.split(separator: ":", omittingEmptySubsequences: false)
        let prefix = "cluster-access-policy/"
        guard parts.count == 6, parts[0] == "arn", parts[2] == "eks", parts[3].isEmpty, parts[4] == "aws", parts[5].hasPrefix(prefix) else {
            return nil
        }
        return String(parts[5].dropFirst(prefix.count))
    }

    package static func isOfServiceLinkedRoles(_ name: String) -> Bool { ofServiceLinkedRoles.contains(name) }

    static func policy(arn: String) -> Policy? { name(inARN: arn).flatMap { all[$0] } }
}
