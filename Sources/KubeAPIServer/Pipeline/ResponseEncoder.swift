import HTTPTransport
import KubeAPI
import KubeClient

/// Gives results the form a client asked for: JSON as kept, YAML or protobuf; the object, a table, or metadata alone. Upstream:
/// handlers.transformResponseObject and responsewriters.WriteObjectNegotiated.
struct ResponseEncoder: Sendable {
    let scope: RequestScope
    let form: AcceptedForm
    let query: QueryParameters
    let metrics: ServerMetrics
    /// Decides, with the query, whether JSON is indented for a person to read.
    var userAgent = ""

    func encode(_ response: APIResponse) throws -> HTTPResponse {
        var encoded: HTTPResponse
        switch response.result {
        case .object(let object, let status): encoded = try answer(object, status: status)
        case .list(let list): encoded = try answer(list)
        case .watch(let session): encoded = stream(session)
        case .response(let ready): encoded = ready
        }
        for warning in response.warnings { encoded.fields.add("Warning", Responses.warningHeader(warning)) }
        return encoded
    }

    private static func partialKind(_ version: String, list: Bool = false) -> GroupVersionKind {
        GroupVersionKind(group: "meta.k8s.io", version: version, kind: list ? "PartialObjectMetadataList" : "PartialObjectMetadata")
    }

    private func answer(_ object: Object, status: Int) throws -> HTTPResponse {
        if form.format == .protobuf {
            var kind = object.groupVersionKind
            if case .partialMetadata(let version) = form.shape, kind.kind != "Status" { kind = Self.partialKind(version) }
            if let bytes = ProtobufEncoder.object(object, kind: kind) {
                return Responses.object(bytes, status: status, contentType: ProtobufDecoder.mediaType)
            }
        }
        return finish(try bytes(of: object), status: status)
    }

    private func answer(_ list: ObjectList) throws -> HTTPResponse {
        if form.format == .protobuf {
            var kind = list.kind
            var item = scope.row.groupVersionKind
            if case .partialMetadata(let version) = form.shape {
                kind = Self.partialKind(version, list: true)
                item = Self.partialKind(version)
            }
            if let bytes = ProtobufEncoder.list(list.objects, kind: kind, itemKind: item, metadata: list.metadata) {
                return Responses.object(bytes, contentType: ProtobufDecoder.mediaType)
            }
        }
        return finish(try bytes(of: list), status: 200)
    }

    /// JSON as it goes out: as it is, indented, or as YAML.
    private func finish(_ json: [UInt8], status: Int) -> HTTPResponse {
        Responses.object(json, status: status, format: form.format, isPretty: form.isPretty || isPretty)
    }

    /// Upstream: negotiation.isPrettyPrint.
    var isPretty: Bool {
        if let text = query["pretty"], !text.isEmpty { return ["1", "t", "T", "TRUE", "true", "True"].contains(text) }
        return ["curl", "Wget", "Mozilla/5.0"].contains { userAgent.hasPrefix($0) }
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
        var response = HTTPResponse(
            status: 200, fields: ["Cache-Control": "no-cache, private", "Content-Type": streamType],
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
        response.source = source(session)
        return response
    }

    /// The watch as a connection takes it; nil for custom resources, whose events may have to wait for a webhook.
    private func source(_ session: WatchSession) -> WatchSource? {
        guard scope.custom == nil else { return nil }
        let first = FirstEvent()
        // The columns of a table stand in its first event alone: such a watch shares nothing.
        var key: SharedFrames.Key?
        if case .table = form.shape {} else { key = session.key(form: "\(form)") }
        return WatchSource(session, key: key, metrics: metrics) { events in
            var frames: [UInt8] = []
            frames.reserveCapacity(events.reduce(0) { $0 + $1.object.bytes.count + 40 })
            for event in events { try append(event, to: &frames, columns: first.take()) }
            return frames
        }
    }

    /// JSON alone keeps its plain media type, for clients older than the parameter.
    private var streamType: String { form.format == .json ? Responses.json : form.format.mediaType + ";stream=watch" }

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
        var frame: [UInt8] = []
        if form.format == .protobuf, let object = Responses.protobuf(error) {
            frame = ProtobufEncoder.watchFrame(type: "ERROR", object: object)
        } else {
            frame.append(contentsOf: "{\"type\":\"ERROR\",\"object\":".utf8)
            frame.append(contentsOf: error.value.jsonBytes)
            frame.append(contentsOf: "}\n".utf8)
        }
        return Responses.object(frame, contentType: streamType)
    }

    /// One event as a line of JSON or as a frame of protobuf. Upstream: metav1.WatchEvent.
    private func append(_ event: WatchEvent, to out: inout [UInt8], columns: Bool) throws {
        if form.format == .protobuf {
            var kind = event.object.groupVersionKind
            if event.kind != .error, case .partialMetadata(let version) = form.shape { kind = Self.partialKind(version) }
            guard let object = EncodedEvents.shared.protobuf(event.object, kind: kind) else {
                throw StatusError.internalError("\(kind.kind) has no protobuf form")
            }
            out.append(contentsOf: ProtobufEncoder.watchFrame(type: event.kind.rawValue, object: object))
            return
        }
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
