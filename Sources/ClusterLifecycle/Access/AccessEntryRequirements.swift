import AWSProtocol
import ControlPlane

/// An IAM principal as its ARN names it.
struct IAMPrincipal: Sendable, Equatable {
    enum Kind: String, Sendable {
        case user
        case role
        case root
    }

    var arn: String
    var partition: String
    var account: String
    var kind: Kind
    /// Without the path.
    var name: String

    /// Nil for what is no principal of IAM: groups, sessions, services.
    init?(_ text: String) {
        guard let arn = ARN(text), ARN.partitions.contains(arn.partition), arn.service == "iam", arn.region.isEmpty, arn.account.utf8.count == 12,
            let first = arn.resourceParts.first, let kind = Kind(rawValue: String(first)), let last = arn.resourceParts.last, !last.isEmpty,
            (kind == .root) == (arn.resourceParts.count == 1)
        else { return nil }
        self.arn = text
        partition = arn.partition
        account = arn.account
        self.kind = kind
        name = String(last)
    }

    /// The user name EKS gives a STANDARD entry without one. Upstream: EKS User Guide, "Create access entries".
    var standardUserName: String { kind == .role ? "arn:\(partition):sts::\(account):assumed-role/\(name)/{{SessionName}}" : arn }

    /// The resource of an entry's ARN: `access-entry/CLUSTER/role/ACCOUNT/NAME`, to which an id is added.
    func entryResource(_ cluster: String) -> String { "access-entry/\(cluster)/\(kind.rawValue)/\(account)/\(name)" }
}

/// The checks of access entries, in EKS's words. Upstream: EKS User Guide, "Create access entries"; eks CreateAccessEntry as it answers.
enum AccessEntryRequirements {
    /// Upstream: EKS quotas.
    static let perCluster = 3_000
    static let reservedPrefixes = ["system:", "eks:", "aws:", "amazon:", "iam:"]
    /// Longer names are no names.
    private static let longestName = 512
    private static let nodeTypes = "[EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX, HYBRID_LINUX, EC2, HYPERPOD_LINUX]"

    static func principal(_ arn: String) throws(AWSError) -> IAMPrincipal {
        guard ARN(arn) != nil else { throw EKSFault.invalidParameter("The principalArn parameter format is not valid") }
        guard !arn.contains(":role/aws-service-role/") else {
            throw EKSFault.invalidParameter(
                "The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role")
        }
        guard let principal = IAMPrincipal(arn) else { throw invalidPrincipal }
        return principal
    }

    static let invalidPrincipal = EKSFault.invalidParameter("The specified principalArn is invalid: invalid principal.")

    static func type(_ name: String?) throws(AWSError) -> AccessEntryType {
        guard let name else { return .standard }
        guard let type = AccessEntryType(rawValue: name) else {
            let known = AccessEntryType.allCases.map(\.rawValue).joined(separator: ", ")
            throw EKSFault.invalidParameter("The specified type is invalid: \(name.prefix(64)) is none of [\(known)]")
        }
        return type
    }

    static func check(_ type: AccessEntryType, _ principal: IAMPrincipal, account: String, groups: [String], userName: String?) throws(AWSError) {
        guard type != .standard else { return }
        guard principal.kind == .role else {
            throw EKSFault.invalidParameter("AccessEntry principalArn must be IAM role when using types \(nodeTypes)")
        }
        guard principal.account == account else {
            throw EKSFault.invalidParameter(
                "AccessEntry principalArn must be from the same account as the cluster when using types \(nodeTypes)")
        }
        guard groups.isEmpty else {
            throw EKSFault.invalidParameter(
                "The specified kubernetesGroups is invalid: setting kubernetesGroups is not allowed when the type is \"\(type.rawValue)\"")
        }
        guard userName == nil else {
            throw EKSFault.invalidParameter(
                "The specified username is invalid: setting username is not allowed when the type is \"\(type.rawValue)\"")
        }
    }

    static func check(groups: [String]) throws(AWSError) {
        for group in groups {
            guard !group.isEmpty, group.utf8.count <= longestName else {
                throw EKSFault.invalidParameter(
                    "The kubernetes group name \(group.prefix(64)) is invalid, it must have from 1 to \(longestName) bytes")
            }
            if let prefix = reservedPrefixes.first(where: group.hasPrefix) {
                throw EKSFault.invalidParameter("The kubernetes group name \(group) is invalid, it cannot start with \(prefix)")
            }
        }
    }

    /// Without a colon before it, a session's name could complete somebody else's.
    static func check(userName: String) throws(AWSError) {
        guard !userName.isEmpty, userName.utf8.count <= longestName else {
            throw EKSFault.invalidParameter("The username must have from 1 to \(longestName) bytes")
        }
        if let prefix = reservedPrefixes.first(where: userName.hasPrefix) {
            throw EKSFault.invalidParameter("The username must not begin with \(prefix)")
        }
        for placeholder in ["{{SessionName}}", "{{SessionNameRaw}}"] {
            guard let place = userName.firstRange(of: placeholder) else { continue }
            guard userName[..<place.lowerBound].contains(":") else {
                throw EKSFault.invalidParameter("The username must contain a colon before \(placeholder)")
            }
        }
    }

    /// The name of the policy. Throws what EKS answers for ARNs of no policy, and for policies that are EKS's own.
    static func policy(_ arn: String, partition: String) throws(AWSError) -> String {
        guard let parsed = ARN(arn), parsed.service == "eks" else {
            throw EKSFault.invalidParameter("The policyArn parameter format is not valid")
        }
        guard parsed.partition == partition, let name = AccessPolicies.name(inARN: arn), AccessPolicies.names.contains(name) else {
            throw EKSFault.notFound("The specified policyArn could not be found.")
        }
        return name
    }

    /// The namespaces of a scope; nil for the cluster.
    static func scope(type: String, namespaces: [String]) throws(AWSError) -> [String]? {
        guard type == "namespace" else {
            guard namespaces.isEmpty else {
                throw EKSFault.invalidParameter("accessScope should not include namespaces if the type is not set as namespace")
            }
            return nil
        }
        guard !namespaces.isEmpty else {
            throw EKSFault.invalidParameter("At least 1 namespace must be provided if the type is set as namespace")
        }
        for namespace in namespaces {
            let isPattern = namespace.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x2A }
            guard isPattern, (1...63).contains(namespace.utf8.count) else {
                throw EKSFault.invalidParameter(
                    "The namespace '\(namespace.prefix(64))' is invalid: it can have lower-case letters, digits, hyphens and *")
            }
        }
        return namespaces.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
