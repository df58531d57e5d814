import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Discovery is that of a stock API server") struct GoldenDiscoveryTests {
    /// A resource as a line of the fixture.
    private func line(_ version: String, _ resource: Value) -> String {
        func list(_ field: String) -> String {
            let items = (resource[field]?.array ?? []).compactMap(\.string).sorted()
            return items.isEmpty ? "-" : items.joined(separator: ",")
        }
        func text(_ field: String) -> String {
            let text = resource[field]?.string ?? ""
            return text.isEmpty ? "-" : text
        }
        let name = text("name")
        if name.contains("/") {
            let group = resource["group"]?.string ?? ""
            let own = resource["version"] == nil ? "-" : (group.isEmpty ? "" : "\(group)/") + text("version")
            return "\(version) \(name) \(text("kind")) \(own == version ? "-" : own) \(list("verbs"))"
        }
        let scope = resource["namespaced"] == true ? "namespaced" : "cluster"
        return "\(version) \(name) \(text("kind")) \(text("singularName")) \(scope) \(list("shortNames")) \(list("categories")) \(list("verbs"))"
    }

    @Test("every resource and subresource, with kind, scope, names, categories and verbs")
    func resources() throws {
        let documents = DiscoveryDocuments(version: VersionInfo(minor: "36", gitVersion: "v1.36.2"), serverAddress: "127.0.0.1:6443")
        var served: Set<String> = []
        for (group, versions) in ResourceTable.shared.groups {
            for version in versions {
                let name = group.isEmpty ? version : "\(group)/\(version)"
                let document = try #require(
                    try documents.document(path: group.isEmpty ? "/api/\(version)" : "/apis/\(name)", accept: "application/json"))
                let list = try Value(json: document.bytes)
                #expect(list["groupVersion"]?.string == name)
                for resource in list["resources"]?.array ?? [] { served.insert(line(name, resource)) }
            }
        }
        let expected = Set(try ServedFixture.lines("resources.txt"))
        #expect(served.subtracting(expected).sorted() == [])
        #expect(expected.subtracting(served).sorted() == [])
    }

    @Test("the columns of every resource's table")
    func columns() throws {
        for line in try ServedFixture.lines("columns.txt") {
            let space = try #require(line.firstIndex(of: " "))
            let name = line[..<space]
            let slash = try #require(name.lastIndex(of: "/"))
            let names = GroupVersionKind(apiVersion: String(name[..<slash]), kind: "")
            let row = try #require(
                ResourceTable.shared[
                    GroupVersionResource(group: names.group, version: names.version, resource: String(name[name.index(after: slash)...]))])
            let table = try Value(json: TablePrinter.table(row: row, objects: [], now: Timestamp(seconds: 0)))
            let columns = (table["columnDefinitions"]?.array ?? []).map { column in
                "\(column["name"]?.string ?? ""):\(column["type"]?.string ?? ""):\(column["format"]?.string ?? ""):\(column["priority"]?.int ?? 0)"
            }
            #expect(columns.joined(separator: "|") == line[line.index(after: space)...], "\(name)")
        }
    }
}
