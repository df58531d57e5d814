import Glibc

/// A Kubernetes object of any kind, read-only: its JSON bytes, and a token index over them once a field is read. Typed views (`ObjectMeta`,
/// `PodView`, …) walk the index; to change an object take its `value`, change that, and make a new `Object`.
package struct Object: Sendable {
    private let storage: ObjectStorage

    /// Throws `JSONError` when `bytes` is not one JSON object.
    package init(bytes: [UInt8]) throws(JSONError) {
        let document = try JSONDocument(bytes)
        guard document.root.kind == .object else { throw JSONError(message: "a Kubernetes object must be a JSON object", offset: 0) }
        self.init(document)
    }

    package init(json text: String) throws(JSONError) { try self.init(bytes: Array(text.utf8)) }

    /// `document` holds an object.
    package init(_ document: JSONDocument) { storage = ObjectStorage(document.bytes, index: document, isCached: false) }

    /// An object of a value tree. Throws `JSONError` for a tree that is no object, or nested too deep to be read again.
    package init(_ value: Value) throws(JSONError) {
        guard case .object = value else { throw JSONError(message: "a Kubernetes object must be a JSON object", offset: 0) }
        var writer = JSONWriter()
        writer.write(value, depth: 0)
        guard writer.deepest <= JSONLimits.depth else { throw JSONError(message: "exceeded max depth of \(JSONLimits.depth)", offset: 0) }
        storage = ObjectStorage(writer.bytes, isCached: false)
    }

    /// An object as a store keeps it, with its revision: `stored` is one JSON object that was checked when it was written, without a resourceVersion
    /// in its metadata. Made for objects that live long in a cache.
    package init(stored: UnsafeRawBufferPointer, revision: Int64) {
        guard let place = StoredForm.metadataStart(stored) else {
            // No metadata, which no Kubernetes object lacks.
            storage = ObjectStorage(Self.rebuilt(Array(stored), revision), isCached: true)
            return
        }
        storage = ObjectStorage(StoredForm.bytes(stored, place: place, revision: revision), isCached: true)
    }

    package init(stored: [UInt8], revision: Int64) {
        self = stored.withUnsafeBytes { Object(stored: $0, revision: revision) }
    }

    private init(_ storage: ObjectStorage) { self.storage = storage }

    package var document: JSONDocument { storage.document }
    package var bytes: [UInt8] { storage.bytes }
    package var root: JSONView { document.root }
    package var value: Value { root.value }
    package subscript(key: String) -> JSONView? { root[key] }

    package var apiVersion: String { leading("apiVersion") }
    package var kind: String { leading("kind") }

    /// A string at the object's top, which stands at its beginning in nearly all objects: found without an index.
    private func leading(_ name: String) -> String {
        if let index = storage.presentIndex { return index.root[name].string ?? "" }
        return storage.bytes.withUnsafeBytes { StoredForm.leadingString($0, name) } ?? document.root[name].string ?? ""
    }
    package var groupVersionKind: GroupVersionKind { GroupVersionKind(apiVersion: apiVersion, kind: kind) }
    package var metadata: ObjectMeta { ObjectMeta(view: self["metadata"]) }

    /// Whether the text stands anywhere in the object's bytes: a cheap first test, without an index, of whether a field can be there.
    package func mayContain(_ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        let wanted = text.utf8Start
        // Looked for by a letter that is rare in JSON.
        let anchor = (0..<length).first { wanted[$0] >= UInt8(ascii: "A") && wanted[$0] <= UInt8(ascii: "Z") } ?? 0
        return storage.bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, length > 0 else { return length == 0 }
            var at = anchor
            while at < bytes.count, let found = memchr(base + at, Int32(wanted[anchor]), bytes.count - at) {
                let start = found - anchor - UnsafeMutableRawPointer(mutating: base)
                if start + length <= bytes.count, memcmp(base + start, wanted, length) == 0 { return true }
                at = start + anchor + 1
            }
            return false
        }
    }

    /// The same object with `metadata.resourceVersion` set to `revision`: a splice of the bytes, not a re-encoding. What was stored carries no
    /// resourceVersion (the store's revision is the truth), so it is put in front of metadata's other members.
    package func withResourceVersion(_ revision: Int64) -> Object { spliced(revision, isCached: false) }

    /// The same for a cache, where it lives long: the index of this object, if it has one, serves the new one for a while.
    package func cached(revision: Int64) -> Object { spliced(revision, isCached: true) }

    private func spliced(_ revision: Int64, isCached: Bool) -> Object {
        if !isCached, storage.presentIndex == nil {
            let place = bytes.withUnsafeBytes { StoredForm.metadataStart($0) }
            // Without an index it is cheaper to look whether the name stands anywhere.
            if let place, !mayContain("\"resourceVersion\"") {
                return Object(ObjectStorage(bytes.withUnsafeBytes { StoredForm.bytes($0, place: place, revision: revision) }, isCached: false))
            }
        }
        let document = document
        guard let metadata = document.root["metadata"], metadata.kind == .object, metadata["resourceVersion"] == nil else {
            return Object(ObjectStorage(Self.rebuilt(bytes, revision), isCached: isCached))
        }
        let place = metadata.start + 1
        let spliced = bytes.withUnsafeBytes { StoredForm.bytes($0, place: place, revision: revision) }
        let (key, value) = StoredForm.tokens(place: place, revision: revision)
        let tokens = document.tokensInserting(spliced.count - bytes.count, at: place, intoObject: metadata.token, key: key, value: value)
        return Object(ObjectStorage(spliced, index: JSONDocument(spliced, tokens: tokens), isCached: isCached))
    }

    /// By way of a tree: for objects whose metadata is missing, or holds a resourceVersion already.
    private static func rebuilt(_ bytes: [UInt8], _ revision: Int64) -> [UInt8] {
        // Bytes that are no JSON can only come of a damaged database: they stay as they are.
        guard var tree = try? Value(json: bytes) else { return bytes }
        tree[path: "metadata", "resourceVersion"] = .string(String(revision))
        return tree.jsonBytes
    }
}

