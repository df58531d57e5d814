import KubeAPI
import Testing

@Suite struct DefaultsTests {
    @Test("an object gets the defaults that Kubernetes gives it, and no others", arguments: DefaultingCases.all)
    func defaults(_ item: DefaultingCases.Case) throws {
        let slash = try #require(item.resource.lastIndex(of: "/"))
        let names = GroupVersionKind(apiVersion: String(item.resource[..<slash]), kind: "")
        let resource = String(item.resource[item.resource.index(after: slash)...])
        let row = try #require(ResourceTable.shared[GroupVersionResource(group: names.group, version: names.version, resource: resource)])
        let (sent, _) = try ObjectDecoder.decode(Array(item.sent.utf8), row: row)
        var object = sent
        Defaults.apply(&object, row)
        #expect(Set(Self.changes(from: try Value(json: item.sent), to: object)) == Set(item.changes))

        var again = object
        Defaults.apply(&again, row)
        #expect(again == object, "defaults change nothing the second time")
    }

    @Test(
        "the pull policy is Always for the tag latest and for no tag",
        arguments: [
            ("nginx", "Always"), ("nginx:latest", "Always"), ("host:5000/nginx", "Always"), ("nginx:1.15", "IfNotPresent"),
            ("host:5000/a/nginx:1", "IfNotPresent"), ("nginx@sha256:00", "IfNotPresent"), ("nginx:latest@sha256:00", "Always"),
        ])
    func pullPolicy(_ image: String, _ policy: String) {
        var container: Value = ["name": "c", "image": .string(image)]
        Defaults.apply(&container, typeName: "api.core.v1.Container")
        #expect(container["imagePullPolicy"]?.string == policy)
    }

    @Test("what the client says is kept")
    func kept() {
        var service: Value = [
            "spec": ["type": "NodePort", "sessionAffinity": "ClientIP", "ports": [["port": 80, "targetPort": "http", "protocol": "UDP"]]]
        ]
        Defaults.apply(&service, typeName: "api.core.v1.Service")
        #expect(service[path: "spec", "ports"]?.array?.first == ["port": 80, "targetPort": "http", "protocol": "UDP"])
        #expect(service[path: "spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"]?.int == 10800)
        #expect(service[path: "spec", "externalTrafficPolicy"]?.string == "Cluster")
    }

    /// The differences as `+path=value`, `-path`, `~path=value`, values as JSON with sorted keys.
    static func changes(from old: Value, to new: Value, at path: String = "") -> [String] {
        switch (old, new) {
        case (.object(let before), .object(let after)):
            return Set(before.keys + after.keys).flatMap { key -> [String] in
                let place = path.isEmpty ? key : "\(path).\(key)"
                guard let value = after[key] else { return ["-\(place)"] }
                guard let earlier = before[key] else { return ["+\(place)=\(text(value))"] }
                return changes(from: earlier, to: value, at: place)
            }
        case (.array(let before), .array(let after)):
            return (0..<max(before.count, after.count)).flatMap { index -> [String] in
                guard index < after.count else { return ["-\(path)[\(index)]"] }
                guard index < before.count else { return ["+\(path)[\(index)]=\(text(after[index]))"] }
                return changes(from: before[index], to: after[index], at: "\(path)[\(index)]")
            }
        default: return old == new ? [] : ["~\(path)=\(text(new))"]
        }
    }

    private static func text(_ value: Value) -> String { sorted(value).jsonString }

    private static func sorted(_ value: Value) -> Value {
        switch value {
        case .object(let members): .object(Members(members.sorted { $0.0 < $1.0 }.map { ($0.0, sorted($0.1)) }))
        case .array(let items): .array(items.map(sorted))
        default: value
        }
    }
}
