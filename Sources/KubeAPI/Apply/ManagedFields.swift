/// One entry of `metadata.managedFields`: who wrote which fields, how and when. Upstream: metav1.ManagedFieldsEntry.
package struct ManagedFieldsEntry: Sendable, Equatable {
    package enum Operation: String, Sendable {
        case apply = "Apply"
        case update = "Update"
    }

    package var manager: String
    package var operation: Operation
    /// The version in which `fields` are told.
    package var apiVersion: String
    /// RFC 3339; nil where nobody noted it.
    package var time: String?
    /// Empty for the main path.
    package var subresource = ""
    package var fields: FieldSet

    package init(manager: String, operation: Operation, apiVersion: String, subresource: String = "", time: String? = nil, fields: FieldSet) {
        self.manager = manager
        self.operation = operation
        self.apiVersion = apiVersion
        self.subresource = subresource
        self.time = time
        self.fields = fields
    }

    /// Entries of one identity are one: an applier is the same in every version. Upstream: BuildManagerIdentifier.
    package struct Identity: Hashable, Sendable {
        package var manager: String
        package var operation: Operation
        package var apiVersion: String
        package var subresource: String

        package init(manager: String, operation: Operation, apiVersion: String, subresource: String) {
            self.manager = manager
            self.operation = operation
            self.apiVersion = operation == .apply ? "" : apiVersion
            self.subresource = subresource
        }

        /// Upstream: printManager.
        var description: String {
            var text = manager.goQuoted
            if !subresource.isEmpty { text += " with subresource \(subresource.goQuoted)" }
            if operation == .update { text += " using \(apiVersion)" }
            return text
        }

        /// The order of identities in messages.
        static func precedes(_ a: Identity, _ b: Identity) -> Bool {
            (a.manager, a.operation.rawValue, a.apiVersion, a.subresource) < (b.manager, b.operation.rawValue, b.apiVersion, b.subresource)
        }
    }

    package var identity: Identity { Identity(manager: manager, operation: operation, apiVersion: apiVersion, subresource: subresource) }

    var seconds: Int64 { time.flatMap { Timestamp(rfc3339: $0) }?.seconds ?? 0 }
}

/// All entries of one object. Upstream: managedfields.Managed.
package struct ManagedFields: Sendable, Equatable {
    package var entries: [ManagedFieldsEntry]

    package init(_ entries: [ManagedFieldsEntry] = []) { self.entries = entries }

    package var isEmpty: Bool { entries.isEmpty }

    func place(of identity: ManagedFieldsEntry.Identity) -> Int? { entries.firstIndex { $0.identity == identity } }

    /// Whether a client that sent this wants the ownership forgotten: `[]` or `[{}]`. Upstream: isResetManagedFields.
    package static func isReset(_ value: Value?) -> Bool {
        guard let items = value?.array else { return false }
        return items.isEmpty || (items.count == 1 && items[0].object?.isEmpty == true)
    }

    /// Reads `metadata.managedFields`. Throws `FieldSetError` for entries that no server writes. Upstream: DecodeManagedFields.
    package init(_ value: Value?) throws(FieldSetError) {
        entries = []
        for (index, item) in (value?.array ?? []).enumerated() {
            guard let operation = ManagedFieldsEntry.Operation(rawValue: item["operation"]?.string ?? "") else {
                throw FieldSetError(message: "operation must be `Apply` or `Update`")
            }
            let apiVersion = item["apiVersion"]?.string ?? ""
            guard !apiVersion.isEmpty else { throw FieldSetError(message: "apiVersion must not be empty") }
            let type = item["fieldsType"]?.string ?? ""
            guard type == "FieldsV1" else {
                throw FieldSetError(
                    message: type.isEmpty
                        ? "missing fieldsType in managed fields entry \(index)"
                        : "invalid fieldsType \(type.goQuoted) in managed fields entry \(index)")
            }
            let entry = ManagedFieldsEntry(
                manager: item["manager"]?.string ?? "", operation: operation, apiVersion: apiVersion, subresource: item["subresource"]?.string ?? "",
                time: item["time"]?.string, fields: try FieldSet(fieldsV1: item["fieldsV1"] ?? .object(Members())))
            if let place = place(of: entry.identity) { entries[place] = entry } else { entries.append(entry) }
        }
    }

    /// The wire form, in upstream's order; nil without entries. Upstream: encodeManagedFields and sortEncodedManagedFields.
    package var value: Value? {
        if entries.isEmpty { return nil }
        let sorted = entries.map { ($0, $0.seconds) }.sorted { a, b in
            if a.0.operation != b.0.operation { return a.0.operation.rawValue < b.0.operation.rawValue }
            if a.1 != b.1 { return a.1 < b.1 }
            return (a.0.manager, a.0.apiVersion, a.0.subresource) < (b.0.manager, b.0.apiVersion, b.0.subresource)
        }
        return .array(sorted.map { entry, _ in Self.encode(entry, fields: entry.fields.fieldsV1) })
    }

    static func encode(_ entry: ManagedFieldsEntry, fields: Value) -> Value {
        var pairs: [(String, Value)] = [
            ("manager", .string(entry.manager)), ("operation", .string(entry.operation.rawValue)), ("apiVersion", .string(entry.apiVersion)),
        ]
        if let time = entry.time { pairs.append(("time", .string(time))) }
        pairs.append(("fieldsType", "FieldsV1"))
        pairs.append(("fieldsV1", fields))
        if !entry.subresource.isEmpty { pairs.append(("subresource", .string(entry.subresource))) }
        return .object(Members(pairs))
    }

    /// Whether two lists differ in nothing but times. Upstream: IgnoreManagedFieldsTimestampsTransformer.
    package static func isSame(_ a: Value?, _ b: Value?) -> Bool {
        func timeless(_ value: Value?) -> [Value] {
            (value?.array ?? []).map { item in
                var item = item
                item["time"] = nil
                return item
            }
        }
        return timeless(a) == timeless(b)
    }

    // MARK: Too many writers

    /// Entries of updates that are kept apart. Upstream: DefaultMaxUpdateManagers.
    package static let maximumUpdateManagers = 10
    static let oldUpdatesManager = "ancient-changes"

    /// Merges the oldest entries of updates, those of one version with each other, until no more than the maximum are left. Upstream:
    /// capUpdateManagers.
    mutating func capUpdateManagers() {
        let updaters = entries.filter { $0.operation == .update }
        var count = updaters.count
        guard count > Self.maximumUpdateManagers else { return }
        let oldestFirst = updaters.sorted {
            $0.seconds != $1.seconds ? $0.seconds < $1.seconds : ManagedFieldsEntry.Identity.precedes($0.identity, $1.identity)
        }
        var firstOfVersion: [String: ManagedFieldsEntry.Identity] = [:]
        for entry in oldestFirst where count > Self.maximumUpdateManagers {
            let bucket = ManagedFieldsEntry.Identity(
                manager: Self.oldUpdatesManager, operation: .update, apiVersion: entry.apiVersion, subresource: "")
            guard let first = firstOfVersion[entry.apiVersion] else {
                firstOfVersion[entry.apiVersion] = entry.identity
                continue
            }
            if place(of: bucket) == nil, let place = place(of: first) {
                entries[place].manager = Self.oldUpdatesManager
                entries[place].subresource = ""
            }
            guard let place = place(of: bucket), entry.identity != bucket else { continue }
            entries[place].fields = entries[place].fields.union(entry.fields)
            entries[place].time = entry.time
            entries.removeAll { $0.identity == entry.identity }
            count -= 1
        }
    }
}
