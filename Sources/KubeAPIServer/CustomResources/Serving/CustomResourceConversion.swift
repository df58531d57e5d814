import KubeAPI
import KubeClient
import Synchronization

/// Brings objects of one definition from the version they are stored in into the one that is asked for, and back. Without a webhook only the
/// apiVersion changes. Upstream: apiserver/conversion.crConverter with its nopConverter and webhookConverter.
final class CustomResourceConversion: Sendable {
    /// Upstream: the timeout of conversion webhooks.
    static let timeout = Duration.seconds(30)
    /// Objects kept as a webhook converted them: watches of one version ask for the same ones again and again.
    private static let keptObjects = 2048

    /// How a webhook is called.
    struct Webhook: Sendable {
        var client: WebhookClient
        var configuration: WebhookClientConfiguration
        /// Of ConversionReview: `v1` or `v1beta1`.
        var reviewVersion: String
    }

    private struct Key: Hashable {
        var uid: String
        var resourceVersion: String
        var apiVersion: String
    }

    let webhook: Webhook?
    private let kept = Mutex<[Key: Object]>([:])

    init(webhook: Webhook?) { self.webhook = webhook }

    /// `client` is asked for only where a webhook is configured.
    convenience init(_ definition: CustomResourceDefinition, client: () -> WebhookClient) {
        guard definition.usesWebhook else {
            self.init(webhook: nil)
            return
        }
        let conversion = definition.spec["conversion"]["webhook"]
        let version = conversion["conversionReviewVersions"].strings.first { DefinitionValidation.reviewVersions.contains($0) } ?? "v1"
        self.init(
            webhook: Webhook(client: client(), configuration: WebhookClientConfiguration(conversion["clientConfig"]), reviewVersion: version))
    }

    /// Whether an object needs more than a new apiVersion.
    func asksWebhook(_ object: Object, to apiVersion: String) -> Bool { webhook != nil && object.apiVersion != apiVersion }

    /// Only the apiVersion, in the bytes.
    static func renamed(_ object: Object, to apiVersion: String) -> Object {
        guard let view = object["apiVersion"], view.string != apiVersion else { return object }
        var name: [UInt8] = []
        Value.write(apiVersion, to: &name)
        let old = view.rawBytes.count
        var bytes: [UInt8] = []
        bytes.reserveCapacity(object.bytes.count + name.count)
        bytes.append(contentsOf: object.bytes[..<view.start])
        bytes.append(contentsOf: name)
        bytes.append(contentsOf: object.bytes[(view.start + old)...])
        return (try? Object(bytes: bytes)) ?? object  // Another string in the place of a string leaves JSON JSON.
    }

    /// The objects in `apiVersion`, in their order. Throws `StatusError` 500 in upstream's words when the webhook fails or answers what it may not.
    func convert(_ objects: [Object], to apiVersion: String) async throws -> [Object] {
        guard let webhook else { return objects.map { Self.renamed($0, to: apiVersion) } }
        var result = objects
        var asked: [Int] = []
        for (index, object) in objects.enumerated() where object.apiVersion != apiVersion {
            if let known = kept.withLock({ $0[Self.key(object, apiVersion)] }) { result[index] = known } else { asked.append(index) }
        }
        guard !asked.isEmpty else { return result }
        let sent = asked.map { objects[$0] }
        let converted = try await ask(webhook, sent, to: apiVersion)
        for (index, object) in zip(asked, converted) { result[index] = object }
        kept.withLock { kept in
            if kept.count + sent.count > Self.keptObjects { kept.removeAll() }
            for (object, converted) in zip(sent, converted) {
                let key = Self.key(object, apiVersion)
                // What was not stored yet has no version to be known by.
                if !key.resourceVersion.isEmpty, kept.count < Self.keptObjects { kept[key] = converted }
            }
        }
        return result
    }

    private static func key(_ object: Object, _ apiVersion: String) -> Key {
        let metadata = object.metadata
        return Key(uid: metadata.uid, resourceVersion: metadata.resourceVersion, apiVersion: apiVersion)
    }

    // MARK: The webhook

