import ContainerRuntime
import KubeAPI

/// Registry credentials of a pod's image pull secrets. Upstream: credentialprovider's DockerKeyring.
struct PullCredentials: Sendable {
    private(set) var entries: [(place: String, credentials: RegistryCredentials)] = []

    /// Adds what a Secret of type `kubernetes.io/dockerconfigjson` or `kubernetes.io/dockercfg` holds; anything else adds nothing.
    mutating func add(secret: Object) {
        let data = Environment.data(of: secret, isSecret: true)
        let registries: JSONView?
        if let text = data[".dockerconfigjson"] {
            registries = (try? JSONDocument(text))?.root["auths"]  // A secret that is no JSON holds no credentials.
        } else if let text = data[".dockercfg"] {
            registries = (try? JSONDocument(text))?.root  // As above.
        } else {
            registries = nil
        }
        guard let registries else { return }
        for (key, entry) in registries.members {
            var credentials = RegistryCredentials(
                username: entry["username"].string ?? "", password: entry["password"].string ?? "", serverAddress: key,
                identityToken: entry["identitytoken"].string ?? "", registryToken: entry["registrytoken"].string ?? "")
            if let auth = entry["auth"].string, let decoded = Base64.decode(auth) {
                let pair = String(decoding: decoded, as: UTF8.self).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                if pair.count == 2 {
                    credentials.username = String(pair[0])
                    credentials.password = String(pair[1])
                }
            }
            entries.append((Self.place(key), credentials))
        }
    }

    /// A key of the configuration as host and path: without scheme and version.
    private static func place(_ key: String) -> String {
        var text = Substring(key)
        for scheme in ["https://", "http://"] where text.hasPrefix(scheme) { text = text.dropFirst(scheme.count) }
        for version in ["/v1/", "/v2/", "/v1", "/v2", "/"] where text.hasSuffix(version) {
            text = text.dropLast(version.count)
            break
        }
        return text == "index.docker.io" ? "docker.io" : String(text)
    }

    /// Credentials for an image, the most particular first.
    func matching(_ reference: ImageReference) -> [RegistryCredentials] {
        let whole = "\(reference.registry)/\(reference.repository)"
        return entries.filter { entry in
            if entry.place == reference.registry || whole == entry.place || whole.hasPrefix(entry.place + "/") { return true }
            // `*.example.com` stands for one label.
            guard entry.place.hasPrefix("*.") else { return false }
            let suffix = entry.place.dropFirst(1)
            return reference.registry.hasSuffix(suffix) && !reference.registry.dropLast(suffix.count).contains(".")
        }.sorted { $0.place.utf8.count > $1.place.utf8.count }.map(\.credentials)
    }
}
