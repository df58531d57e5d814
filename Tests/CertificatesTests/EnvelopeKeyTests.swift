import Certificates
import Foundation
import Testing

@Suite struct EnvelopeKeyTests {
    @Test("a value opens with the key of its file for its own entry, and with nothing else")
    func envelope() throws {
        let folder = NSTemporaryDirectory() + "eyrie-key-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let key = try EnvelopeKey(path: "\(folder)/one.key")
        let value = Array("secret".utf8)
        let sealed = try key.seal(value, for: "/a")
        #expect(try key.seal(value, for: "/a") != sealed && !sealed.contains(subsequence: value))
        #expect(try EnvelopeKey(path: "\(folder)/one.key").open(sealed, for: "/a") == value)
        #expect(throws: EnvelopeKey.Failure.self) { try key.open(sealed, for: "/b") }
        #expect(throws: EnvelopeKey.Failure.self) { try EnvelopeKey(path: "\(folder)/two.key").open(sealed, for: "/a") }
        for at in [0, sealed.count / 2, sealed.count - 1] {
            var altered = sealed
            altered[at] ^= 1
            #expect(throws: EnvelopeKey.Failure.self) { try key.open(altered, for: "/a") }
        }
        for length in 0..<sealed.count { #expect(throws: EnvelopeKey.Failure.self) { try key.open(Array(sealed.prefix(length)), for: "/a") } }
        try Data("short".utf8).write(to: URL(fileURLWithPath: "\(folder)/bad.key"))
        #expect(throws: (any Error).self) { try EnvelopeKey(path: "\(folder)/bad.key") }
    }
}

extension [UInt8] {
    fileprivate func contains(subsequence: [UInt8]) -> Bool {
        guard count >= subsequence.count else { return false }
        return indices.dropLast(subsequence.count - 1).contains { self[$0..<($0 + subsequence.count)].elementsEqual(subsequence) }
    }
}
