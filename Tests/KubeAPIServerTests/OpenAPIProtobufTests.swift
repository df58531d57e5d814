import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("OpenAPI v2 in protobuf")
struct OpenAPIProtobufTests {
    private struct Malformed: Error {}

    /// A message's fields of wire type 2 with their numbers; those of other types are only passed over.
    private static func fields(_ bytes: ArraySlice<UInt8>) throws -> [(number: Int, bytes: ArraySlice<UInt8>)] {
        var rest = bytes
        func varint() throws -> Int {
            var value = 0
            for shift in stride(from: 0, to: 63, by: 7) {
                guard let byte = rest.popFirst() else { throw Malformed() }
                value |= Int(byte & 0x7F) << shift
                if byte < 0x80 { return value }
            }
            throw Malformed()
        }
        var found: [(number: Int, bytes: ArraySlice<UInt8>)] = []
        while !rest.isEmpty {
            let tag = try varint()
            switch tag & 7 {
            case 0: _ = try varint()
            case 1: rest = rest.dropFirst(8)
            case 2:
                let length = try varint()
                guard length <= rest.count else { throw Malformed() }
                found.append((tag >> 3, rest.prefix(length)))
                rest = rest.dropFirst(length)
            default: throw Malformed()
            }
        }
        return found
    }

    /// The entries of a map: names with values.
    private static func entries(_ message: ArraySlice<UInt8>, _ number: Int) throws -> [String: ArraySlice<UInt8>] {
        var all: [String: ArraySlice<UInt8>] = [:]
        for field in try fields(message) where field.number == number {
            let entry = try fields(field.bytes)
            guard let name = entry.first(where: { $0.number == 1 }), let value = entry.first(where: { $0.number == 2 }) else { throw Malformed() }
            all[String(decoding: name.bytes, as: UTF8.self)] = value.bytes
        }
        return all
    }

    private static func text(_ fields: [(number: Int, bytes: ArraySlice<UInt8>)], _ number: Int) -> String? {
        fields.first { $0.number == number }.map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    @Test("who asks for protobuf, as kubectl does, gets the paths and definitions that the JSON document has")
    func same() async throws {
        let test = try await TestServer()
        let json = await test.http("GET", "/openapi/v2").json
        let answer = await test.http("GET", "/openapi/v2", ["Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"])
        #expect(answer.status == 200)
        #expect(answer.fields["Content-Type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
        let document = try Self.fields(answer.body[...])
        #expect(Self.text(document, 1) == "2.0")
        let paths = try Self.entries(try #require(document.first { $0.number == 8 }).bytes, 2)
        let definitions = try Self.entries(try #require(document.first { $0.number == 9 }).bytes, 1)
        #expect(Set(paths.keys) == Set((json["paths"]?.value.object ?? Members()).map(\.0)))
        #expect(Set(definitions.keys) == Set((json["definitions"]?.value.object ?? Members()).map(\.0)))

        // One schema and one operation down to their leaves.
        let definition = try #require(definitions["io.k8s.api.core.v1.Pod"])
        let pod = try Self.fields(definition)
        let properties = try Self.entries(try #require(pod.first { $0.number == 25 }).bytes, 1)
        let spec = try Self.fields(try #require(properties["spec"]))
        #expect(Self.text(spec, 1) == "#/definitions/io.k8s.api.core.v1.PodSpec")
        let extensions = try Self.entries(definition, 31)
        let kinds = try Self.fields(try #require(extensions["x-kubernetes-group-version-kind"]))
        #expect(Self.text(kinds, 2) == json["definitions"]["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"]?.value.jsonString)
        let item = try Self.fields(try #require(paths["/api/v1/namespaces/{namespace}/pods"]))
        let post = try Self.fields(try #require(item.first { $0.number == 4 }).bytes)
        let wanted = json["paths"]["/api/v1/namespaces/{namespace}/pods"]["post"]
        #expect(post.filter { $0.number == 8 }.count == wanted["parameters"].elements.count)
        #expect(Self.text(post, 5) == wanted["operationId"].string)

        let plain = await test.http("GET", "/openapi/v2", ["Accept": "application/json, */*"])
        #expect(plain.fields["Content-Type"] == "application/json")
        await test.server.stop()
    }
}
