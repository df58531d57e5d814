import AWSProtocol

extension KMSKeyRecord {
    fileprivate var metadata: AWSJSON {
        .compact([
            "AWSAccountId": .string(ARN(arn)?.account ?? ""), "KeyId": .string(id), "Arn": .string(arn), "CreationDate": .double(createdAt),
            "Enabled": .bool(state == "Enabled"), "Description": .string(description), "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": .string(state),
            "DeletionDate": deletionAt.map { .double($0) }, "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT", "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": false,
        ])
    }
}

extension KMSCall {
    /// A key policy, or the one that leaves all to IAM. Throws MalformedPolicyDocumentException.
    fileprivate func policy() throws(AWSError) -> String {
        if let text = try call.string("Policy") {
            do { _ = try PolicyDocument(text) } catch { throw AWSError("MalformedPolicyDocumentException", error.message) }
            return text
        }
        let statement: AWSJSON = [
            "Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": ["AWS": .string("arn:aws:iam::\(keys.account):root")],
            "Action": "kms:*", "Resource": "*",
        ]
        let document: AWSJSON = ["Version": "2012-10-17", "Id": "key-default-1", "Statement": .array([statement])]
        return String(decoding: document.encoded, as: UTF8.self)
    }

    fileprivate func createKey() async throws -> AWSJSON? {
        for (name, standard) in [
            ("KeyUsage", "ENCRYPT_DECRYPT"), ("KeySpec", "SYMMETRIC_DEFAULT"), ("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"), ("Origin", "AWS_KMS"),
        ] {
            guard try call.string(name) ?? standard == standard else {
                throw AWSError("UnsupportedOperationException", "\(name) other than \(standard) is not implemented by Eyrie.")
            }
        }
        guard try call.bool("MultiRegion") != true else {
            throw AWSError("UnsupportedOperationException", "Keys of several regions are not implemented by Eyrie.")
        }
        let id = AWSIdentifier.uuid()
        let key = KMSKeyRecord(
            id: id, arn: keys.arn("key/" + id), description: try call.string("Description") ?? "", createdAt: now, policy: try policy(),
            tags: try tags())
        let now = now
        try await keys.state.update { tables in
            tables.removeDeleted(now: now)
            guard tables.keys.values.count < 100_000 else { throw AWSError("LimitExceededException", "The account has 100000 keys.") }
            tables.keys[id] = key
        }
        return ["KeyMetadata": key.metadata]
    }

    fileprivate func scheduleDeletion() async throws -> AWSJSON? {
        let days = try call.integer("PendingWindowInDays", in: 7...30) ?? 30
        let end = now + Double(days) * 86_400
        _ = try await change { $0.deletionAt = end }
        let key = try await read()
        return ["KeyId": .string(key.arn), "DeletionDate": .double(end), "KeyState": "PendingDeletion", "PendingWindowInDays": .integer(days)]
    }

    fileprivate func cancelDeletion() async throws -> AWSJSON? {
        let (name, now) = (try keyID(), now)
        let arn = try await keys.state.update { tables in
            var key = try tables.key(name, now: now)
            guard key.deletionAt != nil else { throw AWSError("KMSInvalidStateException", "\(key.arn) is not pending deletion.") }
            key.deletionAt = nil
            key.isEnabled = false
            tables.keys[key.id] = key
            return key.arn
        }
        keys.tell(arn)
        return ["KeyId": .string(arn)]
    }
}

extension KMSService {
    static let keyHandlers: [String: KMSHandler] = [
        "CreateKey": { try await $0.createKey() }, "DescribeKey": { ["KeyMetadata": try await $0.read().metadata] },
        "ListKeys": { call in
            let now = call.now
            let keys = await call.keys.state.read { tables in tables.keys.rows.filter { $0.value.deletionAt ?? .infinity > now } }
            let found = try call.page(keys.keys)
            return call.list(
                "Keys", found.page.compactMap { keys[$0] }.map { ["KeyId": .string($0.id), "KeyArn": .string($0.arn)] }, next: found.next)
        },
        "ScheduleKeyDeletion": { try await $0.scheduleDeletion() }, "CancelKeyDeletion": { try await $0.cancelDeletion() },
        "EnableKey": { try await $0.change { $0.isEnabled = true } }, "DisableKey": { try await $0.change { $0.isEnabled = false } },
        "UpdateKeyDescription": { call in
            let text = try call.call.string("Description") ?? ""
            return try await call.change { $0.description = text }
        },
        "GetKeyPolicy": { ["Policy": .string(try await $0.read().policy), "PolicyName": "default"] },
        "ListKeyPolicies": { call in
            _ = try await call.read()
            return call.list("PolicyNames", ["default"], next: nil)
        },
        "PutKeyPolicy": { call in
            guard try call.call.string("Policy") != nil else { throw call.call.invalid("Policy must not be null") }
            let policy = try call.policy()
            return try await call.change { $0.policy = policy }
        },
        "GetKeyRotationStatus": { call in
            let key = try await call.read()
            return .compact([
                "KeyRotationEnabled": .bool(key.rotationDays != nil), "KeyId": .string(key.arn),
                "RotationPeriodInDays": key.rotationDays.map { .integer($0) },
            ])
        },
        "EnableKeyRotation": { call in
            let days = try call.call.integer("RotationPeriodInDays", in: 90...2_560) ?? 365
            return try await call.change { $0.rotationDays = days }
        },
        "DisableKeyRotation": { try await $0.change { $0.rotationDays = nil } },
        "ListResourceTags": { call in
            let tags = try await call.read().tags.sorted { $0.key < $1.key }
            return call.list("Tags", tags.map { ["TagKey": .string($0.key), "TagValue": .string($0.value)] }, next: nil)
        },
        "TagResource": { call in
            let (tags, input) = (try call.tags(), call.call)
            return try await call.change { $0.tags = try input.checked($0.tags.merging(tags) { _, new in new }) }
        },
        "UntagResource": { call in
            let keys = try call.call.strings("TagKeys")
            return try await call.change { key in for name in keys { key.tags[name] = nil } }
        },
    ]
}
