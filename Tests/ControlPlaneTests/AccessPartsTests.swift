import KubeAPI
import KubeAPIServer
import KubeClient
import Synchronization
import Testing

@testable import ControlPlane

@Suite struct AccessPartsTests {
    private static func identity(session: String = "i-0123456789abcdef0") -> AWSIdentity {
        AWSIdentity(
            arn: "arn:aws:sts::000000000000:assumed-role/node/\(session)", canonicalARN: "arn:aws:iam::000000000000:role/node",
            principalARN: "arn:aws:iam::000000000000:role/path/node", accountID: "000000000000", principalID: "AROANODE", sessionName: session,
            accessKeyID: "ASIA1")
    }

    @Test("malformed parts of aws-auth are passed over, one by one; the rest counts")
    func malformed() {
        let map = AWSAuthMap(data: [
            "mapRoles": """
            - rolearn: arn:aws:iam::000000000000:role/Node
              username: system:node:{{EC2PrivateDNSName}}
              groups: [system:bootstrappers, system:nodes]
            - username: nobody
            - rolearn: arn:aws:iam::000000000000:role/text
              groups: system:masters
            - rolearn: 7
            - just a text
            - roleARN: arn:aws:iam::000000000000:role/other
              Username: other
            """, "mapUsers": "not: a list", "mapAccounts": "[\"000000000000\", 111122223333, 12, x]",
        ])
        #expect(map.roles.keys.sorted() == ["arn:aws:iam::000000000000:role/node", "arn:aws:iam::000000000000:role/other"])
        #expect(map.roles["arn:aws:iam::000000000000:role/node"]?.groups == ["system:bootstrappers", "system:nodes"])
        #expect(map.users.isEmpty && map.accounts == ["000000000000", "111122223333"])
        #expect(map.problems.count == 7, "\(map.problems)")
        #expect(AWSAuthMap(data: ["mapRoles": "{[", "mapUsers": "", "mapAccounts": "``"]).problems.count == 1)
        #expect(map.mapping(of: Self.identity())?.userName == "system:node:{{EC2PrivateDNSName}}")
    }

    @Test("templates are filled in once: what a session is called is no template")
    func templates() async throws {
        func render(_ template: String, session: String = "i-0123456789abcdef0") async throws -> String {
            let identity = Self.identity(session: session)
            return try await UserNameTemplate(identity: identity) { $0 == "i-0123456789abcdef0" ? "ip-10-0-0-1.ec2.internal" : nil }.render(template)
        }
        #expect(try await render("system:node:{{EC2PrivateDNSName}}") == "system:node:ip-10-0-0-1.ec2.internal")
        #expect(try await render("{{AccountID}}:{{AccessKeyID}}") == "000000000000:ASIA1")
        #expect(try await render("a:{{SessionName}}/{{SessionNameRaw}}", session: "j@x") == "a:j-x/j@x")
        #expect(try await render("a:{{SessionNameRaw}}", session: "{{AccountID}}") == "a:{{AccountID}}")
        #expect(try await render("{{Unknown}}{{") == "{{Unknown}}{{")
        await #expect(throws: UserNameTemplate.Unrenderable.self) { try await render("{{EC2PrivateDNSName}}", session: "jane") }
        await #expect(throws: UserNameTemplate.Unrenderable.self) { try await render("{{EC2PrivateDNSName}}", session: "i-00000000000000000") }
    }

