import AWSProtocol
import KubeAPI

/// Access entries over the service's own API.
struct AccessEntriesClient {
    let client: ServiceClient
    let cluster: String

    /// One entry with its policies.
    struct Entry {
        var principal: String
        var view: JSONView
        var policies: [JSONView]
    }

    private var base: String { "/clusters/\(cluster)/access-entries" }

    private func path(_ principal: String) -> String { "\(base)/\(PercentEncoding.encode(principal))" }

    func entries() async throws -> [Entry] {
        var entries: [Entry] = []
        for principal in try await all(base, "accessEntries").compactMap(\.string) { entries.append(try await entry(principal)) }
        return entries
    }

    func entry(_ principal: String) async throws -> Entry {
        let view = try await client.eks("GET", path(principal))["accessEntry"]
        guard let view else { throw CLIError(what: "EKS described no access entry for \(principal).", why: nil, fix: nil) }
        return Entry(principal: principal, view: view, policies: try await all("\(path(principal))/access-policies", "associatedAccessPolicies"))
    }

    /// Makes the entry, unless it is there. Says whether it was made.
    func create(_ principal: String, userName: String?, groups: [String]) async throws -> Bool {
        var body: Value = ["principalArn": .string(principal), "kubernetesGroups": Value(groups)]
        if let userName { body["username"] = .string(userName) }
        do { _ = try await client.eks("POST", base, body) } catch let refused as ServiceClient.Refused where refused.code == "ResourceInUseException"
        {
            return false
        }
        return true
    }

    func update(_ principal: String, userName: String?, groups: [String]?) async throws {
        var body: Value = [:]
        if let groups { body["kubernetesGroups"] = Value(groups) }
        if let userName { body["username"] = .string(userName) }
        _ = try await client.eks("POST", path(principal), body)
    }

    func delete(_ principal: String) async throws { _ = try await client.eks("DELETE", path(principal)) }

    /// No namespaces: the whole cluster.
    func associate(_ principal: String, policy: String, namespaces: [String]) async throws {
        var scope: Value = ["type": namespaces.isEmpty ? "cluster" : "namespace"]
        if !namespaces.isEmpty { scope["namespaces"] = Value(namespaces) }
        _ = try await client.eks("POST", "\(path(principal))/access-policies", ["policyArn": .string(policy), "accessScope": scope])
    }

    func disassociate(_ principal: String, policy: String) async throws {
        _ = try await client.eks("DELETE", "\(path(principal))/access-policies/\(PercentEncoding.encode(policy))")
    }

    func policies() async throws -> [JSONView] { try await all("/access-policies", "accessPolicies") }

    /// The ARN of a policy by its name, with or without `AmazonEKS` before and `Policy` behind.
    func policyARN(_ name: String) async throws -> String {
        if name.hasPrefix("arn:") { return name }
        let policies = try await policies()
        let wanted = [name, "AmazonEKS\(name)", "AmazonEKS\(name)Policy"].map { $0.lowercased() }
        let found = policies.first { policy in policy["name"].string.map { wanted.contains($0.lowercased()) } ?? false }
        guard let arn = found?["arn"].string else {
            throw CLIError(what: "There is no access policy \"\(name)\".", why: nil, fix: "eyrie access policies")
        }
        return arn
    }

    /// The ARN of `user/ana` or `role/team/dev`: of the account the service is.
    func principalARN(_ name: String) async throws -> String {
        if name.hasPrefix("arn:") { return name }
        guard name.hasPrefix("user/") || name.hasPrefix("role/"), let last = name.split(separator: "/").last else {
            throw CLIError(what: "\"\(name)\" names no principal.", why: nil, fix: "write user/NAME, role/NAME or an ARN")
        }
        let isUser = name.hasPrefix("user/")
        do {
            let answer = try await client.query(
                "iam", "2010-05-08", isUser ? "GetUser" : "GetRole", [(isUser ? "UserName" : "RoleName", String(last))])
            if let arn = ServiceClient.xml("Arn", in: answer).first { return arn }
        } catch let refused as ServiceClient.Refused where refused.code == "NoSuchEntity" {}
        throw CLIError(
            what: "There is no IAM \(isUser ? "user" : "role") \"\(last)\".", why: nil, fix: isUser ? "aws iam list-users" : "aws iam list-roles")
    }

    private func all(_ path: String, _ member: String) async throws -> [JSONView] {
        var items: [JSONView] = []
        var token: String?
        repeat {
            let query = token.map { "?nextToken=\(PercentEncoding.encode($0))" } ?? ""
            let page = try await client.eks("GET", path + query)
            items += page[member].elements.map { $0 }
            token = page["nextToken"].string
        } while token != nil
        return items
    }
}

extension AccessEntriesClient.Entry {
    /// `AmazonEKSViewPolicy in dev-*, test`
    var policyTexts: [String] {
        policies.map { policy in
            let name = policy["policyArn"].string?.split(separator: "/").last.map(String.init) ?? ""
            let namespaces = policy["accessScope"]["namespaces"].strings
            return namespaces.isEmpty ? name : "\(name) in \(namespaces.joined(separator: ", "))"
        }
    }
}
