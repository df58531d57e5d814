package import AWSProtocol
package import Certificates

/// Upstream: kms KeyMetadata, with what hangs on the key.
struct KMSKeyRecord: Codable, Sendable, Equatable {
    /// A UUID.
    var id: String
    var arn: String
    var description: String
    var createdAt: Double
    var isEnabled = true
    /// Seconds since 1970; nil unless its deletion is scheduled.
    var deletionAt: Double?
    var policy: String
    /// Days between rotations; nil when it is not rotated.
    var rotationDays: Int?
    var tags: [String: String]
    /// Its secrets, the newest last; nil until it is used for the first time.
    var material: [KMSMaterial]?

    var state: String { deletionAt != nil ? "PendingDeletion" : isEnabled ? "Enabled" : "Disabled" }
}

/// Upstream: kms AliasListEntry.
struct KMSAliasRecord: Codable, Sendable, Equatable {
    /// `alias/…`
    var name: String
    var keyID: String
    var createdAt: Double
    var updatedAt: Double
}

/// All of KMS in one region.
struct KMSTables: DurableTables {
    var keys = Table<KMSKeyRecord>("kms.keys")
    var aliases = Table<KMSAliasRecord>("kms.aliases")
    var grants = Table<KMSGrantRecord>("kms.grants")

    init() {}

    mutating func load(from storage: any RowStorage) async throws {
        try await keys.load(from: storage)
        try await aliases.load(from: storage)
        try await grants.load(from: storage)
    }

    mutating func takeChanges() -> [RowChange] { keys.takeChanges() + aliases.takeChanges() + grants.takeChanges() }

    /// The key of an id, an ARN, an alias or an alias' ARN. Throws NotFoundException.
    func key(_ name: String, now: Double) throws(AWSError) -> KMSKeyRecord {
        let plain = ARN(name).map(\.resource) ?? name
        let id = plain.hasPrefix("alias/") ? aliases[plain]?.keyID ?? "" : plain.hasPrefix("key/") ? String(plain.dropFirst(4)) : plain
        guard let key = keys[id], key.deletionAt ?? .infinity > now else {
            let what = plain.hasPrefix("alias/") ? "Alias \(name.prefix(300)) is not found." : "Key '\(name.prefix(300))' does not exist"
            throw AWSError("NotFoundException", what)
        }
        return key
    }

    /// Keys whose time has come go, with their aliases and grants: what was encrypted with them is lost.
    mutating func removeDeleted(now: Double) {
        for key in keys.values {
            guard let end = key.deletionAt, end <= now else { continue }
            for alias in aliases.values where alias.keyID == key.id { aliases[alias.name] = nil }
            for grant in grants.values where grant.keyID == key.id { grants[grant.id] = nil }
            keys[key.id] = nil
        }
    }
}

/// One region's keys. Behind KMS's API, and asked by EKS for the keys of secrets. The keys' secrets stand in the records sealed with the service's own
/// key, which is a file.
package final class KMSKeys: Sendable {
    let account: String
    let region: String
    let clock: AWSClock
    let state: DurableState<KMSTables>
    let seal: EnvelopeKey
    /// ARNs of keys whose state or grants changed. One consumer.
    package let changes: AsyncStream<String>
    private let changed: AsyncStream<String>.Continuation

    /// Loads the keys. `seal` is the service's own key. Throws what the storage throws.
    package init(storage: any RowStorage, account: String, region: String, seal: EnvelopeKey, clock: AWSClock = .system) async throws {
        self.account = account
        self.region = region
        self.clock = clock
        self.seal = seal
        state = try await DurableState(storage: storage)
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1024))
    }

    /// Tells who follows `changes` of a key.
    func tell(_ arn: String) { changed.yield(arn) }

    func arn(_ resource: String) -> String {
        ARN(partition: ARN.partition(ofRegion: region), service: "kms", region: region, account: account, resource: resource).description
    }

    /// The ARN and the state (`Enabled`, `Disabled`, `PendingDeletion`) of the key with this id, ARN or alias; nil when there is none.
    package func key(_ name: String) async -> (arn: String, state: String)? {
        let now = clock.now
        return await state.read { tables in (try? tables.key(name, now: now)).map { ($0.arn, $0.state) } }
    }
}
