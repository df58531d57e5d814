internal import KubeAPI
internal import KubeAPIServer

/// What pods that work with AWS are told, and which of them have a role by an association.
package struct WorkloadIdentity: Sendable {
    package var region: String
    /// Where the services answer pods; nil leaves SDKs to their own endpoints.
    package var endpointURL: String?
    /// Whether pods have IPv6 addresses.
    package var isIPv6 = false
    /// Whether EKS Pod Identity has a role for a service account.
    package var hasAssociation: @Sendable (_ namespace: String, _ serviceAccount: String) async -> Bool

    package init(
        region: String, endpointURL: String? = nil, hasAssociation: @escaping @Sendable (_ namespace: String, _ serviceAccount: String) async -> Bool
    ) {
        self.region = region
        self.endpointURL = endpointURL
        self.hasAssociation = hasAssociation
    }
}

/// Gives new pods what an SDK needs to find credentials: the token and the address of the Pod Identity agent when their service account has an
/// association, else token and role by the service account's annotation (IAM roles for service accounts).
/// Upstream: amazon-eks-pod-identity-webhook pkg/handler.Modifier.
struct WorkloadIdentityAdmission: AdmissionPlugin {
    let name = "PodIdentityWebhook"
    private static let domain = "eks.amazonaws.com"
    private static let accounts = GroupResource(group: "", resource: "serviceaccounts")

    let identity: WorkloadIdentity
    let reader: any ObjectReader

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.resource.resource == "pods", attributes.resource.group.isEmpty, attributes.subresource.isEmpty,
            attributes.operation == .create
        else { return }
        let accountName = attributes.object[path: "spec", "serviceAccountName"]?.string ?? ""
        guard !accountName.isEmpty else { return }
        let pod = attributes.object[path: "metadata", "annotations"]?.object
        func annotation(_ name: String) -> String? { pod?["\(Self.domain)/\(name)"]?.string }
        let injection: WorkloadIdentityInjection
        if await identity.hasAssociation(attributes.namespace, accountName) {
            injection = .podIdentity(identity)
        } else if let account = reader.get(Self.accounts, namespace: attributes.namespace, name: accountName),
            let role = account.metadata.annotations["\(Self.domain)/role-arn"], !role.isEmpty
        {
            injection = .webIdentity(identity, role: role, account.metadata.annotations) { "\(Self.domain)/\($0)" }
        } else {
            return
        }
        var skipped: Set<String> = []
        for name in (annotation("skip-containers") ?? "").split(separator: ",") { skipped.insert(String(name.drop { $0 == " " })) }
        attributes.object = injection.applied(to: attributes.object, expiration: annotation("token-expiration"), skipping: skipped)
    }
}

/// What is put into a pod: variables, and a volume with a token. A pure function of the pod.
struct WorkloadIdentityInjection {
    /// Seconds. Upstream: pkg.DefaultTokenExpiration and MinTokenExpiration.
    static let standardExpiration: Int64 = 86_400
    static let shortestExpiration: Int64 = 3_600

    var volume: String
    var directory: String
    var file: String
    var audience: String
    var expiration = standardExpiration
    /// Given to containers that have none of them.
    var credentials: [(name: String, value: String)]
    var isRegional = true
    var identity: WorkloadIdentity

    private var tokenPath: String { "\(directory)/\(file)" }

    static func podIdentity(_ identity: WorkloadIdentity) -> WorkloadIdentityInjection {
        let directory = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
        let file = "eks-pod-identity-token"
        return WorkloadIdentityInjection(
            volume: file, directory: directory, file: file, audience: "pods.eks.amazonaws.com",
            credentials: [
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://\(identity.isIPv6 ? "[fd00:ec2::23]" : "169.254.170.23")/v1/credentials"),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "\(directory)/\(file)"),
            ], identity: identity)
    }

    /// `annotations` are the service account's; `key` makes an annotation's full name.
    static func webIdentity(
        _ identity: WorkloadIdentity, role: String, _ annotations: [String: String], key: (String) -> String
    ) -> WorkloadIdentityInjection {
        let directory = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
        var injection = WorkloadIdentityInjection(
            volume: "aws-iam-token", directory: directory, file: "token", audience: annotations[key("audience")] ?? "sts.amazonaws.com",
            credentials: [("AWS_ROLE_ARN", role), ("AWS_WEB_IDENTITY_TOKEN_FILE", "\(directory)/token")], identity: identity)
        injection.expiration = expiration(annotations[key("token-expiration")]) ?? standardExpiration
        // Go's ParseBool; what it cannot read leaves the default.
        let regional = annotations[key("sts-regional-endpoints")] ?? "true"
        injection.isRegional = !["0", "f", "F", "FALSE", "false", "False"].contains(regional)
        return injection
    }

    /// Nil for a text that is no number; a short one becomes the shortest there is.
    private static func expiration(_ text: String?) -> Int64? { text.flatMap { Int64($0) }.map { max($0, shortestExpiration) } }

    /// The pod with variables, mounts and volume; `expiration` is the pod's own annotation.
    func applied(to pod: Value, expiration: String?, skipping skipped: Set<String>) -> Value {
        var pod = pod
        for list in ["initContainers", "containers"] {
            guard let containers = pod[path: "spec", list]?.array else { continue }
            pod[path: "spec", list] = .array(
                containers.map { container in skipped.contains(container["name"]?.string ?? "") ? container : changed(container) })
        }
        let volumes = pod[path: "spec", "volumes"]?.array ?? []
        guard !volumes.contains(where: { $0["name"]?.string == volume }) else { return pod }
        let seconds = Self.expiration(expiration) ?? self.expiration
        let token: Value = ["audience": .string(audience), "expirationSeconds": .int(seconds), "path": .string(file)]
        let added: Value = [
            "name": .string(volume), "projected": ["sources": [["serviceAccountToken": token]], "defaultMode": 420],
        ]
        pod[path: "spec", "volumes"] = .array([added] + volumes)
        return pod
    }

    private func changed(_ container: Value) -> Value {
        var container = container
        var variables = container["env"]?.array ?? []
        let present = Set(variables.compactMap { $0["name"]?.string })
        func add(_ name: String, _ value: String) { variables.append(["name": .string(name), "value": .string(value)]) }
        if isRegional, !present.contains("AWS_STS_REGIONAL_ENDPOINTS") { add("AWS_STS_REGIONAL_ENDPOINTS", "regional") }
        if present.isDisjoint(with: ["AWS_REGION", "AWS_DEFAULT_REGION"]) {
            add("AWS_DEFAULT_REGION", identity.region)
            add("AWS_REGION", identity.region)
        }
        if present.isDisjoint(with: credentials.map(\.name)) { for (name, value) in credentials { add(name, value) } }
        // The services are at no public name here: an SDK is told where, unless it was told already.
        if let endpoint = identity.endpointURL, !present.contains("AWS_ENDPOINT_URL") { add("AWS_ENDPOINT_URL", endpoint) }
        container["env"] = .array(variables)
        let mounts = container["volumeMounts"]?.array ?? []
        if !mounts.contains(where: { $0["name"]?.string == volume }) {
            container["volumeMounts"] = .array(mounts + [["name": .string(volume), "readOnly": true, "mountPath": .string(directory)]])
        }
        return container
    }
}
