import KubeAPI

/// Service accounts that ask for it let their pods name only secrets that the account lists. Upstream: limitSecretReferences in
/// plugin/serviceaccount.
enum MountableSecrets {
    static let annotation = "kubernetes.io/enforce-mountable-secrets"

    private static func isEnforced(_ account: Object) -> Bool {
        // Go's ParseBool.
        ["1", "t", "T", "TRUE", "true", "True"].contains(account.metadata.annotations[annotation] ?? "")
    }

    static func check(_ attributes: AdmissionAttributes, account: Object) throws {
        guard isEnforced(account) else { return }
        let pod = try Object(attributes.object)
        let secrets = Set(account["secrets"].elements.compactMap { $0["name"]?.string })
        let name = account.metadata.name
        let tail = "is not allowed because service account \(name) does not reference that"
        for volume in pod["spec"]["volumes"].elements {
            guard let secret = volume["secret"]["secretName"].string, !secrets.contains(secret) else { continue }
            throw attributes.forbidden("volume with secret.secretName=\"\(secret)\" \(tail) secret")
        }
        for (list, kind) in [("initContainers", "init container"), ("containers", "container")] {
            if let problem = problem(pod["spec"][list].elements, kind, secrets, tail) { throw attributes.forbidden(problem) }
        }
        let pulls = Set(account["imagePullSecrets"].elements.compactMap { $0["name"]?.string })
        for (index, reference) in pod["spec"]["imagePullSecrets"].elements.enumerated() {
            let secret = reference["name"].string ?? ""
            guard !pulls.contains(secret) else { continue }
            throw attributes.forbidden("imagePullSecrets[\(index)].name=\"\(secret)\" \(tail) imagePullSecret")
        }
    }

    /// The same for containers that are added to a running pod.
    static func checkEphemeral(_ attributes: AdmissionAttributes, account name: String?, _ reader: any ObjectReader) throws {
        // A mirror pod has no account.
        guard let name, !name.isEmpty else { return }
        guard let account = reader.get(.serviceAccounts, namespace: attributes.namespace, name: name) else {
            throw attributes.forbidden(
                "error looking up service account \(attributes.namespace)/\(name): serviceaccount \"\(name)\" not found")
        }
        guard isEnforced(account) else { return }
        let secrets = Set(account["secrets"].elements.compactMap { $0["name"]?.string })
        let tail = "is not allowed because service account \(name) does not reference that"
        let containers = try Object(attributes.object)["spec"]["ephemeralContainers"].elements
        if let problem = problem(containers, "ephemeral container", secrets, tail) { throw attributes.forbidden(problem) }
    }

    private static func problem(_ containers: [JSONView], _ kind: String, _ secrets: Set<String>, _ tail: String) -> String? {
        for container in containers {
            for variable in container["env"].map({ Array($0.elements) }) ?? [] {
                guard let secret = variable["valueFrom"]["secretKeyRef"]["name"].string, !secrets.contains(secret) else { continue }
                let name = container["name"].string ?? ""
                return "\(kind) \(name) with envVar \(variable["name"].string ?? "") referencing secret.secretName=\"\(secret)\" \(tail) secret"
            }
            // A whole Secret as environment counts as each of its keys (CVE-2024-3177).
            for source in container["envFrom"].map({ Array($0.elements) }) ?? [] {
                guard let secret = source["secretRef"]["name"].string, !secrets.contains(secret) else { continue }
                return "\(kind) \(container["name"].string ?? "") with envFrom referencing secret.secretName=\"\(secret)\" \(tail) secret"
            }
        }
        return nil
    }
}
