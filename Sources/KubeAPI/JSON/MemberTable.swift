/// Members by name, for walks that look each member of one object up in another or change many: an object of a hundred thousand members, which an
/// attacker may send, must not be searched from end to end for each. Of few members it is no more than they are.
struct MemberTable {
    private var keys: [String]
    private var values: [Value?]
    private var places: [String: Int]?

    init(_ members: Members) {
        keys = members.keys
        values = members.values
        if keys.count > Members.fewMembers { index() }
    }

    private mutating func index() {
        var all = [String: Int](minimumCapacity: 2 * keys.count)
        for (place, key) in keys.enumerated() { all[key] = place }
        places = all
    }

    private func place(_ key: String) -> Int? { places.map { $0[key] } ?? keys.firstIndex(of: key) }

    /// A member. One that is set keeps its place, a new one comes last, nil removes it.
    subscript(key: String) -> Value? {
        get { place(key).flatMap { values[$0] } }
        set {
            if let place = place(key) {
                values[place] = newValue
            } else if let newValue {
                places?[key] = keys.count
                keys.append(key)
                values.append(newValue)
                if places == nil, keys.count > Members.fewMembers { index() }
            }
        }
    }

    /// What has become of them.
    var members: Members {
        var kept: [String] = []
        var keptValues: [Value] = []
        kept.reserveCapacity(keys.count)
        keptValues.reserveCapacity(keys.count)
        for (key, value) in zip(keys, values) {
            guard let value else { continue }
            kept.append(key)
            keptValues.append(value)
        }
        return Members(distinct: kept, keptValues)
    }
}

extension Members {
    /// With those of `others` whose names are not here, behind these.
    func adding(_ others: Members?) -> Members {
        guard let others, !others.isEmpty else { return self }
        guard !isEmpty else { return others }
        var table = MemberTable(self)
        for (name, value) in others where table[name] == nil { table[name] = value }
        return table.members
    }
}
