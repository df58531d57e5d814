import Foundation
import KubeAPI
import KubeClient
import Synchronization
import Testing

@testable import ControlPlane

@Suite struct SecretEncryptionTests {
    private static let key = "arn:aws:kms:eu-1:0:key/one"

    private func secret(_ name: String, _ text: String) -> Value {
        ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": .string(name), "namespace": "default"], "stringData": ["a": .string(text)]]
    }

    /// Whether any file of the cluster's store holds the text, as it is or as Secrets hold it.
    private func holds(_ directory: String, _ text: String) -> Bool {
        let encoded = Data(text.utf8).base64EncodedString()
        return ["store.db", "store.db-wal"].contains { name in
            guard let bytes = FileManager.default.contents(atPath: "\(directory)/cluster/\(name)") else { return false }
            return bytes.range(of: Data(text.utf8)) != nil || bytes.range(of: Data(encoded.utf8)) != nil
        }
    }

    @Test("a key that the cloud keeps stands on the disk wrapped, and a cluster whose key cannot be unwrapped does not start")
    func wrapping() async throws {
        struct Refused: Error {}
        let allows = Mutex(true)
        // The cloud's part: what is wrapped is of no use to who does not know how.
        let wrapping = KeyWrapping(
            wrap: { $0.map { $0 ^ 0x5A } },
            unwrap: { wrapped in
                guard allows.withLock({ $0 }) else { throw Refused() }
                return wrapped.map { $0 ^ 0x5A }
            })
        let first = try await ControlPlaneTests.Fixture.start(encryptionKeyName: Self.key, keyWrapping: wrapping)
        let directory = first.directory
        try await first.client.create(.secrets, secret("one", "words-of-one"))
        await first.controlPlane.stop()
        #expect(!holds(directory, "words-of-one"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(directory)/cluster/encryption") == ["arn-aws-kms-eu-1-0-key-one.wrapped"])
        allows.withLock { $0 = false }
        await #expect(throws: Refused.self) {
            _ = try await ControlPlaneTests.Fixture.start(in: directory, encryptionKeyName: Self.key, keyWrapping: wrapping)
        }
        allows.withLock { $0 = true }
        let second = try await ControlPlaneTests.Fixture.start(in: directory, encryptionKeyName: Self.key, keyWrapping: wrapping)
        let found = try await second.client.get(.secrets, namespace: "default", name: "one")
        #expect(found["data"]["a"].string == Data("words-of-one".utf8).base64EncodedString())
        await second.controlPlane.stop()
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("with a key the Secrets that there are leave the disk in plain, new ones never stand there, and clients see no difference")
    func sealing() async throws {
        let plain = try await ControlPlaneTests.Fixture.start()
        let directory = plain.directory
        try await plain.client.create(.secrets, secret("old", "words-of-old"))
        try await plain.client.create(
            .configMaps, ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "c", "namespace": "default"], "data": ["a": "in-the-open"]])
        await plain.controlPlane.stop()
        #expect(holds(directory, "words-of-old"))
        for _ in 0..<2 {
            let sealed = try await ControlPlaneTests.Fixture.start(in: directory, encryptionKeyName: Self.key)
            #expect(!holds(directory, "words-of-old") && holds(directory, "in-the-open"))
            let old = try await sealed.client.get(.secrets, namespace: "default", name: "old")
            #expect(old["data"]["a"].string == Data("words-of-old".utf8).base64EncodedString())
            let created = try await sealed.client.create(.secrets, secret("new", "words-anew"))
            #expect(created["data"]["a"].string == Data("words-anew".utf8).base64EncodedString())
            #expect(try await sealed.client.list(.secrets, namespace: "default").items.map(\.metadata.name).sorted() == ["new", "old"])
            try await sealed.client.patch(.secrets, namespace: "default", name: "new", type: .merge, ["data": ["b": "eA=="]])
            #expect(try await sealed.client.get(.secrets, namespace: "default", name: "new")["data"]["b"].string == "eA==")
            try await sealed.client.delete(.secrets, namespace: "default", name: "new")
            await sealed.controlPlane.stop()
            #expect(!holds(directory, "words-anew"))
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: "\(directory)/cluster/encryption")
        #expect(files == ["arn-aws-kms-eu-1-0-key-one.key"])
        for file in files {
            let mode = try FileManager.default.attributesOfItem(atPath: "\(directory)/cluster/encryption/\(file)")[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
        try FileManager.default.removeItem(atPath: directory)
    }
}
