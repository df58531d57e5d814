import AWSProtocol
import Crypto

/// A public key as OpenSSH writes it. Upstream: RFC 4253, section 6.6.
struct SSHPublicKey: Sendable {
    /// `rsa` or `ed25519`.
    let type: String
    /// As EC2 shows it: of RSA the MD5 of the key in DER, of Ed25519 the SHA-256 in base 64.
    let fingerprint: String

    /// Nil for what is no RSA or Ed25519 key.
    init?(_ text: String) {
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\n" || $0 == "\t" })
        guard words.count >= 2, let blob = Base64URL.decode(Self.urlAlphabet(words[1])) else { return nil }
        var rest = blob[...]
        guard let name = Self.field(&rest), String(decoding: name, as: UTF8.self) == words[0] else { return nil }
        switch words[0] {
        case "ssh-ed25519":
            guard let key = Self.field(&rest), key.count == 32, rest.isEmpty else { return nil }
            type = "ed25519"
            let digest = Base64URL.encodeStandard(Array(SHA256.hash(data: blob)))
            fingerprint = digest
        case "ssh-rsa":
            guard let exponent = Self.field(&rest), let modulus = Self.field(&rest), rest.isEmpty, modulus.count >= 128 else { return nil }
            type = "rsa"
            let digest = Insecure.MD5.hash(data: Self.subjectPublicKeyInfo(modulus: Array(modulus), exponent: Array(exponent)))
            fingerprint = digest.map { Hexadecimal.encode([$0]) }.joined(separator: ":")
        default: return nil
        }
    }

    private static func urlAlphabet(_ text: Substring) -> String {
        String(text.filter { $0 != "=" }.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
    }

    /// A string with its length in front; nil when it reaches past the end.
    private static func field(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard rest.count >= 4 else { return nil }
        let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        guard length <= rest.count - 4 else { return nil }
        defer { rest = rest.dropFirst(4 + length) }
        return rest.dropFirst(4).prefix(length)
    }

    private static func der(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        guard content.count >= 128 else { return [tag, UInt8(truncatingIfNeeded: content.count)] + content }
        var (length, bytes): (Int, [UInt8]) = (content.count, [])
        while length > 0 {
            bytes.insert(UInt8(truncatingIfNeeded: length), at: 0)
            length >>= 8
        }
        return [tag, 0x80 | UInt8(truncatingIfNeeded: bytes.count)] + bytes + content
    }

    /// RFC 8017, appendix A.1, within a SubjectPublicKeyInfo.
    private static func subjectPublicKeyInfo(modulus: [UInt8], exponent: [UInt8]) -> [UInt8] {
        let algorithm = der(0x30, [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00])
        let key = der(0x30, der(0x02, modulus) + der(0x02, exponent))
        return der(0x30, algorithm + der(0x03, [0] + key))
    }
}

extension EC2Tables {
    /// Throws InvalidKeyPair.NotFound.
    func requireKeyPair(_ name: String) throws(AWSError) {
        guard keyPairs.values.contains(where: { $0.name == name }) else {
            throw AWSError("InvalidKeyPair.NotFound", "The key pair '\(name.prefix(255))' does not exist")
        }
    }
}

extension EC2Network {
    /// Throws InvalidKeyPair.NotFound.
    package func requireKeyPair(_ name: String) async throws { try await state.read { try $0.requireKeyPair(name) } }
}

extension XMLWriter {
    fileprivate mutating func keyPair(_ pair: KeyPairRecord, _ tags: [String: String]) {
        leaf("keyPairId", pair.id)
        leaf("keyName", pair.name)
        leaf("keyFingerprint", pair.fingerprint)
        ec2Tags(tags)
    }
}

extension EC2Service {
    static let keyPairOperations: [String: EC2Operation] = [
        "ImportKeyPair": EC2Operation("key-pair/{KeyName}") { call in
            let (name, material, tags) = (try call.required("KeyName"), try call.required("PublicKeyMaterial"), try call.tags(for: "key-pair"))
            let encoded = String(material.filter { $0 != "=" }.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
            guard let bytes = Base64URL.decode(encoded), let text = String(validating: bytes, as: UTF8.self), let key = SSHPublicKey(text) else {
                throw AWSError("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
            }
            guard name.count <= 255 else { throw EC2Fault.invalidValue("The key name is longer than 255 characters") }
            let pair = KeyPairRecord(
                id: AWSIdentifier.resource("key"), name: name, type: key.type, fingerprint: key.fingerprint, publicKey: text,
                createdAt: call.network.clock.now)
            try await call.update { tables in
                guard !tables.keyPairs.values.contains(where: { $0.name == name }) else {
                    throw AWSError("InvalidKeyPair.Duplicate", "The keypair already exists")
                }
                tables.keyPairs[pair.id] = pair
                tables.setTags(tags, on: pair.id)
            }
            return { $0.keyPair(pair, tags) }
        },
        "CreateKeyPair": EC2Operation("key-pair/{KeyName}") { _ in
            throw AWSError("UnsupportedOperation", "CreateKeyPair is not implemented by Eyrie: make a key with ssh-keygen and use ImportKeyPair.")
        },
        "DeleteKeyPair": EC2Operation("key-pair/{KeyName}") { call in
            let (name, id) = (call.parameters["KeyName"], call.parameters["KeyPairId"])
            guard name != nil || id != nil else { throw EC2Fault.missingParameter("keyName") }
            // Deleting one that is not there is no error, by its name.
            let deleted = try await call.update { tables in
                let pair = tables.keyPairs.values.first { $0.name == name || $0.id == id }
                if pair == nil, let id { throw EC2Fault.missing("InvalidKeyPair.NotFound", "key pair", id) }
                if let pair {
                    tables.keyPairs[pair.id] = nil
                    tables.tags[pair.id] = nil
                }
                return pair?.id
            }
            return { xml in
                xml.success()
                xml.leaf("keyPairId", deleted)
            }
        },
        "DescribeKeyPairs": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let names = call.parameters.strings("KeyName")
            for name in names { try tables.requireKeyPair(name) }
            let isWithKey = call.parameters["IncludePublicKey"] == "true"
            let found = try call.describe(
                tables.keyPairs.rows.filter { names.isEmpty || names.contains($0.value.name) }, ids: call.parameters.strings("KeyPairId"),
                tags: tables.tags.rows, missing: { AWSError("InvalidKeyPair.NotFound", "The key pair '\($0)' does not exist") }
            ) { pair, filter in
                switch filter {
                case "key-name": [pair.name]
                case "key-pair-id": [pair.id]
                case "fingerprint": [pair.fingerprint]
                default: nil
                }
            }
            return { xml in
                xml.list("keySet", of: found.rows) { xml, entry in
                    xml.keyPair(entry.row, tables.tags(of: entry.id))
                    xml.leaf("keyType", entry.row.type)
                    xml.leaf("createTime", AWSTimestamp.extendedMilliseconds(entry.row.createdAt))
                    if isWithKey { xml.leaf("publicKey", entry.row.publicKey) }
                }
            }
        },
    ]
}
