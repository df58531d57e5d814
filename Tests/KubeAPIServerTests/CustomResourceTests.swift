import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

@Suite("Custom resources")
struct CustomResourceTests {
    private typealias F = CustomResourceFixtures

    @Test("a definition is accepted, established and served at once, with its short names, columns and list kind")
    func serving() async throws {
        let server = try await F.server()
        let made = try await server.create(F.definitions, try F.cronTab(), namespace: nil)
        #expect(made["spec"]["names"]["listKind"].string == "CronTabList")
        #expect(made["spec"]["conversion"]["strategy"].string == "None")
        #expect(made["status"]["storedVersions"].strings == ["v1"])
        let established = try await F.wait(server, "crontabs.stable.example.com") { CustomResourceDefinition($0).isEstablished }
        let conditions = established["status"]["conditions"].elements
        #expect(conditions.map { $0["type"].string } == ["NamesAccepted", "Established"])
        #expect(conditions.map { $0["reason"].string } == ["NoConflicts", "InitialNamesAccepted"])
        let discovery = await server.http("GET", "/apis/stable.example.com/v1")
        let row = discovery.json?["resources"].elements.first
        #expect(row["name"].string == "crontabs")
        #expect(row["shortNames"].strings == ["ct"])
        #expect(row["verbs"].strings == ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"])
        try await server.create(F.cronTabs, F.cron("a", ["cronSpec": "* *", "image": "i"]))
        let list = try await server.list(F.cronTabs)
        #expect(list.kind == "CronTabList")
        #expect(list["items"].elements.count == 1)
        #expect(list["items"].elements.first["metadata"]["generation"].int == 1)
        await server.server.stop()
    }

    /// The figure is printed: what users wait for between `kubectl apply` of a definition and its first object.
    @Test("a definition is served within a second of its creation, also one beside a hundred others")
    func acceptanceTime() async throws {
        let test = try await CustomResourceFixtures.server()
        var times: [Duration] = []
        for index in 0..<100 {
            var definition = try CustomResourceFixtures.cronTab()
            let plural = "things\(index)"
            definition[path: "metadata", "name"] = .string("\(plural).stable.example.com")
            definition[path: "spec", "names"] = ["plural": .string(plural), "singular": .string("thing\(index)"), "kind": .string("Thing\(index)")]
            let start = ContinuousClock.now
            try await test.create(CustomResourceFixtures.definitions, definition, namespace: nil)
            while await test.http("GET", "/apis/stable.example.com/v1/namespaces/default/\(plural)").status != 200 { await Task.yield() }
            times.append(ContinuousClock.now - start)
        }
        let sorted = times.sorted()
        print("a definition is served after \(sorted[times.count / 2]) (median of \(times.count)), \(sorted[times.count - 1]) at most")
        #expect(sorted[times.count / 2] < .seconds(1) && sorted[times.count - 1] < .seconds(10))
        await test.server.stop()
    }

