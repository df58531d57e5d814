import AWSProtocol

extension KMSCall {
    fileprivate func aliasName() throws(AWSError) -> String {
        let name = try call.required("AliasName", longest: 256)
        let isSound =
            name.hasPrefix("alias/") && name.count > 6 && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/_-".contains($0)) }
        guard isSound else {
            throw AWSError("InvalidAliasNameException", "Alias must start with the prefix \"alias/\" and hold letters, digits, / _ and -")
        }
        guard !name.hasPrefix("alias/aws/") else { throw AWSError("NotAuthorizedException", "Names that begin with alias/aws/ are AWS's") }
        return name
    }

    fileprivate func put(isNew: Bool) async throws -> AWSJSON? {
        let (name, target, now) = (try aliasName(), try call.required("TargetKeyId", longest: 2_048), now)
        try await keys.state.update { tables in
            let known = tables.aliases[name]
            if isNew, known != nil {
                throw AWSError("AlreadyExistsException", "An alias with the name \(keys.arn(name)) already exists")
            }
            if !isNew, known == nil { throw AWSError("NotFoundException", "Alias \(keys.arn(name)) is not found.") }
            let key = try tables.key(target, now: now)
            guard key.deletionAt == nil else { throw AWSError("KMSInvalidStateException", "\(key.arn) is pending deletion.") }
            tables.aliases[name] = KMSAliasRecord(name: name, keyID: key.id, createdAt: known?.createdAt ?? now, updatedAt: now)
        }
        return nil
    }

    fileprivate func listAliases() async throws -> AWSJSON? {
        let (wanted, now) = (try call.string("KeyId"), now)
        let aliases = try await keys.state.read { tables in
            let id = try wanted.map { try tables.key($0, now: now).id }
            return tables.aliases.rows.filter { id == nil || $0.value.keyID == id }
        }
        let found = try page(aliases.keys)
        let entries = found.page.compactMap { aliases[$0] }.map { alias -> AWSJSON in
            [
                "AliasName": .string(alias.name), "AliasArn": .string(keys.arn(alias.name)), "TargetKeyId": .string(alias.keyID),
                "CreationDate": .double(alias.createdAt), "LastUpdatedDate": .double(alias.updatedAt),
            ]
        }
        return list("Aliases", entries, next: found.next)
    }
}

extension KMSService {
    static let aliasHandlers: [String: KMSHandler] = [
        "CreateAlias": { try await $0.put(isNew: true) }, "UpdateAlias": { try await $0.put(isNew: false) },
        "ListAliases": { try await $0.listAliases() },
        "DeleteAlias": { call in
            let name = try call.aliasName()
            try await call.keys.state.update { tables in
                guard tables.aliases[name] != nil else { throw AWSError("NotFoundException", "Alias \(call.keys.arn(name)) is not found.") }
                tables.aliases[name] = nil
            }
            return nil
        },
    ]
}
