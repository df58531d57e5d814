import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Constrained impersonation")
struct ConstrainedImpersonationTests {
    /// Allows exactly the rights named: `USER VERB GROUP/RESOURCE[/SUBRESOURCE] NAMESPACE/NAME`.
    private struct Rights: Authorizer {
        var rights: Set<String>
        func authorize(_ a: AuthorizationAttributes) -> AuthorizationDecision {
            let resource = a.subresource.isEmpty ? a.resource : "\(a.resource)/\(a.subresource)"
            return rights.contains("\(a.user.name) \(a.verb) \(a.apiGroup)/\(resource) \(a.namespace)/\(a.name)")
                ? .allow(reason: "") : .noOpinion(reason: "")
        }
    }

    private static let agent = "system:serviceaccount:kube-system:agent"

    private func ask(
        _ rights: Set<String>, _ path: String, as user: String, groups: [String] = [], extra: [String: String] = [:], by requestor: String = "deputy",
        on node: String? = nil
    ) async throws -> Result<Impersonation.Outcome, StatusError> {
        var fields: HTTPFields = ["Impersonate-User": user]
        for group in groups { fields.add("Impersonate-Group", group) }
        for (key, value) in extra { fields.add("Impersonate-Extra-\(key)", value) }
        let test = try await TestServer(authorizers: [Rights(rights: rights)])
        let components = try test.server.running().components
        let requestor = UserInfo(
            name: requestor, groups: ["system:authenticated"], extra: node.map { ["authentication.kubernetes.io/node-name": [$0]] } ?? [:])
        let head = TestServer.head("GET", path, fields)
        do {
            let info = try #require(try RequestInfo(method: "GET", rawPath: path[...], query: QueryParameters(encoded: "")))
            return .success(try #require(try await Impersonation.user(for: head, info: info, requestor: requestor, components)))
        } catch let error as StatusError {
            return .failure(error)
        }
    }

    @Test("two rights are needed: to be the user, and to make this request as such a one")
    func userInfo() async throws {
        let both: Set = ["deputy impersonate:user-info authentication.k8s.io/users /jane", "deputy impersonate-on:user-info:list /pods default/"]
        let allowed = try await ask(both, "/api/v1/namespaces/default/pods", as: "jane").get()
        #expect(allowed.user.name == "jane" && allowed.user.groups == ["system:authenticated"] && allowed.user.isImpersonated)
        #expect(allowed.constraint == "impersonate:user-info")
        for (path, user) in [
            ("/api/v1/namespaces/other/pods", "jane"), ("/api/v1/namespaces/default/secrets", "jane"), ("/api/v1/namespaces/default/pods", "joe"),
        ] {
            await #expect(throws: StatusError.self, "\(path) \(user)") { try await ask(both, path, as: user).get() }
        }
        for right in both {
            await #expect(throws: StatusError.self, "\(right) alone") { try await ask([right], "/api/v1/namespaces/default/pods", as: "jane").get() }
        }
    }

    @Test("the verb impersonate goes on allowing whatever the user may do")
    func unconstrained() async throws {
        let outcome = try await ask(["deputy impersonate /users /jane"], "/api/v1/pods", as: "jane").get()
        #expect(outcome.constraint == "" && outcome.user.name == "jane")
        let account = try await ask(["deputy impersonate /serviceaccounts ns/sa"], "/api/v1/pods", as: "system:serviceaccount:ns:sa").get()
        #expect(account.user.groups == ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"])
    }

    @Test("service accounts and nodes are no users of the mode user-info, and have their groups by their names")
    func accountsAndNodes() async throws {
        let path = "/api/v1/namespaces/default/pods"
        let account = try await ask(
            [
                "deputy impersonate:serviceaccount authentication.k8s.io/serviceaccounts ns/sa",
                "deputy impersonate-on:serviceaccount:list /pods default/",
            ],
            path, as: "system:serviceaccount:ns:sa"
        ).get()
        #expect(account.user.groups == ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"])
        let node = try await ask(
            ["deputy impersonate:arbitrary-node authentication.k8s.io/nodes /n1", "deputy impersonate-on:arbitrary-node:list /pods default/"],
            path, as: "system:node:n1"
        ).get()
        #expect(node.user.groups == ["system:nodes", "system:authenticated"] && node.constraint == "impersonate:arbitrary-node")
        let asUsers: Set = [
            "deputy impersonate:user-info authentication.k8s.io/users /system:node:n1",
            "deputy impersonate:user-info authentication.k8s.io/users /system:serviceaccount:ns:sa",
            "deputy impersonate-on:user-info:list /pods default/",
        ]
        for user in ["system:node:n1", "system:serviceaccount:ns:sa"] {
            await #expect(throws: StatusError.self, "\(user)") { try await ask(asUsers, path, as: user).get() }
        }
    }

    @Test("an account may be the node it runs on, and no other")
    func associatedNode() async throws {
        let rights: Set = [
            "\(Self.agent) impersonate:associated-node authentication.k8s.io/nodes /*", "\(Self.agent) impersonate-on:associated-node:list /pods /",
        ]
        let outcome = try await ask(rights, "/api/v1/pods", as: "system:node:n1", by: Self.agent, on: "n1").get()
        #expect(outcome.user.name == "system:node:n1" && outcome.constraint == "impersonate:associated-node")
        for node in ["n2", nil] {
            await #expect(throws: StatusError.self) { try await ask(rights, "/api/v1/pods", as: "system:node:n1", by: Self.agent, on: node).get() }
        }
    }

    @Test("groups and extra values need rights of their own; a right to all of them spares the questions; system:masters is nobody's")
    func groupsAndExtra() async throws {
        let base: Set = ["deputy impersonate:user-info authentication.k8s.io/users /jane", "deputy impersonate-on:user-info:list /pods /"]
        await #expect(throws: StatusError.self) { try await ask(base, "/api/v1/pods", as: "jane", groups: ["devs"]).get() }
        let groups = base.union(["deputy impersonate:user-info authentication.k8s.io/groups /devs"])
        #expect(try await ask(groups, "/api/v1/pods", as: "jane", groups: ["devs"]).get().user.groups == ["devs", "system:authenticated"])
        let all = base.union(["deputy impersonate:user-info authentication.k8s.io/groups /*"])
        #expect(try await ask(all, "/api/v1/pods", as: "jane", groups: ["a", "b", "c", "d"]).get().user.groups.count == 5)
        await #expect(throws: StatusError.self) { try await ask(all, "/api/v1/pods", as: "jane", groups: ["a", "b", "c"]).get() }
        let masters = base.union(["deputy impersonate:user-info authentication.k8s.io/groups /system:masters"])
        guard case .failure(let refusal) = try await ask(masters, "/api/v1/pods", as: "jane", groups: ["system:masters"]) else {
            Issue.record("system:masters was allowed")
            return
        }
        #expect(refusal.message.hasSuffix("impersonating the system:masters group is not allowed"))
        let extra = base.union(["deputy impersonate:user-info authentication.k8s.io/userextras/acme.io/scope /view"])
        #expect(
            try await ask(extra, "/api/v1/pods", as: "jane", extra: ["acme.io%2fscope": "view"]).get().user.extra == ["acme.io/scope": ["view"]])
        await #expect(throws: StatusError.self) { try await ask(extra, "/api/v1/pods", as: "jane", extra: ["scope": "view"]).get() }
    }
}
