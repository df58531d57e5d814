package import AWSProtocol

/// A service's use of somebody's key, by a grant.
package struct KMSServiceUse: Sendable, Equatable {
    package var keyARN: String
    package var grantID: String
    /// The encryption context.
    package var context: [String: String]

    package init(keyARN: String, grantID: String, context: [String: String]) {
        self.keyARN = keyARN
        self.grantID = grantID
        self.context = context
    }
}

/// A key cannot be used any more by a service that was let use it.
package struct KMSKeyUnusable: Error, Sendable, Equatable, CustomStringConvertible {
    /// Upstream: eks ClusterIssueCode.
    package enum Reason: String, Sendable, CaseIterable {
        case notFound = "KmsKeyNotFound"
        case disabled = "KmsKeyDisabled"
        case markedForDeletion = "KmsKeyMarkedForDeletion"
        case grantRevoked = "KmsGrantRevoked"
    }

    package var reason: Reason
    package var keyARN: String

    package var description: String {
        switch reason {
        case .notFound: "the KMS key \(keyARN) is not there"
        case .disabled: "the KMS key \(keyARN) is disabled: enable it"
        case .markedForDeletion: "the KMS key \(keyARN) is marked for deletion: cancel the deletion"
        case .grantRevoked: "the grant by which the cluster uses the KMS key \(keyARN) was revoked"
        }
    }
}

extension KMSKeys {
    /// Lets `grantee` use a key, as its caller may let others: a grant by name, the same again when it is asked for again. Returns the grant's id. Throws
    /// NotFoundException, DisabledException, KMSInvalidStateException, and `AccessDenial` unless the caller may kms:DescribeKey and kms:CreateGrant.
    package func letUse(
        _ keyARN: String, grantee: String, name: String, caller: AWSCaller, identities: IdentityStore
    ) async throws -> String {
        let now = clock.now
        let key = try await state.read { try $0.key(keyARN, now: now) }
        guard key.arn == keyARN else { throw AWSError("NotFoundException", "Key '\(keyARN.prefix(300))' does not exist") }
        for operation in ["DescribeKey", "CreateGrant"] {
            try await authorize(caller, operation, key, identities: identities, context: [:])
        }
        try key.checkUsable()
        let grant = KMSGrantRecord(
            id: AWSIdentifier.hex(64), keyID: key.id, name: name, grantee: grantee, operations: ["Decrypt", "DescribeKey", "Encrypt"], createdAt: now)
        return try await state.update { try $0.add(grant) }.id
    }

    /// Ends a grant of `letUse`. Nothing to do when it is gone. Throws what the storage throws.
    package func retire(grant id: String) async throws { try await state.update { $0.grants[id] = nil } }

    /// What keeps a service from using a key; nil: nothing.
    package func trouble(_ use: KMSServiceUse) async -> KMSKeyUnusable? {
        do {
            _ = try await usable(use)
            return nil
        } catch { return error }
    }

    private func usable(_ use: KMSServiceUse) async throws(KMSKeyUnusable) -> KMSKeyRecord {
        let now = clock.now
        let (key, isGranted) = await state.read { tables -> (KMSKeyRecord?, Bool) in
            let key = try? tables.key(use.keyARN, now: now)
            return (key, tables.grants[use.grantID].map { $0.keyID == key?.id } ?? false)
        }
        func unusable(_ reason: KMSKeyUnusable.Reason) -> KMSKeyUnusable { KMSKeyUnusable(reason: reason, keyARN: use.keyARN) }
        guard let key else { throw unusable(.notFound) }
        guard key.deletionAt == nil else { throw unusable(.markedForDeletion) }
        guard key.isEnabled else { throw unusable(.disabled) }
        guard isGranted else { throw unusable(.grantRevoked) }
        return key
    }

    /// Encrypts a service's own key. Throws `KMSKeyUnusable`, and what the storage throws.
    package func wrap(_ plain: [UInt8], _ use: KMSServiceUse) async throws -> [UInt8] {
        try await encrypt(plain, with: try await usable(use), context: use.context).blob
    }

    /// Decrypts what `wrap` made. Throws `KMSKeyUnusable`, and InvalidCiphertextException for anything else.
    package func unwrap(_ blob: [UInt8], _ use: KMSServiceUse) async throws -> [UInt8] {
        let key = try await usable(use)
        guard let ciphertext = KMSCiphertext(blob), ciphertext.keyID == key.id else { throw KMSKeys.invalidCiphertext }
        return try decrypt(ciphertext, with: key, context: use.context)
    }
}
