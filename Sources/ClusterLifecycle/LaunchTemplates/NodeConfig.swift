import AWSProtocol
internal import ControlPlane
internal import KubeAPI

/// The documents by which nodes of Amazon Linux 2023 are set up; later ones win over earlier ones. Upstream: amazon-eks-ami, nodeadm, NodeConfig of
/// node.eks.aws/v1alpha1.
enum NodeConfig {
    static let contentType = "application/node.eks.aws"
    /// More than any subnet has addresses for.
    private static let mostPods = 65_535

    /// Reads one document. Throws NodeCreationFailure.
    static func read(_ text: String, into settings: inout KubeletSettings) throws(AWSError) {
        guard let decoded = try? YAMLDecoder.decode(Array(text.utf8)), let document = try? AWSJSON(parsing: decoded.json) else {
            throw KubeletSettings.refuse("a NodeConfig is not YAML")
        }
        guard document["apiVersion"]?.stringValue == "node.eks.aws/v1alpha1", document["kind"]?.stringValue == "NodeConfig" else {
            throw KubeletSettings.refuse("a part of type \(contentType) is no NodeConfig of node.eks.aws/v1alpha1")
        }
        for (name, value) in sorted(document["spec"]) {
            switch name {
            // Nodes know their cluster.
            case "cluster": break
            case "kubelet": try kubelet(value, &settings)
            default: settings.ignored.append("spec.\(KubeletSettings.short(name))")
            }
        }
    }

    private static func sorted(_ object: AWSJSON?) -> [(key: String, value: AWSJSON)] {
        (object?.objectValue ?? [:]).sorted { $0.key < $1.key }
    }

    private static func kubelet(_ kubelet: AWSJSON, _ settings: inout KubeletSettings) throws(AWSError) {
        for (name, value) in sorted(kubelet["config"]) { try setting(name, value, &settings) }
        // Flags win over the file.
        for flag in kubelet["flags"]?.stringArray ?? [] { try self.flag(flag, &settings) }
    }

    /// A member of the kubelet's file. Upstream: KubeletConfiguration.
    private static func setting(_ name: String, _ value: AWSJSON, _ settings: inout KubeletSettings) throws(AWSError) {
        switch name {
        case "maxPods": settings.maxPods = try maxPods(value.intValue)
        case "kubeReserved": settings.kubeReserved.merge(try quantities(value.stringMap, name)) { $1 }
        case "systemReserved": settings.systemReserved.merge(try quantities(value.stringMap, name)) { $1 }
        case "clusterDNS": settings.clusterDNS = value.stringArray ?? []
        case "registerWithTaints":
            for taint in value.arrayValue ?? [] {
                try add(taint["key"]?.stringValue ?? "", taint["value"]?.stringValue, taint["effect"]?.stringValue ?? "", &settings)
            }
        default:
            guard try !takeNode(name, value, &settings) else { break }
            settings.ignored.append("spec.kubelet.config.\(KubeletSettings.short(name))")
        }
    }

    /// `--name=value`
    private static func flag(_ flag: String, _ settings: inout KubeletSettings) throws(AWSError) {
        let words = flag.drop { $0 == "-" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let (name, value) = (words.first.map(String.init) ?? "", words.count > 1 ? words[1] : "")
        switch name {
        case "max-pods": settings.maxPods = try maxPods(Int(value))
        case "node-labels": for (key, value) in pairs(value) { try label(key, value, &settings) }
        case "kube-reserved": settings.kubeReserved.merge(try quantities(pairs(value), name)) { $1 }
        case "system-reserved": settings.systemReserved.merge(try quantities(pairs(value), name)) { $1 }
        case "cluster-dns": settings.clusterDNS = value.split(separator: ",").map(String.init)
        case "register-with-taints":
            for taint in value.split(separator: ",") {
                // `key=value:Effect` or `key:Effect`
                let parts = taint.split(separator: ":", omittingEmptySubsequences: false)
                let head = (parts.first ?? "").split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                try add(String(head.first ?? ""), head.count > 1 ? String(head[1]) : nil, parts.count == 2 ? String(parts[1]) : "", &settings)
            }
        default:
            if let (member, value) = NodeKubelet.member(ofFlag: name, value), try takeNode(member, value, &settings) { break }
            settings.ignored.append("the kubelet's flag --\(KubeletSettings.short(name))")
        }
    }

    private static func takeNode(_ name: String, _ value: AWSJSON, _ settings: inout KubeletSettings) throws(AWSError) -> Bool {
        var node = settings.node ?? NodeKubelet()
        guard try node.take(name, value) else { return false }
        settings.node = node
        return true
    }

    private static func pairs(_ text: Substring) -> [String: String] {
        var pairs: [String: String] = [:]
        for pair in text.split(separator: ",") {
            let words = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            pairs[String(words.first ?? "")] = words.count > 1 ? String(words[1]) : ""
        }
        return pairs
    }

    private static func maxPods(_ count: Int?) throws(AWSError) -> Int {
        guard let count, (0...mostPods).contains(count) else { throw KubeletSettings.refuse("maxPods must be a number from 0 to \(mostPods)") }
        return count
    }

    private static func quantities(_ list: [String: String]?, _ name: String) throws(AWSError) -> [String: String] {
        for (resource, amount) in list ?? [:] where (try? Quantity(amount)) == nil {
            throw KubeletSettings.refuse(
                "\(KubeletSettings.short(amount)) is no quantity of \(KubeletSettings.short(resource)) in \(KubeletSettings.short(name))")
        }
        return list ?? [:]
    }

    private static func add(_ key: String, _ value: String?, _ effect: String, _ settings: inout KubeletSettings) throws(AWSError) {
        let taint = NodeTaint(key: key, value: value.flatMap { $0.isEmpty ? nil : $0 }, effect: effect)
        guard NodeTaint.effects.values.contains(effect), (try? NodegroupRequirements.checkTaints([taint])) != nil else {
            throw KubeletSettings.refuse("invalid taint \(KubeletSettings.short(key)):\(KubeletSettings.short(effect))")
        }
        settings.taints.removeAll { $0.key == key && $0.effect == effect }
        settings.taints.append(taint)
    }

    /// Upstream: kubelet options.ValidateKubeletFlags.
    private static func label(_ key: String, _ value: String, _ settings: inout KubeletSettings) throws(AWSError) {
        guard NodegroupRequirements.isLabel(key, value) else {
            throw KubeletSettings.refuse("invalid label \(KubeletSettings.short(key))=\(KubeletSettings.short(value))")
        }
        let namespace = key.split(separator: "/").dropLast().first.map(String.init) ?? ""
        func isWithin(_ domain: String) -> Bool { namespace == domain || namespace.hasSuffix("." + domain) }
        let isReserved = isWithin("kubernetes.io") || isWithin("k8s.io")
        guard !isReserved || isWithin("kubelet.kubernetes.io") || isWithin("node.kubernetes.io") else {
            throw KubeletSettings.refuse("unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [\(KubeletSettings.short(key))]")
        }
        settings.labels[key] = value
    }
}
