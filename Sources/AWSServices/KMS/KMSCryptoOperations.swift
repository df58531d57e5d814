import AWSProtocol
internal import Crypto
internal import FoundationEssentials

extension KMSCall {
    private static let longestPlaintext = 4_096
    private static let longestBlob = 6_144
    private static let longestContext = 8_192

    /// A blob of the input. Throws ValidationException.
    fileprivate func blob(_ name: String, longest: Int) throws(AWSError) -> [UInt8] {
        guard let text = try call.string(name) else {
            throw call.invalid("1 validation error detected: Value null at '\(name)' failed to satisfy constraint: Member must not be null")
        }
        guard let bytes = Data(base64Encoded: text) else { throw AWSError("SerializationException", "\(name) must be base64") }
        guard (1...longest).contains(bytes.count) else {
            throw call.invalid(
                "1 validation error detected: Value at '\(name)' failed to satisfy constraint: Member must have length from 1 to \(longest)")
        }
        return Array(bytes)
    }

    fileprivate static func text(_ bytes: [UInt8]) -> AWSJSON { .string(Data(bytes).base64EncodedString()) }

    /// An encryption context. Throws ValidationException.
    func encryptionContext(_ name: String = "EncryptionContext") throws(AWSError) -> [String: String] {
        guard let member = call.input[name] else { return [:] }
        guard let map = member.stringMap else { throw AWSError("SerializationException", "\(name) must be a map of strings") }
        guard map.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) <= Self.longestContext else {
            throw call.invalid("\(name) is larger than \(Self.longestContext) bytes")
        }
        return map
    }

    /// Throws `AccessDenial`.
    func authorize(_ operation: String, _ key: KMSKeyRecord, encryptionContext: [String: String]? = nil) async throws {
        try await keys.authorize(
            call.request.caller, operation, key, identities: identities, context: call.request.conditionContext, encryptionContext: encryptionContext)
    }

    private func checkAlgorithm(_ name: String = "EncryptionAlgorithm") throws(AWSError) {
        guard try call.string(name) ?? "SYMMETRIC_DEFAULT" == "SYMMETRIC_DEFAULT" else {
            throw AWSError("InvalidKeyUsageException", "The keys here are of spec SYMMETRIC_DEFAULT.")
        }
        guard call.input["Recipient"] == nil else { throw AWSError("UnsupportedOperationException", "Nitro enclaves are not implemented by Eyrie.") }
    }

    private func checkDryRun() throws(AWSError) {
        guard try call.bool("DryRun") != true else {
            throw AWSError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", status: 412)
        }
    }

    private func key(_ name: String) async throws -> KMSKeyRecord {
        let now = now
        return try await keys.state.read { try $0.key(name, now: now) }
    }

    fileprivate func encrypt() async throws -> AWSJSON? {
        let (key, context) = (try await key(try keyID()), try encryptionContext())
        try checkAlgorithm()
        let plain = try blob("Plaintext", longest: Self.longestPlaintext)
        try await authorize("Encrypt", key, encryptionContext: context)
        try key.checkUsable()
        try checkDryRun()
        let sealed = try await keys.encrypt(plain, with: key, context: context)
        return ["CiphertextBlob": Self.text(sealed.blob), "KeyId": .string(key.arn), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"]
    }

    /// The blob and its key, which the caller may name, too. Throws InvalidCiphertextException, IncorrectKeyException.
    private func ciphertext(_ keyMember: String) async throws -> (KMSCiphertext, KMSKeyRecord) {
        guard let ciphertext = KMSCiphertext(try blob("CiphertextBlob", longest: Self.longestBlob)) else { throw KMSKeys.invalidCiphertext }
        let named = try call.string(keyMember)
        if let named, try await key(named).id != ciphertext.keyID {
            throw AWSError("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
        }
        let now = now
        guard let key = await keys.state.read({ try? $0.key(ciphertext.keyID, now: now) }) else { throw KMSKeys.invalidCiphertext }
        return (ciphertext, key)
    }

    fileprivate func decrypt() async throws -> AWSJSON? {
        try checkAlgorithm()
        let context = try encryptionContext()
        let (ciphertext, key) = try await ciphertext("KeyId")
        try await authorize("Decrypt", key, encryptionContext: context)
        try key.checkUsable()
        try checkDryRun()
        let plain = try keys.decrypt(ciphertext, with: key, context: context)
        return [
            "KeyId": .string(key.arn), "Plaintext": Self.text(plain), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyMaterialId": .string(ciphertext.materialID),
        ]
    }

    fileprivate func reEncrypt() async throws -> AWSJSON? {
        try checkAlgorithm("SourceEncryptionAlgorithm")
        try checkAlgorithm("DestinationEncryptionAlgorithm")
        let (from, to) = (try encryptionContext("SourceEncryptionContext"), try encryptionContext("DestinationEncryptionContext"))
        let (ciphertext, source) = try await ciphertext("SourceKeyId")
        let destination = try await key(try call.required("DestinationKeyId", longest: 2_048))
        try await authorize("ReEncryptFrom", source, encryptionContext: from)
        try await authorize("ReEncryptTo", destination, encryptionContext: to)
        try source.checkUsable()
        try destination.checkUsable()
        try checkDryRun()
        let sealed = try await keys.encrypt(try keys.decrypt(ciphertext, with: source, context: from), with: destination, context: to)
        return [
            "CiphertextBlob": Self.text(sealed.blob), "SourceKeyId": .string(source.arn), "KeyId": .string(destination.arn),
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT", "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "SourceKeyMaterialId": .string(ciphertext.materialID), "DestinationKeyMaterialId": .string(sealed.materialID),
        ]
    }

    fileprivate func generateDataKey(withPlaintext: Bool) async throws -> AWSJSON? {
        let (key, context) = (try await key(try keyID()), try encryptionContext())
        try checkAlgorithm()
        let asked = try call.integer("NumberOfBytes", in: 1...1_024)
        let count: Int
        switch (try call.string("KeySpec"), asked) {
        case ("AES_256", nil): count = 32
        case ("AES_128", nil): count = 16
        case (nil, let bytes?): count = bytes
        default: throw call.invalid("Please specify either number of bytes or key spec.")
        }
        try await authorize(withPlaintext ? "GenerateDataKey" : "GenerateDataKeyWithoutPlaintext", key, encryptionContext: context)
        try key.checkUsable()
        try checkDryRun()
        let plain = Self.random(count)
        let sealed = try await keys.encrypt(plain, with: key, context: context)
        return .compact([
            "CiphertextBlob": Self.text(sealed.blob), "Plaintext": withPlaintext ? Self.text(plain) : nil, "KeyId": .string(key.arn),
            "KeyMaterialId": .string(sealed.materialID),
        ])
    }

    private static func random(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    fileprivate func generateRandom() async throws -> AWSJSON? {
        guard call.input["CustomKeyStoreId"] == nil, call.input["Recipient"] == nil else {
            throw AWSError("UnsupportedOperationException", "Custom key stores and enclaves are not implemented by Eyrie.")
        }
        guard let count = try call.integer("NumberOfBytes", in: 1...1_024) else { throw call.invalid("Please specify the number of bytes.") }
        try await identities.authorize(call.request.caller, action: "kms:GenerateRandom", resource: "*", context: call.request.conditionContext)
        return ["Plaintext": Self.text(Self.random(count))]
    }

    fileprivate func rotate() async throws -> AWSJSON? {
        let (key, seal, now) = (try await read(), keys.seal, now)
        try await authorize("RotateKeyOnDemand", key)
        try key.checkUsable()
        try await keys.state.update { tables in
            var key = try tables.key(key.id, now: now)
            guard (key.material ?? []).count < KMSCall.mostMaterials else {
                throw AWSError("LimitExceededException", "The key was rotated too often.")
            }
            // What was there before the first use counts as a secret, too.
            if key.material == nil { key.material = [try KMSMaterial.make(keyID: key.id, seal: seal, now: now)] }
            key.material?.append(try KMSMaterial.make(keyID: key.id, seal: seal, now: now))
            tables.keys[key.id] = key
        }
        return ["KeyId": .string(key.id)]
    }

    /// A bound for the record's size; AWS lets a key be rotated 25 times on demand.
    private static let mostMaterials = 100
}

extension KMSService {
    /// Those that see for themselves who may.
    static let cryptoHandlers: [String: KMSHandler] = [
        "Encrypt": { try await $0.encrypt() }, "Decrypt": { try await $0.decrypt() }, "ReEncrypt": { try await $0.reEncrypt() },
        "GenerateDataKey": { try await $0.generateDataKey(withPlaintext: true) },
        "GenerateDataKeyWithoutPlaintext": { try await $0.generateDataKey(withPlaintext: false) },
        "GenerateRandom": { try await $0.generateRandom() }, "RotateKeyOnDemand": { try await $0.rotate() },
    ]
}
