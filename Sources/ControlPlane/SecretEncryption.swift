internal import Certificates
internal import KubeStorage

#if canImport(Glibc)
    internal import Glibc
#endif

/// Who keeps what opens a cluster's key, so that its disk alone is of no use. Upstream: apiserver's KMS provider.
package struct KeyWrapping: Sendable {
    package var wrap: @Sendable (_ key: [UInt8]) async throws -> [UInt8]
    package var unwrap: @Sendable (_ wrapped: [UInt8]) async throws -> [UInt8]

    package init(
        wrap: @escaping @Sendable (_ key: [UInt8]) async throws -> [UInt8], unwrap: @escaping @Sendable (_ wrapped: [UInt8]) async throws -> [UInt8]
    ) {
        self.wrap = wrap
        self.unwrap = unwrap
    }
}

/// Secrets sealed in the store. The key is a file of the cluster's directory, wrapped by the cloud's key, and named by what the cloud calls that.
enum SecretEncryption {
    private static let prefix = "/registry/secrets/"

    /// The store as the API server is to see it, with everything that was written before sealed. Throws when the key cannot be read or made.
    static func open(_ store: SQLiteStore, directory: String, keyName: String, wrapping: KeyWrapping?) async throws -> any Store {
        let folder = "\(directory)/encryption"
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw ControlPlaneError.file(folder, errno) }
        let key = try await key("\(folder)/\(fileName(keyName))", wrapping)
        let sealed = EncryptedStore(
            store, prefix: prefix,
            cipher: EncryptedStore.Cipher(seal: { try key.seal($0, for: $1) }, open: { try key.open($0, for: $1) }))
        // What stood there in plain is still in free pages and in the log: the file is written anew.
        if try await sealed.sealAll() > 0 { try await store.vacuum() }
        return sealed
    }

    /// The key in `path.wrapped`, which only `wrapping` can open; or, of a cluster that was made without one, in `path.key`. Makes one where there is none.
    private static func key(_ path: String, _ wrapping: KeyWrapping?) async throws -> EnvelopeKey {
        guard let wrapping, access("\(path).key", F_OK) != 0 else { return try EnvelopeKey(path: "\(path).key") }
        let file = "\(path).wrapped"
        if access(file, F_OK) == 0 { return try EnvelopeKey(try await wrapping.unwrap(try SecretFile.read(file))) }
        let bytes = EnvelopeKey.newKey()
        try SecretFile.write(file, try await wrapping.wrap(bytes))
        return try EnvelopeKey(bytes)
    }

    /// A key's ARN as a file's name: other characters than letters, digits and hyphens are hyphens.
    private static func fileName(_ name: String) -> String {
        String(
            decoding: name.utf8.prefix(200).map { byte -> UInt8 in
                let isPlain = (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                return isPlain ? byte : 0x2D
            }, as: UTF8.self)
    }
}