    @Test(
        "namespaces match names and patterns",
        arguments: [
            ("dev", "dev", true), ("dev", "dev-1", false), ("dev-*", "dev-1", true), ("dev-*", "prod-1", false), ("*", "x", true),
            ("*-dev-*", "a-dev-b", true), ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false), ("a*", "a", true), ("", "a", false),
        ])
    func patterns(_ pattern: String, _ name: String, _ matches: Bool) { #expect(WildcardPattern.matches(pattern, name) == matches) }

    @Test("every line of the policies' tables is a rule, and the basic policies are there")
    func table() {
        for text in [AccessPolicyTable.userFacing, AccessPolicyTable.ofEKS] {
            let rules = PolicyNotation.parse(text).reduce(0) { $0 + $1.rules.count }
            #expect(rules == text.split(separator: "\n").count { $0.hasPrefix(" ") })
        }
        #expect(
            Set(AccessPolicies.names).isSuperset(of: [
                "AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy", "AmazonEKSEditPolicy", "AmazonEKSViewPolicy", "AmazonEKSAdminViewPolicy",
                "AmazonEKSSecretReaderPolicy", "AmazonAIOpsAssistantPolicy", "AmazonARCRegionSwitchScalingPolicy",
            ]))
        #expect(AccessPolicies.name(inARN: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy") == "AmazonEKSViewPolicy")
        for arn in ["arn:aws:iam::aws:policy/AmazonEKSViewPolicy", "arn:aws:eks:::cluster-access-policy/AmazonEKSViewPolicy", ""] {
            #expect(AccessPolicies.name(inARN: arn) == nil)
        }
    }

    @Test("the authenticator's lines are single lines of logrus' form, whatever a session is called")
    func lines() async throws {
        let book = AccessBook()
        let seen = Mutex<[String]>([])
        book.log.deliver { line in seen.withLock { $0.append(line.text) } }
        book.set(
            ClusterAccessRules(
                revision: 1, usesConfigMap: false,
                entries: [.init(principalARN: Self.identity().principalARN, principalID: "AROANODE", userName: "u:{{SessionNameRaw}}", groups: ["g"])]
            ))
        let mapper = IdentityMapper(book: book) { _ in nil }
        _ = try await mapper.user(of: Self.identity(session: "a\nlevel=info b"))
        var stranger = Self.identity()
        stranger.principalARN = "arn:aws:iam::000000000000:role/x"
        await #expect(throws: TokenRefused.self) { try await mapper.user(of: stranger) }
        let lines = seen.withLock { $0 }
        #expect(lines.count == 2 && lines.allSatisfy { !$0.contains("\n") })
        #expect(
            lines.first?.contains("level=info msg=\"access granted\" arn=\"arn:aws:sts::000000000000:assumed-role/node/a\\nlevel=info b\"") == true)
        #expect(lines.last?.contains("level=warning msg=\"access denied\"") == true && lines.last?.contains("error=\"ARN is not mapped\"") == true)
    }

    @Test("node roles go into aws-auth and out of it; what others wrote there stays; the cluster believes what it finds")
    func nodeRoles() async throws {
        let fixture = try await ControlPlaneTests.Fixture.start()
        fixture.book.set(ClusterAccessRules(revision: 1, usesConfigMap: true))
        let client = fixture.client
        func roles() async throws -> [String] {
            let object = try await client.get(.configMaps, namespace: "kube-system", name: "aws-auth")
            var data: [String: String] = [:]
            for (key, value) in object["data"]?.members.map({ $0 }) ?? [] { data[key] = value.string }
            return AWSAuthMap(data: data).roles.keys.sorted()
        }
        for _ in 0..<2 { try await fixture.controlPlane.mapNodeRole("arn:aws:iam::000000000000:role/path/node", isWanted: true) }
        #expect(try await roles() == ["arn:aws:iam::000000000000:role/node"])
        try await fixture.eventually("the mapping is believed") {
            fixture.book.mapping(of: Self.identity())?.groups == ["system:bootstrappers", "system:nodes"]
        }
        let mine: Value = ["data": ["mapRoles": "- {rolearn: 'arn:aws:iam::000000000000:role/mine', username: me, groups: [g]}\n"]]
        try await client.patch(.configMaps, namespace: "kube-system", name: "aws-auth", type: .merge, mine)
        try await fixture.eventually("the change is believed") { fixture.book.mapping(of: Self.identity()) == nil }
        try await fixture.controlPlane.mapNodeRole("arn:aws:iam::000000000000:role/path/node", isWanted: true)
        #expect(try await roles() == ["arn:aws:iam::000000000000:role/mine", "arn:aws:iam::000000000000:role/node"])
        try await fixture.controlPlane.mapNodeRole("arn:aws:iam::000000000000:role/path/node", isWanted: false)
        #expect(try await roles() == ["arn:aws:iam::000000000000:role/mine"])
        try await client.delete(.configMaps, namespace: "kube-system", name: "aws-auth")
        try await fixture.eventually("the deletion is believed") {
            var mine = Self.identity()
            mine.canonicalARN = "arn:aws:iam::000000000000:role/mine"
            return fixture.book.mapping(of: mine) == nil
        }
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }
}