    @Test("unknown fields are pruned and told; strict validation refuses them and duplicates")
    func pruning() async throws {
        let server = try await F.server()
        try await F.define(server, try F.cronTab())
        let body =
            #"{"apiVersion":"stable.example.com/v1","kind":"CronTab","metadata":{"name":"a","odd":1},"spec":{"cronSpec":"x","cronSpec":"y","extra":{"a":1}},"other":2}"#
        let path = "/apis/stable.example.com/v1/namespaces/default/crontabs"
        let strict = await server.http("POST", "\(path)?fieldValidation=Strict", body: body)
        #expect(strict.status == 400)
        #expect(
            strict.json?["message"].string
                == "CronTab in version \"v1\" cannot be handled as a CronTab: strict decoding error: duplicate field \"spec.cronSpec\", "
                + "unknown field \"metadata.odd\", unknown field \"other\", unknown field \"spec.extra\"")
        let warned = await server.http("POST", path, body: body)
        #expect(warned.status == 201)
        #expect(warned.fields.all("Warning").contains("299 - \"unknown field \\\"spec.extra\\\"\""))
        let made = try await server.get(F.cronTabs, "a")
        #expect(made["spec"]["extra"] == nil)
        #expect(made["other"] == nil)
        #expect(made["metadata"]["odd"] == nil)
        #expect(made["spec"]["cronSpec"].string == "y")
        await server.server.stop()
    }

    @Test("defaults are set on requests and on what was stored before the schema had them")
    func defaulting() async throws {
        let server = try await F.server()
        let plain = #"{"type":"object","properties":{"spec":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}}}}}"#
        let withDefault = plain.replacing(#""b":{"type":"string"}"#, with: #""b":{"type":"string","default":"B"}"#)
        let definition = try await F.define(server, try F.cronTab(plain))
        try await server.create(F.cronTabs, F.cron("old", ["a": "1"]))
        var changed = definition.value
        changed[path: "spec", "versions"] = try F.cronTab(withDefault)[path: "spec", "versions"]
        try await server.update(F.definitions, changed, namespace: nil)
        #expect(try await server.get(F.cronTabs, "old")["spec"]["b"].string == "B")
        #expect(try await server.list(F.cronTabs)["items"].elements.first["spec"]["b"].string == "B")
        let new = try await server.create(F.cronTabs, F.cron("new", ["a": "1", "b": .null]))
        #expect(new["spec"]["b"].string == "B")
        await server.server.stop()
    }

    @Test("a schema's violations are told in upstream's words")
    func validation() async throws {
        let server = try await F.server()
        let schema = """
            {"type":"object","required":["spec"],"properties":{"spec":{"type":"object","required":["image"],"properties":{
            "image":{"type":"string"},"replicas":{"type":"integer","minimum":1,"maximum":10},"mode":{"type":"string","enum":["on","off"]},
            "cron":{"type":"string","pattern":"^a+$"},"tags":{"type":"array","maxItems":2,"items":{"type":"string","maxLength":3}},
            "when":{"type":"string","format":"date-time"},"port":{"x-kubernetes-int-or-string":true},
            "keys":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],"items":{"type":"object","required":["name"],
            "properties":{"name":{"type":"string"}}}}}}}}
            """
        try await F.define(server, try F.cronTab(schema))
        func causes(_ spec: Value) async -> [String] {
            let error = await failure { try await server.create(F.cronTabs, F.cron("a", spec)) }
            return error.map { error in error.details?.causes.map { "\($0.field): \($0.message)" } ?? ["\(error)"] } ?? ["accepted"]
        }
        #expect(await causes([:]) == ["spec.image: Required value"])
        #expect(
            await causes(["image": "i", "replicas": 11])
                == ["spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10"])
        #expect(
            await causes(["image": "i", "replicas": "x"])
                == ["spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\""])
        #expect(await causes(["image": "i", "mode": "x"]) == ["spec.mode: Unsupported value: \"x\": supported values: \"on\", \"off\""])
        #expect(await causes(["image": "i", "cron": "b"]) == ["spec.cron: Invalid value: \"b\": spec.cron in body should match '^a+$'"])
        #expect(await causes(["image": "i", "tags": ["a", "b", "c"]]) == ["spec.tags: Too many: 3: must have at most 2 items"])
        #expect(await causes(["image": "i", "tags": ["abcd"]]) == ["spec.tags[0]: Too long: may not be more than 3 bytes"])
        #expect(
            await causes(["image": "i", "when": "now"])
                == ["spec.when: Invalid value: \"now\": spec.when in body must be of type date-time: \"now\""])
        #expect(
            await causes(["image": "i", "port": true])
                == ["spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\""])
        #expect(
            await causes(["image": "i", "keys": [["name": "a"], ["name": "a"]]])
                == ["spec.keys[1]: Duplicate value: {\"name\":\"a\"}"])
        #expect(await causes(["image": "i", "port": "80", "replicas": 3, "keys": [["name": "a"], ["name": "b"]]]) == ["accepted"])
        await server.server.stop()
    }

    @Test("numbers keep to their formats, times to RFC 3339")
    func formats() throws {
        func problems(_ schema: String, _ value: Value) throws -> [String] {
            let schema = StructuralSchema(try JSONDocument(Array("{\"type\":\"object\",\"properties\":{\"a\":\(schema)}}".utf8)).root)
            return SchemaValidator.problems(["a": value], schema).map { "\($0.field): \($0.message)" }
        }
        let int32 = #"{"type":"integer","format":"int32"}"#
        for good: Value in [2_147_483_647, .double(3), -2_147_483_648] { #expect(try problems(int32, good) == []) }
        let outside = "<nil>: Invalid value: \"\": Checked value must be of type integer with format int32 in a"
        #expect(try problems(int32, 2_147_483_648) == [outside])
        #expect(try problems(int32, .double(1.5)) == ["a: Invalid value: \"float64\": a in body must be of type int32: \"float64\"", outside])
        #expect(try problems(int32, true) == ["a: Invalid value: \"\": a in body must be of type int32: \"\""])
        #expect(try problems(int32, "x") == ["a: Invalid value: \"string\": a in body must be of type integer: \"string\""])
        #expect(try problems(#"{"type":"integer","format":"int64"}"#, .int(.max)) == [])
        #expect(
            try problems(#"{"type":"integer","format":"int64"}"#, .double(1e30))
                .contains("<nil>: Invalid value: \"\": Checked value must be of type integer with format int64 in a"))
        #expect(try problems(#"{"type":"number","format":"float"}"#, .double(3.4e38)) == [])
        #expect(
            try problems(#"{"type":"number","format":"float"}"#, .double(3.5e38))
                == ["<nil>: Invalid value: \"\": Checked value must be of type number with format float in a"])
        #expect(try problems(#"{"type":"number","format":"double"}"#, .double(1e300)) == [])
        #expect(try problems(#"{"type":"integer","format":"int7"}"#, 1) == [])
        let time = #"{"type":"string","format":"date-time"}"#
        for good in ["2026-01-02T03:04:05Z", "2026-01-02t03:04:05.123z", "2026-01-02T03:04:05+02:00"] {
            #expect(try problems(time, .string(good)) == [])
        }
        for bad in [
            "", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z", "2026-01-02T24:00:00Z", "2026-13-02T03:04:05Z", "2026-01-02T03:04:60Z",
        ] {
            #expect(try problems(time, .string(bad)) == ["a: Invalid value: \"\(bad)\": a in body must be of type date-time: \"\(bad)\""])
        }
    }

    @Test("elements of a list that preserves unknown fields keep theirs; what their schema specifies is pruned inside")
    func preservedElements() throws {
        let schema = StructuralSchema(
            try JSONDocument(
                Array(
                    #"""
                    {"type":"object","properties":{"list":{"type":"array","x-kubernetes-preserve-unknown-fields":true,"items":{"type":"object",
                    "properties":{"known":{"type":"object","properties":{"a":{"type":"string"}}}}}},
                    "nested":{"type":"array","x-kubernetes-preserve-unknown-fields":true,"items":{"type":"array","items":{"type":"object"}}}}}
                    """#.utf8)
            ).root)
        let given: Value = ["list": [["known": ["a": "x", "b": "y"], "other": ["c": 1]]], "nested": [[["d": 1]]]]
        var pruned = given
        #expect(SchemaPruning.prune(&pruned, schema) == ["list[0].known.b"])
        let expected: Value = ["list": [["known": ["a": "x"], "other": ["c": 1]]], "nested": [[["d": 1]]]]
        #expect(pruned == expected)
        #expect(try !SchemaPruning.isFinished(Object(given).root, schema))
        #expect(try SchemaPruning.isFinished(Object(expected).root, schema))
    }

    @Test("what was invalid before and did not change passes an update")
    func ratcheting() async throws {
        let server = try await F.server()
        let loose = #"{"type":"object","properties":{"spec":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}}}}}"#
        let definition = try await F.define(server, try F.cronTab(loose))
        let made = try await server.create(F.cronTabs, F.cron("x", ["a": "long", "b": "1"]))
        var changed = definition.value
        let tight = loose.replacing(#""a":{"type":"string"}"#, with: #""a":{"type":"string","maxLength":2}"#)
        changed[path: "spec", "versions"] = try F.cronTab(tight)[path: "spec", "versions"]
        try await server.update(F.definitions, changed, namespace: nil)
        var value = made.value
        value[path: "spec", "b"] = "2"
        let updated = try await server.update(F.cronTabs, value)
        #expect(updated["metadata"]["generation"].int == 2)
        value = updated.value
        value[path: "spec", "a"] = "other"
        let error = await failure { try await server.update(F.cronTabs, value) }
        #expect(error?.details?.causes.map(\.field) == ["spec.a"])
        await server.server.stop()
    }

    @Test("status and scale are paths of their own")
    func subresources() async throws {
        let server = try await F.server()
        let schema =
            #"{"type":"object","properties":{"spec":{"type":"object","properties":{"replicas":{"type":"integer"}}},"status":{"type":"object","properties":{"replicas":{"type":"integer"},"labelSelector":{"type":"string"}}}}}"#
        let subresources =
            #","subresources":{"status":{},"scale":{"specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas","labelSelectorPath":".status.labelSelector"}}"#
        try await F.define(server, try F.cronTab(schema, subresources: subresources))
        var object = F.cron("a", ["replicas": 3])
        object["status"] = ["replicas": 9]
        let made = try await server.create(F.cronTabs, object)
        #expect(made["status"] == nil)
        let patched = try await server.patch(
            F.cronTabs, "a", ["status": ["replicas": 2, "labelSelector": "a=b"], "spec": ["replicas": 7]], subresource: "status")
        #expect(patched["status"]["replicas"].int == 2)
        #expect(patched["spec"]["replicas"].int == 3)
        #expect(patched["metadata"]["generation"].int == 1)
        let scale = try await server.get(F.cronTabs, "a", subresource: "scale")
        #expect(scale.kind == "Scale")
        #expect(scale["status"]["selector"].string == "a=b")
        #expect(scale["status"]["replicas"].int == 2)
        try await server.patch(F.cronTabs, "a", ["spec": ["replicas": 5]], subresource: "scale")
        let scaled = try await server.get(F.cronTabs, "a")
        #expect(scaled["spec"]["replicas"].int == 5)
        #expect(scaled["metadata"]["generation"].int == 2)
        let wrong = await failure { try await server.patch(F.cronTabs, "a", ["status": ["replicas": "x"]], subresource: "status") }
        #expect(wrong?.details?.causes.map(\.field) == ["status.replicas"])
        await server.server.stop()
    }

    @Test("a strategic merge patch is refused, a JSON patch and a merge patch are not")
    func patches() async throws {
        let server = try await F.server()
        try await F.define(server, try F.cronTab())
        try await server.create(F.cronTabs, F.cron("a", ["cronSpec": "x"]))
        let error = await failure {
            try await server.patch(F.cronTabs, "a", ["spec": ["image": "y"]], type: "application/strategic-merge-patch+json")
        }
        #expect(error?.code == 415)
        #expect(
            error?.message
                == "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
                + "application/merge-patch+json, application/apply-patch+yaml")
        try await server.patch(F.cronTabs, "a", ["spec": ["image": "y"]])
        let patched = try await server.patch(
            F.cronTabs, "a", [["op": "replace", "path": "/spec/cronSpec", "value": "z"]], type: "application/json-patch+json")
        #expect(patched["spec"]["image"].string == "y")
        #expect(patched["spec"]["cronSpec"].string == "z")
        await server.server.stop()
    }

    @Test("deleting a definition deletes its instances first, refuses new ones, and ends watches")
    func deletion() async throws {
        let server = try await F.server()
        try await F.define(server, try F.cronTab())
        var held = F.cron("held", ["image": "i"])
        held[path: "metadata", "finalizers"] = ["example.com/hold"]
        try await server.create(F.cronTabs, held)
        try await server.create(F.cronTabs, F.cron("free", ["image": "i"]))
        let watch = try await server.client.watch(KubeRequest(.watch, TestServer.resource(F.cronTabs), namespace: "default"))
        try await server.delete(F.definitions, "crontabs.stable.example.com", namespace: nil)
        _ = try await F.wait(server, "crontabs.stable.example.com") {
            CustomResourceDefinition($0).condition("Terminating")["reason"].string == "InstanceDeletionInProgress"
        }
        let refused = await failure { try await server.create(F.cronTabs, F.cron("new", [:])) }
        #expect(refused?.code == 405)
        #expect(refused?.message == "create not allowed while custom resource definition is terminating")
        try await server.patch(F.cronTabs, "held", ["metadata": ["finalizers": .null]])
        // The first watch was of the definition as it was; it is over.
        for try await _ in watch {}
        while await failure({ try await server.get(F.definitions, "crontabs.stable.example.com", namespace: nil) }) == nil {
            try await Task.sleep(for: .milliseconds(5))
        }
        let gone = await failure { try await server.list(F.cronTabs) }
        #expect(gone?.code == 404)
        #expect(await server.http("GET", "/apis/stable.example.com").status == 404)
        await server.server.stop()
    }

    @Test("names that another definition has are refused until it goes")
    func conflicts() async throws {
        let server = try await F.server()
        try await F.define(server, try F.cronTab())
        var other = try F.cronTab()
        other[path: "metadata", "name"] = "tabs.stable.example.com"
        other[path: "spec", "names"] = ["plural": "tabs", "kind": "CronTab", "shortNames": ["ct"]]
        try await server.create(F.definitions, other, namespace: nil)
        let refused = try await F.wait(server, "tabs.stable.example.com") { CustomResourceDefinition($0).condition("NamesAccepted") != nil }
        let condition = CustomResourceDefinition(refused).condition("NamesAccepted")
        #expect(condition["status"].string == "False")
        #expect(condition["message"].string == "\"CronTabList\" is already in use")
        #expect(!CustomResourceDefinition(refused).isEstablished)
        try await server.delete(F.definitions, "crontabs.stable.example.com", namespace: nil)
        let accepted = try await F.wait(server, "tabs.stable.example.com") { CustomResourceDefinition($0).isEstablished }
        #expect(accepted["status"]["acceptedNames"]["shortNames"].strings == ["ct"])
        await server.server.stop()
    }

    @Test("selectable fields select in lists and watches; others are refused")
    func selectableFields() async throws {
        let server = try await F.server()
        let schema =
            #"{"type":"object","properties":{"spec":{"type":"object","properties":{"color":{"type":"string"},"size":{"type":"string","default":"M"}}}}}"#
        try await F.define(
            server, try F.cronTab(schema, extra: #","selectableFields":[{"jsonPath":".spec.color"},{"jsonPath":".spec.size"}]"#))
        for (name, color) in [("a", "blue"), ("b", "green"), ("c", "blue")] {
            try await server.create(F.cronTabs, F.cron(name, ["color": .string(color)]))
        }
        let blue = try await server.list(F.cronTabs, query: [("fieldSelector", "spec.color=blue,spec.size=M")])
        #expect(blue["items"].elements.map { $0["metadata"]["name"].string } == ["a", "c"])
        let error = await failure { try await server.list(F.cronTabs, query: [("fieldSelector", "spec.other=1")]) }
        #expect(error?.message == "field label not supported: spec.other")
        await server.server.stop()
    }

    @Test("all versions serve what is stored in one; the unserved ones are gone; no-op writes move to the new storage version")
    func versions() async throws {
        let server = try await F.server()
        func versions(_ storage: String, v1Served: Bool = true) -> String {
            let schema = #"{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}"#
            return
                #"[{"name":"v1","served":\#(v1Served),"storage":\#(storage == "v1"),"deprecated":true,"schema":\#(schema)},{"name":"v2","served":true,"storage":\#(storage == "v2"),"schema":\#(schema)}]"#
        }
        let definition = try await F.define(server, try F.cronTab(versions: versions("v1")))
        try await server.create(F.cronTabs, F.cron("a", ["x": 1]))
        let second = try await server.get("stable.example.com/v2/crontabs", "a")
        #expect(second.apiVersion == "stable.example.com/v2")
        let warned = await server.http("GET", "/apis/stable.example.com/v1/namespaces/default/crontabs/a")
        #expect(warned.fields.all("Warning") == ["299 - \"stable.example.com/v1 CronTab is deprecated\""])
        var changed = definition.value
        changed[path: "spec", "versions"] = try F.cronTab(versions: versions("v2"))[path: "spec", "versions"]
        let updated = try await server.update(F.definitions, changed, namespace: nil)
        #expect(updated["status"]["storedVersions"].strings == ["v1", "v2"])
        let first = try await server.get(F.cronTabs, "a")
        #expect(first.apiVersion == "stable.example.com/v1")
        let rewritten = try await server.update(F.cronTabs, first.value)
        #expect(rewritten["metadata"]["resourceVersion"].string != first["metadata"]["resourceVersion"].string)
        let again = try await server.update(F.cronTabs, rewritten.value)
        #expect(again["metadata"]["resourceVersion"].string == rewritten["metadata"]["resourceVersion"].string)
        changed = updated.value
        changed[path: "spec", "versions"] = try F.cronTab(versions: versions("v2", v1Served: false))[path: "spec", "versions"]
        try await server.update(F.definitions, changed, namespace: nil)
        #expect(await failure { try await server.get(F.cronTabs, "a") }?.code == 404)
        #expect(try await server.get("stable.example.com/v2/crontabs", "a")["spec"]["x"].int == 1)
        await server.server.stop()
    }

    @Test("server-side apply merges by the schema's keys and refuses unknown fields")
    func apply() async throws {
        let server = try await F.server()
        let schema = """
            {"type":"object","properties":{"spec":{"type":"object","properties":{"image":{"type":"string"},"ports":{"type":"array",
            "x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["port","protocol"],"items":{"type":"object","required":["port"],
            "properties":{"port":{"type":"integer"},"protocol":{"type":"string","default":"TCP"},"name":{"type":"string"}}}}}}}}
            """
        try await F.define(server, try F.cronTab(schema))
        func apply(_ spec: Value, _ manager: String) async throws -> Object {
            try await server.client.perform(
                KubeRequest(
                    .patch, TestServer.resource(F.cronTabs), namespace: "default", name: "a", query: [("fieldManager", manager)],
                    body: F.cron("a", spec).jsonBytes, contentType: "application/apply-patch+yaml"))
        }
        _ = try await apply(["ports": [["port": 80, "name": "web"]]], "one")
        let merged = try await apply(["image": "i", "ports": [["port": 81]]], "two")
        #expect(merged["spec"]["ports"].elements.map { $0["port"].int } == [80, 81])
        let managers = merged["metadata"]["managedFields"].elements.map { $0["manager"].string }
        #expect(managers == ["one", "two"])
        #expect(
            merged["metadata"]["managedFields"].elements.first["fieldsV1"]["f:spec"]["f:ports"]["k:{\"port\":80,\"protocol\":\"TCP\"}"] != nil)
        let conflict = await failure { try await apply(["ports": [["port": 80, "name": "other"]]], "two") }
        #expect(conflict?.code == 409)
        let unknown = await failure { try await apply(["odd": 1], "one") }
        #expect(unknown?.message.hasSuffix(".spec.odd: field not declared in schema") ?? false)
        await server.server.stop()
    }
}
