import KubeAPI
import Testing

@Suite struct SchemaTests {
    @Test("the schema table knows types, kinds, merge keys and list kinds")
    func types() throws {
        let table = SchemaTable.shared
        let pod = try #require(table.type(of: GroupVersionKind(group: "", version: "v1", kind: "Pod")))
        #expect(pod.name == "api.core.v1.Pod")
        #expect(pod.goName == "v1.Pod")
        let container = try #require(table.type(named: "api.core.v1.Container"))
        #expect(container.field("name")?.required == true)
        let ports = try #require(container.field("ports"))
        #expect(ports.mergeKey == "containerPort")
        #expect(ports.list == .map(keys: ["containerPort", "protocol"]))
        #expect(ports.patch == .merge)
        #expect(container.field("args")?.type == .array(.string))
        #expect(container.field("nonsense") == nil)
        let strategy = try #require(table.type(named: "api.apps.v1.DeploymentSpec")?.field("strategy"))
        #expect(strategy.patch == .retainKeys)
        #expect(table.type(named: "api.core.v1.ResourceRequirements")?.field("limits")?.type == .map(.quantity))
        #expect(table.type(named: "api.core.v1.ServicePort")?.field("targetPort")?.type == .intOrString)
    }

    @Test("every resource has a schema type of its kind")
    func resourceTypes() {
        for row in ResourceTable.shared.rows {
            #expect(SchemaTable.shared.type(named: row.typeName)?.kind == row.groupVersionKind, "\(row.groupVersionResource)")
        }
    }

    @Test("the resource table answers by resource, by kind and by group")
    func resources() throws {
        let table = ResourceTable.shared
        #expect(table.rows.count == 68)
        let deployments = try #require(table[GroupVersionResource(group: "apps", version: "v1", resource: "deployments")])
        #expect(deployments.shortNames == ["deploy"])
        #expect(deployments.categories == ["all"])
        #expect(deployments.namespaced && deployments.hasStatus && deployments.isStored)
        #expect(deployments.subresource("scale")?.kind == GroupVersionKind(group: "autoscaling", version: "v1", kind: "Scale"))
        #expect(deployments.columns.map(\.name).prefix(3) == ["Name", "Ready", "Up-to-date"])
        #expect(table[GroupVersionKind(group: "", version: "v1", kind: "Namespace")]?.verbs.contains("deletecollection") == false)
        #expect(table[GroupResource(group: "autoscaling", resource: "horizontalpodautoscalers")].map(\.version) == ["v2", "v1"])
        #expect(table.groups.first?.group == "")
        #expect(table.groups.first { $0.group == "autoscaling" }?.versions == ["v2", "v1"])
    }

    @Test("rows of custom resources come and go, their groups after the built-in ones")
    func customRows() {
        var table = ResourceTable.shared
        for version in ["v1alpha1", "v1", "v1beta1", "v2"] {
            table.add(ResourceRow(group: "a.example", version: version, resource: "foos", kind: "Foo", namespaced: true, isCustom: true))
        }
        #expect(table.groups.last?.group == "a.example")
        #expect(table.groups.last?.versions == ["v2", "v1", "v1beta1", "v1alpha1"])
        #expect(table[GroupVersionKind(group: "a.example", version: "v1", kind: "Foo")]?.singular == "foo")
        table.remove(GroupVersionResource(group: "a.example", version: "v1", resource: "foos"))
        #expect(table[GroupVersionKind(group: "a.example", version: "v1", kind: "Foo")] == nil)
        #expect(ResourceTable.shared[GroupVersionKind(group: "a.example", version: "v2", kind: "Foo")] == nil)
    }
}

@Suite struct ObjectDecoderTests {
    static let deployments = GroupVersionResource(group: "apps", version: "v1", resource: "deployments")

    func decode(_ json: String, _ validation: FieldValidation = .strict, _ resource: GroupVersionResource = deployments) throws -> (Value, [String]) {
        try ObjectDecoder.decode(Array(json.utf8), row: try #require(ResourceTable.shared[resource]), validation: validation)
    }

    func failure(_ json: String, _ resource: GroupVersionResource = deployments) -> String {
        do {
            _ = try decode(json, .strict, resource)
            return "none"
        } catch {
            return (error as? StatusError)?.message ?? "\(error)"
        }
    }

    @Test("unknown and duplicate fields are refused in strict mode, with their paths")
    func strict() {
        let json = #"{"kind":"Deployment","spec":{"foo":1,"replicas":1,"replicas":2,"template":{"spec":{"containers":[{"name":"a","bar":{}}]}}}}"#
        #expect(
            failure(json)
                == #"Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.foo", duplicate field "spec.replicas", unknown field "spec.template.spec.containers[0].bar""#
        )
    }

