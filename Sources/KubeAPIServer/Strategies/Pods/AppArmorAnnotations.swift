import KubeAPI

/// The annotations that named AppArmor profiles before there were fields: new pods get the fields. Upstream: pod.applyAppArmorVersionSkew.
enum AppArmorAnnotations {
    /// Upstream: core/validation.ValidateAppArmorProfileField.
    private static let longestProfile = 4095

    static func apply(_ spec: inout Value, _ annotations: Value?) {
        let found = containers(spec, annotations)
        guard !found.isEmpty else { return }
        let ofPod = spec[path: "securityContext", "appArmorProfile"]
        for (list, index, _, value) in found {
            guard let profile = field(value), profile != ofPod, var items = spec[list]?.array, items.indices.contains(index) else { continue }
            items[index][path: "securityContext", "appArmorProfile"] = profile
            spec[list] = .array(items)
        }
    }

    /// For annotations that say more than the fields, or nothing that can be understood.
    static func warnings(_ spec: Value, _ annotations: Value?) -> [String] {
        let ofPod = spec[path: "securityContext", "appArmorProfile"]
        return containers(spec, annotations).compactMap { _, _, key, value in
            if let profile = field(value), profile == ofPod { return nil }
            return warning("metadata.annotations[\(key)]")
        }
    }

    static func warning(_ field: String) -> String { "\(field): deprecated since v1.30; use the \"appArmorProfile\" field instead" }

    /// The containers with an annotation and without the field.
    private static func containers(_ spec: Value, _ annotations: Value?) -> [(list: String, index: Int, key: String, value: String)] {
        guard let annotations = annotations?.object, annotations.contains(where: { $0.0.hasPrefix(PodAnnotationValidation.appArmor) }),
            spec[path: "os", "name"]?.string != "windows"
        else { return [] }
        return ["initContainers", "containers", "ephemeralContainers"].flatMap { list in
            (spec[list]?.array ?? []).enumerated().compactMap { index, container in
                let key = PodAnnotationValidation.appArmor + (container["name"]?.string ?? "")
                guard let value = annotations[key]?.string, container[path: "securityContext", "appArmorProfile"]?.isNull ?? true else { return nil }
                return (list, index, key, value)
            }
        }
    }

    /// The field that says the same; nil where there is none that is valid. Upstream: podutil.ApparmorFieldForAnnotation.
    static func field(_ annotation: String) -> Value? {
        switch annotation {
        case "unconfined": return ["type": "Unconfined"]
        case "runtime/default": return ["type": "RuntimeDefault"]
        default:
            guard annotation.hasPrefix("localhost/") else { return nil }
            let profile = annotation.dropFirst("localhost/".count)
            let isPadded = profile.first?.isWhitespace ?? true || profile.last?.isWhitespace ?? true
            guard !isPadded, profile.utf8.count <= longestProfile else { return nil }
            return ["type": "Localhost", "localhostProfile": .string(String(profile))]
        }
    }
}
