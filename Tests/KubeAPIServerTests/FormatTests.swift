import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Wire formats over HTTP")
struct FormatTests {
    private static let protobuf = "application/vnd.kubernetes.protobuf"
    private static let pods = "/api/v1/namespaces/default/configmaps"

    @Test("objects, lists and failures come in protobuf when a client asks for it first, as client-go does")
    func protobufAnswers() async throws {
        let server = try await TestServer()
        let created = await server.http(
            "POST", Self.pods, ["Accept": "\(Self.protobuf),application/json", "Content-Type": "application/json"],
            body: configMap("a", ["k": "v"]).jsonString)
        #expect(created.status == 201)
        #expect(created.fields["Content-Type"] == Self.protobuf)
        #expect(try ProtobufDecoder.decode(created.body)[path: "data", "k"] == "v")

        let list = await server.http("GET", Self.pods, ["Accept": "\(Self.protobuf), */*"])
        #expect(list.fields["Content-Type"] == Self.protobuf)
        let tree = try ProtobufDecoder.decode(list.body)
        #expect(tree["kind"] == "ConfigMapList")
        #expect(tree["items"]?.array?.contains { $0[path: "metadata", "name"] == "a" } ?? false)
        #expect(tree[path: "metadata", "resourceVersion"]?.string?.isEmpty == false)

        let missing = await server.http("GET", "\(Self.pods)/nope", ["Accept": Self.protobuf])
        #expect(missing.status == 404)
        #expect(try ProtobufDecoder.decode(missing.body)["message"] == "configmaps \"nope\" not found")

        let metadata = await server.http(
            "GET", "\(Self.pods)/a", ["Accept": "\(Self.protobuf);as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"])
        #expect(metadata.fields["Content-Type"] == Self.protobuf)
        #expect(metadata.body.starts(with: [0x6B, 0x38, 0x73, 0x00]))
        #expect(String(decoding: metadata.body, as: UTF8.self).contains("PartialObjectMetadata"))
    }

    @Test("a watch in protobuf is frames of length and WatchEvent; one in YAML is refused")
    func watches() async throws {
        let server = try await TestServer()
        try await server.create("configmaps", configMap("a", ["k": "v"]))
        let watch = await server.http("GET", "\(Self.pods)?watch=1&timeoutSeconds=1", ["Accept": Self.protobuf + ";stream=watch"])
        #expect(watch.fields["Content-Type"] == Self.protobuf + ";stream=watch")
        var names: [String] = []
        var rest = watch.body[...]
        while rest.count > 4 {
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            let frame = rest.dropFirst(4).prefix(length)
            rest = rest.dropFirst(4 + length)
            guard let start = frame.indices.first(where: { frame[$0...].starts(with: [0x6B, 0x38, 0x73, 0x00]) }) else { continue }
            names.append(try ProtobufDecoder.decode(Array(frame[start...]))[path: "metadata", "name"]?.string ?? "")
        }
        #expect(names.contains("a"))
        let yaml = await server.http("GET", "\(Self.pods)?watch=1", ["Accept": "application/yaml"])
        #expect(yaml.status == 406)
        #expect(yaml.text.contains("only the following media types are accepted"))
        #expect(yaml.text.contains("application/json;stream=watch"))
    }

    @Test("a table is not offered in protobuf, and YAML tables are")
    func tables() async throws {
        let server = try await TestServer()
        let table = "as=Table;g=meta.k8s.io;v=v1"
        let answer = await server.http("GET", Self.pods, ["Accept": "\(Self.protobuf);\(table), application/json;\(table)"])
        #expect(answer.json["kind"].string == "Table")
        let yaml = await server.http("GET", Self.pods, ["Accept": "application/yaml;\(table)"])
        #expect(yaml.text.contains("kind: Table\n"))
        #expect(yaml.fields["Content-Type"] == "application/yaml")
    }

    @Test("YAML bodies are read and YAML answers written as upstream's library does")
    func yaml() async throws {
        let server = try await TestServer()
        let body = """
            # a comment
            apiVersion: v1
            kind: ConfigMap
            metadata:
              name: why
              labels: &l {a: 'yes'}
              annotations: *l
            data:
              script: |
                #!/bin/sh
                echo hi
            """
        let created = await server.http("POST", Self.pods, ["Accept": "application/yaml", "Content-Type": "application/yaml"], body: body)
        #expect(created.status == 201, "\(created.text)")
        #expect(created.text.contains("data:\n  script: |-\n    #!/bin/sh\n    echo hi\n"))
        #expect(created.text.contains("    a: \"yes\"\n"))
        let tree = try Value(json: YAMLDecoder.decode(created.body).json)
        #expect(tree[path: "metadata", "annotations", "a"] == "yes")
    }

