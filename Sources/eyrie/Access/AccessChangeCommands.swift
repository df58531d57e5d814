import ArgumentParser
import KubeAPI

/// `eyrie access grant`: an entry for a principal, with policies or groups.
struct AccessGrantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant", abstract: "Lets an IAM user or role into a cluster, with an access policy or groups.",
        discussion: """
            Example: eyrie access grant role/dev --policy View --namespace 'dev-*'
            """)

    @Argument(help: "user/NAME, role/NAME, or an ARN.") var principal: String
    @OptionGroup var options: ClusterOptions
    @Option(help: "An access policy: ClusterAdmin, Admin, Edit, View, AdminView, … (eyrie access policies).") var policy: String?
    @Option(name: [.short, .long], help: "A namespace, or a pattern with *, that the policy is for; the whole cluster if left out. Repeatable.")
    var namespace: [String] = []
    @Option(help: "A Kubernetes group, to which roles can be bound. Repeatable.") var group: [String] = []
    @Option(help: "The Kubernetes user name; EKS's own if left out.") var username: String?

    func validate() throws {
        guard policy != nil || namespace.isEmpty else { throw ValidationError("--namespace is the scope of a --policy") }
    }

    func run() async throws {
        try await options.with { client, cluster in
            let entries = AccessEntriesClient(client: client, cluster: cluster)
            let arn = try await entries.principalARN(principal)
            let policyARN: String?
            if let policy { policyARN = try await entries.policyARN(policy) } else { policyARN = nil }
            if try await entries.create(arn, userName: username, groups: group) {
                print("\(arn) has an access entry in cluster \"\(cluster)\".")
            } else if !group.isEmpty || username != nil {
                let present = try await entries.entry(arn).view["kubernetesGroups"].strings
                let groups = group.isEmpty ? nil : present + group.filter { !present.contains($0) }
                try await entries.update(arn, userName: username, groups: groups)
                print("The access entry of \(arn) was changed.")
            }
            if let policyARN {
                try await entries.associate(arn, policy: policyARN, namespaces: namespace)
                let name = policyARN.split(separator: "/").last ?? ""
                print("It has \(name) \(namespace.isEmpty ? "in the whole cluster" : "in \(namespace.joined(separator: ", "))").")
            }
        }
    }
}

/// `eyrie access revoke`: takes a policy away, or the entry.
struct AccessRevokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Takes an access policy away from an IAM user or role, or its whole entry.")

    @Argument(help: "user/NAME, role/NAME, or an ARN.") var principal: String
    @OptionGroup var options: ClusterOptions
    @Option(help: "The access policy to take away; the whole entry if left out.") var policy: String?

    func run() async throws {
        try await options.with { client, cluster in
            let entries = AccessEntriesClient(client: client, cluster: cluster)
            let arn = try await entries.principalARN(principal)
            guard let policy else {
                try await entries.delete(arn)
                return print("\(arn) has no access entry in cluster \"\(cluster)\" any more.")
            }
            let policyARN = try await entries.policyARN(policy)
            try await entries.disassociate(arn, policy: policyARN)
            print("\(arn) does not have \(policyARN.split(separator: "/").last ?? "") any more.")
        }
    }
}
