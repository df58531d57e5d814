import KubeAPI
import KubeStorage
import Testing

@testable import KubeAPIServer

/// A server with the strategies of a cluster, and definitions to try.
enum CustomResourceFixtures {
    static let definitions = "apiextensions.k8s.io/v1/customresourcedefinitions"
    static let cronTabs = "stable.example.com/v1/crontabs"

    static func server() async throws -> TestServer {
        try await TestServer { configuration in
            configuration.components = { reader in
                APIServer.Components(
                    authenticators: [TestAuthenticator()], authorizers: [AllowEverything()],
                    strategies: [CustomResourceDefinition.resource: CustomResourceDefinitionStrategy()])
            }
        }
    }

    /// The definition of Kubernetes' documentation. `schema` is the schema of `spec`'s properties and what stands beside them, as JSON.
    static func cronTab(
        _ schema: String? = nil, versions: String? = nil, subresources: String = "", extra: String = "", scope: String = "Namespaced",
        conversion: String = ""
    ) throws -> Value {
        let schema =
            schema
            ?? #"{"type":"object","properties":{"spec":{"type":"object","properties":{"cronSpec":{"type":"string"},"image":{"type":"string"},"replicas":{"type":"integer"}}}}}"#
        let versions =
            versions
            ?? #"[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":\#(schema)}\#(subresources)\#(extra)}]"#
        return try Value(
            json: """
                {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"crontabs.stable.example.com"},
                "spec":{"group":"stable.example.com","scope":"\(scope)","versions":\(versions),
                "names":{"plural":"crontabs","singular":"crontab","kind":"CronTab","shortNames":["ct"],"categories":["all"]}\(conversion)}}
                """)
    }

    /// Creates a definition and waits until it is established.
    @discardableResult
    static func define(_ server: TestServer, _ definition: Value) async throws -> Object {
        try await server.create(definitions, definition, namespace: nil)
        let name = definition[path: "metadata", "name"]?.string ?? ""
        let established = try await wait(server, name) { CustomResourceDefinition($0).isEstablished }
        // A watch in this process can be a moment ahead of those who follow the commit.
        while !(try server.server.registry.table.rows.contains { $0.isCustom && "\($0.resource).\($0.group)" == name }) { await Task.yield() }
        return established
    }

    /// Waits by watch until a definition is as wanted.
    static func wait(_ server: TestServer, _ name: String, until isDone: @escaping @Sendable (Object) -> Bool) async throws -> Object {
        let scope = try #require(
            try server.server.registry.scope(TestServer.resource(definitions)))
        let changes = try scope.storage.watch(namespace: nil, from: nil, sendInitialEvents: false, bookmarks: false, filter: nil)
        for try await event in changes {
            switch event {
            case .added(let object, _), .modified(let object, _, _):
                if object.metadata.name == name, isDone(object) { return object }
            default: break
            }
        }
        throw StatusError.internalError("the watch ended before the definition was as wanted")
    }

    static func cron(_ name: String, _ spec: Value, version: String = "v1") -> Value {
        ["apiVersion": .string("stable.example.com/\(version)"), "kind": "CronTab", "metadata": ["name": .string(name)], "spec": spec]
    }
}
