import AWSProtocol
import ClusterDNS
import KubeAPI

/// The settings that an add-on was given, as the nodes are told of them. Upstream: the ConfigMaps of EKS's add-ons.
struct AddonSettings: Sendable, Equatable {
    private let document: AWSJSON

    /// Why a text is none.
    enum Unreadable: Error {
        case document
    }

    /// Reads JSON or YAML. Throws `Unreadable`.
    init(_ text: String?) throws(Unreadable) {
        guard let text, !text.isEmpty else {
            document = [:]
            return
        }
        // JSON first: what is both is the same in both.
        if let json = try? AWSJSON(parsing: Array(text.utf8)) {
            document = json
        } else if let yaml = try? YAMLDecoder.decode(Array(text.utf8)), yaml.strict == nil, let json = try? AWSJSON(parsing: yaml.json) {
            document = json
        } else {
            throw .document
        }
        guard document.objectValue != nil else { throw .document }
    }

    /// What is wrong with them, in the validator's words.
    func problems(_ schema: AddonSchema) -> [String] { schema.problems(document) }

    /// Nil: the Corefile is one that the nodes' DNS can act on, or is not given.
    var corefileProblem: String? {
        guard let text = document["corefile"]?.stringValue else { return nil }
        do throws(CorefileError) {
            _ = try Corefile(text)
            return nil
        } catch { return "$.corefile: \(error)" }
    }

    /// ConfigMaps by name, and their data: what the nodes follow.
    func configMaps(of addon: String) -> [String: [String: String]] {
        switch addon {
        case "coredns": ["coredns": ["Corefile": document["corefile"]?.stringValue ?? Corefile.standardText]]
        case "vpc-cni": ["amazon-vpc-cni": cni]
        default: [:]
        }
    }

    /// Upstream: the chart aws-vpc-cni, templates/configmap.yaml.
    private var cni: [String: String] {
        var data = ["enable-network-policy-controller": document["enableNetworkPolicy"]?.stringValue ?? "true"]
        for (key, variable) in [
            ("minimum-ip-target", "MINIMUM_IP_TARGET"), ("warm-ip-target", "WARM_IP_TARGET"), ("warm-prefix-target", "WARM_PREFIX_TARGET"),
        ] { data[key] = document["env"]?[variable]?.stringValue }
        return data
    }
}