    @Test("unknown and duplicate fields become warnings or nothing in the other modes")
    func lenient() throws {
        let json = #"{"spec":{"foo":1,"replicas":1,"replicas":2},"metadata":{"labels":{"a":"1","a":"2"}}}"#
        let (value, warnings) = try decode(json, .warn)
        #expect(warnings == [#"unknown field "spec.foo""#, #"duplicate field "spec.replicas""#, #"duplicate field "metadata.labels.a""#])
        #expect(value[path: "spec", "foo"] == nil)
        #expect(value[path: "spec", "replicas"]?.int == 2)
        #expect(value[path: "metadata", "labels", "a"]?.string == "2")
        #expect(value["kind"]?.string == "Deployment" && value["apiVersion"]?.string == "apps/v1")
        #expect(try decode(json, .ignore).1.isEmpty)
    }

    @Test(
        "a value of the wrong type is refused in Go's words",
        arguments: [
            (#"{"spec":{"replicas":"x"}}"#, "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
            (#"{"spec":{"replicas":1.5}}"#, "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
            (
                #"{"spec":{"replicas":99999999999}}"#,
                "json: cannot unmarshal number 99999999999 into Go struct field DeploymentSpec.spec.replicas of type int32"
            ),
            (#"{"metadata":{"labels":{"a":1}}}"#, "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
            (#"{"spec":[]}"#, "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
            (
                #"{"spec":{"template":{"spec":{"containers":{}}}}}"#,
                "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container"
            ),
            (
                #"{"spec":{"template":{"spec":{"containers":[{"resources":{"limits":{"cpu":"abc"}}}]}}}}"#,
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            ),
        ])
    func mismatch(_ json: String, _ text: String) {
        #expect(failure(json) == "Deployment in version \"v1\" cannot be handled as a Deployment: \(text)")
    }

    @Test("nulls and empty lists vanish, quantities and times take their canonical form")
    func normalised() throws {
        let pods = GroupVersionResource(group: "", version: "v1", resource: "pods")
        let (value, _) = try decode(
            #"{"metadata":{"creationTimestamp":"2026-01-01T03:00:00+02:00","labels":{}},"spec":{"containers":[{"name":"a","args":[],"command":null,"resources":{"limits":{"cpu":"1000m","memory":"1024Mi"},"requests":{"cpu":0.5}}}]}}"#,
            .strict, pods)
        let container = try #require(value[path: "spec", "containers"]?.array?.first)
        #expect(container == ["name": "a", "resources": ["limits": ["cpu": "1", "memory": "1Gi"], "requests": ["cpu": "500m"]]])
        #expect(value["metadata"] == ["creationTimestamp": "2026-01-01T01:00:00Z"])
    }

    @Test("bodies of another kind, another version or no JSON are refused")
    func wrongBodies() {
        #expect(failure(#"{"apiVersion":"v1","kind":"Pod"}"#) == "the API version in the data (v1) does not match the expected API version (apps/v1)")
        #expect(failure(#"{"apiVersion":"apps/v1","kind":"ReplicaSet"}"#).hasPrefix(#"ReplicaSet in version "v1" cannot be handled as a Deployment"#))
        #expect(failure("").hasSuffix("unexpected end of JSON input (<empty>)"))
        #expect(
            failure("[1]").hasPrefix("the object provided is unrecognized (must be of type Deployment): couldn't get version/kind; json parse error:")
        )
    }

    @Test("no cut-off or altered body traps")
    func mangled() throws {
        let body = Array(DefaultingCases.all[1].sent.utf8)
        let row = try #require(ResourceTable.shared[GroupVersionResource(group: "", version: "v1", resource: "pods")])
        for length in stride(from: 0, to: body.count, by: 7) { _ = try? ObjectDecoder.decode(Array(body[..<length]), row: row) }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var altered = body
            for _ in 0..<4 { altered[Int.random(in: 0..<altered.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            guard var value = try? ObjectDecoder.decode(altered, row: row, validation: .ignore).0 else { continue }
            Defaults.apply(&value, row)
        }
    }
}
