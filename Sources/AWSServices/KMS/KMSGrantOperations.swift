import AWSProtocol

extension KMSCall {
    /// Of keys that encrypt and decrypt. CreateGrant is not among them: a grant that makes grants would have to be held within its own bounds.
    private static let operations: Set<String> = [
        "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "RetireGrant",
    ]

    private func principal(_ name: String) throws(AWSError) -> String? {
        guard let text = try call.string(name) else { return nil }
        guard let arn = ARN(text), ["iam", "sts"].contains(arn.service), text.utf8.count <= 256 else {
            throw AWSError("InvalidArnException", "\(name) must be the ARN of an IAM principal: \(text.prefix(256))")
        }
        return text
    }

    fileprivate func createGrant() async throws -> AWSJSON? {
        let key = try await read()
        guard call.input["GranteeServicePrincipal"] == nil, call.input["RetiringServicePrincipal"] == nil else {
            throw AWSError("UnsupportedOperationException", "Grants for services are not implemented by Eyrie.")
        }
        guard let grantee = try principal("GranteePrincipal") else { throw call.invalid("GranteePrincipal must not be null") }
        let operations = try call.strings("Operations")
        guard !operations.isEmpty, operations.allSatisfy(Self.operations.contains) else {
            throw call.invalid("Operations must be some of \(Self.operations.sorted().joined(separator: ", "))")
        }
        var grant = KMSGrantRecord(
            id: AWSIdentifier.hex(64), keyID: key.id, name: try call.string("Name").map { String($0.prefix(256)) }, grantee: grantee,
            retiring: try principal("RetiringPrincipal"), operations: Set(operations).sorted(), createdAt: now)
        if let constraints = call.input["Constraints"] {
            guard let members = constraints.objectValue, Set(members.keys).isSubset(of: ["EncryptionContextSubset", "EncryptionContextEquals"]) else {
                throw AWSError("UnsupportedOperationException", "Constraints of grants are those of the encryption context.")
            }
            grant.contextSubset = constraints["EncryptionContextSubset"]?.stringMap
            grant.contextEquals = constraints["EncryptionContextEquals"]?.stringMap
        }
        try await authorize("CreateGrant", key)
        try key.checkUsable()
        let wanted = grant
        let made = try await keys.state.update { try $0.add(wanted) }
        keys.tell(key.arn)
        return ["GrantId": .string(made.id), "GrantToken": .string(made.id)]
    }

    fileprivate func listGrants() async throws -> AWSJSON? {
        let (key, id, grantee) = (try await read(), try call.string("GrantId"), try call.string("GranteePrincipal"))
        try await authorize("ListGrants", key)
        let grants = await keys.state.read { $0.grants(of: key.id) }.filter { (id ?? $0.id) == $0.id && (grantee ?? $0.grantee) == $0.grantee }
        return try listed(grants, [key.id: key])
    }

    fileprivate func listRetirableGrants() async throws -> AWSJSON? {
        guard let retiring = try principal("RetiringPrincipal") else { throw call.invalid("RetiringPrincipal must not be null") }
        try await identities.authorize(call.request.caller, action: "kms:ListRetirableGrants", resource: "*", context: call.request.conditionContext)
        let (grants, keys) = await keys.state.read { tables in (tables.grants.values.filter { $0.retiring == retiring }, tables.keys.rows) }
        return try listed(grants, keys)
    }

    private func listed(_ grants: [KMSGrantRecord], _ keys: [String: KMSKeyRecord]) throws(AWSError) -> AWSJSON {
        let byID = Dictionary(grants.map { ($0.id, $0) }) { first, _ in first }
        let found = try page(byID.keys)
        return list(
            "Grants", found.page.compactMap { id in byID[id].flatMap { grant in keys[grant.keyID].map { grant.json($0) } } }, next: found.next)
    }

    fileprivate func revokeGrant() async throws -> AWSJSON? {
        let (key, id) = (try await read(), try call.required("GrantId", longest: 128))
        try await authorize("RevokeGrant", key)
        guard await keys.state.read({ $0.grants[id]?.keyID == key.id }) else { throw Self.noGrant(id) }
        return try await remove(id, key)
    }

    private static func noGrant(_ id: String) -> AWSError { AWSError("NotFoundException", "Grant \(id.prefix(128)) is not found.") }

    private func remove(_ id: String, _ key: KMSKeyRecord) async throws -> AWSJSON? {
        try await keys.state.update { $0.grants[id] = nil }
        keys.tell(key.arn)
        return nil
    }

    /// Who may end a grant by himself: the principal that it names for it, and the grantee whom it lets. Upstream: kms RetireGrant.
    fileprivate func retireGrant() async throws -> AWSJSON? {
        guard let id = try call.string("GrantToken") ?? call.string("GrantId") else {
            throw call.invalid("Either a GrantToken or a KeyId with a GrantId must be given")
        }
        let caller = call.request.caller
        let now = now
        let found = await keys.state.read { tables in
            tables.grants[id].flatMap { grant in (try? tables.key(grant.keyID, now: now)).map { (grant, $0) } }
        }
        guard let (grant, key) = found else { throw Self.noGrant(id) }
        if let named = try call.string("KeyId"), try await keys.state.read({ try $0.key(named, now: now) }).id != key.id { throw Self.noGrant(id) }
        let isRetiring = grant.retiring == caller.principalARN || grant.retiring == caller.arn
        if !isRetiring { try await authorize("RetireGrant", key) }
        return try await remove(id, key)
    }
}

extension KMSService {
    /// Those that see for themselves who may.
    static let grantHandlers: [String: KMSHandler] = [
        "CreateGrant": { try await $0.createGrant() }, "ListGrants": { try await $0.listGrants() },
        "ListRetirableGrants": { try await $0.listRetirableGrants() }, "RevokeGrant": { try await $0.revokeGrant() },
        "RetireGrant": { try await $0.retireGrant() },
    ]
}
