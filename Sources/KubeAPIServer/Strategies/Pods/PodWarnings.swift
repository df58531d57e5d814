import KubeAPI

/// What is told to who makes a pod or a template of pods that works, but hardly as meant. Upstream: pkg/api/pod.GetWarningsForPod,
/// GetWarningsForPodTemplate.
enum PodWarnings {
    private static let replacedLabels = [
        "beta.kubernetes.io/arch": "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os": "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region": "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
        "failure-domain.beta.kubernetes.io/zone": "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
        "beta.kubernetes.io/instance-type": "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ]
    /// In the order of their warnings.
    private static let goneVolumes: [(kind: String, text: String)] = [
        ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
        ("gitRepo", "deprecated in v1.11"),
        ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
        ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
        ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
        ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
        ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
        ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ]

    /// `path`: where the pod or the template stands, with no dot at its end; empty for a pod. An update to what was there already warns of nothing
    /// (`old`).
    static func warnings(_ spec: JSONView?, _ metadata: JSONView?, path: String, old: JSONView?) -> [String] {
        if let old, !FieldErrors.differ(spec, old) { return [] }
        let root = path.isEmpty ? "" : "\(path)."
        var found: [String] = []
        for (key, _) in spec["nodeSelector"]?.members.map({ $0 }) ?? [] {
            if let text = replacedLabels[key] { found.append("\(root)spec.nodeSelector[\(key)]: \(text)") }
        }
        for (index, volume) in spec["volumes"].elements.enumerated() {
            for (kind, text) in goneVolumes where volume[kind].present != nil {
                found.append("\(root)spec.volumes[\(index)].\(kind): \(text)")
            }
        }
        for (index, secret) in spec["imagePullSecrets"].elements.enumerated() where secret["name"].text.isEmpty {
            found.append("\(root)spec.imagePullSecrets[\(index)].name: invalid empty name \"\"")
        }
        annotations(metadata["annotations"], root, &found)
        // Pods were warned of these before their fields were filled.
        if !path.isEmpty, let spec = spec?.value {
            found += AppArmorAnnotations.warnings(spec, metadata["annotations"]?.value).map { "\(root)\($0)" }
        }
        for list in ["initContainers", "containers"] {
            for (index, container) in spec[list].elements.enumerated() { self.container(container, "\(root)spec.\(list)[\(index)]", &found) }
        }
        if let grace = spec["terminationGracePeriodSeconds"].int, grace < 0 {
            found.append("\(root)spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1")
        }
        return found
    }

    private static func annotations(_ annotations: JSONView?, _ root: String, _ found: inout [String]) {
        for (key, _) in annotations?.members.map({ $0 }) ?? [] {
            let field = "\(root)metadata.annotations[\(key)]"
            if key == "scheduler.alpha.kubernetes.io/critical-pod" {
                found.append("\(field): non-functional in v1.16+; use the \"priorityClassName\" field instead")
            } else if key == PodAnnotationValidation.seccompPod || key.hasPrefix(PodAnnotationValidation.seccompContainer) {
                found.append("\(field): non-functional in v1.27+; use the \"seccompProfile\" field instead")
            }
        }
    }

    private static func container(_ container: JSONView, _ place: @autoclosure () -> String, _ found: inout [String]) {
        for list in ["limits", "requests"] {
            for (name, view) in container["resources"][list]?.members.map({ $0 }) ?? [] where name == "memory" || name == "ephemeral-storage" {
                guard let quantity = view.quantity, quantity.milliValue % 1000 != 0 else { continue }
                found.append(
                    "\(place()).resources.\(list)[\(name)]: fractional byte value \(quantity.description.goQuoted) is invalid, must be an integer")
            }
        }
        var variables: Set<String> = []
        for (index, variable) in container["env"].elements.enumerated() where !variables.insert(variable["name"].text).inserted {
            found.append(
                "\(place()).env[\(index)]: hides previous definition of \(variable["name"].text.goQuoted), which may be dropped when using apply")
        }
        var ports: [String: Int] = [:]
        for (index, port) in container["ports"].elements.enumerated() {
            let key = "\(port["containerPort"].int ?? 0)/\(port["protocol"].text)/\(port["hostPort"].int ?? 0)/\(port["hostIP"].text)"
            if let first = ports[key] {
                found.append("\(place()).ports[\(index)]: duplicate port definition with \(place()).ports[\(first)]")
            } else {
                ports[key] = index
            }
        }
    }
}