    @Test("what is wrong with YAML is said in upstream's words: syntax, keys that stand twice, unknown fields")
    func yamlProblems() async throws {
        let server = try await TestServer()
        func post(_ body: String, _ validation: String = "Strict") async -> TestServer.Answer {
            await server.http("POST", "\(Self.pods)?fieldValidation=\(validation)", ["Content-Type": "application/yaml"], body: body)
        }
        let syntax = await post("a: b: c\n")
        #expect(syntax.status == 400)
        #expect(
            syntax.json["message"].string
                == "the object provided is unrecognized (must be of type ConfigMap): yaml: mapping values are not allowed in this context "
                + "(613a20623a20630a)")
        let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: t\ndata:\n  x: a\n  x: b\nnope: 1\n"
        let strict = await post(twice)
        #expect(
            strict.json["message"].string
                == "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n"
                + "  line 7: key \"x\" already set in map, unknown field \"nope\"")
        let warned = await post(twice, "Warn")
        #expect(warned.status == 201)
        #expect(warned.json["data"]["x"].string == "b")
        #expect(warned.fields.all("Warning").count == 2)
        var bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        for (previous, name) in zip("abcdefgh", "bcdefghi") {
            bomb += "\(name): &\(name) [" + Array(repeating: "*\(previous)", count: 10).joined(separator: ",") + "]\n"
        }
        #expect(await post(bomb).json["message"].string?.contains("yaml: document contains excessive aliasing") ?? false)
    }

    @Test("server-side apply takes YAML that is not JSON, and tells its duplicates")
    func applyYAML() async throws {
        let server = try await TestServer()
        func apply(_ body: String, _ validation: String = "Warn") async -> TestServer.Answer {
            await server.http(
                "PATCH", "\(Self.pods)/s?fieldManager=me&fieldValidation=\(validation)", ["Content-Type": "application/apply-patch+yaml"], body: body)
        }
        let head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: s\n"
        let applied = await apply(head + "data:\n  a: \"1\"\n")
        #expect(applied.status == 201, "\(applied.text)")
        #expect(applied.json["data"]["a"].string == "1")
        let twice = await apply(head + "data:\n  a: \"1\"\n  a: \"2\"\n", "Strict")
        #expect(
            twice.json["message"].string
                == "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 7: key \"a\" already set in map")
        let broken = await apply("a: [")
        #expect(
            broken.json["message"].string
                == "error decoding YAML: error converting YAML to JSON: yaml: line 1: did not find expected node content")
        let list = await apply("- a\n")
        #expect(list.status == 400)
    }

    @Test("large answers are compressed for clients that take gzip; small ones and watches are not")
    func compression() async throws {
        let server = try await TestServer()
        for index in 0..<8 { try await server.create("configmaps", configMap("big\(index)", ["k": String(repeating: "x\(index)", count: 10_000)])) }
        let plain = await server.http("GET", Self.pods)
        #expect(plain.fields["Content-Encoding"] == nil)
        let packed = await server.http("GET", Self.pods, ["Accept-Encoding": "br, gzip"])
        #expect(packed.fields["Content-Encoding"] == "gzip")
        #expect(packed.fields.all("Vary").contains("Accept-Encoding"))
        #expect(packed.body.count < plain.body.count / 10)
        #expect(Gzip.decompress(packed.body, limit: 1 << 20) == plain.body)
        #expect(Gzip.decompress(packed.body, limit: 1000) == nil)
        let small = await server.http("GET", "\(Self.pods)/big0", ["Accept-Encoding": "gzip"])
        #expect(small.fields["Content-Encoding"] == nil)
        let watch = await server.http("GET", "\(Self.pods)?watch=1&timeoutSeconds=1", ["Accept-Encoding": "gzip"])
        #expect(watch.fields["Content-Encoding"] == nil)
    }

    @Test("a compressed request body is not unpacked, as upstream does not: a bomb is a 400 at once")
    func gzipBomb() async throws {
        let server = try await TestServer()
        let bomb = Gzip.compress([UInt8](repeating: 0x20, count: 1 << 24)) ?? []
        let clock = ContinuousClock()
        let pieces = OneShot(bomb)
        let start = clock.now
        let response = await server.server.respond(
            to: TestServer.head("POST", Self.pods, ["Content-Type": "application/json", "Content-Encoding": "gzip"]),
            body: HTTPBodyStream { await pieces.take() })
        #expect(response.status == 400)
        #expect(clock.now - start < .seconds(10))
    }

    private actor OneShot {
        private var bytes: [UInt8]?
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        func take() -> [UInt8]? {
            defer { bytes = nil }
            return bytes
        }
    }

    @Test("curl and ?pretty=true get JSON for a person to read")
    func pretty() async throws {
        let server = try await TestServer()
        try await server.create("configmaps", configMap("p", ["k": "v"]))
        #expect(await server.http("GET", "\(Self.pods)/p").text.hasPrefix("{\"") == true)
        for answer in [
            await server.http("GET", "\(Self.pods)/p?pretty=true"), await server.http("GET", "\(Self.pods)/p", ["User-Agent": "curl/8"]),
            await server.http("GET", "\(Self.pods)/p", ["Accept": "application/json;pretty=1"]),
        ] {
            #expect(answer.text.hasPrefix("{\n  \""))
            #expect(answer.json["data"]["k"].string == "v")
        }
        #expect(await server.http("GET", "\(Self.pods)/p?pretty=false", ["User-Agent": "curl/8"]).text.hasPrefix("{\"") == true)
    }
}