/// The form in which objects are stored, taken apart without an index.
private enum StoredForm {
    private static let name = Array("\"resourceVersion\":\"".utf8)

    /// The byte just behind the brace that opens `metadata`; nil when there is none at the object's top.
    static func metadataStart(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var at = 0
        func skipSpace() { while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x0A || bytes[at] == 0x0D || bytes[at] == 0x09 { at += 1 } }
        /// From a quote to behind the closing one.
        func skipString() {
            at += 1
            while at < bytes.count, bytes[at] != UInt8(ascii: "\"") { at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1 }
            at += 1
        }
        func skipValue() {
            var depth = 0
            while at < bytes.count {
                switch bytes[at] {
                case UInt8(ascii: "\""):
                    skipString()
                    if depth == 0 { return }
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    // The end of the object that holds a number.
                    if depth == 0 { return }
                    depth -= 1
                    if depth == 0 {
                        at += 1
                        return
                    }
                case UInt8(ascii: ","): if depth == 0 { return }
                default: break
                }
                at += 1
            }
        }
        let wanted = Array("metadata".utf8)
        skipSpace()
        guard at < bytes.count, bytes[at] == UInt8(ascii: "{") else { return nil }
        at += 1
        while at < bytes.count {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { return nil }
            let start = at + 1
            skipString()
            guard at <= bytes.count, at - 1 >= start else { return nil }
            let isMetadata = bytes[start..<at - 1].elementsEqual(wanted)
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: ":") else { return nil }
            at += 1
            skipSpace()
            if isMetadata { return at < bytes.count && bytes[at] == UInt8(ascii: "{") ? at + 1 : nil }
            skipValue()
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: ",") else { return nil }
            at += 1
        }
        return nil
    }

    /// The text of the member `name` when it is one of the first two, as `{"apiVersion":"v1","kind":"Pod"` or the other way round, without white
    /// space and escapes. Nil: look elsewhere.
    static func leadingString(_ bytes: UnsafeRawBufferPointer, _ name: String) -> String? {
        var at = 1
        for _ in 0..<2 {
            // From the opening quote of a name to behind the closing quote of its value.
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { return nil }
            guard let nameEnd = end(bytes, at + 1), nameEnd + 2 < bytes.count, bytes[nameEnd + 1] == UInt8(ascii: ":"),
                bytes[nameEnd + 2] == UInt8(ascii: "\""), let valueEnd = end(bytes, nameEnd + 3)
            else { return nil }
            if nameEnd - at - 1 == name.utf8.count, bytes[at + 1..<nameEnd].elementsEqual(name.utf8) {
                return String(decoding: bytes[nameEnd + 3..<valueEnd], as: UTF8.self)
            }
            guard valueEnd + 1 < bytes.count, bytes[valueEnd + 1] == UInt8(ascii: ",") else { return nil }
            at = valueEnd + 2
        }
        return nil
    }

    /// The closing quote of a short string without escapes.
    private static func end(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int? {
        let longest = 300
        var at = start
        while at < bytes.count, at - start < longest {
            if bytes[at] == UInt8(ascii: "\"") { return at }
            if bytes[at] == UInt8(ascii: "\\") { return nil }
            at += 1
        }
        return nil
    }

    private static func digits(_ revision: Int64) -> String { String(revision) }

    /// `bytes` with the resourceVersion put in at `place`.
    static func bytes(_ bytes: UnsafeRawBufferPointer, place: Int, revision: Int64) -> [UInt8] {
        var next = place
        while next < bytes.count, bytes[next] == 0x20 || bytes[next] == 0x0A || bytes[next] == 0x0D || bytes[next] == 0x09 { next += 1 }
        let isEmpty = next < bytes.count && bytes[next] == UInt8(ascii: "}")
        let digits = digits(revision)
        let length = name.count + digits.utf8.count + (isEmpty ? 1 : 2)
        return Array(unsafeUninitializedCapacity: bytes.count + length) { out, count in
            let raw = UnsafeMutableRawBufferPointer(out)
            raw.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<place]))
            var at = place
            for c in name {
                raw[at] = c
                at += 1
            }
            for c in digits.utf8 {
                raw[at] = c
                at += 1
            }
            raw[at] = UInt8(ascii: "\"")
            at += 1
            if !isEmpty {
                raw[at] = UInt8(ascii: ",")
                at += 1
            }
            UnsafeMutableRawBufferPointer(rebasing: raw[at...]).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[place...]))
            count = bytes.count + length
        }
    }

    /// The tokens of the member that `bytes` puts in at `place`.
    static func tokens(place: Int, revision: Int64) -> (key: UInt64, value: UInt64) {
        func token(_ offset: Int, _ length: Int) -> UInt64 {
            UInt64(JSONKind.string.rawValue) << 60 | UInt64(truncatingIfNeeded: offset) << 30 | UInt64(truncatingIfNeeded: length)
        }
        // The name stands between quotes, with a colon and a quote behind.
        return (token(place + 1, name.count - 4), token(place + name.count, digits(revision).utf8.count))
    }
}

