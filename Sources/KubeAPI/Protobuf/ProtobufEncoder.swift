/// Writes objects as Kubernetes' protobuf, which typed Go clients ask for: straight from the JSON's token index by the table of field numbers,
/// without a tree in between. Upstream: runtime/serializer/protobuf and the generated Marshal methods, whose order of fields and map keys is kept.
package enum ProtobufEncoder {
    /// Upstream: runtime.Unknown is preceded by these bytes.
    static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]
    private static let metadataOnly = "apimachinery.pkg.apis.meta.v1.PartialObjectMetadata"
    private static let metadataList = "apimachinery.pkg.apis.meta.v1.PartialObjectMetadataList"

    /// Whether objects of `kind` have a protobuf form. Custom resources and Tables have none.
    package static func supports(_ kind: GroupVersionKind) -> Bool { place(of: kind) != nil }

    /// `object` in its envelope, as an object of `kind`; nil when the kind has no protobuf form.
    package static func object(_ object: Object, kind: GroupVersionKind) -> [UInt8]? {
        guard let place = place(of: kind) else { return nil }
        var writer = envelope(kind, capacity: object.bytes.count)
        let raw = writer.open(2, guess: object.bytes.count)
        ProtobufObjectWriter.write(object.document, place, to: &writer)
        writer.close(raw)
        finish(&writer)
        return writer.bytes
    }

    /// A list in its envelope, from the objects as they are kept; nil when `kind` has no protobuf form. `metadata` is its ListMeta.
    package static func list(_ objects: [Object], kind: GroupVersionKind, itemKind: GroupVersionKind, metadata: Value) -> [UInt8]? {
        guard place(of: kind) != nil, let item = place(of: itemKind) else { return nil }
        let size = objects.reduce(64) { $0 + $1.bytes.count }
        var writer = envelope(kind, capacity: size)
        // JSON is about 1.4 times as long.
        let raw = writer.open(2, guess: size * 7 / 10)
        listMeta(metadata, to: &writer)
        for object in objects {
            let mark = writer.open(2, guess: object.bytes.count)
            ProtobufObjectWriter.write(object.document, item, to: &writer)
            writer.close(mark)
        }
        writer.close(raw)
        finish(&writer)
        return writer.bytes
    }

    /// One event of a watch with the length in front of it that delimits events. `object` is an object in its envelope. Upstream: metav1.WatchEvent
    /// in protobuf.LengthDelimitedFramer.
    package static func watchFrame(type: String, object: [UInt8]) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.bytes.reserveCapacity(object.count + 32)
        writer.bytes += [0, 0, 0, 0]
        writer.text(1, type)
        let raw = writer.open(2, guess: object.count)
        writer.data(1, object)
        writer.close(raw)
        let length = UInt32(truncatingIfNeeded: writer.bytes.count - 4)
        for index in 0..<4 { writer.bytes[index] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * index)) }
        return writer.bytes
    }

    private static func envelope(_ kind: GroupVersionKind, capacity: Int) -> ProtobufWriter {
        var writer = ProtobufWriter()
        writer.bytes.reserveCapacity(capacity + 64)
        writer.bytes += magic
        let type = writer.open(1, guess: 0)
        writer.text(1, kind.apiVersion)
        writer.text(2, kind.kind)
        writer.close(type)
        return writer
    }

    /// Content encoding and content type: empty, and written nevertheless, as upstream does.
    private static func finish(_ writer: inout ProtobufWriter) {
        writer.text(3, "")
        writer.text(4, "")
    }

    private static func listMeta(_ metadata: Value, to writer: inout ProtobufWriter) {
        let mark = writer.open(1, guess: 0)
        writer.text(1, metadata["selfLink"]?.string ?? "")
        writer.text(2, metadata["resourceVersion"]?.string ?? "")
        writer.text(3, metadata["continue"]?.string ?? "")
        if let remaining = metadata["remainingItemCount"]?.int { writer.int(4, remaining) }
        writer.close(mark)
    }

    private static func place(of kind: GroupVersionKind) -> Int? {
        if kind.group == "meta.k8s.io" {
            if kind.kind == "PartialObjectMetadata" { return ProtobufTable.shared.place(of: metadataOnly) }
            if kind.kind == "PartialObjectMetadataList" { return ProtobufTable.shared.place(of: metadataList) }
        }
        if kind.kind == "Status" { return ProtobufTable.shared.place(of: "apimachinery.pkg.apis.meta.v1.Status") }
        return ProtobufTable.shared.place(of: kind)
    }
}
