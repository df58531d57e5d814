internal import KubeAPI
internal import KubeClient

/// Whose role nodes have: the two that EKS writes into `aws-auth` itself. Upstream: EKS User Guide, "Apply the aws-auth ConfigMap to your cluster",
/// and "Fargate Pod execution role".
package enum NodeRoleKind: Sendable {
    case instances
    case fargate

    var userName: String {
        switch self {
        case .instances: "system:node:{{EC2PrivateDNSName}}"
        case .fargate: "system:node:{{SessionName}}"
        }
    }

    var groups: Value {
        switch self {
        case .instances: ["system:bootstrappers", "system:nodes"]
        case .fargate: ["system:bootstrappers", "system:nodes", "system:node-proxier"]
        }
    }
}

/// The entries of node roles in the `aws-auth` ConfigMap, as EKS writes them for managed node groups of clusters without access entries. Upstream:
/// EKS User Guide, "Apply the aws-auth ConfigMap to your cluster".
struct NodeRoleMapping {
    /// Tries when somebody else writes the ConfigMap at the same time.
    private static let attempts = 5

    let client: KubeClient
    var kind = NodeRoleKind.instances

    /// Adds the entry of a role, and the ConfigMap when there is none. A role that stands there already, however, stays as it is; so does a section
    /// that is no list: it is somebody's to mend. Throws `StatusError`.
    func add(roleARN: String) async throws {
        let arn = Self.withoutPath(roleARN)
        try await change(createIfMissing: true) { entries in
            guard !entries.contains(where: { Self.role($0) == arn.lowercased() }) else { return nil }
            return entries + [
                [
                    "groups": kind.groups, "rolearn": .string(arn),
                    "username": .string(kind.userName),
                ]
            ]
        }
    }

    /// Removes the entry of a role, if it is as `add` writes it. Throws `StatusError`.
    func remove(roleARN: String) async throws {
        let arn = Self.withoutPath(roleARN).lowercased()
        try await change(createIfMissing: false) { entries in
            let rest = entries.filter { Self.role($0) != arn || $0["username"]?.string != kind.userName }
            return rest.count == entries.count ? nil : rest
        }
    }

    private static func role(_ entry: Value) -> String? {
        entry.object?.first { $0.0.lowercased() == "rolearn" }?.1.string?.lowercased()
    }

    /// The ConfigMap knows roles without their path.
    static func withoutPath(_ arn: String) -> String {
        guard let kind = arn.firstRange(of: ":role/"), let name = arn[kind.upperBound...].split(separator: "/").last else { return arn }
        return String(arn[..<kind.upperBound]) + name
    }

    /// `new` gets the entries of mapRoles and gives those that should be there; nil: nothing to do.
    private func change(createIfMissing: Bool, _ new: ([Value]) -> [Value]?) async throws {
        for attempt in 1...Self.attempts {
            do {
                let present: Object
                do { present = try await client.get(.configMaps, namespace: AWSAuthMap.namespace, name: AWSAuthMap.name) } catch let error
                    as StatusError
                    where error.isNotFound
                {
                    guard createIfMissing, let entries = new([]) else { return }
                    try await client.create(.configMaps, Self.configMap(entries))
                    return
                }
                guard let entries = Self.entries(present["data"]["mapRoles"].string ?? ""), let changed = new(entries) else { return }
                var value = present.value
                value[path: "data", "mapRoles"] = .string(try Self.yaml(changed))
                try await client.update(.configMaps, value)
                return
            } catch let error as StatusError where (error.isConflict || error.isAlreadyExists) && attempt < Self.attempts { continue }
        }
    }

    /// Nil when the text is no list.
    private static func entries(_ text: String) -> [Value]? {
        if text.allSatisfy(\.isWhitespace) { return [] }
        guard let json = try? YAMLDecoder.decode(Array(text.utf8)).json, let value = try? Value(json: json) else { return nil }
        return value.isNull ? [] : value.array
    }

    private static func yaml(_ entries: [Value]) throws -> String {
        String(decoding: YAMLEncoder.encode(try JSONDocument(Value.array(entries).jsonBytes).root), as: UTF8.self)
    }

    private static func configMap(_ entries: [Value]) throws -> Value {
        [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": .string(AWSAuthMap.name), "namespace": .string(AWSAuthMap.namespace)],
            "data": ["mapRoles": .string(try yaml(entries))],
        ]
    }
}

extension ControlPlane {
    /// Adds a node role to the `aws-auth` ConfigMap, or takes it out. Throws when the control plane does not run, and `StatusError`.
    package func mapNodeRole(_ arn: String, of kind: NodeRoleKind = .instances, isWanted: Bool) async throws {
        let mapping = NodeRoleMapping(client: try nodeManager(), kind: kind)
        if isWanted { try await mapping.add(roleARN: arn) } else { try await mapping.remove(roleARN: arn) }
    }
}
