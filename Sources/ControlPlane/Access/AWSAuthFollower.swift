internal import KubeAPI
internal import KubeClient
internal import Logging

/// Keeps the access book's copy of the `aws-auth` ConfigMap in step with the cluster's. Upstream: aws-iam-authenticator
/// configmap.MapStore.startLoadConfigMap.
struct AWSAuthFollower {
    /// Whose rights it reads with: the role `eks:authenticator`.
    static let user = "eks:authenticator"

    let client: KubeClient
    let book: AccessBook
    let logger: Logger

    /// Until the task is cancelled. The first list is taken over before anything else of the cluster is told.
    func run() async {
        let reflector = Reflector(
            client: client, resource: .configMaps, namespace: AWSAuthMap.namespace,
            selecting: ListOptions(fieldSelector: "metadata.name=\(AWSAuthMap.name)"), logger: logger)
        await reflector.run { change in
            switch change {
            case .replaced(let objects): take(objects.first { $0.metadata.name == AWSAuthMap.name })
            case .added(let object), .modified(let object): take(object)
            case .deleted: take(nil)
            }
        }
    }

    private func take(_ object: Object?) {
        var data: [String: String] = [:]
        for (key, value) in object?["data"]?.members.map({ $0 }) ?? [] { data[key] = value.string }
        let map = AWSAuthMap(data: data)
        for problem in map.problems {
            logger.warning("aws-auth", metadata: ["problem": "\(problem)"])
            book.log.write(
                AuthenticatorLine(.error, "There was an error parsing the config maps.  Only saving data that was good", ["error": problem]))
        }
        book.set(map)
    }
}
