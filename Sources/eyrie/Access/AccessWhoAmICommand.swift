import ArgumentParser
import KubeAPI

/// `eyrie access whoami`: who this service's administrator is in a cluster, and by what.
struct AccessWhoAmICommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whoami", abstract: "Says who you are in a cluster, and which entry lets you in.")

    @OptionGroup var options: ClusterOptions
    @Option(name: [.short, .long], help: "The form: table or json.") var output = OutputForm.table

    func run() async throws {
        try await options.with { client, name in
            let cluster = try await client.eks("GET", "/clusters/\(name)")["cluster"]
            let connection = try ClusterConnection(cluster, directory: options.data.directory)
            let user = try await connection.review("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", [:])["userInfo"]
            let arn = user["extra"]["arn"].strings.first ?? ""
            let source = try await source(arn, name, cluster["accessConfig"]["authenticationMode"].string ?? "", client)
            if output == .json {
                return print((["user": user?.value ?? .null, "source": .string(source)] as Value).jsonString)
            }
            print("IAM principal  \(arn)")
            print("User           \(user["username"].string ?? "")")
            print("Groups         \(user["groups"].strings.joined(separator: ", "))")
            print("Let in by      \(source)")
        }
    }

    private func source(_ arn: String, _ cluster: String, _ mode: String, _ client: ServiceClient) async throws -> String {
        guard mode != "CONFIG_MAP" else { return "the cluster's creator, or the ConfigMap aws-auth (mode CONFIG_MAP)" }
        do {
            let entry = try await AccessEntriesClient(client: client, cluster: cluster).entry(arn)
            return "access entry \(arn)" + (entry.policyTexts.isEmpty ? "" : " with \(entry.policyTexts.joined(separator: "; "))")
        } catch let refused as ServiceClient.Refused where refused.code == "ResourceNotFoundException" { return "the ConfigMap aws-auth" }
    }
}
