internal import Certificates
internal import KubeStorage

#if canImport(Glibc)
    internal import Glibc
#endif

/// Secrets sealed in the store. The key is a file of the cluster's directory, named by what the cloud calls the key.
enum SecretEncryption {
    private static let prefix = "/registry/secrets/"

    /// The store as the API server is to see it, with everything that was written before sealed. Throws when the key cannot be read or made.
    static func open(_ store: SQLiteStore, directory: String, keyName: String) async throws -> any Store {
        let folder = "\(directory)/encryption"
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw ControlPlaneError.file(folder, errno) }
        let key = try EnvelopeKey(path: "\(folder)/\(fileName(keyName)).key")
        let sealed = EncryptedStore(
            store, prefix: prefix,
            cipher: EncryptedStore.Cipher(seal: { try key.seal($0, for: $1) }, open: { try key.open($0, for: $1) }))
        // What stood there in plain is still in free pages and in the log: the file is written anew.
        if try await sealed.sealAll() > 0 { try await store.vacuum() }
        return sealed
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
