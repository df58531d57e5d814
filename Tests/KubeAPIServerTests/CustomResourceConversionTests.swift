import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

@Suite("Custom resources that a webhook converts, rules, and published schemas")
struct CustomResourceConversionTests {
    private typealias F = CustomResourceFixtures

    private static let schema =
        #"{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}"#
    private static let versions =
        #"[{"name":"v1","served":true,"storage":true,"schema":\#(schema)},{"name":"v2","served":true,"storage":false,"schema":\#(schema)}]"#

    /// A webhook that renames `spec.host` (v1) to `spec.server` (v2) and back; `break` makes it change names.
    private static func webhook(breaks: Bool = false) async throws -> WebhookServer {
        try await WebhookServer.start { _, body in
            guard let review = try? JSONDocument(body).root, let request = review["request"] else { return HTTPResponse(status: 400) }
            let wanted = request["desiredAPIVersion"].string ?? ""
            let objects = request["objects"].elements.map { view -> Value in
                var object = view.value
                let (old, new) = wanted.hasSuffix("v2") ? ("host", "server") : ("server", "host")
                if let value = object[path: "spec", old] {
                    object[path: "spec", old] = nil
                    object[path: "spec", new] = value
                }
                object["apiVersion"] = .string(wanted)
                if breaks { object[path: "metadata", "name"] = "other" }
                return object
            }
            let answer: Value = [
                "kind": "ConversionReview", "apiVersion": review["apiVersion"].value ?? .null,
                "response": ["uid": request["uid"].value ?? .null, "result": ["status": "Success"], "convertedObjects": .array(objects)],
            ]
            return HTTPResponse(status: 200, fields: ["Content-Type": "application/json"], body: .bytes(answer.jsonBytes))
        }
    }

    private static func definition(_ webhook: WebhookServer) throws -> Value {
        var definition = try F.cronTab(versions: versions)
        definition[path: "spec", "conversion"] = [
            "strategy": "Webhook",
            "webhook": ["clientConfig": ["url": webhook.url("/convert"), "caBundle": webhook.caBundle], "conversionReviewVersions": ["v1"]],
        ]
        return definition
    }

    @Test("objects are converted on reads, in lists and watches, and on writes")
    func converts() async throws {
        let webhook = try await Self.webhook()
        let server = try await F.server()
        try await F.define(server, try Self.definition(webhook))
        try await server.create(F.cronTabs, F.cron("a", ["host": "h"]))
        let second = "stable.example.com/v2/crontabs"
        #expect(try await server.get(second, "a")["spec"]["server"].string == "h")
        try await server.create(second, F.cron("b", ["server": "s"], version: "v2"))
        #expect(try await server.get(F.cronTabs, "b")["spec"]["host"].string == "s")
        let list = try await server.list(second)
        #expect(list["items"].elements.map { $0["spec"]["server"].string } == ["h", "s"])
        #expect(list["items"].elements.allSatisfy { $0["apiVersion"].string == "stable.example.com/v2" })
        let patched = try await server.patch(second, "a", ["spec": ["server": "new"]])
        #expect(patched["spec"]["server"].string == "new")
        #expect(try await server.get(F.cronTabs, "a")["spec"]["host"].string == "new")
        let watch = try await server.client.watch(
            KubeRequest(.watch, TestServer.resource(second), namespace: "default", query: [("timeoutSeconds", "5")]))
        var names: [String: String] = [:]
        for try await event in watch {
            names[event.object.metadata.name] = event.object["spec"]["server"].string
            if names.count == 2 { break }
        }
        #expect(names == ["a": "new", "b": "s"])
        await server.server.stop()
        await webhook.stop()
    }

