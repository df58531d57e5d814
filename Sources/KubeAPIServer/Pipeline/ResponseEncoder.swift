import HTTPTransport
import KubeAPI
import KubeClient

/// Gives results the form a client asked for: JSON as kept, a table, or metadata alone. Upstream: handlers.transformResponseObject.
struct ResponseEncoder: Sendable {
    let scope: RequestScope
    let form: AcceptedForm
    let query: QueryParameters
    let metrics: ServerMetrics

    func encode(_ response: APIResponse) throws -> HTTPResponse {
        var encoded: HTTPResponse
        switch response.result {
        case .object(let object, let status): encoded = Responses.object(try bytes(of: object), status: status)
        case .list(let list): encoded = Responses.object(try bytes(of: list))
        case .watch(let session): encoded = stream(session)
        case .response(let ready): encoded = ready
        }
        for warning in response.warnings { encoded.fields.add("Warning", Responses.warningHeader(warning)) }
        return encoded
    }

    private func bytes(of object: Object) throws -> [UInt8] {
        guard object.kind != "Status" else { return object.bytes }
        switch form.shape {
        case .plain: return object.bytes
        case .partialMetadata(let version): return Self.partial(object, version: version)
        case .table(let version): return try table([object], .init(resourceVersion: object.metadata.resourceVersion), version: version)
        }
    }

    private func bytes(of list: ObjectList) throws -> [UInt8] {
        switch form.shape {
        case .plain: return list.bytes
        case .partialMetadata(let version):
            var out = Array("{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/\(version)\",\"metadata\":".utf8)
            list.metadata.write(to: &out)
            out.append(contentsOf: ",\"items\":[".utf8)
            for (index, object) in list.objects.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                out.append(contentsOf: Self.partial(object, version: version))
            }
            out.append(contentsOf: "]}".utf8)
            return out
        case .table(let version):
            let metadata = TablePrinter.ListMeta(
                resourceVersion: String(list.revision), continueToken: list.continueToken, remainingItemCount: list.remaining.map(Int64.init))
            return try table(list.objects, metadata, version: version)
        }
    }

    private func table(_ objects: [Object], _ metadata: TablePrinter.ListMeta, version: String, columns: Bool = true) throws -> [UInt8] {
        let policy = query["includeObject"] ?? ""
        guard let include = policy.isEmpty ? .metadata : TablePrinter.IncludeObject(rawValue: policy) else {
            throw StatusError.badRequest("unrecognized includeObject value: \(policy.goQuoted)")
        }
        return TablePrinter.table(
            row: scope.row, objects: objects, listMeta: metadata, includeObject: include, withColumns: columns, version: version)
    }

    /// Upstream: metav1.PartialObjectMetadata.
    private static func partial(_ object: Object, version: String) -> [UInt8] {
        var out = Array("{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/\(version)\",\"metadata\":".utf8)
        if let metadata = object["metadata"] { out.append(contentsOf: metadata.rawBytes) } else { out.append(contentsOf: "{}".utf8) }
        out.append(UInt8(ascii: "}"))
        return out
    }

    // MARK: Watches

    private func stream(_ session: WatchSession) -> HTTPResponse {
        let metrics = metrics
        return HTTPResponse(
            status: 200, fields: ["Cache-Control": "no-cache, private", "Content-Type": Responses.json],
            body: .stream { writer in
                metrics.watches(+1)
                defer { metrics.watches(-1) }
                // The columns of a table stand in its first event alone.
                let first = FirstEvent()
                try await session.run { events in
                    var frames: [UInt8] = []
                    frames.reserveCapacity(events.reduce(0) { $0 + $1.object.bytes.count + 40 })
                    for event in events { try append(event, to: &frames, columns: first.take()) }
                    try await writer.write(frames)
                }
            })
    }

    /// Touched by the one task that writes the watch.
    private final class FirstEvent: @unchecked Sendable {
        private var taken = false
        func take() -> Bool {
            defer { taken = true }
            return !taken
        }
    }

    /// A watch that fails before it begins: one ERROR event.
    func failedWatch(_ error: StatusError) -> HTTPResponse {
        var frame = Array("{\"type\":\"ERROR\",\"object\":".utf8)
        frame.append(contentsOf: error.value.jsonBytes)
        frame.append(contentsOf: "}\n".utf8)
        return Responses.object(frame)
    }

    /// One event as a line of JSON. Upstream: metav1.WatchEvent.
    private func append(_ event: WatchEvent, to out: inout [UInt8], columns: Bool) throws {
        out.append(contentsOf: "{\"type\":\"\(event.kind.rawValue)\",\"object\":".utf8)
        switch (event.kind, form.shape) {
        case (.error, _), (_, .plain): out.append(contentsOf: event.object.bytes)
        case (_, .partialMetadata(let version)): out.append(contentsOf: Self.partial(event.object, version: version))
        case (_, .table(let version)):
            // A bookmark is a table without rows; its annotations mark the end of the initial events.
            let objects = event.kind == .bookmark ? [] : [event.object]
            var bytes = try table(objects, .init(resourceVersion: event.object.metadata.resourceVersion), version: version, columns: columns)
            if event.kind == .bookmark, let annotations = event.object["metadata"]["annotations"].value {
                var tree = try Value(json: bytes)
                tree[path: "metadata", "annotations"] = annotations
                bytes = tree.jsonBytes
            }
            out.append(contentsOf: bytes)
        }
        out.append(contentsOf: "}\n".utf8)
    }
}
