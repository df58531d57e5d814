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

    /// A pod's own resources after the defaults.
    private static func podResources(_ spec: Value) -> Value? {
        var pod: Value = ["spec": spec]
        Defaults.apply(&pod, typeName: "api.core.v1.Pod")
        var again = pod
        Defaults.apply(&again, typeName: "api.core.v1.Pod")
        #expect(again == pod)
        return pod[path: "spec", "resources"]
    }

    @Test("a pod with limits of its own asks for what its containers ask for, and where they ask for nothing for its limits")
    func podLevelRequests() {
        let containers: Value = [["resources": ["requests": ["cpu": "100m"]]], ["resources": ["limits": ["cpu": "200m"]]]]
        #expect(
            Self.podResources(["resources": ["limits": ["cpu": "1", "memory": "1Gi"]], "containers": containers])
                == ["limits": ["cpu": "1", "memory": "1Gi"], "requests": ["cpu": "300m", "memory": "1Gi"]])
        #expect(
            Self.podResources(["resources": ["limits": ["cpu": "1"], "requests": ["cpu": "700m"]], "containers": containers])
                == ["limits": ["cpu": "1"], "requests": ["cpu": "700m"]])
        #expect(Self.podResources(["resources": ["requests": ["cpu": "1"]], "containers": containers]) == ["requests": ["cpu": "1"]])
        #expect(Self.podResources(["resources": [:], "containers": containers]) == [:])
        #expect(Self.podResources(["containers": containers]) == nil)
        let starting: Value = [
            ["restartPolicy": "Always", "resources": ["requests": ["cpu": "50m"]]], ["resources": ["requests": ["cpu": "2", "memory": "1Mi"]]],
        ]
        #expect(
            Self.podResources(["resources": ["limits": ["cpu": "4"]], "containers": containers, "initContainers": starting])
                == ["limits": ["cpu": "4"], "requests": ["cpu": "2050m", "memory": "1Mi"]])
    }

    @Test("huge pages that containers may use are the pod's limit and request")
    func podLevelHugePages() {
        let containers: Value = [["resources": ["limits": ["hugepages-2Mi": "4Mi"]]], ["resources": ["limits": ["hugepages-2Mi": "2Mi"]]]]
        #expect(
            Self.podResources(["resources": ["requests": ["cpu": "1"]], "containers": containers])
                == ["requests": ["cpu": "1", "hugepages-2Mi": "6Mi"], "limits": ["hugepages-2Mi": "6Mi"]])
        #expect(
            Self.podResources(["resources": ["limits": ["hugepages-2Mi": "8Mi"]], "containers": containers])
                == ["limits": ["hugepages-2Mi": "8Mi"], "requests": ["hugepages-2Mi": "8Mi"]])
    }

    @Test(
        "amounts finer than thousandths are rounded up in resource lists, and only there",
        arguments: [
            ("100u", "1m"), ("1500u", "2m"), ("-1500u", "-2m"), ("1n", "1m"), ("0.0001", "1m"), ("1e-4", "1e-3"), ("1.5", "1.5"), ("2e3", "2e3"),
            ("1Gi", "1Gi"),
            ("x", "x"),
        ])
    func rounding(_ given: String, _ expected: String) {
        for (type, path) in [
            ("api.core.v1.ResourceRequirements", "limits"), ("api.core.v1.NodeStatus", "capacity"), ("api.core.v1.ResourceQuotaSpec", "hard"),
            ("api.core.v1.LimitRangeItem", "max"), ("api.node.v1.Overhead", "podFixed"),
        ] {
            let list: Value = ["cpu": .string(given)]
            var object: Value = [:]
            object[path] = list
            Defaults.apply(&object, typeName: type)
            #expect(object[path]?["cpu"]?.string == expected, "\(type)")
        }
        var claim: Value = ["requests": ["x": .string(given)]]
        Defaults.apply(&claim, typeName: "api.resource.v1.CapacityRequirements")
        #expect(claim["requests"]?["x"]?.string == given)
        var pod: Value = ["spec": ["containers": [["resources": ["requests": ["cpu": .string(given)]]]]]]
        Defaults.apply(&pod, typeName: "api.core.v1.Pod")
        #expect(pod[path: "spec", "containers"]?.array?.first?[path: "resources", "requests", "cpu"]?.string == expected)
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
