import AWSProtocol
import ControlPlane

extension EKSService {
    /// The names of all access policies, sorted. Upstream: eks ListAccessPolicies.
    package nonisolated func listAccessPolicies() -> [String] { AccessPolicies.names }

    /// `arn:aws:eks::aws:cluster-access-policy/NAME`
    package nonisolated func accessPolicyARN(_ name: String) -> String {
        ARN(partition: configuration.partition, service: "eks", account: "aws", resource: "cluster-access-policy/\(name)").description
    }

    /// Gives an entry a policy, or one it has another scope. Upstream: eks AssociateAccessPolicy. Throws ResourceNotFoundException,
    /// InvalidRequestException, InvalidParameterException.
    package func associateAccessPolicy(
        _ cluster: String, _ principalARN: String, policyARN: String, scopeType: String, namespaces: [String]
    ) async throws -> AssociatedPolicy {
        let scope = try AccessEntryRequirements.scope(type: scopeType, namespaces: namespaces)
        let name = try AccessEntryRequirements.policy(policyARN, partition: configuration.partition)
        guard !AccessPolicies.isOfServiceLinkedRoles(name) else {
            throw EKSFault.invalidParameter("The specified policyArn can only be associated with service-linked roles")
        }
        let now = clock.now
        let associated = try await state.update { tables -> AssociatedPolicy in
            var entry = try tables.accessEntry(cluster, principalARN)
            // Nodes of Auto Mode with a role of their own are given this one policy. Upstream: EKS User Guide, "Create node class access entry".
            guard entry.type == .standard || (entry.type == .ec2 && name == "AmazonEKSAutoNodePolicy") else {
                throw AccessEntryRequirements.onlyStandard
            }
            var policy = AssociatedPolicy(arn: policyARN, namespaces: scope, associatedAt: now)
            if let place = entry.policies.firstIndex(where: { $0.arn == policyARN }) {
                policy.associatedAt = entry.policies[place].associatedAt
                entry.policies[place] = policy
            } else {
                entry.policies.append(policy)
            }
            tables.set(entry)
            return policy
        }
        await context.publishAccess(of: cluster)
        return associated
    }

    /// Upstream: eks DisassociateAccessPolicy. Throws ResourceNotFoundException, InvalidRequestException.
    package func disassociateAccessPolicy(_ cluster: String, _ principalARN: String, policyARN: String) async throws {
        try await state.update { tables in
            var entry = try tables.accessEntry(cluster, principalARN)
            guard let place = entry.policies.firstIndex(where: { $0.arn == policyARN }) else {
                throw EKSFault.notFound("The specified policyArn could not be found.", ["clusterName": .string(cluster)])
            }
            entry.policies.remove(at: place)
            tables.set(entry)
        }
        await context.publishAccess(of: cluster)
    }
}
