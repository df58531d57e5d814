import Crypto
import Glibc

/// A key that seals the keys of values, in a file of mode 0600 or from wherever its bytes come: each value has a key of its own, sealed in front of it. Upstream: apiserver's envelope
/// encryption (KMS), with AES-256-GCM for both.
package struct EnvelopeKey: Sendable {
    /// Why a value could not be opened, or the key file not be used.
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// In front of what was sealed here: the form, so that another may follow.
    private static let mark = Array("k8s:enc:eyrie:v1:".utf8)
    private static let keyLength = 32
    /// Nonce, key, tag.
    private static let wrappedLength = 12 + keyLength + 16

    private let key: SymmetricKey

    /// Reads the key in the file at `path`, or makes one. Throws when the file cannot be read or written, or holds no key.
    package init(path: String) throws {
        if access(path, F_OK) == 0 {
            let bytes = try SecretFile.read(path)
            guard bytes.count == Self.keyLength else { throw Failure(description: "\(path) holds no key") }
            key = SymmetricKey(data: bytes)
            return
        }
        key = SymmetricKey(size: .bits256)
        try SecretFile.write(path, key.withUnsafeBytes { Array($0) })
    }

    /// The key with these bytes. Throws for any other number of them than a key has.
    package init(_ bytes: [UInt8]) throws {
        guard bytes.count == Self.keyLength else { throw Failure(description: "a key has \(Self.keyLength) bytes") }
        key = SymmetricKey(data: bytes)
    }

    /// Bytes for a new key.
    package static func newKey() -> [UInt8] { SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) } }

    /// Seals `value` for the entry `name`. Throws when the cipher does.
    package func seal(_ value: [UInt8], for name: String) throws -> [UInt8] {
        let own = SymmetricKey(size: .bits256)
        let context = Array(name.utf8)
        let wrapped = try AES.GCM.seal(own.withUnsafeBytes { Array($0) }, using: key, authenticating: context)
        let sealed = try AES.GCM.seal(value, using: own, authenticating: context)
        guard let front = wrapped.combined, let back = sealed.combined else { throw Failure(description: "the cipher made no message") }
        return Self.mark + Array(front) + Array(back)
    }

    /// Opens what `seal` made for the same name. Throws for anything else.
    package func open(_ bytes: [UInt8], for name: String) throws -> [UInt8] {
        guard bytes.starts(with: Self.mark), bytes.count > Self.mark.count + Self.wrappedLength else {
            throw Failure(description: "the value of \(name) was not sealed here")
        }
        let body = bytes.dropFirst(Self.mark.count)
        let context = Array(name.utf8)
        do {
            let own = try AES.GCM.open(AES.GCM.SealedBox(combined: body.prefix(Self.wrappedLength)), using: key, authenticating: context)
            let value = try AES.GCM.open(
                AES.GCM.SealedBox(combined: body.dropFirst(Self.wrappedLength)), using: SymmetricKey(data: own), authenticating: context)
            return Array(value)
        } catch {
            throw Failure(description: "the value of \(name) cannot be opened with this key")
        }
    }
}
