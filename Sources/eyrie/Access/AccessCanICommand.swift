import ArgumentParser
import ControlPlane
import Glibc
import KubeAPI

/// `eyrie access can-i`: whether a principal may do something, and which entry, policy or binding decides.
struct AccessCanICommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "can-i", abstract: "Says whether you, or another principal, may do something, and what decides it.",
        discussion: """
            Examples: eyrie access can-i list pods -n dev
                      eyrie access can-i create deployments.apps -n dev --as role/dev
            Ends with code 1 when the answer is no.
            """)

    @Argument(help: "get, list, watch, create, update, patch, delete, …") var verb: String
    @Argument(help: "RESOURCE, RESOURCE.GROUP, RESOURCE/SUBRESOURCE, or a path such as /metrics.") var resource: String
    @Argument(help: "An object's name.") var name: String?
    @OptionGroup var options: ClusterOptions
    @Option(name: [.short, .long], help: "The namespace; \"\" for all, as kubectl -A.") var namespace = "default"
    @Option(name: .customLong("as"), help: "user/NAME, role/NAME, or an ARN: the principal that is asked about.")
    var principal: String?

    func run() async throws {
        var isAllowed = false
        try await options.with { client, cluster in
            let described = try await client.eks("GET", "/clusters/\(cluster)")["cluster"]
            let connection = try ClusterConnection(described, directory: options.data.directory)
            var spec = question
            let who: String
            let status: JSONView?
            if let principal {
                let entries = AccessEntriesClient(client: client, cluster: cluster)
                let subject = try await AccessSubject.of(principal, entries, connection, described)
                spec["user"] = .string(subject.userName)
                spec["uid"] = .string(subject.uid)
                spec["groups"] = Value(subject.groups + ["system:authenticated"])
                let groups = subject.groups.isEmpty ? "" : ", groups \(subject.groups.joined(separator: ", "))"
                who = "\(subject.arn) (by \(subject.source): user \(subject.userName)\(groups))"
                status = try await connection.review("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", spec)
            } else {
                who = "you"
                status = try await connection.review("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", spec)
            }
            isAllowed = status["allowed"].bool ?? false
            print("\(isAllowed ? "yes" : "no ")   \(who): \(verb) \(resource)\(name.map { " \($0)" } ?? "")\(place)")
            print("      \(decision(status["reason"].string ?? "", isAllowed))")
        }
        if !isAllowed { throw ExitCode(1) }
    }

    private var place: String { resource.hasPrefix("/") ? "" : namespace.isEmpty ? " in all namespaces" : " in namespace \(namespace)" }

    private func decision(_ reason: String, _ isAllowed: Bool) -> String {
        if isAllowed { return reason.isEmpty ? "by membership in system:masters" : "by \(reason)" }
        return reason.isEmpty ? "neither an access policy nor a role that is bound allows it" : reason
    }

    private var question: Value {
        if resource.hasPrefix("/") { return ["nonResourceAttributes": ["path": .string(resource), "verb": .string(verb)]] }
        let parts = resource.split(separator: "/", maxSplits: 1).map(String.init)
        let (group, plural) = Self.resolve(parts.first ?? "")
        var attributes: Value = ["verb": .string(verb), "group": .string(group), "resource": .string(plural), "namespace": .string(namespace)]
        if parts.count > 1 { attributes["subresource"] = .string(parts[1]) }
        if let name { attributes["name"] = .string(name) }
        return ["resourceAttributes": attributes]
    }

    /// `deploy`, `deployment`, `deployments` and `deployments.apps` are the same. What is no built-in resource is taken as it is written.
    static func resolve(_ text: String) -> (group: String, resource: String) {
        let lower = text.lowercased()
        if let row = ResourceTable.shared.rows.first(where: { $0.resource == lower || $0.singular == lower || $0.shortNames.contains(lower) }) {
            return (row.group, row.resource)
        }
        let parts = lower.split(separator: ".", maxSplits: 1).map(String.init)
        return parts.count == 2 ? (parts[1], parts[0]) : ("", lower)
    }
}

/// A principal as the cluster will know it, from its access entry or the `aws-auth` ConfigMap.
struct AccessSubject {
    var arn: String
    var userName: String
    var uid: String
    var groups: [String]
    /// What lets it in.
    var source: String

    /// What stands for the session in a question about a role.
    private static let session = "SESSION"

    /// Throws `CLIError` for a principal that the cluster does not know.
    static func of(
        _ principal: String, _ entries: AccessEntriesClient, _ connection: ClusterConnection, _ cluster: JSONView?
    ) async throws -> AccessSubject {
        let arn = try await entries.principalARN(principal)
        let mode = cluster["accessConfig"]["authenticationMode"].string ?? ""
        let account = arn.split(separator: ":", omittingEmptySubsequences: false).dropFirst(4).first.map(String.init) ?? ""
        let uid = "aws-iam-authenticator:\(account):\(try await uniqueID(arn, entries.client))"
        func named(_ template: String, _ groups: [String], _ source: String) -> AccessSubject {
            let name = template.replacing("{{SessionNameRaw}}", with: session).replacing("{{SessionName}}", with: session)
                .replacing("{{AccountID}}", with: account)
            return AccessSubject(arn: arn, userName: name, uid: uid, groups: groups, source: source)
        }
        if mode != "CONFIG_MAP" {
            do {
                let entry = try await entries.entry(arn)
                return named(entry.view["username"].string ?? "", entry.view["kubernetesGroups"].strings, "access entry")
            } catch let refused as ServiceClient.Refused where refused.code == "ResourceNotFoundException" {}
        }
        if mode != "API", let mapping = AWSAuthListing.mapping(of: arn, in: try await connection.awsAuth()) {
            return named(mapping.userName, mapping.groups, "aws-auth")
        }
        throw CLIError(
            what: "\(arn) does not get into cluster \"\(entries.cluster)\".",
            why: mode == "CONFIG_MAP" ? "The ConfigMap aws-auth does not name it." : "It has no access entry, and aws-auth does not name it.",
            fix: mode == "CONFIG_MAP"
                ? "kubectl edit configmap aws-auth -n kube-system" : "eyrie access grant \(principal) --policy View --cluster \(entries.cluster)")
    }

    private static func uniqueID(_ arn: String, _ client: ServiceClient) async throws -> String {
        let name = arn.split(separator: "/").last.map(String.init) ?? ""
        let isUser = arn.contains(":user/")
        let answer = try await client.query("iam", "2010-05-08", isUser ? "GetUser" : "GetRole", [(isUser ? "UserName" : "RoleName", name)])
        return ServiceClient.xml(isUser ? "UserId" : "RoleId", in: answer).first ?? ""
    }
}
