import AWSProtocol
import Certificates
internal import Crypto
internal import FoundationEssentials

/// One of a key's secrets; rotation adds another. Upstream: kms KeyMaterialId, "Rotate AWS KMS keys".
struct KMSMaterial: Codable, Sendable, Equatable {
    /// 64 hexadecimal digits.
    var id: String
    /// Thirty-two bytes, sealed with the service's own key; in base64.
    var sealed: String
    var createdAt: Double

    /// A new secret for a key. Throws what the cipher throws.
    static func make(keyID: String, seal: EnvelopeKey, now: Double) throws -> KMSMaterial {
        let id = AWSIdentifier.hex(64)
        let sealed = try seal.seal(EnvelopeKey.newKey(), for: name(keyID, id))
        return KMSMaterial(id: id, sealed: Data(sealed).base64EncodedString(), createdAt: now)
    }

    private static func name(_ keyID: String, _ id: String) -> String { "kms/\(keyID)/\(id)" }

    /// The secret in plain. Throws when it was sealed with another key.
    func secret(keyID: String, seal: EnvelopeKey) throws -> SymmetricKey {
        guard let bytes = Data(base64Encoded: sealed) else { throw AWSError("KMSInternalException", "The key's secret cannot be read.", status: 500) }
        return SymmetricKey(data: try seal.open(Array(bytes), for: Self.name(keyID, id)))
    }
}

/// What KMS encrypts: it names its key itself, and opens only with the same encryption context. Upstream: kms Encrypt, "CiphertextBlob".
struct KMSCiphertext: Sendable {
    /// In front of all: the form, so that another may follow.
    private static let form: UInt8 = 1
    private static let idBytes = 16
    private static let materialBytes = 32
    private static let headBytes = 1 + idBytes + materialBytes

    var keyID: String
    var materialID: String
    private var head: [UInt8]
    private var box: [UInt8]

    /// What stands in a blob. Nil for what is none.
    init?(_ blob: [UInt8]) {
        guard blob.count > Self.headBytes, blob[0] == Self.form else { return nil }
        head = Array(blob.prefix(Self.headBytes))
        box = Array(blob.dropFirst(Self.headBytes))
        let digits = Hexadecimal.encode(head[1...Self.idBytes])
        var parts: [Substring] = []
        var rest = digits[...]
        for length in [8, 4, 4, 4, 12] {
            parts.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        keyID = parts.joined(separator: "-")
        materialID = Hexadecimal.encode(head.suffix(Self.materialBytes))
    }

    /// Encrypts. Throws what the cipher throws.
    static func seal(_ plain: [UInt8], keyID: String, materialID: String, secret: SymmetricKey, context: [String: String]) throws -> [UInt8] {
        guard let id = Hexadecimal.decode(keyID.filter { $0 != "-" }), id.count == idBytes, let material = Hexadecimal.decode(materialID),
            material.count == materialBytes
        else { throw AWSError("KMSInternalException", "The key's id is none.", status: 500) }
        let head = [form] + id + material
        guard let box = try AES.GCM.seal(plain, using: secret, authenticating: authenticated(head, context)).combined else {
            throw AWSError("KMSInternalException", "The cipher made no message.", status: 500)
        }
        return head + Array(box)
    }

    /// Decrypts. Nil for another key, another context or a changed blob.
    func open(secret: SymmetricKey, context: [String: String]) -> [UInt8]? {
        guard let box = try? AES.GCM.SealedBox(combined: box) else { return nil }
        return (try? AES.GCM.open(box, using: secret, authenticating: Self.authenticated(head, context))).map { Array($0) }
    }

    /// The context in one form, whatever the order of its pairs. Upstream: kms "Encryption context".
    private static func authenticated(_ head: [UInt8], _ context: [String: String]) -> [UInt8] { head + AWSJSON.map(context).encoded }
}

extension KMSKeyRecord {
    /// The secret to encrypt with; nil when one has to be made: the first, or the next by the rotation's calendar.
    func current(now: Double) -> KMSMaterial? {
        guard let newest = material?.last else { return nil }
        let isDue = rotationDays.map { newest.createdAt + Double($0) * 86_400 <= now } ?? false
        return isDue ? .none : newest
    }

    /// Throws DisabledException, KMSInvalidStateException for a key that may not be used.
    func checkUsable() throws(AWSError) {
        if deletionAt != nil { throw AWSError("KMSInvalidStateException", "\(arn) is pending deletion.") }
        if !isEnabled { throw AWSError("DisabledException", "\(arn) is disabled.") }
    }
}

extension KMSKeys {
    /// Encrypts with a key that may be used. Throws NotFoundException, DisabledException, KMSInvalidStateException.
    func encrypt(_ plain: [UInt8], with key: KMSKeyRecord, context: [String: String]) async throws -> (blob: [UInt8], materialID: String) {
        try key.checkUsable()
        let now = clock.now
        let seal = seal
        var material = key.current(now: now)
        if material == nil {
            material = try await state.update { tables in
                var key = try tables.key(key.id, now: now)
                // Two first uses at once make one secret.
                if let known = key.current(now: now) { return known }
                let made = try KMSMaterial.make(keyID: key.id, seal: seal, now: now)
                key.material = (key.material ?? []) + [made]
                tables.keys[key.id] = key
                return made
            }
        }
        guard let material else { throw AWSError("KMSInternalException", "The key has no secret.", status: 500) }
        let secret = try material.secret(keyID: key.id, seal: seal)
        return (
            try KMSCiphertext.seal(plain, keyID: key.id, materialID: material.id, secret: secret, context: context), material.id
        )
    }

    /// Decrypts what was encrypted with a key that may be used. Throws InvalidCiphertextException, DisabledException, KMSInvalidStateException.
    func decrypt(_ ciphertext: KMSCiphertext, with key: KMSKeyRecord, context: [String: String]) throws -> [UInt8] {
        try key.checkUsable()
        guard let material = key.material?.first(where: { $0.id == ciphertext.materialID }),
            let plain = ciphertext.open(secret: try material.secret(keyID: key.id, seal: seal), context: context)
        else { throw KMSKeys.invalidCiphertext }
        return plain
    }

    /// Upstream: kms InvalidCiphertextException has no message.
    static let invalidCiphertext = AWSError("InvalidCiphertextException", "")
}
