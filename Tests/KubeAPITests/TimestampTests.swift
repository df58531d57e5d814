import KubeAPI
import Testing

@Suite("Times")
struct TimestampTests {
    /// What a client's protobuf, a patch or a controller's arithmetic can come to.
    private static let extremes: [Int64] = [
        .min, .min + 1, -9_223_372_036_854_775_000, -62_135_596_800_000_001, -1_000_001, -1_000_000, -999_999, -1, 0, 1, 999_999, 1_000_000,
        253_402_300_800_000_000, .max - 1, .max,
    ]

    @Test("no number of microseconds or seconds traps", arguments: extremes)
    func anyNumber(_ number: Int64) {
        for time in [Timestamp(microseconds: number), Timestamp(seconds: number)] {
            #expect(!time.rfc3339.isEmpty && time.rfc3339Micro.hasSuffix("Z"))
            for other in Self.extremes {
                _ = time.adding(seconds: other)
                #expect(time.timeInterval(since: Timestamp(microseconds: other)).isFinite)
            }
        }
    }

    @Test("seconds are rounded down, also before 1970")
    func seconds() {
        #expect(Timestamp(microseconds: 1_999_999).seconds == 1 && Timestamp(microseconds: -1).seconds == -1)
        #expect(Timestamp(microseconds: -1_000_000).seconds == -1 && Timestamp(microseconds: -1_000_001).seconds == -2)
        #expect(Timestamp(microseconds: .min).seconds == -9_223_372_036_855)
        #expect(Timestamp(microseconds: -1).rfc3339Micro == "1969-12-31T23:59:59.999999Z")
    }

    @Test("what is added ends with the years that RFC 3339 can write")
    func saturation() {
        let now = Timestamp(seconds: 1_767_225_600)
        #expect(now.adding(seconds: 10).rfc3339 == "2026-01-01T00:00:10Z" && now.adding(seconds: -10).rfc3339 == "2025-12-31T23:59:50Z")
        #expect(now.adding(seconds: .max).rfc3339 == "9999-12-31T23:59:59Z" && now.adding(seconds: .min).rfc3339 == "0001-01-01T00:00:00Z")
        #expect(Timestamp(microseconds: .max).adding(seconds: .max).rfc3339 == "9999-12-31T23:59:59Z")
        #expect(now.timeInterval(since: now.adding(seconds: .max)) < 0)
    }

    /// A protobuf message `number` whose field holds `bytes`.
    private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }

    private static func varint(_ number: Int64) -> [UInt8] {
        var rest = UInt64(bitPattern: number)
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    /// A SelfSubjectAccessReview that was made at this time.
    private static func review(seconds: Int64, nanos: Int64 = 0) -> [UInt8] {
        let time = [0x08] + varint(seconds) + [0x10] + varint(nanos)
        let type = field(1, Array("authorization.k8s.io/v1".utf8)) + field(2, Array("SelfSubjectAccessReview".utf8))
        return Array("k8s\0".utf8) + field(1, type) + field(2, field(1, field(8, time)))
    }

    @Test(
        "a time in protobuf that no calendar has is refused",
        arguments: [-9_223_372_036_854, .min, .max, 253_402_300_800, -62_135_596_801] as [Int64])
    func protobuf(_ seconds: Int64) throws {
        let error = #expect(throws: StatusError.self) { try ProtobufDecoder.decode(Self.review(seconds: seconds)) }
        #expect(error?.code == 400)
    }

    @Test("a time in protobuf within the calendar is read")
    func protobufInRange() throws {
        func time(_ seconds: Int64) throws -> String? {
            try ProtobufDecoder.decode(Self.review(seconds: seconds))[path: "metadata", "creationTimestamp"]?.string
        }
        #expect(try time(1_767_225_600) == "2026-01-01T00:00:00Z")
        #expect(try time(253_402_300_799) == "9999-12-31T23:59:59Z")
        #expect(throws: StatusError.self) { try ProtobufDecoder.decode(Self.review(seconds: 1, nanos: 1_000_000_000)) }
    }
}
