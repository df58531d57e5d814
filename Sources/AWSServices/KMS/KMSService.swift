package import AWSProtocol

/// One KMS call on its way.
struct KMSCall: Sendable {
    var keys: KMSKeys
    var identities: IdentityStore
    var call: JSONCall
    var now: Double { call.now }

    func keyID() throws(AWSError) -> String { try call.required("KeyId", longest: 2_048) }

    /// The key a call names, changed. Throws NotFoundException, KMSInvalidStateException for one that is to be deleted.
    func change(_ change: @Sendable (inout KMSKeyRecord) throws -> Void) async throws -> AWSJSON? {
        let (name, now) = (try keyID(), now)
        let arn = try await keys.state.update { tables in
            var key = try tables.key(name, now: now)
            guard key.deletionAt == nil else { throw AWSError("KMSInvalidStateException", "\(key.arn) is pending deletion.") }
            try change(&key)
            tables.keys[key.id] = key
            return key.arn
        }
        keys.tell(arn)
        return nil
    }

    func read() async throws -> KMSKeyRecord {
        let (name, now) = (try keyID(), now)
        return try await keys.state.read { try $0.key(name, now: now) }
    }

    /// `Tags` as KMS writes them.
    func tags() throws(AWSError) -> [String: String] {
        var tags: [String: String] = [:]
        for tag in call.input["Tags"]?.arrayValue ?? [] {
            guard let key = tag["TagKey"]?.stringValue, let value = tag["TagValue"]?.stringValue else {
                throw AWSError("TagException", "A tag has a TagKey and a TagValue.")
            }
            tags[key] = value
        }
        return try call.checked(tags)
    }

    /// A page of names. Throws InvalidMarkerException.
    func page(_ names: some Sequence<String>) throws(AWSError) -> (page: [String], next: String?) {
        let size = try call.integer("Limit", in: 1...1_000) ?? 100
        guard let found = KMSService.pages.page(of: names, operation: call.action, token: try call.string("Marker"), size: size) else {
            throw AWSError("InvalidMarkerException", "The marker is none that was given out.")
        }
        return found
    }

    func list(_ member: String, _ entries: [AWSJSON], next: String?) -> AWSJSON {
        .compact([member: .array(entries), "Truncated": .bool(next != nil), "NextMarker": next.map(AWSJSON.string)])
    }
}

typealias KMSHandler = @Sendable (KMSCall) async throws -> AWSJSON?

/// KMS on the wire. Upstream: botocore data/kms/2014-11-01.
package struct KMSService: AWSService {
    package let signingNames: Set<String> = ["kms"]
    package let wireProtocol = AWSWireProtocol.json11

    static let pages = PaginationTokens(key: Array(AWSIdentifier.secret().utf8))
    static let handlers: [String: KMSHandler] = keyHandlers.merging(aliasHandlers) { first, _ in first }
    /// Those that ask for leave themselves: what they need depends on more than the key they name.
    static let ownHandlers: [String: KMSHandler] = cryptoHandlers.merging(grantHandlers) { first, _ in first }

    private let keys: KMSKeys
    private let identities: IdentityStore

    /// `identities` judge callers together with the keys' own policies.
    package init(keys: KMSKeys, identities: IdentityStore) {
        self.keys = keys
        self.identities = identities
    }

    package func handle(_ request: AWSRequest) async throws -> AWSResponse {
        let call = KMSCall(
            keys: keys, identities: identities,
            call: try JSONCall(request, targetPrefix: "TrentService", badInput: "ValidationException", now: keys.clock.now))
        if let handler = KMSService.ownHandlers[call.call.action] { return .json11(try await handler(call)) }
        try await authorize(call)
        guard let handler = KMSService.handlers[call.call.action] else {
            throw AWSError("UnknownOperationException", "The operation \(call.call.action.prefix(100)) is not implemented by Eyrie.")
        }
        return .json11(try await handler(call))
    }

    /// By the policy of the key that a call names; without one, and for a key that is not there, by IAM alone. Throws `AccessDenial`.
    private func authorize(_ call: KMSCall) async throws {
        let now = call.now
        let context = call.call.context(tags: try call.tags())
        let name = try call.call.string("KeyId") ?? call.call.string("TargetKeyId")
        if let name, let key = await keys.state.read({ try? $0.key(name, now: now) }) {
            return try await keys.authorize(call.call.request.caller, call.call.action, key, identities: identities, context: context)
        }
        let resource = name.map { $0.hasPrefix("arn:") ? $0 : keys.arn("key/" + $0) } ?? "*"
        try await identities.authorize(call.call.request.caller, action: "kms:" + call.call.action, resource: resource, context: context)
    }
}
