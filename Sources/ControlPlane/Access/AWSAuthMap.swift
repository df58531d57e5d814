internal import KubeAPI

/// The `aws-auth` ConfigMap's content: IAM roles, users and accounts with their Kubernetes users. Upstream: aws-iam-authenticator
/// pkg/mapper/configmap; EKS User Guide, "Grant IAM users access to Kubernetes with a ConfigMap".
struct AWSAuthMap: Sendable, Equatable {
    static let namespace = "kube-system"
    static let name = "aws-auth"

    /// What a role or user is in the cluster.
    struct Mapping: Sendable, Equatable {
        var userName: String
        var groups: [String]
    }

    /// By ARN in lower case, without a path.
    private(set) var roles: [String: Mapping] = [:]
    /// By ARN in lower case.
    private(set) var users: [String: Mapping] = [:]
    private(set) var accounts: Set<String> = []
    /// What could not be understood, in words; all else counts.
    private(set) var problems: [String] = []

    init() {}

    /// Reads the ConfigMap's `data`. An entry that is malformed is passed over, and so is a section that is no YAML list: one mistake does not
    /// lock everybody out.
    init(data: [String: String]) {
        for (section, key) in [("mapRoles", "rolearn"), ("mapUsers", "userarn")] {
            for (index, entry) in list(data[section], section).enumerated() {
                guard let (arn, mapping) = Self.mapping(entry, key) else {
                    problems.append("\(section)[\(index)] is passed over: it needs a \(key), a username and a list of groups")
                    continue
                }
                if section == "mapRoles" { roles[arn] = mapping } else { users[arn] = mapping }
            }
        }
        for (index, entry) in list(data["mapAccounts"], "mapAccounts").enumerated() {
            guard let account = Self.account(entry) else {
                problems.append("mapAccounts[\(index)] is passed over: it is no account of twelve digits (write it in quotes)")
                continue
            }
            accounts.insert(account)
        }
    }

    private mutating func list(_ text: String?, _ section: String) -> [JSONView] {
        let trimmed = (text ?? "").drop { $0.isWhitespace }
        guard !trimmed.isEmpty, trimmed != "``", trimmed != "\"\"" else { return [] }
        do {
            let root = try JSONDocument(try YAMLDecoder.decode(Array(trimmed.utf8)).json).root
            if root.isNull { return [] }
            guard root.kind == .array else {
                problems.append("\(section) is passed over: it is no list")
                return []
            }
            return root.elements.map { $0 }
        } catch {
            problems.append("\(section) is passed over: \(error)")
            return []
        }
    }

    /// Keys count whatever their case, as Go reads JSON.
    private static func mapping(_ entry: JSONView, _ key: String) -> (arn: String, mapping: Mapping)? {
        guard entry.kind == .object else { return nil }
        var arn: String?
        var mapping = Mapping(userName: "", groups: [])
        for (name, value) in entry.members {
            switch name.lowercased() {
            case key: arn = value.string
            case "username":
                guard let text = value.string else { return nil }
                mapping.userName = text
            case "groups":
                if value.isNull { continue }
                guard value.kind == .array, value.elements.allSatisfy({ $0.string != nil }) else { return nil }
                mapping.groups = value.strings
            default: break
            }
        }
        guard let arn, !arn.isEmpty else { return nil }
        return (arn.lowercased(), mapping)
    }

    private static func account(_ entry: JSONView) -> String? {
        // Unquoted digits are a number in YAML.
        let text = entry.string ?? entry.int.map(String.init) ?? ""
        guard text.utf8.count == 12, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return text
    }

    /// What an identity is to the ConfigMap; roles come before users, both before accounts. Nil: not mapped.
    func mapping(of identity: AWSIdentity) -> Mapping? { mapping(canonicalARN: identity.canonicalARN, accountID: identity.accountID) }

    fileprivate func mapping(canonicalARN: String, accountID: String) -> Mapping? {
        let arn = canonicalARN.lowercased()
        if let mapping = roles[arn] ?? users[arn] { return mapping }
        return accounts.contains(accountID) ? Mapping(userName: canonicalARN, groups: []) : nil
    }
}

/// The `aws-auth` ConfigMap for those who only read it.
package enum AWSAuthListing {
    /// Where it is.
    package static let (namespace, name) = (AWSAuthMap.namespace, AWSAuthMap.name)

    /// All roles and users in it, by ARN, in lower case as they are compared.
    package static func mappings(in data: [String: String]) -> [(arn: String, userName: String, groups: [String])] {
        let map = AWSAuthMap(data: data)
        return (map.roles.merging(map.users) { role, _ in role }).sorted { $0.key < $1.key }.map { ($0.key, $0.value.userName, $0.value.groups) }
    }

    /// What the principal of `arn` is to it; nil: nothing.
    package static func mapping(of arn: String, in data: [String: String]) -> (userName: String, groups: [String])? {
        let account = arn.split(separator: ":", omittingEmptySubsequences: false).dropFirst(4).first.map(String.init) ?? ""
        let mapping = AWSAuthMap(data: data).mapping(canonicalARN: NodeRoleMapping.withoutPath(arn), accountID: account)
        return mapping.map { ($0.userName, $0.groups) }
    }
}
