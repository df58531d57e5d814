/// Merge patches that know the types: lists with a merge key are merged element by element, and directives say more.
///
/// Directives: `$patch: replace|delete|merge` in an object or list element, `$retainKeys: [fields]`, `$setElementOrder/LIST: [elements]`,
/// `$deleteFromPrimitiveList/LIST: [values]`. Upstream: k8s.io/apimachinery/pkg/util/strategicpatch.
package struct StrategicMergePatch {
    private static let directive = "$patch"
    private static let retainKeys = "$retainKeys"
    private static let orderPrefix = "$setElementOrder/"
    private static let deletePrefix = "$deleteFromPrimitiveList/"

    private let table: SchemaTable

    /// Applies `patch` to an object of a type. Throws `StatusError`: 400 for malformed directives, 422 for what cannot be merged.
    package static func apply(_ patch: Value, to document: Value, type: SchemaType, in table: SchemaTable = .shared) throws(StatusError) -> Value {
        guard case .object(let changes) = patch else {
            throw .badRequest("error decoding patch: json: cannot unmarshal \(patch.goName) into Go value of type map[string]interface {}")
        }
        guard case .object(let members) = document else { throw .badRequest("invalid JSON document") }
        let place = table.place(of: type.name)
        return .object(try StrategicMergePatch(table: table).merge(members, changes, place.map { .object($0) } ?? .any))
    }

    /// What a field's merging needs to know: its type, and its patch marks where it is the field of an object.
    private func lookUp(_ name: String, in type: FieldType) -> (type: FieldType, field: SchemaField?) {
        switch type {
        case .object(let place):
            let field = table[place]?.field(name)
            return (field?.type ?? .any, field)
        case .map(let element): return (element, nil)
        default: return (.any, nil)
        }
    }

    // MARK: Objects

    private func merge(_ original: Members, _ patch: Members, _ type: FieldType) throws(StatusError) -> Members {
        var patch = patch
        var result = original
        if let marker = patch[Self.directive] {
            patch[Self.directive] = nil
            switch marker.string {
            case "replace": return withoutDirectives(.object(patch))?.object ?? Members()
            case "delete": return Members()
            case "merge": break
            default: throw .badRequest("unknown patch type found: \(marker.string ?? marker.jsonString)")
            }
        }
        try retain(&result, &patch)
        try order(&result, &patch, type)
        var merged = MemberTable(result)
        for (name, change) in patch {
            var name = name
            let isDeletion = name.hasPrefix(Self.deletePrefix)
            if isDeletion { name = String(name.dropFirst(Self.deletePrefix.count)) }
            if change.isNull {
                merged[name] = nil
                continue
            }
            let (fieldType, field) = lookUp(name, in: type)
            switch (merged[name], change) {
            case (.object(let old)?, .object(let new)):
                merged[name] = field?.patch.contains(.replace) == true ? .object(new) : .object(try merge(old, new, fieldType))
            case (.array(let old)?, .array(let new)):
                merged[name] = .array(try mergeList(old, new, fieldType, field, isDeletion: isDeletion))
            default:
                if isDeletion { continue }
                merged[name] = withoutDirectives(change)
            }
        }
        return merged.members
    }

    /// Drops the fields that a `$retainKeys` of the patch does not name. Upstream: applyRetainKeysDirective.
    private func retain(_ original: inout Members, _ patch: inout Members) throws(StatusError) {
        guard let list = patch[Self.retainKeys] else { return }
        patch[Self.retainKeys] = nil
        guard let items = list.array else { throw .badRequest("invalid patch format of retainKeys") }
        let kept = Set(items.compactMap(\.string))
        for (name, value) in patch where !value.isNull && !name.hasPrefix(Self.orderPrefix) && !name.hasPrefix(Self.deletePrefix) {
            guard kept.contains(name) else { throw .badRequest("invalid patch format of retainKeys") }
        }
        original = Members(original.filter { kept.contains($0.0) })
    }

    /// Merges the lists whose order the patch sets, and takes them out of the patch. Upstream: mergePatchIntoOriginal.
    private func order(_ original: inout Members, _ patch: inout Members, _ type: FieldType) throws(StatusError) {
        for (name, wanted) in patch where name.hasPrefix(Self.orderPrefix) {
            patch[name] = nil
            guard let wanted = wanted.array else { throw .badRequest("invalid patch format of setElementOrder list") }
            let list = String(name.dropFirst(Self.orderPrefix.count))
            let (fieldType, field) = lookUp(list, in: type)
            let old = original[list]?.array
            let new = patch[list]?.array
            // A null in the patch removes the list: left to the merging of fields.
            if patch[list]?.isNull == true { continue }
            let key = field?.mergeKey
            if let new { try checkOrder(new, wanted, key) }
            let merged: [Value]
            switch (old, new) {
            case (let old?, let new?): merged = try mergeList(old, new, fieldType, field, isDeletion: false)
            case (let old?, nil): merged = old
            case (nil, let new?): merged = withoutDirectives(.array(new))?.array ?? []
            case (nil, nil): continue
            }
            patch[list] = nil
            original[list] = .array(ordered(merged, by: wanted, old ?? [], key))
        }
    }

    /// The patch's elements must all stand in the order list, in the same order. Upstream: validatePatchWithSetOrderList.
    private func checkOrder(_ patch: [Value], _ wanted: [Value], _ key: String?) throws(StatusError) {
        var at = 0
        for item in patch {
            if item[Self.directive] != nil { continue }
            while at < wanted.count, !same(wanted[at], item, key) { at += 1 }
            guard at < wanted.count else {
                throw .badRequest(
                    "The order in patch list:\n\(Value.array(patch).jsonString)\n"
                        + " doesn't match $setElementOrder list:\n\(Value.array(wanted).jsonString)\n"
                )
            }
            at += 1
        }
    }

    // MARK: Lists

    private func mergeList(
        _ original: [Value], _ patch: [Value], _ type: FieldType, _ field: SchemaField?, isDeletion: Bool
    ) throws(StatusError) -> [Value] {
        guard field?.patch.contains(.merge) == true || isDeletion else { return withoutDirectives(.array(patch))?.array ?? [] }
        if original.isEmpty, patch.isEmpty { return original }
        guard case .object = (original.first ?? patch.first) else {
            if isDeletion {
                let deleted = ElementPlaces(patch, key: nil)
                return original.filter { deleted[$0] == nil }
            }
            var merged: [Value] = []
            var places = ElementPlaces(key: nil)
            for item in original + patch where places.note(item, at: merged.count) { merged.append(item) }
            return ordered(merged, by: patch, original, nil)
        }
        guard let key = field?.mergeKey else { throw .patchRejected }
        let elementType: FieldType = if case .array(let element) = type { element } else { .any }

        var plain: [Value] = []
        var deleted = ElementPlaces(key: key)
        var replacing = false
        for item in patch {
            guard case .object(let members) = item else { throw .patchRejected }
            switch members[Self.directive]?.string {
            case nil: plain.append(item)
            case "delete":
                guard members[key] != nil else { throw .patchRejected }
                deleted.note(item, at: 0)
            case "replace":
                replacing = true
                var members = members
                members[Self.directive] = nil
                // Only the element `{$patch: replace}` itself vanishes.
                if !members.isEmpty { plain.append(.object(members)) }
            default: throw .patchRejected
            }
        }
        if replacing { return withoutDirectives(.array(plain))?.array ?? [] }

        let original = original.filter { deleted[$0] == nil }
        var merged = original
        var places = ElementPlaces(merged, key: key)
        for item in plain {
            guard case .object(let members) = item, members[key] != nil else { throw .patchRejected }
            if let place = places[item], case .object(let old) = merged[place] {
                merged[place] = .object(try merge(old, members, elementType))
            } else if let new = withoutDirectives(item) {
                places.note(new, at: merged.count)
                merged.append(new)
            }
        }
        return ordered(merged, by: plain, original, key)
    }

    /// Whether two elements are the same one: by merge key, or primitives by value.
    private func same(_ a: Value, _ b: Value, _ key: String?) -> Bool {
        guard let key else { return a == b }
        return a[key] != nil && a[key] == b[key]
    }

    /// Brings the elements that `wanted` names into its order; the others keep the server's order among themselves, and stand before a named one
    /// where they did so before. Upstream: normalizeElementOrder.
    private func ordered(_ items: [Value], by wanted: [Value], _ server: [Value], _ key: String?) -> [Value] {
        let wantedPlaces = ElementPlaces(wanted, key: key)
        let serverPlaces = ElementPlaces(server, key: key)
        typealias Placed = (offset: Int, item: Value, wanted: Int?, server: Int?)
        let placed = items.enumerated().map { offset, item -> Placed in (offset, item, wantedPlaces[item], serverPlaces[item]) }
        let named = placed.filter { $0.wanted != nil }.sorted { ($0.wanted ?? 0, $0.offset) < ($1.wanted ?? 0, $1.offset) }
        let others = placed.filter { $0.wanted == nil }.sorted { ($0.server ?? .max, $0.offset) < ($1.server ?? .max, $1.offset) }
        var result: [Value] = []
        result.reserveCapacity(items.count)
        var i = 0
        var j = 0
        while i < others.count || j < named.count {
            let takesOther: Bool
            if i == others.count {
                takesOther = false
            } else if j == named.count {
                takesOther = true
            } else if let left = others[i].server, let right = named[j].server {
                takesOther = left < right
            } else {
                takesOther = false
            }
            if takesOther {
                result.append(others[i].item)
                i += 1
            } else {
                result.append(named[j].item)
                j += 1
            }
        }
        return result
    }

    /// A part of the patch that becomes part of the object: without directives and nulls; nil when it stands for a deletion. Upstream:
    /// removeDirectives.
    private func withoutDirectives(_ value: Value) -> Value? {
        switch value {
        case .array(let items): return .array(items.compactMap { withoutDirectives($0) })
        case .object(let members):
            if members[Self.directive]?.string == "delete" { return nil }
            var pairs: [(String, Value)] = []
            for (name, member) in members {
                if member.isNull || name == Self.directive || name == Self.retainKeys || name.hasPrefix(Self.orderPrefix)
                    || name.hasPrefix(Self.deletePrefix)
                {
                    continue
                }
                if let kept = withoutDirectives(member) { pairs.append((name, kept)) }
            }
            return .object(Members(pairs))
        default: return value
        }
    }
}

/// Where the elements of a list stand, by their merge key or, of primitives, by their value: the first of those that are the same. Lists may be an
/// attacker's: comparing each element with each would take minutes.
private struct ElementPlaces {
    private let key: String?
    private var places: [String: Int] = [:]

    init(key: String?) { self.key = key }
    init(_ items: [Value], key: String?) {
        self.key = key
        for (place, item) in items.enumerated() { note(item, at: place) }
    }

    /// Nil for an element without its key.
    private func name(_ item: Value) -> String? {
        guard let key else { return item.jsonString }
        return item[key]?.jsonString
    }

    subscript(item: Value) -> Int? { name(item).flatMap { places[$0] } }

    /// Whether it is the first of its name.
    @discardableResult
    mutating func note(_ item: Value, at place: Int) -> Bool {
        guard let name = name(item), places[name] == nil else { return false }
        places[name] = place
        return true
    }
}
