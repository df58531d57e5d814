import KubeAPI
import Synchronization

/// The protobuf of objects that watches are sending: a thousand watchers of one change share one encoding. Holds the newest few, and nothing while
/// nobody watches in protobuf. Upstream: cacher.cachingObject.
final class EncodedEvents: Sendable {
    /// More changes than this are rarely on their way at once.
    private static let capacity = 128

    static let shared = EncodedEvents()

    private struct Key: Hashable {
        var document: ObjectIdentifier
        var kind: GroupVersionKind
    }

    private struct State {
        /// With the document, so that its identity stays its own.
        var kept: [Key: (document: JSONDocument, bytes: [UInt8])] = [:]
        var order: [Key] = []
        var next = 0
    }

    private let state = Mutex(State())

    /// `object` in protobuf as an object of `kind`; nil when the kind has no such form.
    func protobuf(_ object: Object, kind: GroupVersionKind) -> [UInt8]? {
        let key = Key(document: ObjectIdentifier(object.document), kind: kind)
        if let kept = state.withLock({ $0.kept[key] }) { return kept.bytes }
        guard let bytes = ProtobufEncoder.object(object, kind: kind) else { return nil }
        state.withLock { state in
            guard state.kept.updateValue((object.document, bytes), forKey: key) == nil else { return }
            if state.order.count < Self.capacity {
                state.order.append(key)
            } else {
                state.kept[state.order[state.next]] = nil
                state.order[state.next] = key
                state.next = (state.next + 1) % Self.capacity
            }
        }
        return bytes
    }
}