    private func ask(_ webhook: Webhook, _ objects: [Object], to apiVersion: String) async throws -> [Object] {
        let from = objects.first?.groupVersionKind ?? GroupVersionKind(group: "", version: "", kind: "")
        func failure(_ what: String) -> StatusError {
            StatusError(
                code: 500, reason: "",
                message: "conversion webhook for \(from.group)/\(from.version), Kind=\(from.kind) \(what)")
        }
        let uid = RandomText.uuid()
        let reviewVersion = "apiextensions.k8s.io/\(webhook.reviewVersion)"
        var body = Array("{\"kind\":\"ConversionReview\",\"apiVersion\":\"\(reviewVersion)\",\"request\":{\"uid\":\"\(uid)\",".utf8)
        body += "\"desiredAPIVersion\":".utf8
        Value.write(apiVersion, to: &body)
        body += ",\"objects\":[".utf8
        for (index, object) in objects.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body += object.bytes
        }
        body += "]}}".utf8
        let answer: JSONView
        do {
            answer = try await webhook.client.post(body, to: webhook.configuration, timeout: Self.timeout).root
        } catch let error as WebhookCallError {
            throw failure("failed: \(error)")
        }
        if let why = Self.refusal(answer, uid: uid, version: reviewVersion) { throw failure("failed: \(why)") }
        let converted = answer["response"]["convertedObjects"].elements
        guard converted.count == objects.count else { throw failure("returned \(converted.count) objects, expected \(objects.count)") }
        return try zip(objects, converted).enumerated().map { index, pair in
            let (original, view) = pair
            if let why = Self.invalid(view, original, apiVersion: apiVersion) {
                throw failure("returned invalid object at index \(index): \(why)")
            }
            return try Self.restored(view, original)
        }
    }

    /// Why an answer is none to this request. Upstream: getConvertedObjectsFromResponse.
    private static func refusal(_ answer: JSONView, uid: String, version: String) -> String? {
        let sent = GroupVersionKind(apiVersion: answer["apiVersion"].string ?? "", kind: answer["kind"].string ?? "")
        let wanted = GroupVersionKind(apiVersion: version, kind: "ConversionReview")
        guard sent == wanted else {
            func shown(_ kind: GroupVersionKind) -> String { "\(kind.group)/\(kind.version), Kind=\(kind.kind)" }
            return "expected webhook response of \(shown(wanted)), got \(shown(sent))"
        }
        guard let response = answer["response"], response.kind == .object else { return "no response provided" }
        let answered = response["uid"].string ?? ""
        // v1beta1 let webhooks leave it out.
        if answered != uid, !(answered.isEmpty && version.hasSuffix("v1beta1")) {
            return "expected response.uid=\(uid.goQuoted), got \(answered.goQuoted)"
        }
        let status = response["result"]["status"].string ?? ""
        guard status != "Success" else { return nil }
        let message = response["result"]["message"].string ?? ""
        return message.isEmpty ? "response.result.status was '\(status)', not 'Success'" : message
    }

    /// What a webhook may not change. Upstream: validateConvertedObject.
    private static func invalid(_ view: JSONView, _ original: Object, apiVersion: String) -> String? {
        guard view.kind == .object else { return "must be an object" }
        let got = view["apiVersion"].string ?? ""
        if got != apiVersion { return "invalid groupVersion (expected \(apiVersion), received \(got))" }
        let kind = view["kind"].string ?? ""
        if kind != original.kind { return "invalid kind (expected \(original.kind), received \(kind))" }
        guard let metadata = view["metadata"], metadata.kind == .object else { return "missing metadata in converted object" }
        let old = original.metadata
        let new = ObjectMeta(view: metadata)
        if new.name != old.name { return "must have the same name: \(old.name) != \(new.name)" }
        if new.namespace != old.namespace { return "must have the same namespace: \(old.namespace) != \(new.namespace)" }
        if new.uid != old.uid { return "must have the same UID: \(old.uid) != \(new.uid)" }
        for part in ["labels", "annotations"] {
            guard let map = metadata[part], !map.isNull else { continue }
            if map.kind != .object || !map.members.allSatisfy({ $0.value.string != nil }) { return "invalid metadata.\(part) in converted object" }
        }
        return MetadataValidation.validateMaps(new).first.map { "\($0.field): \($0.message)" }
    }

    /// The converted object with the original's metadata, of which only labels and annotations may change. Upstream: restoreObjectMeta.
    private static func restored(_ view: JSONView, _ original: Object) throws -> Object {
        var tree = view.value
        var metadata = original["metadata"].value ?? .object(Members())
        for part in ["labels", "annotations"] {
            let value = view["metadata"][part]
            metadata[part] = value.flatMap { $0.isNull || !$0.members.contains { _ in true } ? Value?.none : $0.value }
        }
        var pairs: [(String, Value)] = [
            ("apiVersion", tree["apiVersion"] ?? ""), ("kind", tree["kind"] ?? ""), ("metadata", metadata),
        ]
        for name in ["apiVersion", "kind", "metadata"] { tree[name] = nil }
        pairs += Array(tree.object ?? Members())
        return try Object(.object(Members(pairs)))
    }
}

extension CustomResourceVersion {
    /// An object that was read from storage, or converted, as this version serves it: pruned and with the defaults of today's schema.
    private func finished(_ object: Object) -> Object {
        let schema = schema
        if keepsUnknownFields, !schema.hasDefaults { return object }
        guard !SchemaPruning.isFinished(object.root, schema) else { return object }
        var tree = object.value
        if !keepsUnknownFields {
            _ = SchemaPruning.prune(&tree, schema, collects: false)
            SchemaDefaulting.dropNulls(&tree, schema, isRoot: true)
        }
        SchemaDefaulting.apply(&tree, schema)
        return Object(tree: tree)
    }

    /// A stored object in this version; its own bytes where nothing has to be done. Throws what a conversion webhook fails with.
    func shown(_ object: Object) async throws -> Object {
        if let object = shownAtOnce(object) { return object }
        return finished(try await conversion.convert([object], to: row.groupVersion)[0])
    }

    /// The same for many, in one call of the webhook.
    func shown(_ objects: [Object]) async throws -> [Object] {
        if conversion.webhook == nil { return objects.map { shownAtOnce($0) ?? $0 } }
        return try await conversion.convert(objects, to: row.groupVersion).map(finished)
    }

    /// Nil: only the webhook can tell.
    func shownAtOnce(_ object: Object) -> Object? {
        if object["apiVersion"].map({ $0.equals(row.groupVersion) }) ?? false { return finished(object) }
        return conversion.webhook == nil ? finished(CustomResourceConversion.renamed(object, to: row.groupVersion)) : nil
    }

    /// An object of this version as it is stored. Throws what a conversion webhook fails with.
    func kept(_ object: Object) async throws -> Object {
        if isStorage { return object }
        return try await conversion.convert([object], to: "\(row.group)/\(storageVersion)")[0]
    }
}