    @Test("a webhook that changes what it may not fails the request")
    func refused() async throws {
        let webhook = try await Self.webhook(breaks: true)
        let server = try await F.server()
        try await F.define(server, try Self.definition(webhook))
        try await server.create(F.cronTabs, F.cron("a", ["host": "h"]))
        let error = await failure { try await server.get("stable.example.com/v2/crontabs", "a") }
        #expect(error?.code == 500)
        #expect(
            error?.message
                == "conversion webhook for stable.example.com/v1, Kind=CronTab returned invalid object at index 0: must have the same name: a != other"
        )
        await server.server.stop()
        await webhook.stop()
    }

    @Test("rules hold on create and update, transition rules on update alone; what did not change passes")
    func rules() async throws {
        let server = try await F.server()
        let schema = """
            {"type":"object","properties":{"spec":{"type":"object","x-kubernetes-validations":[
            {"rule":"self.min <= self.max","message":"min must not exceed max","fieldPath":".min"},
            {"rule":"self.name == oldSelf.name","messageExpression":"'name is ' + oldSelf.name","reason":"FieldValueForbidden"}],
            "properties":{"min":{"type":"integer"},"max":{"type":"integer"},"name":{"type":"string","maxLength":10}}}}}
            """
        try await F.define(server, try F.cronTab(schema))
        let low = await failure { try await server.create(F.cronTabs, F.cron("a", ["min": 2, "max": 1, "name": "n"])) }
        #expect(low?.details?.causes.map { "\($0.field): \($0.message)" } == ["spec.min: Invalid value: \"object\": min must not exceed max"])
        let made = try await server.create(F.cronTabs, F.cron("a", ["min": 1, "max": 2, "name": "n"]))
        var changed = made.value
        changed[path: "spec", "name"] = "m"
        let moved = await failure { try await server.update(F.cronTabs, changed) }
        #expect(moved?.details?.causes.map { "\($0.reason) \($0.field): \($0.message)" } == ["FieldValueForbidden spec: Forbidden: name is n"])
        changed[path: "spec", "name"] = "n"
        changed[path: "spec", "max"] = 3
        #expect(try await server.update(F.cronTabs, changed)["spec"]["max"].int == 3)
        await server.server.stop()
    }

    @Test("a rule that does not compile, or costs too much, is refused")
    func badRules() throws {
        func causes(_ spec: String) throws -> [StatusError.Cause] {
            let definition = try F.cronTab(#"{"type":"object","properties":{"spec":\#(spec)}}"#)
            var value = definition
            value["status"] = ["storedVersions": ["v1"]]
            value[path: "spec", "names", "listKind"] = "CronTabList"
            value[path: "spec", "conversion"] = ["strategy": "None"]
            return CustomResourceDefinitionStrategy().validate(try Object(value))
        }
        let unknown = try causes(#"{"type":"object","properties":{"a":{"type":"string"}},"x-kubernetes-validations":[{"rule":"self.b == 1"}]}"#)
        #expect(unknown.map(\.field) == ["spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"])
        #expect(unknown.first?.message.contains("compilation failed: ERROR: <input>:1:5: undefined field 'b'") ?? false, "\(unknown)")
        let costly = try causes(
            #"{"type":"array","items":{"type":"array","items":{"type":"string"}},"x-kubernetes-validations":[{"rule":"self.all(x, x.all(y, self.all(z, z.all(w, w.contains(y)))))"}]}"#
        )
        #expect(
            costly.contains { $0.message.hasPrefix("Forbidden: estimated rule cost exceeds budget by factor of more than 100x") }, "\(costly)")
    }

    @Test("OpenAPI publishes the schema with the kind's own members, v2 without what it has no words for; both follow the definition")
    func openAPI() async throws {
        let server = try await F.server()
        let schema = """
            {"type":"object","description":"A job.","properties":{"spec":{"type":"object","required":["n"],"properties":{
            "n":{"type":"integer","nullable":true},"any":{"x-kubernetes-preserve-unknown-fields":true},
            "port":{"anyOf":[{"type":"integer"},{"type":"string"}],"x-kubernetes-int-or-string":true}}}}}
            """
        let definition = try await F.define(server, try F.cronTab(schema))
        let name = "com.example.stable.v1.CronTab"
        let third = await server.http("GET", "/openapi/v3/apis/stable.example.com/v1").json?["components"]["schemas"]
        #expect(third[name]["description"].string == "A job.")
        #expect(third[name]["properties"]["metadata"] != nil)
        // What it refers to is in the document, described.
        let created = third["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["creationTimestamp"]
        #expect(created["description"].string?.hasPrefix("CreationTimestamp is a timestamp") == true)
        #expect(third[name]["properties"]["spec"]["properties"]["n"]["nullable"].bool == true)
        #expect(third[name]["properties"]["spec"]["properties"]["port"]["anyOf"].elements.count == 2)
        #expect(third["com.example.stable.v1.CronTabList"]["properties"]["items"] != nil)
        let second = await server.http("GET", "/openapi/v2").json?["definitions"][name]
        #expect(second["x-kubernetes-group-version-kind"].elements.first["kind"].string == "CronTab")
        #expect(second["properties"]["spec"]["properties"]["n"]["type"] == nil)
        #expect(second["properties"]["spec"]["required"] == nil)
        #expect(second["properties"]["spec"]["properties"]["port"]["anyOf"] == nil)
        var changed = definition.value
        changed[path: "spec", "versions"] = try F.cronTab(
            schema, versions: #"[{"name":"v1","served":false,"storage":true,"schema":{"openAPIV3Schema":\#(schema)}}]"#)[
                path: "spec", "versions"]
        try await server.update(F.definitions, changed, namespace: nil)
        #expect(await server.http("GET", "/openapi/v2").json?["definitions"][name] == nil)
        #expect(await server.http("GET", "/openapi/v3/apis/stable.example.com/v1").status == 404)
        await server.server.stop()
    }

    @Test("a definition of the size of an operator's is accepted and its objects are written in milliseconds each")
    func pace() async throws {
        let server = try await F.server()
        let leaf = (0..<50).map { #""f\#($0)":{"type":"string","description":"field \#($0) of many, with some words about it","maxLength":64}"# }
        let middle = (0..<40).map { #""g\#($0)":{"type":"object","properties":{\#(leaf.joined(separator: ","))}}"# }
        let schema = #"{"type":"object","properties":{"spec":{"type":"object","properties":{\#(middle.joined(separator: ","))}}}}"#
        let definition = try F.cronTab(schema)
        let clock = ContinuousClock()
        let defining = try await clock.measure { _ = try await F.define(server, definition) }
        let object = F.cron("a", ["g0": ["f0": "x"], "g1": ["f1": "y"]])
        let first = try await clock.measure { _ = try await server.create(F.cronTabs, object) }
        print("definition of 2,000 fields: \(defining), its first object: \(first)")
        // A debug build on a busy machine; the point is that nothing grows faster than the schema.
        #expect(defining < .seconds(5))
        await server.server.stop()
    }
}
