import KubeAPI

/// Lets pods stay five minutes on a node that is not ready or not reachable, unless they say otherwise. Upstream: plugin/defaulttolerationseconds.
struct DefaultTolerationSeconds: AdmissionPlugin {
    let name = "DefaultTolerationSeconds"
    static let seconds: Int64 = 300
    private static let keys = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.isFor(.pods, .create, .update) else { return }
        var tolerations = attributes.object[path: "spec", "tolerations"]?.array ?? []
        let count = tolerations.count
        for key in Self.keys {
            let tolerated = tolerations.contains { toleration in
                let effect = toleration["effect"]?.string ?? ""
                let tolerated = toleration["key"]?.string ?? ""
                return (tolerated == key || tolerated.isEmpty) && (effect == "NoExecute" || effect.isEmpty)
            }
            if !tolerated {
                tolerations.append(["key": .string(key), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": .int(Self.seconds)])
            }
        }
        if tolerations.count > count { attributes.object[path: "spec", "tolerations"] = .array(tolerations) }
    }
}
