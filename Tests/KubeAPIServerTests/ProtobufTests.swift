import KubeAPI
import Testing

@testable import KubeAPIServer

/// Writes protobuf's wire format.
private struct Writer {
    var bytes: [UInt8] = []
    mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(value & 0x7F) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }
    mutating func int(_ number: Int, _ value: Int64) {
        varint(UInt64(number << 3))
        varint(UInt64(bitPattern: value))
    }
    mutating func text(_ number: Int, _ value: String) { data(number, Array(value.utf8)) }
    mutating func data(_ number: Int, _ value: [UInt8]) {
        varint(UInt64(number << 3 | 2))
        varint(UInt64(value.count))
        bytes += value
    }
    mutating func message(_ number: Int, _ write: (inout Writer) -> Void) {
        var inner = Writer()
        write(&inner)
        data(number, inner.bytes)
    }
    static func envelope(_ apiVersion: String, _ kind: String, _ write: (inout Writer) -> Void) -> [UInt8] {
        var writer = Writer()
        writer.message(1) {
            $0.text(1, apiVersion)
            $0.text(2, kind)
        }
        writer.message(2, write)
        return [0x6B, 0x38, 0x73, 0x00] + writer.bytes
    }
}

@Suite("Protobuf bodies")
struct ProtobufTests {
    private static let deployment = Writer.envelope("apps/v1", "Deployment") { object in
        object.message(1) { metadata in
            metadata.text(1, "web")
            metadata.text(2, "")
            metadata.int(7, 0)
            metadata.message(8) { _ in }
            metadata.message(11) {
                $0.text(1, "a")
                $0.text(2, "b")
            }
        }
        object.message(2) { spec in
            spec.int(1, 0)
            spec.message(2) {
                $0.message(1) {
                    $0.text(1, "app")
                    $0.text(2, "web")
                }
            }
            spec.message(3) { template in
                template.message(2) { pod in
                    // A volume whose source is inlined in JSON.
                    pod.message(1) { volume in
                        volume.text(1, "v")
                        volume.message(2) { $0.message(2) { $0.text(1, "Memory") } }
                    }
                    pod.message(2) { container in
                        container.text(1, "main")
                        container.text(2, "nginx")
                        container.message(6) {
                            $0.int(3, 80)
                            $0.text(4, "")
                        }
                        container.message(8) {
                            $0.message(1) {
                                $0.text(1, "cpu")
                                $0.message(2) { $0.text(1, "250m") }
                            }
                        }
                        container.message(10) {
                            $0.message(1) {
                                $0.message(2) {
                                    $0.text(1, "/")
                                    $0.message(2) {
                                        $0.int(1, 1)
                                        $0.text(3, "http")
                                    }
                                }
                            }
                        }
                    }
                    pod.int(4, 5)
                }
            }
            spec.int(5, 0)
        }
        object.message(99) { $0.text(1, "a field of the future") }
    }

    @Test("a body reads as the JSON it stands for: inlined members, quantities, int-or-strings, times, zeros of pointers")
    func reads() throws {
        let value = try ProtobufDecoder.decode(Self.deployment)
        let expected = try Value(
            json: #"""
                {"metadata":{"name":"web","labels":{"a":"b"}},"spec":{"replicas":0,"selector":{"matchLabels":{"app":"web"}},"template":{"spec":{
                "volumes":[{"name":"v","emptyDir":{"medium":"Memory"}}],"containers":[{"name":"main","image":"nginx","ports":[{"containerPort":80}],
                "resources":{"limits":{"cpu":"250m"}},"livenessProbe":{"httpGet":{"path":"/","port":"http"}}}],"terminationGracePeriodSeconds":5}}},
                "apiVersion":"apps/v1","kind":"Deployment"}
                """#)
        #expect(value == expected)
    }

    @Test("a truncated or corrupted body is refused and never traps")
    func corrupted() {
        let body = Self.deployment
        for length in 0..<body.count { _ = try? ProtobufDecoder.decode(Array(body[..<length])) }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            var mutated = body
            for _ in 0..<3 { mutated[Int.random(in: 4..<mutated.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator) }
            _ = try? ProtobufDecoder.decode(mutated)
        }
        #expect(throws: StatusError.self) { try ProtobufDecoder.decode(Array("{}".utf8)) }
        #expect(throws: StatusError.self) { try ProtobufDecoder.decode(Writer.envelope("v9", "Nothing") { _ in }) }
    }

    @Test("bytes become base64, and unknown kinds of options are DeleteOptions")
    func others() throws {
        let secret = try ProtobufDecoder.decode(
            Writer.envelope("v1", "Secret") {
                $0.message(2) {
                    $0.text(1, "k")
                    $0.data(2, [0xFF, 0x00])
                }
            })
        #expect(secret[path: "data", "k"] == "/wA=")
        let options = try ProtobufDecoder.decode(Writer.envelope("apps/v1", "DeleteOptions") { $0.int(1, 0) })
        #expect(options["gracePeriodSeconds"] == 0)
    }
}
