import KubeAPI

/// A place in a configuration file with its path.
struct ConfigurationPlace: Sendable {
    var view: JSONView?
    /// `profiles[0].plugins`; empty at the top.
    var path: String

    /// A member; one that is explicitly null is not there.
    subscript(key: String) -> ConfigurationPlace {
        let member = view?[key]
        return ConfigurationPlace(view: member?.isNull ?? true ? nil : member, path: path.isEmpty ? key : "\(path).\(key)")
    }

    var isThere: Bool { view != nil }
}

/// Reads a configuration and keeps what is wrong with it: members that are not known, and such of the wrong type. What is not there reads as nil.
/// Upstream: the strict codec of pkg/scheduler/apis/config/scheme.
struct StrictReader {
    var errors = FieldErrors()

    /// That a place is an object, if anything, of these members alone.
    mutating func object(_ place: ConfigurationPlace, of known: Set<String>) {
        guard let view = place.view else { return }
        guard view.kind == .object else { return wrong(place, "must be an object") }
        for (key, _) in view.members where !known.contains(key) {
            errors.append([.init(reason: "FieldValueInvalid", message: "unknown field \(place[key].path.goQuoted)", field: "")])
        }
    }

    mutating func list(_ place: ConfigurationPlace) -> [ConfigurationPlace] {
        guard let view = place.view else { return [] }
        guard view.kind == .array else {
            wrong(place, "must be a list")
            return []
        }
        return view.elements.enumerated().map { ConfigurationPlace(view: $0.element, path: "\(place.path)[\($0.offset)]") }
    }

    mutating func text(_ place: ConfigurationPlace) -> String? {
        guard let view = place.view else { return nil }
        if let text = view.string { return text }
        wrong(place, "must be a string")
        return nil
    }

    mutating func flag(_ place: ConfigurationPlace) -> Bool? {
        guard let view = place.view else { return nil }
        if let flag = view.bool { return flag }
        wrong(place, "must be true or false")
        return nil
    }

    /// A whole number of 32 bits, as nearly all are upstream, or of 64.
    mutating func number(_ place: ConfigurationPlace, isLong: Bool = false) -> Int64? {
        guard let view = place.view else { return nil }
        if view.kind == .integer || view.kind == .double, let number = view.int, isLong || Int32(exactly: number) != nil { return number }
        wrong(place, "must be an integer of \(isLong ? 64 : 32) bits")
        return nil
    }

    mutating func strings(_ place: ConfigurationPlace) -> [String] {
        var texts: [String] = []
        for element in list(place) { if let text = text(element) { texts.append(text) } }
        return texts
    }

    mutating func duration(_ place: ConfigurationPlace) -> Duration? {
        guard let text = text(place) else { return nil }
        if let duration = GoDuration.parse(text) { return duration }
        wrong(place, "must be a duration such as 5s")
        return nil
    }

    /// Bytes, as Base64.
    mutating func data(_ place: ConfigurationPlace) -> String? {
        guard let view = place.view, view.string != "" else { return nil }
        if let text = view.string, let bytes = Base64.decode(text) { return String(decoding: bytes, as: UTF8.self) }
        // Not shown: it may be a key.
        errors.invalid(place.path, "must be Base64")
        return nil
    }

    /// Whole objects and lists are not shown: there may be keys in them.
    private mutating func wrong(_ place: ConfigurationPlace, _ message: String) {
        guard let view = place.view, view.kind != .object, view.kind != .array else { return errors.invalid(place.path, message) }
        errors.invalid(place.path, view.value, message)
    }
}
