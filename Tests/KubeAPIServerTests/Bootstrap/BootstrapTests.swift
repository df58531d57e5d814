import Glibc
import KubeAPI
import KubeClient
import Synchronization
import Testing

@testable import KubeAPIServer

@Suite("Bootstrap")
struct BootstrapTests {
    private func configuration() throws -> Bootstrap.Configuration {
        Bootstrap.Configuration(serviceCIDR: try #require(ServiceCIDR("10.100.0.0/16")), apiServerAddresses: ["10.0.0.5"], apiServerPort: 6443)
    }

    @Test("every line of the role tables is a role or a rule, and no name is given twice")
    func tables() {
        let tables = [
            BootstrapRoles.userFacing, BootstrapRoles.system, BootstrapRoles.controllersFirstHalf, BootstrapRoles.controllersSecondHalf,
            BootstrapRoles.namespaced,
        ]
        for table in tables {
            for line in table.split(separator: "\n") where line.hasPrefix(" ") { #expect(BootstrapRoles.rule(line) != nil, "\(line)") }
            let roles = BootstrapRoles.parse(table)
            #expect(Set(roles.map(\.name)).count == roles.count)
            for role in roles {
                #expect(!role.rules.isEmpty, "\(role.name)")
                for rule in role.rules {
                    #expect(!rule.verbs.isEmpty && (rule.nonResourceURLs.isEmpty ? !rule.resources.isEmpty : rule.resources.isEmpty))
                }
            }
        }
    }

    @Test("every binding is to a role that is there, and admin, edit and view hold what they aggregate")
    func references() throws {
        let objects = Bootstrap.objects(try configuration())
        let names = Set(objects.filter { $0["kind"] == "ClusterRole" }.compactMap { $0[path: "metadata", "name"]?.string })
        #expect(names.count == 81)
        for binding in objects where binding["kind"] == "ClusterRoleBinding" {
            #expect(names.contains(binding[path: "roleRef", "name"]?.string ?? ""))
        }
        func count(_ name: String) -> Int {
            objects.first { $0["kind"] == "ClusterRole" && $0[path: "metadata", "name"]?.string == name }?["rules"]?.array?.count ?? 0
        }
        #expect(count("edit") == count("system:aggregate-to-edit") + count("view"))
        #expect(count("admin") == count("edit") + count("system:aggregate-to-admin"))
    }

    /// Members by name, so that equal objects have one text.
    private func sorted(_ value: Value) -> Value {
        switch value {
        case .object(let members): .object(Members(members.map { ($0.0, sorted($0.1)) }.sorted { $0.0 < $1.0 }))
        case .array(let items): .array(items.map(sorted))
        default: value
        }
    }

    @Test("every role, binding, priority class, flow schema and priority level is a stock v1.36.2's, to the letter")
    func golden() throws {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let handle = try #require(fopen("/\(folder)/fixtures/bootstrap-digests.txt", "r"))
        defer { fclose(handle) }
        var text = [UInt8](repeating: 0, count: 1 << 20)
        let size = fread(&text, 1, text.count, handle)
        text.removeLast(text.count - size)
        var ours: [String: String] = [:]
        for object in Bootstrap.objects(try configuration()) {
            guard let resource = Bootstrap.resource(object), var members = object.object else { continue }
            members["apiVersion"] = nil
            members["kind"] = nil
            let metadata = try Object(object).metadata
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            for byte in sorted(.object(members)).jsonBytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
            let digits = String(hash, radix: 16)
            ours["\(resource.resource) \(metadata.key)"] = String(repeating: "0", count: 16 - digits.count) + digits
        }
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        try #require(lines.count == 156)
        for line in lines {
            let parts = line.split(separator: " ")
            #expect(ours["\(parts[0]) \(parts[1])"] == String(parts[2]), "\(parts[0]) \(parts[1])")
        }
    }

    @Test("all default objects pass their own validation")
    func validity() throws {
        let strategies = StrategyTable.standard(serviceCIDR: try configuration().serviceCIDR, reader: nil)
        for value in Bootstrap.objects(try configuration()) {
            let resource = try #require(Bootstrap.resource(value))
            let object = try Object(value)
            #expect(strategies[resource.groupResource]?.validate(object) ?? [] == [], "\(object.kind) \(object.metadata.name)")
        }
    }

    /// A server of nothing but a dictionary.
    private final class Server: Sendable {
        let objects = Mutex<[String: Object]>([:])
        let writes = Mutex<[String]>([])

        func perform(_ request: KubeRequest) throws -> Object {
            switch request.verb {
            case .list:
                let items = objects.withLock { objects in objects.filter { $0.key.hasPrefix("\(request.resource)|") }.map(\.value.value) }
                return try Object(["kind": "List", "items": .array(items)])
            case .create, .update:
                let object = try Object(bytes: request.body ?? [])
                writes.withLock { $0.append("\(request.verb.rawValue) \(object.kind) \(object.metadata.name)") }
                objects.withLock { $0["\(request.resource)|\(object.metadata.key)"] = object }
                return object
            default: throw StatusError.badRequest("unexpected")
            }
        }
    }

    @Test("reconciling creates everything once, then nothing")
    func reconcile() async throws {
        let server = Server()
        try await Bootstrap.reconcile(try configuration()) { try server.perform($0) }
        let count = Bootstrap.objects(try configuration()).count
        #expect(server.writes.withLock(\.count) == count)
        try await Bootstrap.reconcile(try configuration()) { try server.perform($0) }
        #expect(server.writes.withLock(\.count) == count)
    }

    @Test("a role that lost rules gets them back, keeps its own, and is left alone when told so; endpoints follow the server")
    func repair() async throws {
        let server = Server()
        try await Bootstrap.reconcile(try configuration()) { try server.perform($0) }
        server.writes.withLock { $0 = [] }
        let prefix = "rbac.authorization.k8s.io/v1/clusterroles|"
        try server.objects.withLock { objects in
            for name in ["system:discovery", "system:basic-user"] {
                var role = try #require(objects[prefix + name]).value
                role["rules"] = [["verbs": ["get"], "nonResourceURLs": ["/own"]]]
                if name == "system:basic-user" { role[path: "metadata", "annotations", Bootstrap.autoupdate] = "false" }
                objects[prefix + name] = try Object(role)
            }
        }
        var moved = try configuration()
        moved.apiServerAddresses = ["10.0.0.6"]
        try await Bootstrap.reconcile(moved) { try server.perform($0) }
        #expect(
            server.writes.withLock { Set($0) } == [
                "update ClusterRole system:discovery", "update Endpoints kubernetes", "update EndpointSlice kubernetes",
            ])
        let repaired = try #require(server.objects.withLock { $0[prefix + "system:discovery"] })
        #expect(PolicyRule.rules(of: repaired).count == 2)
    }
}
