/// A mutable JSON value: built where something is patched, defaulted or applied, and thrown away after (`JSONDocument` is the form that is kept).
package enum Value: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([Value])
    case object(Members)

    package var string: String? { if case .string(let text) = self { text } else { nil } }
    package var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    package var array: [Value]? { if case .array(let items) = self { items } else { nil } }
    package var object: Members? { if case .object(let members) = self { members } else { nil } }
    package var isNull: Bool { self == .null }
    /// An integer, also one written as a double without a fraction.
    package var int: Int64? {
        switch self {
        case .int(let number): number
        case .double(let number): Int64(exactly: number)
        default: nil
        }
    }
    package var double: Double? {
        switch self {
        case .int(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }

    /// A member of an object. Setting one on a value that is no object makes it one; setting nil removes the member.
    package subscript(key: String) -> Value? {
        get { object?[key] }
        set {
            var members: Members
            if case .object(let existing) = self { members = existing } else if newValue == nil { return } else { members = Members() }
            self = .null  // Lets the members be changed in place: no second owner of their storage.
            members[key] = newValue
            self = .object(members)
        }
    }

    /// A value deep inside: reading gives nil where a step is missing, writing makes the objects on the way.
    package subscript(path path: some Collection<String>) -> Value? {
        get {
            guard let first = path.first else { return self }
            return self[first]?[path: path.dropFirst()]
        }
        set {
            guard let first = path.first else {
                self = newValue ?? .null
                return
            }
            if path.count == 1 {
                self[first] = newValue
                return
            }
            if newValue == nil, self[first] == nil { return }
            var child = self[first] ?? .object(Members())
            self[first] = .null
            child[path: path.dropFirst()] = newValue
            self[first] = child
        }
    }

    package subscript(path path: String...) -> Value? {
        get { self[path: path] }
        set { self[path: path] = newValue }
    }
}

extension Value: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral text: String) { self = .string(text) }
    package init(integerLiteral number: Int64) { self = .int(number) }
    package init(booleanLiteral flag: Bool) { self = .bool(flag) }
    package init(nilLiteral: ()) { self = .null }
    package init(arrayLiteral items: Value...) { self = .array(items) }
    package init(dictionaryLiteral pairs: (String, Value)...) { self = .object(Members(pairs)) }
    package init(_ map: [String: String]) { self = .object(Members(map.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })) }
    package init(_ strings: [String]) { self = .array(strings.map { .string($0) }) }
}

/// The members of a JSON object in their order. Look-up is linear: objects are small, and the order of fields is kept as it was sent. Whoever looks up
/// each member of one object in another uses `MemberTable`.
package struct Members: Sendable, Equatable, Sequence {
    package private(set) var keys: [String] = []
    package private(set) var values: [Value] = []

    package init() {}
    /// Pairs in order; of a key that stands twice the last value counts, at its first place.
    package init(_ pairs: some Sequence<(String, Value)>) {
        let expected = pairs.underestimatedCount
        keys.reserveCapacity(expected)
        values.reserveCapacity(expected)
        // Made when there are many: an attacker's object of a million names must not cost a million squared.
        var places: [String: Int]?
        for (key, value) in pairs {
            let place = places.map { $0[key] } ?? keys.firstIndex(of: key)
            if let place {
                values[place] = value
                continue
            }
            places?[key] = keys.count
            keys.append(key)
            values.append(value)
            if places == nil, keys.count > Self.fewMembers {
                var all = [String: Int](minimumCapacity: Swift.max(expected, 2 * keys.count))
                for (place, key) in keys.enumerated() { all[key] = place }
                places = all
            }
        }
    }

    /// Keys that are known to differ, with as many values.
    init(distinct keys: [String], _ values: [Value]) {
        self.keys = keys
        self.values = values
    }

    /// Up to here comparing each name with each costs less than a table of names.
    static var fewMembers: Int { 16 }

    package var count: Int { keys.count }
    package var isEmpty: Bool { keys.isEmpty }

    package subscript(key: String) -> Value? {
        get { keys.firstIndex(of: key).map { values[$0] } }
        set {
            switch (keys.firstIndex(of: key), newValue) {
            case (let place?, let value?): values[place] = value
            case (let place?, nil):
                keys.remove(at: place)
                values.remove(at: place)
            case (nil, let value?):
                keys.append(key)
                values.append(value)
            case (nil, nil): break
            }
        }
    }

    package func makeIterator() -> Zip2Sequence<[String], [Value]>.Iterator { zip(keys, values).makeIterator() }

    /// Equal as JSON objects: the order of members does not count.
    package static func == (a: Members, b: Members) -> Bool {
        guard a.keys.count == b.keys.count else { return false }
        // Made when the first stands elsewhere, which is rare.
        var table: MemberTable?
        for (index, key) in a.keys.enumerated() {
            let other: Value?
            if b.keys[index] == key {
                other = b.values[index]
            } else {
                let found = table ?? MemberTable(b)
                table = found
                other = found[key]
            }
            guard let other, other == a.values[index] else { return false }
        }
        return true
    }
}

extension Value {
    /// The value as compact JSON.
    package var jsonBytes: [UInt8] {
        var writer = JSONWriter()
        writer.write(self, depth: 0)
        return writer.bytes
    }
    package var jsonString: String { String(decoding: jsonBytes, as: UTF8.self) }

    /// Parses JSON text into a tree. Throws `JSONError`.
    package init(json bytes: [UInt8]) throws(JSONError) { self = try JSONDocument(bytes).root.value }
    package init(json text: String) throws(JSONError) { try self.init(json: Array(text.utf8)) }

    /// Appends the value as compact JSON. Recursion is bounded by the depth of what was parsed (`JSONLimits.depth`).
    package func write(to out: inout [UInt8]) {
        var writer = JSONWriter()
        writer.write(self, depth: 0)
        writer.withBytes { out.append(contentsOf: $0) }
    }

    /// Appends `text` as a JSON string with its quotes.
    package static func write(_ text: String, to out: inout [UInt8]) {
        var writer = JSONWriter(capacity: text.utf8.count + 16)
        writer.write(text)
        writer.withBytes { out.append(contentsOf: $0) }
    }
}
