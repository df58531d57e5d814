/// Stands in for swift-crypto, whose C sources would take minutes to build: what is fuzzed is the reading of signed things, and here no signature holds.

/// No hash to rely on; as long as SHA-256's.
public enum SHA256 {
    public static func hash(data: some Sequence<UInt8>) -> [UInt8] {
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in data { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return (0..<32).map { UInt8(truncatingIfNeeded: state >> (8 * UInt64($0 % 8))) }
    }
}

public struct SymmetricKey: Sendable {
    let bytes: [UInt8]
    public init(data: [UInt8]) { bytes = data }
}

public enum HMAC<H> {
    public static func authenticationCode(for data: [UInt8], using key: SymmetricKey) -> [UInt8] { SHA256.hash(data: key.bytes + data) }
}

public enum P256 {
    public enum Signing {
        public struct ECDSASignature: Sendable {
            public let rawRepresentation: [UInt8]
            public init(rawRepresentation: [UInt8]) throws { self.rawRepresentation = rawRepresentation }
        }
        public struct PublicKey: Sendable {
            public init() {}
            public func isValidSignature(_ signature: ECDSASignature, for data: [UInt8]) -> Bool { false }
        }
        public struct PrivateKey: Sendable {
            public init() {}
            public func signature(for data: [UInt8]) throws -> ECDSASignature {
                try ECDSASignature(rawRepresentation: SHA256.hash(data: data) + SHA256.hash(data: data))
            }
        }
    }
}
