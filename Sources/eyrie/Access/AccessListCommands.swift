import ArgumentParser
import ControlPlane
import KubeAPI

/// `eyrie access list`: the entries with what they give.
struct AccessListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists a cluster's access entries with their groups and policies, and what aws-auth maps.", aliases: ["ls"])

    @OptionGroup var options: ClusterOptions
    @Option(name: [.short, .long], help: "The form: table or json.") var output = OutputForm.table

    func run() async throws {
        try await options.with { client, cluster in
            let described = try await client.eks("GET", "/clusters/\(cluster)")["cluster"]
            let mode = described["accessConfig"]["authenticationMode"].string ?? ""
            let entries = mode == "CONFIG_MAP" ? [] : try await AccessEntriesClient(client: client, cluster: cluster).entries()
            var mapped: [(arn: String, userName: String, groups: [String])] = []
            if mode != "API", described["status"].string == "ACTIVE" {
                mapped = AWSAuthListing.mappings(in: try await ClusterConnection(described, directory: options.data.directory).awsAuth())
            }
            if output == .json {
                let items = entries.map { entry -> Value in
                    var value = entry.view.value
                    value["associatedAccessPolicies"] = .array(entry.policies.map(\.value))
                    return value
                }
                let others = mapped.map { mapping -> Value in
                    [
                        "principalArn": .string(mapping.arn), "type": "aws-auth", "username": .string(mapping.userName),
                        "kubernetesGroups": Value(mapping.groups),
                    ]
                }
                return print(Value.array(items + others).jsonString)
            }
            let rows = entries.map { entry in
                [
                    entry.principal, entry.view["type"].string ?? "", entry.view["username"].string ?? "",
                    list(entry.view["kubernetesGroups"].strings), list(entry.policyTexts),
                ]
            }
            let others = mapped.map { [$0.arn, "aws-auth", $0.userName, list($0.groups), "<none>"] }
            printTable(["PRINCIPAL", "TYPE", "USERNAME", "GROUPS", "POLICIES"], rows + others)
        }
    }

    private func list(_ texts: [String]) -> String { texts.isEmpty ? "<none>" : texts.joined(separator: "; ") }
}

/// `eyrie access policies`: what can be granted.
struct AccessPoliciesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "policies", abstract: "Lists the access policies that can be granted.")

    @OptionGroup var data: DataDirectoryOption
    @Option(name: [.short, .long], help: "The form: table or json.") var output = OutputForm.table

    func run() async throws {
        let client = try ServiceClient(data.directory)
        let policies: [JSONView]
        do {
            policies = try await AccessEntriesClient(client: client, cluster: "").policies()
            await client.close()
        } catch {
            await client.close()
            throw error
        }
        if output == .json { return print(Value.array(policies.map(\.value)).jsonString) }
        printTable(["NAME", "ARN"], policies.map { [$0["name"].string ?? "", $0["arn"].string ?? ""] })
    }
}

/// How a command shows what it found.
enum OutputForm: String, ExpressibleByArgument, CaseIterable { case table, json }

/// Columns as wide as their widest text, two spaces apart.
func printTable(_ titles: [String], _ rows: [[String]]) {
    let all = [titles] + rows
    let widths = titles.indices.map { column in all.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0 }
    for row in all {
        let cells = zip(row, widths).enumerated().map { index, cell in
            index == row.count - 1 ? cell.0 : cell.0 + String(repeating: " ", count: max(0, cell.1 - cell.0.count))
        }
        print(cells.joined(separator: "  "))
    }
}