/// The fields every object has under `metadata`. Upstream: metav1.ObjectMeta.
package struct ObjectMeta: Sendable {
    package let view: JSONView?

    package init(view: JSONView?) { self.view = view }

    package var name: String { view["name"].string ?? "" }
    package var generateName: String { view["generateName"].string ?? "" }
    package var namespace: String { view["namespace"].string ?? "" }
    package var uid: String { view["uid"].string ?? "" }
    package var resourceVersion: String { view["resourceVersion"].string ?? "" }
    package var generation: Int64 { view["generation"].int ?? 0 }
    package var labels: [String: String] { view["labels"].stringMap }
    package var annotations: [String: String] { view["annotations"].stringMap }
    package var finalizers: [String] { view["finalizers"].strings }
    package var creationTimestamp: Timestamp? { view["creationTimestamp"].string.flatMap(Timestamp.init(rfc3339:)) }
    package var deletionTimestamp: Timestamp? { view["deletionTimestamp"].string.flatMap(Timestamp.init(rfc3339:)) }
    package var deletionGracePeriodSeconds: Int64? { view["deletionGracePeriodSeconds"].int }
    package var isBeingDeleted: Bool { view["deletionTimestamp"].string != nil }
    package var ownerReferences: [OwnerReference] { view["ownerReferences"].elements.map(OwnerReference.init(view:)) }
    /// The owner that manages this object. Upstream: metav1.GetControllerOf.
    package var controller: OwnerReference? { ownerReferences.first(where: \.controller) }
    /// `namespace/name`, or `name` for an object of no namespace: the key of caches and queues.
    package var key: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }
}

/// Upstream: metav1.OwnerReference.
package struct OwnerReference: Sendable, Equatable {
    package var apiVersion: String
    package var kind: String
    package var name: String
    package var uid: String
    package var controller: Bool
    package var blockOwnerDeletion: Bool

    package init(apiVersion: String, kind: String, name: String, uid: String, controller: Bool = true, blockOwnerDeletion: Bool = true) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        self.uid = uid
        self.controller = controller
        self.blockOwnerDeletion = blockOwnerDeletion
    }

    package init(view: JSONView) {
        apiVersion = view["apiVersion"].string ?? ""
        kind = view["kind"].string ?? ""
        name = view["name"].string ?? ""
        uid = view["uid"].string ?? ""
        controller = view["controller"].bool ?? false
        blockOwnerDeletion = view["blockOwnerDeletion"].bool ?? false
    }

    package var value: Value {
        [
            "apiVersion": .string(apiVersion), "kind": .string(kind), "name": .string(name), "uid": .string(uid), "controller": .bool(controller),
            "blockOwnerDeletion": .bool(blockOwnerDeletion),
        ]
    }
}
