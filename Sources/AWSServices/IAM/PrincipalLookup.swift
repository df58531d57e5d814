import AWSProtocol

extension IdentityStore {
    /// The unique id, `AIDA…` or `AROA…`, of the user or role with this ARN, its path included; nil when there is none. Upstream: iam UserId, RoleId.
    package func principalID(arn: String) async -> String? {
        guard let parsed = ARN(arn), parsed.service == "iam", let name = parsed.resourceParts.last.map(String.init) else { return nil }
        let kind = parsed.resourceParts.first
        return await state.read { tables -> String? in
            switch kind {
            case "user": tables.users[name].flatMap { $0.arn == arn ? $0.id : nil }
            case "role": tables.roles[name].flatMap { $0.arn == arn ? $0.id : nil }
            default: nil
            }
        }
    }
}
