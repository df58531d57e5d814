import ArgumentParser
import Glibc

/// `eyrie access`: who may do what in a cluster, by EKS's access entries.
struct AccessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "access", abstract: "Shows and changes who may do what in a cluster, and says why.",
        subcommands: [
            AccessListCommand.self, AccessGrantCommand.self, AccessRevokeCommand.self, AccessPoliciesCommand.self, AccessWhoAmICommand.self,
            AccessCanICommand.self,
        ])
}

/// The options of commands about one cluster.
struct ClusterOptions: ParsableArguments {
    @OptionGroup var data: DataDirectoryOption
    @Option(name: [.short, .long], help: "The cluster; $EYRIE_CLUSTER, or the only one, if left out.") var cluster: String?

    /// The cluster that is meant. Throws `CLIError` when it is not clear.
    func name(_ client: ServiceClient) async throws -> String {
        if let cluster = cluster ?? getenv("EYRIE_CLUSTER").map({ String(cString: $0) }), !cluster.isEmpty { return cluster }
        let names = try await client.eks("GET", "/clusters")["clusters"].strings
        guard names.count == 1, let only = names.first else {
            throw CLIError(
                what: names.isEmpty ? "There is no cluster." : "It is not clear which cluster is meant.",
                why: names.isEmpty ? nil : "There are \(names.count): \(names.joined(separator: ", ")).",
                fix: names.isEmpty ? "eyrie up" : "give one: --cluster \(names[0])")
        }
        return only
    }

    /// Runs `body` with a client of the service and the cluster's name; what EKS refuses is told with what mends it.
    func with(_ body: (ServiceClient, String) async throws -> Void) async throws {
        let client = try ServiceClient(data.directory)
        do {
            let name = try await name(client)
            do { try await body(client, name) } catch let refused as ServiceClient.Refused { throw AccessFault.explained(refused, cluster: name) }
            await client.close()
        } catch {
            await client.close()
            throw error
        }
    }
}

/// What EKS refuses, for the person at the terminal.
enum AccessFault {
    static func explained(_ refused: ServiceClient.Refused, cluster: String) -> any Error {
        if refused.message.contains("authentication mode must be set") {
            return CLIError(
                what: "Cluster \"\(cluster)\" has no access entries.", why: refused.message,
                fix: "aws eks update-cluster-config --name \(cluster) --access-config authenticationMode=API_AND_CONFIG_MAP")
        }
        if refused.message.contains("principalArn could not be found") {
            return CLIError(
                what: "The principal has no access entry in cluster \"\(cluster)\".", why: nil, fix: "eyrie access list --cluster \(cluster)")
        }
        if refused.message.contains("invalid principal") {
            return CLIError(
                what: "There is no such IAM user or role.", why: refused.message, fix: "aws iam list-users     or     aws iam list-roles")
        }
        if refused.message.contains("policyArn could not be found") {
            return CLIError(what: "There is no such access policy.", why: nil, fix: "eyrie access policies")
        }
        return CLIError(what: refused.message, why: refused.code, fix: nil)
    }
}
