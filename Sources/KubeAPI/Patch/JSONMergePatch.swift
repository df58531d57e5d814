/// Patches that look like the document: members replace, nulls remove. Upstream: RFC 7386 as the apiserver does it.
package enum JSONMergePatch {
    /// Throws `StatusError` BadRequest for a patch that is no object.
    package static func apply(_ patch: Value, to document: Value) throws(StatusError) -> Value {
        guard case .object = patch else {
            throw .badRequest("error decoding patch: json: cannot unmarshal \(patch.goName) into Go value of type map[string]interface {}")
        }
        return merged(document, patch)
    }

    private static func merged(_ target: Value, _ patch: Value) -> Value {
        guard case .object(let changes) = patch else { return patch }
        var result = MemberTable(target.object ?? Members())
        for (key, change) in changes {
            if change.isNull {
                result[key] = nil
            } else if case .object = change {
                result[key] = merged(result[key] ?? .null, change)
            } else {
                result[key] = change
            }
        }
        return .object(result.members)
    }

    /// The smallest merge patch that makes `new` of `old`; nil when nothing differs. Upstream: jsonpatch.CreateMergePatch.
    package static func difference(from old: Value, to new: Value) -> Value? {
        guard case .object(let before) = old, case .object(let after) = new else { return old == new ? Value?.none : new }
        var changes: [(String, Value)] = []
        let earlier = MemberTable(before)
        for (key, value) in after {
            guard let old = earlier[key] else {
                changes.append((key, value))
                continue
            }
            if let change = difference(from: old, to: value) { changes.append((key, change)) }
        }
        let later = MemberTable(after)
        for key in before.keys where later[key] == nil { changes.append((key, .null)) }
        return changes.isEmpty ? Value?.none : .object(Members(changes))
    }
}
